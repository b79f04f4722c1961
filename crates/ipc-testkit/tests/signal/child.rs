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

#[test]
fn e5_child_events_live_with_std_and_with_a_foreign_wait() {
    let mut peer = peer!("peer-signal", "coexist");
    let line = peer.hear();
    peer.finish();
    let remembered: u64 = line.strip_prefix("ok ").unwrap().parse().unwrap();
    proof!(
        "E5",
        "20 ends seen and then reaped by std; of 20 that a foreign wait took first, {remembered} remembered by the pidfd, the rest an error"
    );
}

/// LTP's kill11 and kill12: which signal ended or stopped a child, for each signal.
#[test]
fn e5_every_signal_shows_in_the_state_of_the_child() {
    let mut peer = peer!("peer-signal", "statuses");
    peer.expect("ok");
    peer.finish();
}
