//! Semaphore, event and condition variable: no wake is lost, whoever dies on the way, and no bit pattern does harm.

use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use ipc_shm::{Error, LockError, Shared, Wake};
use ipc_testkit::{WATCHDOG, command, crash, name, peer, proof, repetitions, skip, timed, until};

use crate::lock_mutex::memory;
use ipc_testkit::locks::{Everything, Words};

fn words(what: &str) -> (Shared<Words>, String) {
    let name = name::unique(what);
    (Shared::create(&name, |_| Ok(())).unwrap(), name)
}

#[test]
fn f6_a_release_cut_short_at_each_instruction_loses_no_permit_and_no_wake() {
    let (mut released, mut kept) = (0, 0);
    let points = crash::at_every_step(
        repetitions(50, 2000),
        || {
            let (shared, name) = words("release");
            // Somebody was asleep and was killed: the release takes its long way.
            let mut waiter = peer!("peer-shm-sync", "taker", name);
            waiter.expect("ready");
            waiter.until_asleep_in(libc::SYS_futex);
            waiter.kill();
            (command!("peer-shm-sync", "release", name), shared)
        },
        |death, shared| {
            let semaphore = &shared.get().unwrap().semaphore;
            thread::scope(|scope| {
                let waiter = scope.spawn(|| semaphore.acquire_timeout(WATCHDOG));
                // Where the dead one gave its permit there are two.
                semaphore.release(1).unwrap();
                waiter.join().unwrap().unwrap_or_else(|error| panic!("{death}: {error}"));
                released += usize::from(semaphore.permits() == 1);
                kept += usize::from(semaphore.permits() == 0);
                assert!(semaphore.permits() <= 1, "{death}");
            });
            released > 0 && kept > 0
        },
    );
    assert!(released > 0 && kept > 0);
    proof!(
        "F6",
        "semaphore: {points} deaths in release, {released} after the permit was given, 0 waiters hung"
    );
}

#[test]
fn f6_an_acquire_cut_short_at_each_instruction_takes_one_permit_or_none() {
    let mut taken = 0;
    let points = crash::at_every_step(
        repetitions(60, 2000),
        || {
            let (shared, name) = words("acquire");
            shared.get().unwrap().semaphore.release(3).unwrap();
            (command!("peer-shm-sync", "acquire", name), shared)
        },
        |death, shared| {
            let left = shared.get().unwrap().semaphore.permits();
            assert!(left == 2 || left == 3, "{death}: {left}");
            taken += usize::from(left == 2);
        },
    );
    let waiting = crash::at_every_step(
        repetitions(60, 2000),
        || {
            let (shared, name) = words("waiter");
            (command!("peer-shm-sync", "wait-permit", name), shared)
        },
        |death, shared| {
            let semaphore = &shared.get().unwrap().semaphore;
            assert_eq!(semaphore.permits(), 0, "{death}");
            semaphore.release(1).unwrap();
            semaphore.acquire_timeout(WATCHDOG).unwrap();
        },
    );
    proof!(
        "F6",
        "semaphore: {points} deaths in acquire, {taken} took their permit along; {waiting} deaths of a waiter took none"
    );
}

#[test]
fn f6_an_event_set_by_a_process_that_dies_is_set_or_not() {
    let (mut set, mut unset) = (0, 0);
    let points = crash::at_every_step(
        repetitions(60, 2000),
        || {
            let (shared, name) = words("event");
            let mut waiter = peer!("peer-shm-sync", "wait-event", name);
            waiter.wait();
            (command!("peer-shm-sync", "set", name), shared)
        },
        |death, shared| {
            let event = &shared.get().unwrap().event;
            let was_set = event.is_set();
            set += usize::from(was_set);
            thread::scope(|scope| {
                let waiter = scope.spawn(|| event.wait_timeout(WATCHDOG));
                if !was_set {
                    event.set().unwrap();
                }
                waiter.join().unwrap().unwrap_or_else(|error| panic!("{death}: {error}"));
            });
            unset += usize::from(!was_set);
            set > 0 && unset > 0
        },
    );
    assert!(set > 0 && unset > 0);
    proof!("F6", "event: {points} deaths in set, {set} after it was set, 0 waiters hung");
}

