//! Two users: neither can do anything with what the other made with mode 0600.

use ipc_testkit::{peer, proof, skip};

use crate::memory::Name;

/// Everything that a stranger tries, and what it comes to.
const REFUSED: [&str; 16] = [
    "slots Some(13)",
    "receiver Some(13)",
    "packed replaced Some(13)",
    "bytes Some(13)",
    "latest Some(13)",
    "broadcast Some(13)",
    "shared Some(13)",
    "raw open Some(13)",
    "truncate Some(13)",
    "unlink Some(1)",
    "signal Some(1)",
    "removed 0",
    // What travels is a descriptor for reading: nobody else makes one for writing of it.
    "sealed again Some(13)",
    "common again Some(13)",
    "part again Some(13)",
    "map Some(13)",
];

#[test]
fn f4_another_user_can_neither_open_map_truncate_nor_signal_what_is_0600() {
    if !nix::unistd::geteuid().is_root() {
        skip!("becoming another user needs root");
    }
    let mut tried = 0;
    for (owner, stranger) in [(0, 65534), (65534, 65533), (65533, 65534)] {
        let names: Vec<Name> = (0..6).map(|_| Name::new("private")).collect();
        let joined = names.iter().map(|name| name.0.as_str()).collect::<Vec<_>>().join(",");
        let mut owning = peer!("peer-shm", "own-all", owner, joined);
        let descriptors = owning.hear();
        let mut trying = peer!("peer-shm", "try-all", stranger, joined, owning.id(), descriptors);
        for line in REFUSED {
            trying.expect(line);
            tried += 1;
        }
        trying.finish();
        owning.tell("end");
        owning.finish();
    }
    proof!(
        "F4",
        "{tried} attempts of users 65533 and 65534 on each other's and root's channels, all refused"
    );
}
