//! Where the kernel says no.

use std::process::Command;

use ipc_signal::{Error, Pid, Signal, queue, send};
use ipc_testkit::{Peer, command, peer, proof, repetitions, skip};

use crate::{is_installed, is_root, nobody_else, numbers};

/// Three are taken, the fourth is refused; kill(2) gets through with its sender erased, and the type says so.
#[test]
fn e3_a_full_queue_is_an_error_and_an_erased_sender_is_none() {
    if !is_root() {
        skip!("only root can become a user whose queue nobody else fills");
    }
    let mut peer = peer!("peer-signal", "full-queue", nobody_else());
    peer.expect("ready");
    let (pid, signal) = (Pid::try_from(peer.id()).unwrap(), Signal::from_number(40).unwrap());
    let mut accepted = 0;
    let refused = loop {
        match queue(pid, signal, accepted) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::QueueFull { .. }), "{refused:?}");
    assert_eq!(refused.errno(), Some(libc::EAGAIN));
    assert_eq!(accepted, 3);
    // C's way out: it arrives, and says nothing of where it comes from; but not where the same signal is pending.
    send(pid, Signal::from_number(41).unwrap()).unwrap();
    send(pid, signal).unwrap();
    peer.tell("go");
    for value in 0..3 {
        let line = peer.hear();
        assert!(line.starts_with("Queue Some") && line.ends_with(&format!("Some({value})")), "{line}");
    }
    peer.expect("User None None");
    peer.expect("ok");
    peer.finish();
    proof!("E3", "3 of 4 queued, then QueueFull; the twin, kill, arrives with sender and value erased: None");
}

#[test]
fn what_belongs_to_another_user_is_not_permitted() {
    if !is_root() {
        skip!("only root can become another user");
    }
    let mut other = peer!("peer-signal", "shutdown");
    other.expect("ready");
    let mut peer = peer!("peer-signal", "no-rights", nobody_else(), other.id());
    peer.expect("ok");
    peer.finish();
}

#[test]
fn without_descriptors_everything_says_so() {
    let mut peer = peer!("peer-signal", "no-descriptors");
    peer.expect("ok");
    peer.finish();
}

/// What no limit of this machine provokes: ENFILE, ENODEV, ENOMEM, ENOSPC, and EAGAIN of a thread's start.
#[test]
fn a_refused_system_call_is_told_and_leaves_nothing() {
    let mut peer = peer!("peer-signal", "refusals");
    let told = numbers(&peer.hear())[0];
    peer.finish();
    assert!(told > 30);
    proof!(
        "errno",
        "{told} refusals by seccomp, each told with its errno, no descriptor and no registration left"
    );
}

/// In a pid namespace of its own the next number can be chosen: the same one is given out again every time.
#[test]
fn e6_a_pidfd_never_reaches_who_got_the_number_next() {
    if !is_root() {
        skip!("only root may make a pid namespace");
    }
    if !is_installed("unshare") {
        skip!("no unshare on this machine");
    }
    let rounds = repetitions(500, 1_000);
    let role = command!("peer-signal", "reuse", rounds);
    let mut command = Command::new("unshare");
    command.args(["-pf", "--kill-child", "--mount-proc"]).arg(role.get_program()).args(role.get_args());
    let mut peer = Peer::start(&mut command);
    let found = numbers(&peer.hear());
    let [reached, naive] = found[..] else { panic!("{found:?}") };
    peer.finish();
    assert_eq!((reached, naive), (0, u64::try_from(rounds).unwrap()));
    proof!(
        "E6",
        "{rounds} numbers given out again, pidfd reached {reached} newcomers; twin, kill by number: {naive}"
    );
}
