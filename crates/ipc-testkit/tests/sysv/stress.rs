//! Many at once: exclusion, every byte of every message, attach and detach.

use ipc_sysv::{Key, MessageQueue, RemoveOnDrop, Segment, SemaphoreSet};
use ipc_testkit::{peer, proof, repetitions, until};

/// What four processes make of a number that each of them increments so many times.
fn incremented(times: usize, set: Option<&SemaphoreSet>) -> u64 {
    let segment = RemoveOnDrop::new(Segment::create(Key::PRIVATE, 8).unwrap());
    let mut peers: Vec<_> = (0..4)
        .map(|_| match set {
            Some(set) => peer!("peer-sysv", "increment", segment.id(), times, set.id()),
            None => peer!("peer-sysv", "increment", segment.id(), times),
        })
        .collect();
    peers.iter_mut().for_each(|peer| peer.expect("ready"));
    peers.iter_mut().for_each(|peer| peer.tell(""));
    peers.iter_mut().for_each(|peer| peer.expect("done"));
    segment.attach_read_only().unwrap().read_value(0).unwrap()
}

#[test]
fn semop04_a_permit_excludes_others() {
    let set = RemoveOnDrop::new(SemaphoreSet::create(crate::key(), &[1]).unwrap());
    let times = repetitions(1000, 20_000);
    let all = times as u64 * 4;
    assert_eq!(incremented(times, Some(&set)), all);
    assert_eq!(set.values().unwrap(), [1]);
    let lost = |_| Some(all - incremented(times, None)).filter(|lost| *lost > 0);
    let lost = (0..100).find_map(lost).expect("without a permit nothing was lost");
    proof!("semop04", "4 processes, {all} increments with a permit, none lost; naive twin lost {lost}");
}

#[test]
fn msgstress01_every_byte_of_every_message() {
    let queue = RemoveOnDrop::new(MessageQueue::create(crate::key()).unwrap());
    let (pairs, each) = (4, repetitions(1000, 100_000));
    let mut receivers: Vec<_> =
        (1..=pairs).map(|kind| peer!("peer-sysv", "recv-all", queue.id(), kind, each)).collect();
    let senders: Vec<_> =
        (1..=pairs).map(|kind| peer!("peer-sysv", "send-all", queue.id(), kind, each)).collect();
    receivers.iter_mut().for_each(|receiver| receiver.expect("all"));
    drop(senders);
    assert_eq!(queue.stat().unwrap().messages, 0);
    proof!(
        "msgstress01",
        "{pairs} senders, {pairs} receivers, one queue: {each} messages each, in order, every byte checked"
    );
}

#[test]
fn shmt09_attaching_and_detaching_in_threads() {
    let segment = RemoveOnDrop::new(Segment::create(Key::PRIVATE, 4096).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..500_u64 {
                    let (ours, theirs) = (segment.attach().unwrap(), segment.attach_read_only().unwrap());
                    ours.write_value(8, &number).unwrap();
                    assert!(theirs.read_value::<u64>(8).unwrap() < 500);
                }
            });
        }
    });
    // A program that another test is about to start may have inherited some for a moment.
    until("all are detached", || segment.stat().unwrap().attached == 0);
}
