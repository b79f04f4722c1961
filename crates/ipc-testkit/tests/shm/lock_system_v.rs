//! The locks in System V segments: what their own tests show under a POSIX name holds there as well.
#![expect(unsafe_code, reason = "the tests vouch for their peers")]

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use ipc_shm::{Attempt, Error, InPlace, LockError, Refusal, Shared};
use ipc_testkit::{WATCHDOG, command, crash, peer, proof, repetitions, until};

use crate::lock_mutex::Memory;
use crate::system_v::{Stage, refusal};
use ipc_testkit::locks::{Everything, Many, Naive, Words};

/// A new value in a segment that goes with the test.
fn memory<T: InPlace>() -> (Shared<T>, Stage) {
    let stage = Stage::new(Shared::<T>::SEGMENT_LEN);
    (Shared::create_in(stage.place(), |_| Ok(())).unwrap(), stage)
}

fn everything() -> (Memory<Everything>, Stage) {
    let (shared, stage) = memory();
    // SAFETY: only this test's peers know the key, and keep to the protocol.
    (unsafe { shared.trust() }, stage)
}

#[test]
fn f6_the_death_of_an_owner_is_told_in_a_segment_too() {
    let (mut told, mut done) = (0, 0);
    let points = crash::at_every_step(
        repetitions(15, 400),
        || {
            let (shared, stage) = everything();
            (command!("peer-shm-sync", "add", stage.address()), (shared, stage))
        },
        |death, (shared, _stage)| {
            let pair = &shared.get().unwrap().pair;
            match pair.lock_timeout(WATCHDOG) {
                Ok(pair) => assert_eq!(pair[0], pair[1], "{death}: torn, and nobody said so"),
                Err(LockError::OwnerDied(mut recovery)) => {
                    told += 1;
                    *recovery = [0, 0];
                    drop(recovery.repaired());
                }
                Err(error) => panic!("{death}: {error:?}"),
            }
            done += usize::from(pair.lock_timeout(WATCHDOG).unwrap()[0] == 1);
            told > 0 && done > 0
        },
    );
    assert!(told > 0 && done > 0);

    let (shared, stage) = everything();
    let mut holder = peer!("peer-shm-sync", "hold", stage.address());
    holder.expect("holding");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| match shared.get().unwrap().pair.lock_timeout(WATCHDOG) {
            Err(LockError::OwnerDied(recovery)) => {
                assert_eq!(*recovery, [1, 0]);
                drop(recovery.repaired());
            }
            other => panic!("{other:?}"),
        });
        holder.kill();
        waiter.join().unwrap();
    });
    proof!(
        "F6",
        "System V segment: {points} deaths of a mutex's owner, {told} told, {done} after the unlock"
    );
}

#[test]
fn f6_readers_and_writers_die_in_a_segment_and_are_swept() {
    let (shared, stage) = everything();
    let table = &shared.get().unwrap().table;
    let mut reader = peer!("peer-shm-sync", "hold-read", stage.address());
    reader.expect("reading");
    assert!(matches!(table.try_write(), Err(LockError::Failed(Error::WouldBlock))));
    reader.kill();
    drop(table.write_timeout(WATCHDOG).unwrap());
    let mut told = 0;
    let points = crash::at_every_step(
        repetitions(10, 400),
        || {
            let (shared, stage) = everything();
            (command!("peer-shm-sync", "write", stage.address()), (shared, stage))
        },
        |death, (shared, _stage)| {
            match shared.get().unwrap().table.write_timeout(WATCHDOG) {
                Ok(pair) => assert_eq!(pair[0], pair[1], "{death}: torn, and nobody said so"),
                Err(LockError::OwnerDied(recovery)) => {
                    told += 1;
                    drop(recovery.repaired());
                }
                Err(error) => panic!("{death}: {error:?}"),
            }
            told > 0
        },
    );
    assert!(told > 0);
    proof!("F6", "System V segment: {points} deaths of a writer, {told} told, and a killed reader swept");
}

