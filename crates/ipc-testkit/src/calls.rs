//! Which system calls a peer makes between two marks, one after another: what a call costs, counted and not measured.
//!
//! The marks are those of [`crate::crash`].

use std::process::Command;

use ipc_signal::{CommandExt, Pid, Signal, Stop, Tracee};

use crate::Peer;

/// Runs the command to its end and gives the numbers of the system calls that its main thread made between its marks.
///
/// # Panics
/// When the peer ends before its second mark, or otherwise than with status 0.
pub fn between_marks(command: &mut Command) -> Vec<i64> {
    let mut peer = Peer::start(command.traced());
    let mut tracee = Tracee::adopt(Pid::try_from(peer.id()).unwrap()).unwrap();
    let (mut marks, mut calls, mut deliver) = (0, Vec::new(), None);
    while marks < 2 {
        tracee.resume_to_syscall(deliver.take()).unwrap();
        match tracee.next_stop().unwrap() {
            Stop::Signal(info) if info.signal() == Signal::URG => marks += 1,
            Stop::Signal(info) => deliver = Some(info.signal()),
            Stop::SyscallEntry { number, .. } if marks == 1 => calls.push(i64::try_from(number).unwrap()),
            Stop::End(state) => panic!("the peer {state}: {}", peer.errors()),
            _ => {}
        }
    }
    tracee.detach(None).unwrap();
    assert!(peer.wait().success());
    // Those of the second mark itself.
    let mark = [libc::SYS_getpid, libc::SYS_gettid, libc::SYS_tgkill];
    calls.retain(|call| !mark.contains(call));
    calls
}
