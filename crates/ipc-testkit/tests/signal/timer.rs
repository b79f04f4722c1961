//! Alarms and timers.

use ipc_testkit::{peer, proof};

use crate::numbers;

#[test]
fn e10_alarms_cancel_return_what_was_left_and_are_not_forked() {
    let mut peer = peer!("peer-signal", "alarms");
    let found = numbers(&peer.hear());
    let [own, naive] = found[..] else { panic!("{found:?}") };
    peer.finish();
    assert_eq!((own, naive), (5, 0));
    proof!(
        "E10",
        "remainder, cancel, greatest value, fork; each of the three interval timers ends in its signal; of 5 forked \
         children {own} were woken by their own alarm; twin, children relying on their parent's: {naive} woken"
    );
}

#[test]
fn e10_posix_timers_count_what_nobody_took_and_stay_with_their_process() {
    let mut peer = peer!("peer-signal", "timers");
    peer.expect("ok");
    peer.finish();
}