#[test]
fn f10_permits_go_from_process_to_process_and_none_is_lost_under_kills() {
    let seed = ipc_testkit::report::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let (shared, name) = words("kills");
    let words = shared.get().unwrap();
    let mut peers: Vec<_> = (0..3).map(|_| peer!("peer-shm-sync", "taker", name)).collect();
    peers.iter_mut().for_each(|peer| peer.expect("ready"));
    let (kills, per_kill) = (repetitions(100, 2000), 500);
    for kill in 1..=kills {
        for _ in 0..per_kill {
            words.semaphore.release(1).unwrap();
        }
        let victim = random.usize(..peers.len());
        peers[victim].kill();
        // The two others take what is there; a process that died took at most one along without counting it.
        let given = u64::try_from(kill * per_kill).unwrap();
        until("the others take all permits", || words.semaphore.permits() == 0);
        until("the others count them", || {
            words.done.load(Ordering::Relaxed) + u64::try_from(kill).unwrap() >= given
        });
        assert!(words.done.load(Ordering::Relaxed) <= given);
        peers[victim] = peer!("peer-shm-sync", "taker", name);
        peers[victim].expect("ready");
    }
    proof!(
        "F10",
        "{} permits over {kills} kills of 3 takers: none lost, none doubled; seed {seed}",
        kills * per_kill
    );
}

#[test]
fn f8_a_notification_cut_short_or_given_to_a_dead_waiter_reaches_the_others() {
    let points = crash::at_every_step(
        repetitions(50, 2000),
        || {
            let (shared, name) = memory::<Everything>("notify");
            let mut waiter = peer!("peer-shm-sync", "wait-condition", name);
            waiter.wait();
            (command!("peer-shm-sync", "notify", name), shared)
        },
        |death, shared| {
            let everything = shared.get().unwrap();
            let lock = || everything.items.lock_timeout(WATCHDOG).or_else(|error| error.repair(|_| ()));
            thread::scope(|scope| {
                let consumer = scope.spawn(|| {
                    let guard = lock().unwrap();
                    everything.arrived.wait_while(guard, |items| items[0] == 0).unwrap()[0]
                });
                if lock().unwrap()[0] == 0 {
                    lock().unwrap()[0] += 1;
                    everything.arrived.notify_one().unwrap();
                }
                until("the consumer sees the item", || consumer.is_finished());
                assert_eq!(consumer.join().unwrap(), 1, "{death}");
            });
        },
    );
    let waiters = crash::at_every_step(
        repetitions(50, 2000),
        || {
            let (shared, name) = memory::<Everything>("condition");
            (command!("peer-shm-sync", "wait-condition", name), shared)
        },
        |death, shared| {
            let everything = shared.get().unwrap();
            let guard = everything.items.lock_timeout(WATCHDOG).or_else(|error| error.repair(|_| ()));
            thread::scope(|scope| {
                let guard = guard.unwrap_or_else(|error| panic!("{death}: {error}"));
                let notifier = scope.spawn(|| {
                    everything.items.lock_timeout(WATCHDOG).unwrap()[0] += 1;
                    everything.arrived.notify_one().unwrap();
                });
                let guard = everything.arrived.wait_while(guard, |items| items[0] == 0).unwrap();
                assert_eq!(guard[0], 1);
                drop(guard);
                notifier.join().unwrap();
            });
        },
    );
    proof!("F8", "condvar: {points} deaths of a notifier, {waiters} of a waiter, no wake lost");
}

#[test]
fn f8_consumers_killed_while_they_wait_leave_the_items_to_the_others() {
    let seed = ipc_testkit::report::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let kills = repetitions(250, 5000);
    let (shared, name) = memory::<Everything>("consumers");
    let everything = shared.get().unwrap();
    let lock = || everything.items.lock_timeout(WATCHDOG).or_else(|error| error.repair(|_| ())).unwrap();
    let mut peers: Vec<_> = (0..2).map(|_| peer!("peer-shm-sync", "consumer", name)).collect();
    peers.iter_mut().for_each(|peer| peer.expect("ready"));
    for _ in 0..kills {
        for _ in 0..random.u64(1..20) {
            lock()[0] += 1;
            everything.arrived.notify_one().unwrap();
        }
        let victim = random.usize(..peers.len());
        peers[victim].kill();
        until("the other consumer takes all", || lock()[0] == 0);
        peers[victim] = peer!("peer-shm-sync", "consumer", name);
        peers[victim].expect("ready");
    }
    proof!("F8", "{kills} kills of consumers that wait: the other takes all items each time; seed {seed}");
}

