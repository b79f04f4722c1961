//! The mutex: whoever dies with it, wherever, the next one is told, and nobody waits for ever.
#![expect(unsafe_code, reason = "the tests vouch for their peers")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ipc_shm::{Error, InPlace, LockError, Shared, Vouched};
use ipc_testkit::{WATCHDOG, command, crash, is_long, name, peer, proof, repetitions, skip, timed};

use ipc_testkit::locks::{Everything, Many, locked};

pub(crate) type Memory<T> = Shared<T, Vouched>;

/// New memory and its name, which goes with the handle.
pub(crate) fn memory<T: InPlace>(what: &str) -> (Memory<T>, String) {
    let name = name::unique(what);
    let shared = Shared::<T>::create(&name, |_| Ok(())).unwrap();
    // SAFETY: only this test's peers know the name, and keep to the protocol.
    (unsafe { shared.trust() }, name)
}

#[test]
fn f6_killed_at_each_instruction_the_next_owner_is_told_and_nothing_is_torn() {
    let (mut told, mut done) = (0, 0);
    let points = crash::at_every_step(
        repetitions(50, 2000),
        || {
            let (shared, name) = memory::<Everything>("f6");
            (command!("peer-shm-sync", "add", name), shared)
        },
        |death, shared| {
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
            let pair = locked_clean(&shared);
            assert_eq!(pair[0], pair[1], "{death}: told a second time");
            done += usize::from(pair[0] == 1);
            told > 0 && done > 0
        },
    );
    assert!(told > 0 && done > 0);

    let mut stuck = 0;
    let naive = crash::at_every_step(
        repetitions(30, 300),
        || {
            let (shared, name) = memory::<Everything>("f6-naive");
            (command!("peer-shm-sync", "naive-add", name), shared)
        },
        |_, shared| {
            stuck += usize::from(!shared.get().unwrap().naive.try_lock());
            stuck > 0
        },
    );
    assert!(stuck > 0);
    proof!(
        "F6",
        "{points} deaths of the owner: {told} told once, {done} after the unlock, 0 torn; naive twin stuck {stuck} of {naive}"
    );
}

fn locked_clean(shared: &Memory<Everything>) -> ipc_shm::MutexGuard<'_, [u64; 2]> {
    shared.get().unwrap().pair.lock_timeout(WATCHDOG).unwrap()
}

#[test]
fn f6_a_waiter_killed_at_each_instruction_takes_nothing() {
    let points = crash::at_every_step(
        repetitions(50, 2000),
        || {
            let (shared, name) = memory::<Everything>("f6-waiter");
            let shared = Arc::new(shared);
            let (release, released) = mpsc::channel::<()>();
            let (lock, locked) = mpsc::channel();
            let owned = Arc::clone(&shared);
            let owner = thread::spawn(move || {
                let guard = locked_clean(&owned);
                lock.send(()).unwrap();
                let _ = released.recv();
                drop(guard);
            });
            locked.recv().unwrap();
            (command!("peer-shm-sync", "wait", name), (shared, release, owner))
        },
        |death, (shared, release, owner)| {
            let pair = &shared.get().unwrap().pair;
            assert!(matches!(pair.try_lock(), Err(LockError::Failed(Error::WouldBlock))), "{death}");
            thread::scope(|scope| {
                // The waiter that comes now must be woken.
                let waiter = scope.spawn(|| drop(locked_clean(&shared)));
                release.send(()).unwrap();
                waiter.join().unwrap();
            });
            owner.join().unwrap();
        },
    );
    proof!("F6", "{points} deaths of a waiter: the lock stays with its owner, and the next waiter is woken");
}

