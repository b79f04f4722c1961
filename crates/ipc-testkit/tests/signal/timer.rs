//! Alarms and timers.

use ipc_testkit::{peer, proof};

#[test]
fn e10_alarms_cancel_return_what_was_left_and_are_not_forked() {
    let mut peer = peer!("peer-signal", "alarms");
    peer.expect("ok");
    peer.finish();
    proof!(
        "E10",
        "remainder, cancel, greatest value, fork; each of the three interval timers ends in its signal"
    );
}

#[test]
fn e10_posix_timers_count_what_nobody_took_and_stay_with_their_process() {
    let mut peer = peer!("peer-signal", "timers");
    peer.expect("ok");
    peer.finish();
}
