//! One writer and readers that it does not wait for: the newest value, the last messages, and the bell they sleep by.

use ipc_sys::Deadline;
#[cfg(ipc_loom)]
use loom::thread;
#[cfg(not(ipc_loom))]
use std::thread;

use super::check;
#[cfg(ipc_loom)]
use super::finds;
use super::heap::Heap;
use crate::channel::Wait as Strategy;
use crate::channel::area::FIRST;
use crate::channel::broadcast::log::{self, Found, Log, Reading};
use crate::channel::call::{self, Called, Fences};
use crate::channel::latest::cells::{self, Cells};

/// Five values over four cells, read twice meanwhile: whole, and never older than one seen before.
fn cells() {
    let memory = Heap::new(FIRST + 4 * cells::stride::<[u64; 2]>());
    let mut writer = Cells::<[u64; 2], _>::resume(memory.clone());
    let writing = thread::spawn(move || {
        for turn in 1..=5 {
            writer.write(&[turn; 2]);
        }
    });
    let mut last = 0;
    for _ in 0..2 {
        if let Ok(Some((version, [first, second]))) = cells::read::<[u64; 2], _>(&memory) {
            assert!(first == version && second == version, "torn: {first} {second} at {version}");
            assert!(version >= last);
            last = version;
        }
    }
    writing.join().unwrap();
}

/// Four messages through two slots: each one that is read is whole and the one that stands there.
fn log() {
    let shape = log::Shape::new(2, 0);
    let memory = Heap::new(FIRST + 2 * log::Shape::stride::<[u64; 2]>());
    shape.init::<[u64; 2], _>(&memory);
    let mut writer = Log::<[u64; 2], _>::resume(memory.clone(), shape);
    let mut reader = Reading::<[u64; 2], _>::new(memory, shape);
    let writing = thread::spawn(move || {
        for turn in 1..=4 {
            writer.write(&[turn; 2]);
        }
    });
    let mut next = 1;
    for _ in 0..3 {
        match reader.next() {
            Found::Message(message) => {
                assert_eq!(message, [next; 2]);
                next += 1;
            }
            Found::Lapped => next += reader.skip(),
            Found::Nothing | Found::Unfinished => {}
        }
    }
    writing.join().unwrap();
}

/// One message, or one after another, and one sleeper: the call wakes it each time.
fn sleeper(messages: u64) {
    let shape = log::Shape::new(2, 0);
    let memory = Heap::new(FIRST + 2 * log::Shape::stride::<u64>());
    shape.init::<u64, _>(&memory);
    let mut writer = Log::<u64, _>::resume(memory.clone(), shape);
    let mut reader = Reading::<u64, _>::new(memory, shape);
    let writing = thread::spawn(move || {
        for message in 0..messages {
            writer.write(&message);
            call::call(&writer.memory, Fences::Both);
        }
    });
    let mut called = Called::together(Fences::Both);
    for message in 0..messages {
        let ready = || Ok(reader.is_ready());
        called.wait(&reader.memory, Strategy::Park, Deadline::NEVER, ready, || Ok(())).unwrap();
        assert_eq!(reader.next(), Found::Message(message));
    }
    writing.join().unwrap();
}

#[test]
fn latest() {
    check(3, cells);
}

#[cfg(ipc_loom)]
#[test]
fn latest_mutants() {
    for name in ["cell", "reader", "slack", "publish", "peer_load"] {
        finds(name, 3, cells);
    }
}

#[test]
fn broadcast() {
    check(3, log);
}

#[cfg(ipc_loom)]
#[test]
fn broadcast_mutants() {
    for name in ["log", "reader", "publish", "peer_load"] {
        finds(name, 3, log);
    }
}

#[test]
fn common_bell() {
    check(3, || sleeper(1));
    check(3, || sleeper(2));
}

#[cfg(ipc_loom)]
#[test]
fn common_bell_mutants() {
    for name in ["caller", "waiter", "look", "ticket"] {
        finds(name, 3, || sleeper(1));
    }
    finds("clear first", 3, || sleeper(2));
}
