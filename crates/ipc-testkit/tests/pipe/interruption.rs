//! A5: a signal every 100 microseconds, without SA_RESTART, shows nowhere.

use ipc_pipe::Fifo;
use ipc_testkit::{name, peer, proof, repetitions};

#[test]
fn a5_a_storm_of_signals_changes_no_byte() {
    let directory = name::directory();
    let path = directory.path().join("fifo");
    Fifo::create(&path).unwrap();
    let len = repetitions(8, 64) << 20;
    let mut reader = peer!("peer-pipe", "storm_reader", path.display());
    let mut writer = peer!("peer-pipe", "storm_writer", path.display(), len);
    let written = writer.hear();
    let line = reader.hear();
    let (came, read) = line.split_once(' ').unwrap();
    assert_eq!(came, len.to_string());
    assert!(written != "0" && read != "0", "nobody was interrupted");
    writer.finish();
    reader.finish();
    let mut twin = peer!("peer-pipe", "storm_twin", path.display());
    let interrupted = twin.hear();
    assert_ne!(interrupted, "0", "read(2) was not interrupted");
    twin.finish();
    proof!(
        "A5",
        "{len} bytes exact through {written} and {read} signals; twin (read): EINTR {interrupted} of 100"
    );
}

#[test]
fn a5_deadlines_hold_in_a_storm() {
    let directory = name::directory();
    let path = directory.path().join("fifo");
    Fifo::create(&path).unwrap();
    let mut peer = peer!("peer-pipe", "storm_deadlines", path.display());
    let line = peer.hear();
    peer.finish();
    let (ours, control) = line.split_once(' ').unwrap();
    // Who waits anew for the whole time after each EINTR comes to no end, since one comes every 100 us.
    proof!("A5", "four kinds of wait end {ours} us late at best, a bare ppoll {control} us; none early");
}