#[test]
fn f6_whoever_waits_is_woken_by_the_owners_death_and_one_of_them_is_told() {
    for waiters in [1, 16] {
        for _ in 0..repetitions(10, 200) {
            let (shared, name) = memory::<Everything>("f6-waiters");
            let mut holder = peer!("peer-shm-sync", "hold", name);
            holder.expect("holding");
            let told = AtomicUsize::new(0);
            thread::scope(|scope| {
                let threads: Vec<_> = (0..waiters)
                    .map(|_| {
                        scope.spawn(|| match shared.get().unwrap().pair.lock_timeout(WATCHDOG) {
                            Ok(pair) => assert_eq!(pair[0], pair[1]),
                            Err(LockError::OwnerDied(mut recovery)) => {
                                told.fetch_add(1, Ordering::Relaxed);
                                assert_eq!(*recovery, [1, 0]);
                                recovery[0] = 0;
                                drop(recovery.repaired());
                            }
                            Err(error) => panic!("{error:?}"),
                        })
                    })
                    .collect();
                holder.kill();
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            });
            assert_eq!(told.into_inner(), 1);
        }
    }
    proof!(
        "F6",
        "owner killed under 1 and 16 waiters, {} times each: one is told, all go on",
        repetitions(10, 200)
    );
}

/// Two wait, the first is woken and killed before it has come to look, and meanwhile the lock is taken and given back by
/// somebody who knows of no waiter: for how long, up to `patience`, the second is then without it. `None` where the first
/// was faster.
fn killed_on_its_way(role: &str, patience: Duration) -> Option<Duration> {
    let (shared, name) = memory::<Everything>("f6-woken");
    let pair = &shared.get().unwrap().pair;
    let guard = pair.lock().unwrap();
    let wait = || {
        let mut peer = peer!("peer-shm-sync", role, name);
        peer.expect("waiting");
        peer.until_asleep_in(libc::SYS_futex);
        peer
    };
    let (mut first, mut second) = (wait(), wait());
    drop(guard);
    let guard = pair.try_lock();
    first.kill();
    drop(guard.ok()?);
    let start = Instant::now();
    while format!("{pair:?}").contains("not locked") && start.elapsed() < patience {
        thread::yield_now();
    }
    let took = start.elapsed();
    second.kill();
    Some(took)
}

#[test]
fn f6_a_waiter_killed_on_its_way_from_the_wake_leaves_nobody_asleep() {
    let begin = Instant::now();
    // A loaded machine may keep a waiter from the CPU for long, but hardly for so long.
    let for_good = Duration::from_secs(1);
    let (mut healed, mut lost, mut rounds, mut longest) = (0, 0, 0, Duration::ZERO);
    while rounds < repetitions(10, 200) || healed == 0 || lost == 0 {
        assert!(begin.elapsed() < WATCHDOG, "never in {rounds} rounds: {healed} healed, {lost} lost");
        rounds += 1;
        if let Some(took) = killed_on_its_way("queue", WATCHDOG) {
            longest = longest.max(took);
            healed += u32::from(took > Duration::from_millis(20));
        }
        lost += u32::from(
            lost < 3 && killed_on_its_way("naive-queue", for_good).is_some_and(|took| took >= for_good),
        );
    }
    assert!(longest < WATCHDOG, "{longest:?}");
    proof!(
        "F6",
        "a woken waiter killed before it looked, {rounds} times: the next one had the lock after at most {longest:?}, {healed} times by its own look; naive twin, pthread_mutex_lock: asleep for good {lost} times"
    );
}

#[test]
fn f6_a_lock_that_is_given_up_is_nobodys_any_more() {
    let rounds = repetitions(50, 1000);
    for _ in 0..rounds {
        let (shared, name) = memory::<Everything>("f6-given-up");
        let mut holder = peer!("peer-shm-sync", "hold", name);
        holder.expect("holding");
        let pair = &shared.get().unwrap().pair;
        let given_up = AtomicUsize::new(0);
        thread::scope(|scope| {
            let wait = || match pair.lock_timeout(WATCHDOG).map_err(LockError::give_up) {
                Err(Error::OwnerDied) => {
                    given_up.fetch_add(1, Ordering::Relaxed);
                }
                other => assert!(matches!(other, Err(Error::NotRecoverable)), "{other:?}"),
            };
            let waiters: Vec<_> = (0..4).map(|_| scope.spawn(wait)).collect();
            holder.kill();
            waiters.into_iter().for_each(|thread| thread.join().unwrap());
        });
        assert_eq!(given_up.into_inner(), 1);
        for result in [pair.try_lock(), pair.lock(), pair.lock_timeout(WATCHDOG)] {
            let error = result.map_err(LockError::give_up).unwrap_err();
            assert_eq!(error.errno(), Some(libc::ENOTRECOVERABLE));
        }
    }
    proof!(
        "F6",
        "{rounds} locks given up under 4 waiters: one was told why, all others that it is lost, nobody hangs"
    );
}

