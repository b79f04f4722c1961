//! Waiting.

use ipc_testkit::{peer, proof};

use crate::numbers;

#[test]
fn e8_deadlines_hold_under_a_storm_of_handlers() {
    let mut peer = peer!("peer-signal", "deadlines");
    let found = numbers(&peer.hear());
    let [late, interruptions] = found[..] else { panic!("{found:?}") };
    peer.finish();
    // The twin starts its 20 ms anew at each EINTR: with one every 0.1 ms it would never end.
    assert!(interruptions > 100, "{interruptions}");
    assert!(late < 50_000, "the best of five was {late} µs late");
    proof!(
        "E8",
        "four waiting calls, {interruptions} interruptions, none early, the best of five at most {late} µs late"
    );
}

#[test]
fn e8_whose_signals_a_wait_and_a_signalfd_give_out() {
    let mut peer = peer!("peer-signal", "receipt");
    peer.expect("ok");
    peer.finish();
}
