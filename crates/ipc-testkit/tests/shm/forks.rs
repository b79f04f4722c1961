//! A forked child harms nobody, whatever its parent had in its hands, and inherits no life of it.

use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use ipc_shm::{Error, Presence, Unattached, spsc};
use ipc_testkit::{command, name, peer, proof};

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

#[test]
fn an_end_is_held_by_who_attached_it_whoever_else_has_its_descriptor() {
    let (sender, receiver) = spsc::channel::<u64>(16).unwrap();
    let mut sender = sender.attach().unwrap();
    let descriptors: Vec<OwnedFd> = receiver.into();
    let copy = || descriptors[0].try_clone().unwrap();
    let attach = || Unattached::<spsc::Receiver<u64>>::try_from(vec![copy()]).unwrap().attach();

    // The command keeps what the child inherits.
    let mut command = command!("peer-shm", "inherited");
    let mut child = command.stdin(copy()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let receiver = |sender: &spsc::Sender<u64>| sender.stat().unwrap().receiver.presence;
    assert!(matches!(attach(), Err(Error::EndInUse { .. })));
    assert_eq!(receiver(&sender), Presence::Alive);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(receiver(&sender), Presence::Dead, "a copy of the descriptor lives for it");

    let mut successor = attach().unwrap();
    sender.send(&7).unwrap();
    assert_eq!(successor.recv().unwrap(), 7);
    drop(command);
}
