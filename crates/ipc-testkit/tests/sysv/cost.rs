//! One call is one system call: counted.

use ipc_signal::{CommandExt, Pid, Signal, Stop, Tracee};
use ipc_testkit::{Peer, command, proof};

/// The system calls that the role makes between its marks.
fn system_calls(role: &str) -> Vec<i64> {
    let mut command = command!("peer-sysv", role);
    let mut peer = Peer::start(command.traced());
    let mut tracee = Tracee::adopt(Pid::try_from(peer.id()).unwrap()).unwrap();
    let (mut marks, mut calls, mut deliver) = (0, Vec::new(), None);
    while marks < 2 {
        tracee.resume_to_syscall(deliver.take()).unwrap();
        match tracee.next_stop().unwrap() {
            Stop::Signal(info) if info.signal() == Signal::URG => marks += 1,
            Stop::Signal(info) => deliver = Some(info.signal()),
            Stop::SyscallEntry { number, .. } if marks == 1 => calls.push(i64::try_from(number).unwrap()),
            Stop::End(state) => panic!("the peer {state}"),
            _ => {}
        }
    }
    // It removes what it made.
    tracee.detach(None).unwrap();
    assert!(peer.wait().success());
    // Those of the second mark itself.
    let mark = [libc::SYS_getpid, libc::SYS_gettid, libc::SYS_tgkill];
    calls.retain(|call| !mark.contains(call));
    calls
}

#[test]
fn each_call_is_one_system_call() {
    let (semop, semctl) = (libc::SYS_semtimedop, libc::SYS_semctl);
    let (send, receive) = (libc::SYS_msgsnd, libc::SYS_msgrcv);
    let expected = [
        [semop, semop, semop, semop, semop].as_slice(),
        &[semctl, semctl, semctl, semctl],
        &[send, send, receive, receive, receive],
    ]
    .concat();
    assert_eq!(system_calls("hot"), expected);
    proof!("cost", "{} calls, {} system calls, no other among them", expected.len(), expected.len());
}
