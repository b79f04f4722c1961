//! Tracing, and the crash tests' own proof.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use ipc_signal::{ChildState, Pid, Signal, Stop, Tracee, send};
use ipc_testkit::{command, crash, name, peer, proof, repetitions};

/// Between two writes there is an instruction at which the first has happened and the second has not: stepping meets it
/// every time. Killing after a while never does: the two are a microsecond apart.
#[test]
fn crash_at_every_step_meets_every_state() {
    let mut seen = Vec::new();
    let points = crash::at_every_step(
        repetitions(100, 2000),
        || {
            let directory = name::directory();
            let path = directory.path().join("two");
            fs::write(&path, "").unwrap();
            (command!("peer-signal", "append-two", path.display()), (directory, path))
        },
        |_death, (_directory, path)| {
            seen.push(fs::read_to_string(path).unwrap());
            ["", "a", "ab"].iter().all(|state| seen.iter().any(|text| text == state))
        },
    );
    assert_eq!(points, seen.len());
    // Which step it was is exact only where the peer goes the way that it went when it was stepped.
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["", "a", "ab"]);
    proof!("crash", "{points} deaths, each instruction's state as it must be");
}

/// Attach, read and write a word, detach: the tracee goes on and has the new word.
#[test]
fn trace_reads_and_writes_the_memory_of_a_running_process() {
    let mut peer = peer!("peer-signal", "memory");
    let [address, word] = crate::numbers(&peer.hear())[..] else { panic!() };
    peer.until_asleep_in(libc::SYS_read);
    let address = usize::try_from(address).unwrap();
    let mut tracee = Tracee::attach(Pid::try_from(peer.id()).unwrap()).unwrap();
    assert_eq!(tracee.read_word(address).unwrap(), word);
    tracee.write_word(address, u64::MAX).unwrap();
    assert_eq!(tracee.read_word(address).unwrap(), u64::MAX);
    tracee.detach(None).unwrap();
    peer.tell("go on");
    peer.expect(&u64::MAX.to_string());
    peer.finish();
}

/// System calls stop twice, and the last one only once.
#[test]
fn trace_stops_at_each_system_call() {
    let (mut tracee, mut child) = Tracee::spawn(Command::new("sh").args(["-c", "kill -USR1 $$"])).unwrap();
    let (mut open, mut calls, mut deliver) = (None, Vec::new(), None);
    let end = loop {
        tracee.resume_to_syscall(deliver.take()).unwrap();
        match tracee.next_stop().unwrap() {
            Stop::SyscallEntry { number, .. } => {
                assert_eq!(open, None, "an entry within a call");
                open = Some(number);
            }
            Stop::SyscallExit(_) => calls.push(open.take().unwrap()),
            Stop::Signal(info) => deliver = Some(info.signal()),
            Stop::End(state) => break state,
            other => panic!("{other}"),
        }
    };
    assert_eq!(end.to_string(), "killed by SIGUSR1");
    assert!(calls.contains(&u64::try_from(libc::SYS_kill).unwrap()));
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGUSR1), "the end is left to std");
}

/// A stopped tracee stays stopped, as it would untraced, until it is continued.
#[test]
fn trace_leaves_a_stopped_process_stopped() {
    let (mut tracee, mut child) =
        Tracee::spawn(Command::new("sh").args(["-c", "kill -STOP $$; exit 3"])).unwrap();
    tracee.resume(None).unwrap();
    assert!(matches!(tracee.next_stop().unwrap(), Stop::Signal(info) if info.signal() == Signal::STOP));
    tracee.resume(Some(Signal::STOP)).unwrap();
    assert_eq!(tracee.next_stop().unwrap(), Stop::Group(Signal::STOP));
    tracee.listen().unwrap();
    send(&child, Signal::CONT).unwrap();
    assert_eq!(tracee.next_stop().unwrap(), Stop::Continued);
    tracee.resume(None).unwrap();
    assert!(matches!(tracee.next_stop().unwrap(), Stop::Signal(info) if info.signal() == Signal::CONT));
    tracee.resume(Some(Signal::CONT)).unwrap();
    assert_eq!(tracee.next_stop().unwrap(), Stop::End(ChildState::Exited(3)));
    assert_eq!(child.wait().unwrap().code(), Some(3));
}