#[test]
fn f8_a_wait_that_locks_after_a_dead_owner_says_so() {
    let (shared, name) = memory::<Everything>("relock");
    let everything = shared.get().unwrap();
    let (sender, locked) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            let guard = everything.items.lock().unwrap();
            sender.send(()).unwrap();
            matches!(everything.arrived.wait(guard), Err(LockError::OwnerDied(_)))
        });
        locked.recv().unwrap();
        // It gets the lock when the waiter waits.
        let mut holder = peer!("peer-shm-sync", "hold", name);
        holder.expect("holding");
        everything.arrived.notify_all().unwrap();
        holder.kill();
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn f8_deadlines_are_kept_and_never_early() {
    let (shared, _name) = memory::<Everything>("deadline");
    let everything = shared.get().unwrap();
    for timeout in [Duration::ZERO, Duration::from_millis(5), Duration::from_millis(150)] {
        let guard = everything.items.lock().unwrap();
        let (result, took) = timed(|| everything.arrived.wait_timeout(guard, timeout).map(|(_, wake)| wake));
        assert_eq!(result.unwrap(), Wake::TimedOut);
        assert!(took >= timeout && took < WATCHDOG);
    }
    let (shared, _name) = words("deadline-words");
    let words = shared.get().unwrap();
    for timeout in [Duration::ZERO, Duration::from_millis(5), Duration::from_millis(150)] {
        let (result, took) = timed(|| words.semaphore.acquire_timeout(timeout));
        assert!(matches!(result, Err(Error::TimedOut)) && took >= timeout && took < WATCHDOG);
        let (result, took) = timed(|| words.event.wait_timeout(timeout));
        assert!(matches!(result, Err(Error::TimedOut)) && took >= timeout && took < WATCHDOG);
    }
}

/// Every call that a word has, none of which may take much longer than its deadline.
fn use_all(shared: &Shared<Words>) {
    let words = shared.get().unwrap();
    let timeout = Duration::from_millis(1);
    let results = [
        words.semaphore.try_acquire(),
        words.semaphore.release(1),
        words.semaphore.release(u32::MAX),
        words.event.set(),
    ];
    for result in results {
        assert!(matches!(result, Ok(()) | Err(Error::WouldBlock | Error::Overflow)), "{result:?}");
    }
    let (results, took) =
        timed(|| [words.semaphore.acquire_timeout(timeout), words.event.wait_timeout(timeout)]);
    for result in results {
        assert!(matches!(result, Ok(()) | Err(Error::TimedOut)), "{result:?}");
    }
    assert!(took < WATCHDOG);
    if let Ok(mut party) = words.barrier.join(shared) {
        let _ = party.wait_timeout(timeout);
    }
    let _ = (words.event.reset(), words.event.is_set(), words.semaphore.permits());
    let _ = format!("{words:?}");
}

#[test]
fn f2_no_byte_of_a_semaphore_or_an_event_does_harm() {
    let (shared, name) = words("bytes");
    let file = std::fs::File::options().write(true).open(format!("/dev/shm/{name}")).unwrap();
    let mut cases = 0;
    for offset in 0..16 {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            file.write_all_at(&[byte], 4096 + offset).unwrap();
            use_all(&shared);
            cases += 1;
        }
    }
    proof!("F2", "semaphore and event: {cases} bytes written, every call ends in time");
}

#[test]
fn f1_a_process_that_scribbles_over_semaphore_and_event_stops_nobody() {
    let seed = ipc_testkit::report::seed();
    let (shared, name) = words("scribble");
    let mut scribbler = peer!("peer-shm-sync", "scribble", name, size_of::<Words>(), seed);
    scribbler.expect("scribbling");
    let rounds = repetitions(200, 5000);
    for _ in 0..rounds {
        use_all(&shared);
    }
    scribbler.kill();
    proof!(
        "F1",
        "semaphore and event under a scribbler: {rounds} rounds of every call, no panic, each in time; seed {seed}"
    );
}

#[test]
fn nobody_in_the_way_means_no_system_call() {
    let directory = name::directory();
    let trace = directory.path().join("trace");
    let (_everything, first) = memory::<Everything>("calls");
    let (_words, second) = words("calls-words");
    let mut strace = std::process::Command::new("strace");
    strace.arg("-o").arg(&trace).arg(env!("CARGO_BIN_EXE_peer-shm-sync"));
    strace.args(["uncontended", &first, &second]);
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        skip!("no strace on this machine");
    }
    let mut peer = ipc_testkit::Peer::start(&mut strace);
    peer.expect("begin");
    peer.expect("end");
    peer.finish();
    let trace = std::fs::read_to_string(&trace).unwrap();
    let between: Vec<_> = trace
        .lines()
        .skip_while(|line| !line.contains("begin"))
        .skip(1)
        .take_while(|line| !line.contains("\"end"))
        .collect();
    assert!(trace.contains("\"end"));
    assert!(between.is_empty(), "{between:?}");
    proof!(
        "parity",
        "12,000 calls on mutex, condvar, once, semaphore and event that nobody contends for: 0 system calls"
    );
}
