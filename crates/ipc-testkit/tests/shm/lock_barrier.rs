//! The barrier: all come or none pass, and a dead party is not waited for.

use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use ipc_shm::{Error, Shared};
use ipc_testkit::{WATCHDOG, command, crash, name, peer, proof, repetitions, repetitions_or_long, timed};

use ipc_testkit::locks::Words;

fn words(what: &str) -> (Shared<Words>, String) {
    let name = name::unique(what);
    (Shared::create(&name, |_| Ok(())).unwrap(), name)
}

#[test]
fn f10_three_processes_meet_each_time_and_one_of_them_comes_last() {
    let rounds = repetitions(2000, 200_000);
    let (_shared, name) = words("rounds");
    let mut peers: Vec<_> =
        (0..3).map(|index| peer!("peer-shm-sync", "rounds", name, index, rounds)).collect();
    let last: usize = peers.iter_mut().map(|peer| peer.hear().parse::<usize>().unwrap()).sum();
    assert_eq!(last, rounds);
    peers.into_iter().for_each(ipc_testkit::Peer::finish);
    proof!("F10", "barrier: {rounds} meetings of 3 processes, 0 early, 0 hung");
}

#[test]
fn f6_a_party_killed_before_it_arrives_breaks_the_barrier_for_all_who_wait() {
    let mut longest = Duration::ZERO;
    for _ in 0..repetitions_or_long(5, 100, 200) {
        let (shared, name) = words("killed");
        let mut third = peer!("peer-shm-sync", "join", name);
        third.expect("joined");
        let barrier = &shared.get().unwrap().barrier;
        let (mut first, mut second) = (barrier.join(&shared).unwrap(), barrier.join(&shared).unwrap());
        assert!(matches!(barrier.join(&shared), Err(Error::EndInUse { .. })));
        assert!(matches!(first.wait_timeout(Duration::from_millis(100)), Err(Error::TimedOut)));
        thread::scope(|scope| {
            let waiters = [scope.spawn(|| first.wait()), scope.spawn(|| second.wait())];
            third.kill();
            let (results, took) = timed(|| waiters.map(|waiter| waiter.join().unwrap()));
            assert!(results.iter().all(|result| matches!(result, Err(Error::Broken))), "{results:?}");
            longest = longest.max(took);
        });
        assert!(barrier.is_broken() && matches!(barrier.join(&shared), Err(Error::Broken)));
    }
    assert!(longest < WATCHDOG);
    proof!("F6", "barrier: a party killed before it arrives is found within {longest:?} by all who wait");
}

#[test]
fn f6_a_party_killed_at_each_instruction_of_its_arrival_is_not_waited_for() {
    let (mut passed, mut broken) = (0, 0);
    let points = crash::at_every_step(
        repetitions(15, 400),
        || {
            let (shared, name) = words("arrival");
            (command!("peer-shm-sync", "arrive", name), shared)
        },
        |death, shared| {
            let barrier = &shared.get().unwrap().barrier;
            // The dead party had the first place, which is free again: keep it from being taken over.
            let dead = barrier.join(&shared).unwrap();
            let parties = [barrier.join(&shared).unwrap(), barrier.join(&shared).unwrap()];
            drop(dead);
            thread::scope(|scope| {
                let waiters =
                    parties.map(|mut party| scope.spawn(move || (party.wait_timeout(WATCHDOG), party)));
                for (result, _) in waiters.map(|waiter| waiter.join().unwrap()) {
                    match result {
                        Ok(_) => passed += 1,
                        Err(Error::Broken) => broken += 1,
                        Err(error) => panic!("{death}: {error}"),
                    }
                }
            });
            passed > 0 && broken > 0
        },
    );
    assert!(passed > 0 && broken > 0);
    proof!(
        "F6",
        "barrier: {points} deaths of an arriving party under 2 others: {passed} passed with it, {broken} were told, 0 hung"
    );
}

#[test]
fn f2_no_byte_of_a_barrier_does_harm() {
    let (shared, name) = words("barrier-bytes");
    let words = shared.get().unwrap();
    let file = std::fs::File::options().write(true).open(format!("/dev/shm/{name}")).unwrap();
    let start = 4096 + u64::try_from(std::ptr::from_ref(&words.barrier).addr() % 4096).unwrap();
    let mut cases = 0;
    for offset in 0..16 {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            file.write_all_at(&[0; 16], start).unwrap();
            let mut party = words.barrier.join(&shared).unwrap();
            file.write_all_at(&[byte], start + offset).unwrap();
            let (result, took) = timed(|| party.wait_timeout(Duration::from_millis(1)));
            assert!(matches!(result, Ok(_) | Err(Error::TimedOut | Error::Broken)), "{result:?}");
            assert!(took < WATCHDOG);
            drop(words.barrier.join(&shared));
            cases += 1;
        }
    }
    proof!("F2", "barrier: {cases} bytes written, every call ends in time");
}

#[test]
fn a_barrier_is_joined_in_the_memory_where_it_lies() {
    let ((shared, _first), (other, _second)) = (words("here"), words("there"));
    let barrier = &shared.get().unwrap().barrier;
    assert!(matches!(barrier.join(&other), Err(Error::InvalidParameter { .. })));
    let party = barrier.join(&shared).unwrap();
    drop(party);
    assert!(barrier.join(&shared).is_ok(), "the place is free again");
}
