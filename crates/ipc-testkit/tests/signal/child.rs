//! Children and their wait states.

use ipc_testkit::{peer, proof, repetitions};

use crate::numbers;

/// SIGCHLD coalesces; statuses do not.
#[test]
fn e5_a_hundred_ends_under_one_signal_all_reaped() {
    let rounds = repetitions(20, 200);
    let mut reaper = peer!("peer-signal", "reap", rounds, 100);
    let found = numbers(&reaper.hear());
    let [wrong, zombies, deliveries] = found[..] else { panic!("{found:?}") };
    reaper.finish();
    assert_eq!((wrong, zombies), (0, 0));
    let ends = u64::try_from(rounds).unwrap() * 100;
    assert!(deliveries * 10 < ends, "the twin that reaps once a signal must fail: {deliveries} signals");
    proof!(
        "E5",
        "{rounds} rounds of 100 ends, 0 statuses wrong, 0 zombies; twin, one reap a signal: {deliveries} of {ends}"
    );
}
