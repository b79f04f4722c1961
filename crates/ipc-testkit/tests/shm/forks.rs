//! A forked child harms nobody, whatever its parent had in its hands.

use ipc_testkit::{peer, proof};

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
