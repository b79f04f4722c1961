//! Waiting.

use ipc_testkit::{peer, proof};

use crate::numbers;

#[test]
fn e8_deadlines_hold_under_a_storm_of_handlers() {
    let mut peer = peer!("peer-signal", "deadlines");
    let found = numbers(&peer.hear());
    let [late, interruptions, endless] = found[..] else { panic!("{found:?}") };
    peer.finish();
    assert!(interruptions > 100, "{interruptions}");
    // A machine that lets it sleep through 20 ms of the storm ends a wait or two of the twin.
    assert!(endless > 0, "the twin that starts anew at each EINTR must fail");
    proof!(
        "E8",
        "four waiting calls, {interruptions} interruptions, none early, the best of five at most {late} µs late; \
         twin, 20 ms anew at each EINTR: {endless} of 5 not back in 100 ms"
    );
}

#[test]
fn e8_whose_signals_a_wait_and_a_signalfd_give_out() {
    let mut peer = peer!("peer-signal", "receipt");
    peer.expect("ok");
    peer.finish();
}

/// The two or three signals that the C library keeps to itself are in no mask and no wait of ours.
#[test]
fn e8_all_signals_are_all_but_the_c_librarys_own() {
    let mut peer = peer!("peer-signal", "whole-set");
    peer.expect("ok");
    peer.finish();
}
