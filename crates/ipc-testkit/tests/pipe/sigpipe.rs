//! A2: a write without readers is an error, even where SIGPIPE would kill.

use std::os::unix::process::ExitStatusExt;

use ipc_testkit::{peer, proof, repetitions_or_long};

#[test]
fn a2_no_write_dies_by_sigpipe() {
    let count = repetitions_or_long(1000, 20_000, 100_000);
    for kernel in ["this", "older", "sandboxed"] {
        let mut ours = peer!("peer-pipe", "sigpipe", count, kernel);
        ours.expect("alive");
        ours.finish();
    }
    let mut twin = peer!("peer-pipe", "sigpipe_twin");
    assert_eq!(twin.wait().signal(), Some(libc::SIGPIPE), "std's write was meant to die");
    proof!(
        "A2",
        "{count} writes of each of 11 kinds to a closed pipe, with RWF_NOSIGNAL and without: alive; twin (std's write) killed"
    );
}