#[test]
fn f8_conditions_events_and_permits_reach_other_processes_in_a_segment() {
    let (shared, stage) = everything();
    let everything = shared.get().unwrap();
    let mut consumers = [(); 2].map(|()| peer!("peer-shm-sync", "consumer", stage.address()));
    consumers.iter_mut().for_each(|consumer| consumer.expect("ready"));
    consumers[0].until_asleep_in(libc::SYS_futex);
    consumers[0].kill();
    for _ in 0..100 {
        everything.items.lock().or_else(|error| error.repair(|_| ())).unwrap()[0] += 1;
        everything.arrived.notify_one().unwrap();
    }
    until("all items are taken", || {
        everything.items.lock_timeout(WATCHDOG).or_else(|error| error.repair(|_| ())).unwrap()[1] == 100
    });
    consumers[1].kill();

    let (shared, stage) = memory::<Words>();
    let words = shared.get().unwrap();
    let mut taker = peer!("peer-shm-sync", "taker", stage.address());
    taker.expect("ready");
    taker.until_asleep_in(libc::SYS_futex);
    words.semaphore.release(100).unwrap();
    until("all permits are taken", || words.done.load(Ordering::Relaxed) == 100);
    taker.kill();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| words.event.wait_timeout(WATCHDOG));
        peer!("peer-shm-sync", "set", stage.address()).finish();
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn f6_what_was_begun_once_in_a_segment_is_done_by_the_next_one() {
    let mut again = 0;
    let points = crash::at_every_step(
        repetitions(10, 400),
        || {
            let (shared, stage) = everything();
            (command!("peer-shm-sync", "once", stage.address()), (shared, stage))
        },
        |death, (shared, _stage)| {
            let everything = shared.get().unwrap();
            everything
                .once
                .call_once(|attempt| {
                    again += usize::from(attempt == Attempt::Again);
                    everything.runs.iter().for_each(|run| run.store(1, Ordering::Relaxed));
                })
                .unwrap();
            let runs = everything.runs.each_ref().map(|run| run.load(Ordering::Relaxed));
            assert_eq!(runs, [1, 1], "{death}");
            again > 0
        },
    );
    assert!(again > 0);
    proof!("F6", "System V segment: {points} deaths in Once, {again} adopted");
}

#[test]
fn f10_parties_meet_in_a_segment_and_one_that_dies_is_not_waited_for() {
    let rounds = repetitions(500, 20_000);
    let (_shared, stage) = memory::<Words>();
    let mut peers: Vec<_> =
        (0..3).map(|index| peer!("peer-shm-sync", "rounds", stage.address(), index, rounds)).collect();
    let last: usize = peers.iter_mut().map(|peer| peer.hear().parse::<usize>().unwrap()).sum();
    assert_eq!(last, rounds);
    peers.into_iter().for_each(ipc_testkit::Peer::finish);

    let (shared, stage) = memory::<Words>();
    let mut third = peer!("peer-shm-sync", "join", stage.address());
    third.expect("joined");
    let barrier = &shared.get().unwrap().barrier;
    let (mut first, mut second) = (barrier.join(&shared).unwrap(), barrier.join(&shared).unwrap());
    assert!(matches!(barrier.join(&shared), Err(Error::EndInUse { .. })), "all places are taken");
    assert!(matches!(first.wait_timeout(Duration::from_millis(1)), Err(Error::TimedOut)));
    // Places in another segment with the same lock file are others.
    let (other, _other_stage) = memory::<Words>();
    drop(other.get().unwrap().barrier.join(&other).unwrap());
    thread::scope(|scope| {
        let waiters = [scope.spawn(|| first.wait()), scope.spawn(|| second.wait())];
        third.kill();
        for waiter in waiters {
            assert!(matches!(waiter.join().unwrap(), Err(Error::Broken)));
        }
    });
    proof!("F10", "barrier in a System V segment: {rounds} meetings of 3 processes, a dead party told");
}

#[test]
fn f7_a_child_forked_by_the_owner_leaves_the_lock_in_a_segment_alone() {
    let (shared, stage) = everything();
    let mut peer = peer!("peer-shm-sync", "fork", stage.address());
    peer.expect("child 7");
    let pair = &shared.get().unwrap().pair;
    assert!(
        matches!(pair.try_lock(), Err(LockError::Failed(Error::WouldBlock))),
        "its parent holds it still"
    );
    peer.tell("go on");
    peer.expect("unlocked");
    peer.finish();
    drop(pair.lock_timeout(WATCHDOG).unwrap());
}

#[test]
fn what_is_another_value_or_none_is_refused_in_a_segment() {
    let (shared, stage) = memory::<Words>();
    assert!(matches!(Shared::<Words>::create_in(stage.place(), |_| Ok(())), Err(Error::Exists { .. })));
    assert!(matches!(
        refusal(Shared::<Many>::open_in(stage.place())),
        Refusal::TooShort { .. } | Refusal::Type
    ));
    assert!(matches!(refusal(Shared::<Naive>::open_in(stage.place())), Refusal::Type));
    assert!(matches!(refusal(stage.place().open::<ipc_shm::SharedMemory>()), Refusal::Kind { .. }));
    assert_eq!(shared.share().unwrap_err().errno(), Some(libc::EOPNOTSUPP));
    let short = Stage::new(4096);
    assert!(matches!(
        refusal(Shared::<Words>::create_in(short.place(), |_| Ok(()))),
        Refusal::TooShort { len: 4096 }
    ));
    // Removed while it is attached, it stays until the last process has gone.
    stage.segment.remove().unwrap();
    shared.get().unwrap().semaphore.release(1).unwrap();
    shared.get().unwrap().semaphore.try_acquire().unwrap();
}