#[test]
fn f6_random_kills_of_three_that_add_leave_no_torn_pair_unflagged() {
    let seed = ipc_testkit::report::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let kills = if is_long() { 10_000 } else { repetitions(500, 4000) };
    let (shared, name) = memory::<Everything>("f6-kills");
    let mut peers: Vec<_> = (0..3).map(|_| peer!("peer-shm-sync", "adder", name)).collect();
    peers.iter_mut().for_each(|peer| peer.expect("ready"));
    let mut progress = 0;
    for _ in 0..kills {
        let victim = random.usize(..peers.len());
        peers[victim].kill();
        let (guard, waited) = timed(|| locked(&shared.get().unwrap().pair).unwrap());
        assert_eq!(guard[0], guard[1]);
        assert!(waited < WATCHDOG);
        progress = guard[0];
        drop(guard);
        peers[victim] = peer!("peer-shm-sync", "adder", name);
        peers[victim].expect("ready");
    }
    for mut peer in peers {
        peer.kill();
        assert_eq!(peer.next_line(), None, "a peer saw a torn pair");
    }
    assert!(progress > 0);
    proof!("F6", "{kills} random kills of 3 processes that add, 0 torn pairs, 0 hung; seed {seed}");
}

#[test]
fn f7_no_more_locks_than_the_kernel_releases_and_those_of_other_code_too() {
    let (shared, name) = memory::<Many>("f7");
    let mut holder = peer!("peer-shm-sync", "hold-many", name);
    holder.expect("1024");
    holder.kill();
    let many = shared.get().unwrap();
    for mutex in &many.ours[..1024] {
        assert!(matches!(mutex.lock_timeout(WATCHDOG), Err(LockError::OwnerDied(_))));
    }
    assert!(many.ours[1024].try_lock().is_ok());
    for foreign in &many.foreign[..1000] {
        assert!(foreign.lock(), "the other library's mutex was released, too");
    }

    let (shared, name) = memory::<Many>("f7-naive");
    let mut holder = peer!("peer-shm-sync", "hold-foreign", name);
    holder.expect("holding");
    holder.kill();
    let stuck = shared.get().unwrap().foreign.iter().filter(|mutex| !mutex.is_free()).count();
    assert_eq!(stuck, 3000 - 2048, "the kernel's limit is what we keep away from");
    proof!(
        "F7",
        "1,024 of ours and 1,000 of another library all released; naive twin: {stuck} of 3,000 stuck for ever"
    );
}

#[test]
fn f7_the_end_of_a_thread_and_exec_are_deaths_too() {
    let (shared, name) = memory::<Everything>("f7-thread");
    thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(locked_clean(&shared)));
    });
    let pair = &shared.get().unwrap().pair;
    match pair.lock_timeout(WATCHDOG) {
        Err(LockError::OwnerDied(recovery)) => drop(recovery.repaired()),
        other => panic!("{other:?}"),
    }

    let mut runner = peer!("peer-shm-sync", "execute", name);
    ipc_testkit::until("the lock of a process that called exec is free", || match pair.try_lock() {
        Err(LockError::OwnerDied(recovery)) => {
            drop(recovery.repaired());
            true
        }
        Ok(_) | Err(LockError::Failed(Error::WouldBlock)) => false,
        Err(error) => panic!("{error:?}"),
    });
    runner.kill();
}

#[test]
fn f7_a_forked_child_is_not_the_owner() {
    let (shared, name) = memory::<Everything>("f7-fork");
    let mut parent = peer!("peer-shm-sync", "fork", name);
    parent.expect("child 7");
    let pair = &shared.get().unwrap().pair;
    assert!(matches!(pair.try_lock(), Err(LockError::Failed(Error::WouldBlock))), "the child's end freed it");
    parent.tell("unlock");
    parent.expect("unlocked");
    drop(locked_clean(&shared));
    parent.finish();
}

