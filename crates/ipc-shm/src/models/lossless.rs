//! The broadcast that waits for its slowest reader: every interleaving of joining, reading, leaving and being swept.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use ipc_sys::{Deadline, futex};
#[cfg(ipc_loom)]
use loom::{
    sync::{Arc, atomic::AtomicBool},
    thread,
};
#[cfg(not(ipc_loom))]
use std::{
    sync::{Arc, atomic::AtomicBool},
    thread,
};

use super::check;
#[cfg(ipc_loom)]
use super::finds;
use super::heap::Heap;
use crate::Error;
use crate::channel::Wait;
use crate::channel::broadcast::lossless::cursor::{self, Cursor};
use crate::channel::broadcast::lossless::gathering::Gathering;
use crate::channel::broadcast::lossless::log::{Log, Shape};
use crate::channel::broadcast::lossless::reading::Reading;
use crate::channel::broadcast::lossless::room;
use crate::channel::call::{Called, Fences};
use crate::words::{AtomicU64, Words};

/// A message whose words are all the same when it is whole.
type Message = [u64; 2];
type Writes = Log<Message, Heap>;
type Reads = Reading<Message, Heap>;

/// Two messages fit.
const CAPACITY: u64 = 2;

/// Positions wrap after the second message.
const START: u64 = u64::MAX - 1;

/// Memory that outlives whoever dies with it in hand.
struct Lent<'m>(&'m Heap);

impl Words for Lent<'_> {
    fn words(&self, first: usize, count: usize) -> &[AtomicU64] {
        self.0.words(first, count)
    }

    fn wait(&self, index: usize, expected: u32, deadline: Deadline) -> io::Result<futex::Wait> {
        self.0.wait(index, expected, deadline)
    }

    fn wake(&self, index: usize, count: i32) {
        self.0.wake(index, count);
    }
}

fn shape() -> Shape {
    Shape::new(CAPACITY, START)
}

fn memory() -> Heap {
    let memory = Heap::new(cursor::END + 2 * Shape::stride::<Message>());
    shape().init(&memory);
    memory
}

fn writer(memory: &Heap) -> Writes {
    Log::resume(memory.clone(), shape(), Fences::Both)
}

fn reader(memory: &Heap, place: usize) -> Reads {
    Reading::join(memory.clone(), shape(), Fences::Both, Cursor::at(memory, place))
}

/// Writes 0, 1 … up to `count`, and sleeps where there is no room.
fn write_all(mut log: Writes, count: u64) -> Writes {
    for message in 0..count {
        while log.space(1).unwrap() == 0 {
            let memory = log.memory.clone();
            room::wait(&mut log, &memory, Wait::Park, Deadline::NEVER, |_| Ok(())).unwrap();
        }
        assert!(log.write(&[message; 2]));
    }
    log
}

/// The next message, slept for.
fn receive(reading: &mut Reads) -> u64 {
    loop {
        if let Some([first, second]) = reading.next() {
            assert_eq!(first, second, "torn");
            return first;
        }
        let ready = || Ok(reading.is_ready());
        let mut called = Called::together(Fences::Both);
        called.wait(&reading.memory, Wait::Park, Deadline::NEVER, ready, || Ok(())).unwrap();
    }
}

/// Three messages through a log of two to a reader that is there: both sides sleep.
fn stream() {
    let memory = memory();
    let (log, mut reading) = (writer(&memory), reader(&memory, 0));
    let writing = thread::spawn(move || drop(write_all(log, 3)));
    for message in 0..3 {
        assert_eq!(receive(&mut reading), message);
    }
    reading.leave();
    writing.join().unwrap();
}

/// A full log, and a reader that makes room: nothing else wakes the writer.
fn sleeper(leaves: bool) {
    let memory = memory();
    let (log, mut reading) = (writer(&memory), reader(&memory, 0));
    let log = write_all(log, 2);
    let writing = thread::spawn(move || drop(write_all(log, 1)));
    if leaves {
        reading.leave();
    } else {
        assert_eq!(reading.next(), Some([0; 2]));
    }
    writing.join().unwrap();
}

/// A full log and two readers, of which one, then the other keeps the writer from going on; who is not waited for does not
/// wake it.
fn two_are_slow() {
    let memory = memory();
    let (log, mut one, mut other) = (writer(&memory), reader(&memory, 0), reader(&memory, 1));
    let log = write_all(log, 2);
    let writing = thread::spawn(move || drop(write_all(log, 1)));
    let reading = thread::spawn(move || assert_eq!(one.next(), Some([0; 2])));
    assert_eq!(other.next(), Some([0; 2]));
    reading.join().unwrap();
    writing.join().unwrap();
}

