//! A forked child harms nobody, whatever its parent had in its hands.

use ipc_testkit::{name, peer, proof};

use crate::flip::KINDS;
use crate::memory::Name;

#[test]
fn a_forked_child_gets_forked_from_every_handle_and_its_parent_goes_on() {
    let named = Name::new("fork-all");
    let mut peer = peer!("peer-shm", "fork-all", named.0, KINDS.join(","));
    peer.expect("child 0");
    peer.expect("parent true 9");
    peer.finish();
    let mut peer = peer!("peer-shm", "fork-loans");
    peer.expect("loan true true 4");
    peer.expect("borrow true 5 true");
    peer.finish();
    proof!(
        "F7",
        "a forked child gets Forked from every call on seven kinds of channel, Shared and offers; loans kill it alone"
    );
}

#[test]
fn f7_a_dropped_end_is_free_while_a_child_on_its_way_to_exec_holds_its_descriptor() {
    let (named, directory) = (Name::new("fork-drop"), name::directory());
    let mut peer = peer!("peer-shm", "fork-and-drop", named.0, directory.path().join("lock").display());
    peer.expect("full 1 [64, 128, 3]");
    for kind in ["one", "each", "many", "party"] {
        peer.expect(&format!("{kind} None"));
    }
    peer.expect("naive true");
    peer.finish();
    proof!(
        "F7",
        "four kinds of end are dropped and taken again beside a forked child; naive twin, a lock that close lets go: held"
    );
}
