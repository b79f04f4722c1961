//! Rows B3 and B5: a holder that is killed, a set that is removed, and the three ways in which a wait ends.

use std::time::Duration;

use ipc_signal::{Pid, Signal};
use ipc_sysv::{Error, Op, RemoveOnDrop, SemaphoreSet};
use ipc_testkit::{Peer, command, crash, peer, proof, repetitions, timed, until};

fn set(value: u16) -> RemoveOnDrop<SemaphoreSet> {
    RemoveOnDrop::new(SemaphoreSet::create(crate::key(), &[value]).unwrap())
}

fn holder(role: &str, set: &SemaphoreSet) -> Peer {
    let mut holder = peer!("peer-sysv", role, set.id());
    holder.expect("held");
    holder
}

#[test]
fn b3_killed_holder_gives_back() {
    let set = set(1);
    let mut waiter = peer!("peer-sysv", "wait-for-permits", set.id());
    waiter.expect("ready");
    let count = repetitions(500, 10_000);
    let mut fastest = Duration::MAX;
    for _ in 0..count {
        let mut holder = holder("hold", &set);
        assert_eq!(set.value(0).unwrap(), 0);
        waiter.tell("");
        until("the waiter waits", || set.waiting_for_increase(0).unwrap() == 1);
        let ((), took) = timed(|| {
            holder.kill();
            waiter.expect("had it");
        });
        fastest = fastest.min(took);
        assert_eq!(set.value(0).unwrap(), 1);
    }

    let twins = repetitions(20, 200);
    let mut stuck = 0;
    for _ in 0..twins {
        set.set_value(0, 1).unwrap();
        holder("hold-without-undo", &set).kill();
        stuck += usize::from(set.value(0).unwrap() == 0);
    }
    assert_eq!(stuck, twins, "without undo the permit is lost");
    proof!(
        "B3",
        "{count} holders killed, each permit back, the fastest waiter had it after {fastest:?}; naive twin lost {stuck} of {twins}"
    );
}

#[test]
fn b3_killed_at_every_step_of_a_permit() {
    let mut lost = [0; 2];
    let mut points = [0; 2];
    for (at, role) in ["take-and-give", "take-and-give-without-undo"].into_iter().enumerate() {
        points[at] = crash::at_every_step(
            repetitions([75, 25][at], 2000),
            || {
                let set = set(1);
                (command!("peer-sysv", role, set.id()), set)
            },
            |death, set| {
                let value = set.value(0).unwrap();
                assert!(at == 1 || value == 1, "{death}: the value is {value}");
                lost[at] += usize::from(value == 0);
                at == 0 || lost[1] > 0
            },
        );
    }
    assert!(lost[1] > 0, "the naive twin lost nothing in {} deaths", points[1]);
    proof!(
        "B3",
        "killed at {} instructions of a permit's life, {} lost; naive twin lost it at {} of {}",
        points[0],
        lost[0],
        lost[1],
        points[1]
    );
}

#[test]
fn b5_removal_wakes_every_waiter() {
    let set = set(1);
    let mut peers: Vec<_> = (0..4).map(|_| peer!("peer-sysv", "wait-in-threads", set.id(), 25)).collect();
    peers.iter_mut().for_each(|peer| peer.expect("started"));
    until("all wait", || {
        let waiting = set.waiting_for_increase(0).unwrap() + set.waiting_for_zero(0).unwrap();
        waiting == 100
    });
    let ((), took) = timed(|| {
        peer!("peer-sysv", "remove-set", set.id()).finish();
        peers.iter_mut().for_each(|peer| peer.expect("25"));
    });
    assert!(set.verify().unwrap_err().is_removed());
    proof!("B5", "100 waiters in 4 processes, removed from a fifth: all of them Removed after {took:?}");
}

#[test]
fn b5_three_ends_of_a_wait_are_three_errors() {
    let set = set(0);
    let take = [Op::subtract(0, 1)];
    assert!(matches!(set.try_op(&take), Err(Error::WouldBlock { .. })));
    let no_wait = [Op::subtract(0, 1).no_wait()];
    assert!(matches!(set.op(&no_wait), Err(Error::WouldBlock { .. })));
    assert!(matches!(set.op_timeout(&no_wait, Duration::from_secs(9)), Err(Error::WouldBlock { .. })));
    for timeout in [Duration::ZERO, Duration::from_millis(5)] {
        let (ended, took) = timed(|| set.op_timeout(&take, timeout));
        assert!(matches!(ended, Err(Error::TimedOut { .. })), "{ended:?}");
        assert!(took >= timeout);
    }
    let mut peer = peer!("peer-sysv", "wait-interruptibly", set.id());
    peer.expect("ready");
    for told in ["Interrupted", "Ok after 2 signals"] {
        peer.until_asleep_in(libc::SYS_semtimedop);
        ipc_signal::send(Pid::try_from(peer.id()).unwrap(), Signal::USR1).unwrap();
        if told != "Interrupted" {
            // The one that retries goes on waiting until it gets what it waits for.
            until("the signal is taken", || !has_pending_signal(&peer));
            peer.until_asleep_in(libc::SYS_semtimedop);
            set.op(&[Op::add(0, 1)]).unwrap();
        }
        peer.expect(told);
    }
    peer.finish();
    proof!("B5", "WouldBlock, TimedOut, Interrupted and Removed are four errors");
}

fn has_pending_signal(peer: &Peer) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", peer.id())).unwrap();
    let pending = status.lines().filter(|line| line.starts_with("SigPnd") || line.starts_with("ShdPnd"));
    pending.into_iter().any(|line| !line.ends_with("0000000000000000"))
}

#[test]
fn forked_child_has_no_permit() {
    let set = set(1);
    let mut peer = peer!("peer-sysv", "fork-with-a-permit", set.id());
    // The child dropped its copy, and the permit is still taken; then the parent gave it back.
    peer.expect("0");
    peer.expect("1");
    peer.finish();
    assert_eq!(set.value(0).unwrap(), 1);
}

#[test]
fn forked_child_removes_nothing() {
    let mut peer = peer!("peer-sysv", "fork-with-a-guard");
    // The child dropped its copy, and the set is still there; then the parent removed it.
    peer.expect("true");
    peer.expect("true");
    peer.finish();
}