/// A reader joins while messages are written, and gets all from its first one on. Nobody sleeps, and so no message has a
/// fence, which would stand in for the one that is looked for.
fn joins() {
    let memory = memory();
    let log = Writes::resume(memory.clone(), shape(), Fences::Asymmetric);
    let writing = thread::spawn(move || {
        let mut log = log;
        let mut written = 0;
        for message in 0..5 {
            if log.space(1).unwrap() == 0 || !log.write(&[message; 2]) {
                break;
            }
            written += 1;
        }
        (log, written)
    });
    let mut reading = Reads::join(memory.clone(), shape(), Fences::Asymmetric, Cursor::at(&memory, 0));
    let mut got = Vec::from_iter(reading.next());
    let (_log, written) = writing.join().unwrap();
    while reading.available(1).unwrap() != 0 {
        got.extend(reading.next());
    }
    let mut next = None;
    for [first, second] in got {
        assert!(first == second && next.is_none_or(|next| next == first), "torn or lost: {first} {second}");
        next = Some(first + 1);
    }
    assert!(next.is_none_or(|next| next == written), "the last ones are missing");
}

/// A place that a reader has had is taken by the next one: it is live with its own position, not with the other's.
fn joins_where_one_was() {
    let memory = memory();
    let first = reader(&memory, 0);
    let log = write_all(writer(&memory), 1);
    first.leave();
    let log = write_all(log, 3);
    let writing = thread::spawn(move || {
        let mut log = log;
        for message in 4..7 {
            if log.space(1).expect("an honest reader is taken for a forger") == 0 {
                break;
            }
            assert!(log.write(&[message; 2]));
        }
    });
    drop(reader(&memory, 0));
    writing.join().unwrap();
}

/// A reader dies after so many steps of joining, of one message and of leaving; the kernel drops its lock, and the writer,
/// which looks who lives, goes on. The other reader gets everything.
fn dies(steps: u32) {
    let memory = memory();
    let (mut log, mut other) = (writer(&memory), reader(&memory, 1));
    let dead = Arc::new(AtomicBool::new(false));
    let dying = thread::spawn({
        let (dead, memory) = (Arc::clone(&dead), memory.clone());
        move || {
            let cursor = Cursor::at(&memory, 0);
            cursor.steps.set(steps);
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let mut doomed = Reading::<Message, _>::join(Lent(&memory), shape(), Fences::Both, cursor);
                doomed.next();
                doomed.leave();
            }));
            dead.store(true, Ordering::Release);
        }
    });
    for message in 0..4 {
        while log.space(1).unwrap() == 0 {
            // Who is waited for is asked first.
            match log.slowest() {
                Some(0) if dead.load(Ordering::Acquire) => cursor::sweep(&memory, 0),
                Some(0) => thread::yield_now(),
                _ => assert!(other.next().is_some(), "full and empty"),
            }
        }
        assert!(log.write(&[message; 2]));
        if message == 1 {
            assert_eq!(other.next(), Some([0; 2]));
        }
    }
    dying.join().unwrap();
}

/// A reader that looks dead while it is not: it gets the message, or learns that it came too late. Nobody sleeps, as in
/// [`joins`].
fn looks_dead() {
    let memory = memory();
    let mut log = Writes::resume(memory.clone(), shape(), Fences::Asymmetric);
    let mut late = Reads::join(memory.clone(), shape(), Fences::Asymmetric, Cursor::at(&memory, 0));
    for message in 0..2 {
        assert!(log.space(1).unwrap() != 0 && log.write(&[message; 2]));
    }
    let writing = thread::spawn(move || {
        assert!(log.space(1).is_ok());
        cursor::sweep(&log.memory, 0);
        assert!(log.space(1).unwrap() != 0 && log.write(&[10; 2]));
        log
    });
    match late.next() {
        Some(message) => assert_eq!(message, [0; 2]),
        None => assert!(matches!(late.available(1), Err(Error::TakenAway))),
    }
    late.leave();
    drop(writing.join().unwrap());
}

/// A writer that waits for a reader to come: nothing else wakes it.
fn gathers() {
    let memory = memory();
    let mut log = writer(&memory);
    let waiting = thread::spawn({
        let memory = memory.clone();
        move || {
            let mut gathering = Gathering { log: &mut log, count: 1 };
            room::wait(&mut gathering, &memory, Wait::Park, Deadline::NEVER, |_| Ok(())).unwrap();
        }
    });
    drop(reader(&memory, 0));
    waiting.join().unwrap();
}

#[test]
fn messages() {
    check(2, stream);
    check(3, two_are_slow);
}

#[test]
fn wake_ups() {
    check(3, || sleeper(false));
    check(3, || sleeper(true));
    check(3, gathers);
}

#[test]
fn joining() {
    check(3, joins);
    check(3, joins_where_one_was);
}

#[test]
fn deaths() {
    for steps in 0..=8 {
        check(2, move || dies(steps));
    }
}

#[test]
fn taken_for_dead() {
    check(3, looks_dead);
}

#[cfg(ipc_loom)]
#[test]
fn mutants() {
    for name in ["publish", "peer_load"] {
        finds(name, 2, stream);
    }
    for name in ["caller", "waiter", "look", "ticket"] {
        finds(name, 3, || sleeper(false));
        finds(name, 3, || sleeper(true));
        finds(name, 3, gathers);
    }
    finds("named", 3, two_are_slow);
    for name in ["join", "survey", "look again", "hold"] {
        finds(name, 3, joins);
    }
    finds("live", 3, joins_where_one_was);
    finds("sweep", 2, || dies(5));
    for name in ["reader", "survey", "ours"] {
        finds(name, 3, looks_dead);
    }
}
