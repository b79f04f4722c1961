//! Rows D3 and D6: who is attached is counted exactly, and a segment removed under its users harms nobody.

use std::process::Command;

use ipc_sysv::{Error, Key, MessageQueue, RemoveOnDrop, Segment, SemaphoreSet};
use ipc_testkit::report::seed;
use ipc_testkit::{Peer, peer, proof, repetitions};

fn segment() -> RemoveOnDrop<Segment> {
    RemoveOnDrop::new(Segment::create(Key::PRIVATE, 4096).unwrap())
}

#[test]
fn d3_attachments_are_counted_exactly() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let segment = segment();
    let mut expected = 0;
    let mut users: Vec<(Peer, u64)> = Vec::new();
    for _ in 0..20 {
        let times = random.u64(1..=3);
        let mut user = peer!("peer-sysv", "attach", segment.id(), times);
        user.expect("attached");
        expected += times;
        users.push((user, times));
        assert_eq!(segment.stat().unwrap().attached, expected);
    }
    random.shuffle(&mut users);
    for (mut user, mut times) in users {
        if random.bool() {
            user.tell("");
            user.expect("detached");
            times -= 1;
            expected -= 1;
            assert_eq!(segment.stat().unwrap().attached, expected);
        }
        if random.bool() {
            user.kill();
        } else {
            user.finish();
        }
        expected -= times;
        assert_eq!(segment.stat().unwrap().attached, expected, "seed {seed}");
    }
    proof!(
        "D3",
        "20 processes, attached 1 to 3 times, ended or killed: nattch exact at each step; seed {seed}"
    );
}

#[test]
fn d3_fork_inherits_and_exec_gives_up() {
    let segment = segment();
    let mut user = peer!("peer-sysv", "attach-and-fork", segment.id());
    for (told, attached) in [("attached", 1), ("forked", 2), ("reaped", 1)] {
        user.expect(told);
        assert_eq!(segment.stat().unwrap().attached, attached, "{told}");
        user.tell("");
    }
    user.expect("executed");
    assert_eq!(segment.stat().unwrap().attached, 0);
    user.finish();
}

#[test]
fn d3_removed_while_attached_lives_on() {
    let key = crate::key();
    let segment = Segment::create(key, 4096).unwrap();
    let first = segment.attach().unwrap();
    first.write_at(0, b"still here").unwrap();
    segment.remove().unwrap();

    let listed = ipc_sysv::segments().unwrap().id(segment.id());
    let stat = listed.into_iter().next().unwrap();
    assert!(stat.is_removed && stat.identity.key.is_private());
    assert!(matches!(Segment::open(key), Err(Error::NotFound { .. })));
    assert!(matches!(segment.remove(), Err(Error::Removed { .. })));
    // On Linux who has the id may still attach.
    let mut text = [0; 10];
    segment.attach_read_only().unwrap().read_at(0, &mut text).unwrap();
    assert_eq!(&text, b"still here");

    drop(first);
    assert!(matches!(segment.attach(), Err(Error::Removed { .. })));
    assert!(matches!(Segment::from_id(segment.id()), Err(Error::NotFound { .. })));
}

/// ipcrm(1), or, where there is none, what it does.
fn ipcrm(option: &str, id: i32) {
    match Command::new("ipcrm").args([option, &id.to_string()]).status() {
        Ok(status) => assert!(status.success()),
        Err(_) => match option {
            "-q" => MessageQueue::from_id(id).unwrap().remove().unwrap(),
            _ => Segment::from_id(id).unwrap().remove().unwrap(),
        },
    }
}

#[test]
fn d6_removed_from_outside_during_use() {
    let count = repetitions(25, 500);
    for _ in 0..count {
        let segment = segment();
        let mut user = peer!("peer-sysv", "use-segment", segment.id());
        user.expect("ready");
        ipcrm("-m", segment.id());
        user.expect("removed");
        user.finish();

        let queue = RemoveOnDrop::new(MessageQueue::create(crate::key()).unwrap());
        let mut user = peer!("peer-sysv", "send-and-recv", queue.id());
        user.expect("ready");
        ipcrm("-q", queue.id());
        user.expect("removed");
        user.finish();
        assert!(segment.verify().unwrap_err().is_removed());
        assert!(queue.verify().unwrap_err().is_removed());
    }

    // A handle of what was removed harms no newcomer, under the same key either.
    let key = crate::key();
    let old = RemoveOnDrop::new(SemaphoreSet::create(key, &[1]).unwrap());
    SemaphoreSet::open(key).unwrap().remove().unwrap();
    let new = RemoveOnDrop::new(SemaphoreSet::create(key, &[1]).unwrap());
    drop(old);
    new.verify().unwrap();
    proof!(
        "D6",
        "{count} segments and {count} queues removed by ipcrm while in use: Removed each time, no panic in drop"
    );
}