#[test]
fn a_lock_forgotten_in_memory_that_is_not_made_after_all_leads_nowhere() {
    let (_shared, name) = memory::<Everything>("prepare");
    let mut peer = peer!("peer-shm-sync", "prepare", name);
    peer.expect("(false, false, false)");
    peer.finish();
}

#[test]
fn f7_the_first_thread_of_two_pid_namespaces_is_not_the_same() {
    let (shared, name) = memory::<Everything>("f7-namespace");
    let (other, other_name) = memory::<Everything>("f7-namespace-other");
    let mut first = peer!("peer-shm-sync", "namespace", "hold", name);
    match first.next_line().as_deref() {
        Some("holding") => {}
        None if first.errors().contains("EPERM") => skip!("a new pid namespace needs root"),
        line => panic!("{line:?}"),
    }
    // It has the same thread id, 1, holds one lock, and waits for the other's.
    let mut second = peer!("peer-shm-sync", "namespace", "wait-holding", other_name, name);
    second.expect("timed out");
    first.kill();
    second.expect("owner died");
    second.finish();
    drop((shared, other));
    proof!("F7", "thread 1 of one pid namespace waits for thread 1 of another, and is told of its death");
}

#[test]
fn a_thread_that_waits_for_itself_is_told_so() {
    let (shared, _name) = memory::<Everything>("deadlock");
    let guard = locked_clean(&shared);
    let pair = &shared.get().unwrap().pair;
    let deadlock = |result: ipc_shm::LockResult<_>| matches!(result, Err(LockError::Failed(Error::Deadlock)));
    assert!(deadlock(pair.lock()));
    assert!(deadlock(pair.lock_timeout(Duration::MAX)));
    assert!(matches!(pair.try_lock(), Err(LockError::Failed(Error::WouldBlock))));
    drop(guard);
    drop(locked_clean(&shared));
}

#[test]
fn a_deadline_is_kept_and_never_early() {
    let (shared, name) = memory::<Everything>("deadline");
    let mut holder = peer!("peer-shm-sync", "hold", name);
    holder.expect("holding");
    let pair = &shared.get().unwrap().pair;
    for timeout in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(20)] {
        let (result, took) = timed(|| pair.lock_timeout(timeout).map(drop));
        assert!(matches!(result, Err(LockError::Failed(Error::TimedOut))));
        assert!(took >= timeout && took < WATCHDOG, "{timeout:?} took {took:?}");
    }
    holder.tell("unlock");
    drop(pair.lock_timeout(Duration::MAX).unwrap());
    holder.expect("unlocked");
}

#[test]
fn a_forgotten_guard_keeps_its_memory_mapped() {
    let (shared, name) = memory::<Everything>("forgotten");
    std::mem::forget(locked_clean(&shared));
    drop(shared);
    assert!(name::in_dev_shm(&name).is_empty(), "the memory stays, its name does not");
    // The list of this thread leads through what was dropped: another lock would write there.
    let (other, _name) = memory::<Everything>("forgotten-other");
    drop(locked_clean(&other));
}

#[test]
fn once_is_adopted_by_the_next_caller_wherever_the_first_died() {
    let mut adopted = 0;
    let points = crash::at_every_step(
        repetitions(50, 2000),
        || {
            let (shared, name) = memory::<Everything>("once");
            (command!("peer-shm-sync", "once", name), shared)
        },
        |death, shared| {
            let everything = shared.get().unwrap();
            let was_done = everything.once.is_done();
            let mut ran = false;
            let run = |attempt| {
                ran = true;
                adopted += usize::from(attempt == ipc_shm::Attempt::Again);
                everything.runs.iter().for_each(|run| run.store(1, Ordering::Relaxed));
            };
            everything.once.call_once(run).unwrap();
            assert_ne!(was_done, ran, "{death}");
            assert!(everything.once.is_done());
            assert!(everything.runs.iter().all(|run| run.load(Ordering::Relaxed) == 1), "{death}");
            adopted > 0
        },
    );
    assert!(adopted > 0);
    proof!("F6", "once: {points} deaths, done each time, {adopted} adopted half-way");
}
