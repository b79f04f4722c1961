//! The read-write lock: a dead reader is swept, a dead writer is seen by all.

use std::sync::atomic::Ordering;

use ipc_shm::{Error, LockError};
use ipc_testkit::{WATCHDOG, command, crash, is_long, peer, proof, repetitions};

use crate::lock_mutex::memory;
use ipc_testkit::locks::Everything;

#[test]
fn f6_a_reader_killed_at_each_instruction_is_swept() {
    let points = crash::at_every_step(
        repetitions(50, 2000),
        || {
            let (shared, name) = memory::<Everything>("reader");
            (command!("peer-shm-sync", "read", name), shared)
        },
        |death, shared| {
            let table = &shared.get().unwrap().table;
            drop(table.write_timeout(WATCHDOG).unwrap_or_else(|error| panic!("{death}: {error}")));
            drop(table.try_read().unwrap());
        },
    );
    let mut stuck = 0;
    let naive = crash::at_every_step(
        repetitions(30, 300),
        || {
            let (shared, name) = memory::<Everything>("naive-reader");
            (command!("peer-shm-sync", "naive-read", name), shared)
        },
        |_, shared| {
            stuck += usize::from(shared.get().unwrap().naive.first.load(Ordering::Relaxed) != 0);
            stuck > 0
        },
    );
    assert!(stuck > 0);
    proof!(
        "F6",
        "rwlock: {points} deaths of a reader, the next writer had it each time; naive twin stuck {stuck} of {naive}"
    );
}

#[test]
fn f6_a_writer_killed_at_each_instruction_is_seen_by_readers_and_the_next_writer() {
    let (mut told, mut done) = (0, 0);
    let points = crash::at_every_step(
        repetitions(50, 2000),
        || {
            let (shared, name) = memory::<Everything>("writer");
            (command!("peer-shm-sync", "write", name), shared)
        },
        |death, shared| {
            let table = &shared.get().unwrap().table;
            let read = table.read_timeout(WATCHDOG).map(|pair| *pair);
            match (read, table.write_timeout(WATCHDOG)) {
                (Ok([first, second]), Ok(_)) => {
                    assert_eq!(first, second, "{death}: torn, and nobody said so");
                    done += first;
                }
                (Err(Error::OwnerDied), Err(LockError::OwnerDied(mut recovery))) => {
                    told += 1;
                    *recovery = [0, 0];
                    drop(recovery.repaired());
                }
                other => panic!("{death}: {other:?}"),
            }
            let pair = table.read().unwrap_or_else(|error| panic!("{death}: told a second time: {error}"));
            assert_eq!(pair[0], pair[1]);
            told > 0 && done > 0
        },
    );
    assert!(told > 0 && done > 0);
    proof!(
        "F6",
        "rwlock: {points} deaths of a writer: {told} told to readers and the next writer, {done} complete, 0 torn"
    );
}

#[test]
fn f6_killed_readers_and_writers_leave_no_torn_read() {
    let seed = ipc_testkit::report::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let (shared, name) = memory::<Everything>("rwlock-kills");
    let start = |index: usize| {
        let mut peer = peer!("peer-shm-sync", ["reader", "writer"][index % 2], name);
        peer.expect("ready");
        peer
    };
    let mut peers: Vec<_> = (0..4).map(start).collect();
    let kills = if is_long() { 5000 } else { repetitions(250, 2000) };
    for _ in 0..kills {
        let victim = random.usize(..peers.len());
        peers[victim].kill();
        assert_eq!(peers[victim].next_line(), None, "a reader saw a torn pair");
        let table = &shared.get().unwrap().table;
        let guard =
            table.write_timeout(WATCHDOG).or_else(|error| error.repair(|pair| pair[0] = pair[1])).unwrap();
        assert_eq!(guard[0], guard[1]);
        drop(guard);
        peers[victim] = start(victim);
    }
    proof!("F6", "rwlock: {kills} random kills of 2 readers and 2 writers, 0 torn, 0 hung; seed {seed}");
}

#[test]
fn f6_a_dead_writer_given_up_is_told_to_all() {
    let (shared, name) = memory::<Everything>("rwlock-given-up");
    let table = &shared.get().unwrap().table;
    std::thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(table.write().unwrap()));
    });
    assert!(matches!(table.read(), Err(Error::OwnerDied)));
    assert!(matches!(table.write().map_err(LockError::give_up), Err(Error::OwnerDied)));
    for result in [table.read().map(drop), table.try_read().map(drop)] {
        assert!(matches!(result, Err(Error::NotRecoverable)));
    }
    assert!(matches!(table.write().map_err(LockError::give_up), Err(Error::NotRecoverable)));
    let mut reader = peer!("peer-shm-sync", "reader", name);
    reader.expect("ready");
    assert!(!reader.wait().success());
}

#[test]
fn readers_share_and_writers_wait_for_all_of_them() {
    let (shared, name) = memory::<Everything>("rwlock");
    let table = &shared.get().unwrap().table;
    let mut others: Vec<_> = (0..3).map(|_| peer!("peer-shm-sync", "hold-read", name)).collect();
    others.iter_mut().for_each(|peer| peer.expect("reading"));
    let ours = table.read().unwrap();
    // Four places.
    assert!(matches!(table.try_read(), Err(Error::WouldBlock)));
    assert!(matches!(table.try_write(), Err(LockError::Failed(Error::WouldBlock))));
    let soon = std::time::Duration::from_millis(5);
    assert!(matches!(table.write_timeout(soon), Err(LockError::Failed(Error::TimedOut | Error::Deadlock))));
    drop(ours);
    assert!(matches!(table.write_timeout(soon), Err(LockError::Failed(Error::TimedOut))));
    for mut peer in others {
        peer.tell("go on");
        peer.finish();
    }
    let guard = table.write().unwrap();
    assert!(matches!(table.read(), Err(Error::Deadlock)));
    assert!(matches!(table.try_read(), Err(Error::WouldBlock)));
    drop(guard);
    drop(table.read().unwrap());
}
