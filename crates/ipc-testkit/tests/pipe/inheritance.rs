//! A8: a child gets what it is given, and nothing else, whatever other threads are doing.

use ipc_testkit::{peer, proof, repetitions};

#[test]
fn a8_children_of_many_threads_get_exactly_what_they_are_handed() {
    let count = repetitions(200, 5000);
    let mut peer = peer!("peer-pipe", "hand_storm", count);
    let line = peer.hear();
    peer.finish();
    let (wrong, busy) = line.split_once(' ').unwrap();
    let busy: usize = busy.parse().unwrap();
    // Some were started, whatever the scheduler did to the rest.
    assert!(wrong == "0" && busy < count, "{line}");
    proof!(
        "A8",
        "{count} children handed two pipes each as 5 and 6 by 8 threads: {wrong} wrong, {busy} told EBUSY"
    );
}

#[test]
fn a8_no_child_inherits_what_it_was_not_given() {
    let count = repetitions(500, 10_000);
    let mut ours = peer!("peer-pipe", "leak_storm", count);
    ours.expect("0");
    ours.finish();
    // As often as it takes.
    let mut twin = peer!("peer-pipe", "leak_storm_twin", count, 100 * count);
    let line = twin.hear();
    twin.finish();
    let (leaked, children) = line.split_once(' ').unwrap();
    assert_ne!(leaked, "0", "the twin leaked nothing in {children} children: the test would not notice");
    proof!(
        "A8",
        "{count} children, while 8 threads make descriptors of all crates: 0 saw a foreign one; twin (FD_CLOEXEC set later): {leaked} of {children} did"
    );
}
