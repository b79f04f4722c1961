//! Two users: neither can do anything with what the other made with mode 0600. And a kernel that does not permit.

use ipc_testkit::{peer, proof, skip};

use crate::memory::Name;

/// Everything that a stranger tries, and what it comes to.
const REFUSED: [&str; 20] = [
    "slots Some(13)",
    "receiver Some(13)",
    "packed replaced Some(13)",
    "bytes Some(13)",
    "latest Some(13)",
    "broadcast Some(13)",
    "shared Some(13)",
    "plain Some(13)",
    "value Some(13)",
    "stat Some(13)",
    "lock file Some(13)",
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

/// What comes of each call whose system call is not permitted.
const NOT_PERMITTED: [&str; 19] = [
    "memory Some(13)",
    "plain Some(13)",
    "value Some(13)",
    "channel Some(13)",
    "latest Some(13)",
    "broadcast Some(13)",
    "replaced Some(13)",
    "acquire Some(1)",
    "acquire in time Some(1)",
    "release Some(1)",
    "1 permit",
    "wait Some(1)",
    "wait in time Some(1)",
    "set Some(1)",
    "set: true",
    "meet Some(1)",
    "meet in time Some(1)",
    "share Some(13)",
    "join Some(13)",
];

#[test]
fn what_is_not_permitted_says_so_and_makes_nothing() {
    let name = Name::new("not-permitted");
    let mut peer = peer!("peer-shm", "not-permitted", name.0);
    for line in NOT_PERMITTED {
        peer.expect(line);
    }
    peer.finish();
    assert!(!std::path::Path::new("/dev/shm").join(&name.0).exists());
}
