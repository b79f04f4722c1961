//! Row C6: signals all the time, and calls that fail with EINTR before they have begun.

use std::process::Command;

use ipc_sysv::{MessageBuffer, MessageQueue, MessageType, RemoveOnDrop, Select};
use ipc_testkit::{Peer, command, peer, proof, repetitions, skip};

#[test]
fn c6_a_storm_of_signals_loses_and_doubles_nothing() {
    let new = || RemoveOnDrop::new(MessageQueue::create(crate::key()).unwrap());
    let (queue, answers) = (new(), new());
    let count = repetitions(2000, 200_000) as u64;
    let mut peer = peer!("peer-sysv", "storm", queue.id(), answers.id(), count);
    let mut buffer = MessageBuffer::new();
    for number in 0..count {
        if number % 100 == 0 {
            // Let it wait, so that the signals meet it in the call.
            peer.until_asleep_in(libc::SYS_msgrcv);
        }
        queue.send(MessageType::ONE, &number.to_ne_bytes()).unwrap();
        let answer = answers.recv(Select::Any, &mut buffer).unwrap();
        assert_eq!(answer.value::<u64>().unwrap(), number);
    }
    peer.expect("true");
    peer.finish();
    proof!(
        "C6",
        "{count} messages there and back under 10,000 signals a second, none lost, none twice; naive twin (EINTR is the end) ended"
    );
}

/// Each third call fails with EINTR and is not made at all, which no storm does so regularly.
#[test]
fn c6_every_third_call_fails_with_eintr() {
    if Command::new("strace").arg("-V").output().is_err() {
        skip!("no strace on this machine");
    }
    let new = || RemoveOnDrop::new(MessageQueue::create(crate::key()).unwrap());
    let (queue, answers) = (new(), new());
    let count = repetitions(300, 5000) as u64;
    let role = command!("peer-sysv", "storm", queue.id(), answers.id(), count);
    let mut strace = Command::new("strace");
    strace.args(["-o", "/dev/null", "-e", "trace=msgsnd,msgrcv"]);
    for call in ["msgsnd", "msgrcv"] {
        strace.args(["-e", &format!("inject={call}:error=EINTR:when=1+3")]);
    }
    let mut peer = Peer::start(strace.arg(role.get_program()).args(role.get_args()));
    let mut buffer = MessageBuffer::new();
    for number in 0..count {
        queue.send(MessageType::ONE, &number.to_ne_bytes()).unwrap();
        let answer = answers.recv(Select::Any, &mut buffer).unwrap();
        assert_eq!(answer.value::<u64>().unwrap(), number);
    }
    peer.expect("true");
    peer.finish();
    proof!(
        "C6",
        "{count} messages there and back while every third msgsnd and msgrcv fails with EINTR, none lost, none twice"
    );
}
