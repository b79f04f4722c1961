//! The fence that is not there: the one exchange of the doorbell that no model of the language covers, between two
//! processes on two CPUs; and the sleeper that does not look twice.

use std::sync::atomic::AtomicU64;

use ipc_shm::Shared;
use ipc_testkit::{name, peer, proof, repetitions, repetitions_or_long, skip};

type Words = [AtomicU64; 320];

#[test]
fn f10_membarrier_stands_for_the_wakers_fence() {
    if std::thread::available_parallelism().unwrap().get() < 2 {
        skip!("two processes on one CPU see each other's stores in order");
    }
    let run = |barrier: &str, rounds: usize, millis: usize| {
        let name = name::unique("litmus");
        let _shared = Shared::<Words>::create(&name, |_| Ok(())).unwrap();
        let mut waker = peer!("peer-shm", "litmus-waker", name, 1);
        waker.expect("ready");
        let mut waiter = peer!("peer-shm", "litmus-waiter", name, 0, rounds, barrier, millis);
        waiter.patience(3600);
        let line = waiter.hear();
        let (made, missed) = line.split_once(' ').unwrap();
        waiter.finish();
        waker.finish();
        (made.parse::<u64>().unwrap(), missed.parse::<u64>().unwrap())
    };
    let (made, missed) =
        run("barrier", repetitions_or_long(50_000, 500_000, 2_000_000), repetitions(2000, 60_000));
    assert_eq!(missed, 0, "after {made} rounds both sides missed each other");
    // Until it has failed: one round in a thousand does where each has a CPU to itself.
    let (naive, naive_missed) = run("nothing", usize::MAX >> 1, 60_000);
    assert_eq!(naive_missed, 1, "{naive} rounds without the barrier and no miss");
    proof!(
        "F10",
        "HOT: {made} rounds with the barrier, 0 missed by both sides; naive twin without it: missed by both in round {naive}"
    );
}

#[test]
fn f10_the_naive_sleeper_that_does_not_look_twice_is_not_woken() {
    let name = name::unique("sleeper");
    let _shared = Shared::<Words>::create(&name, |_| Ok(())).unwrap();
    let mut sleeper = peer!("peer-shm", "naive-sleeper", name);
    sleeper.expect("ready");
    let waker = peer!("peer-shm", "naive-waker", name);
    let line = sleeper.hear();
    assert!(line.starts_with("lost"), "{line}");
    sleeper.finish();
    waker.finish();
    proof!("F10", "naive twin, which looks and then sleeps: {line}");
}
