//! The waits: on a socket, on several channels at once, and on a bell of one's own beside others.

use std::slice;

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
use crate::channel::call::{self, Bell, Called, Fences};
use crate::channel::doorbell::Sleep;
use crate::channel::sleeper::{Sleeper, Sleepers, announce_on_each, sleep_on_any};
use crate::channel::spsc::ring::{Consumer, Producer, Shape};
use crate::words::Words;

type Ends = (Producer<u64, Heap>, Consumer<u64, Heap>);

fn ends(memory: &Heap) -> Ends {
    let shape = Shape::new(2, 0);
    shape.init_producer::<u64, _>(memory);
    shape.init_consumer(memory);
    let producer = Producer::resume(memory.clone(), memory.clone(), shape).unwrap();
    (producer, Consumer::resume(memory.clone(), memory.clone(), shape))
}

fn room() -> usize {
    FIRST + 2 * Shape::stride::<u64>()
}

/// Two messages to a receiver that polls a socket: it announces again after the first.
fn polled() {
    let memory = Heap::new(room());
    let (mut producer, mut consumer) = ends(&memory);
    let sending = thread::spawn(move || {
        assert!(producer.send(&7) && producer.send(&8));
    });
    for wanted in [7, 8] {
        let message = loop {
            if let Some(message) = consumer.next() {
                break message;
            }
            if announce_on_each(slice::from_mut(&mut consumer), Sleep::Socket) {
                memory.poll(Deadline::NEVER).unwrap();
            }
        };
        assert_eq!(message, wanted);
    }
    sending.join().unwrap();
}

impl Sleepers for Consumer<u64, Heap> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        visit(self);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        visit(self);
    }
}

/// One message in each of two rings, to a receiver that sleeps on both.
fn selected() {
    let memory = Heap::new(room());
    let (mut first, one) = ends(&memory);
    let (mut second, other) = ends(&memory.beside(room()));
    let mut rings = [one, other];
    let sending = thread::spawn(move || assert!(first.send(&7) && second.send(&8)));
    let mut sum = 0;
    while sum != 15 {
        let came: u64 = rings.iter_mut().filter_map(Consumer::next).sum();
        if came == 0 {
            sleep_on_any(&mut rings, Sleep::Ticket, |rings| {
                let mut words = Vec::new();
                for ring in rings {
                    ring.each(&mut |side| words.push(side.ticket()));
                }
                memory.wait_any(&words);
            });
        }
        sum += came;
    }
    sending.join().unwrap();
}

#[test]
fn socket() {
    check(2, polled);
}

#[cfg(ipc_loom)]
#[test]
fn socket_mutants() {
    for name in ["waker", "waiter", "look", "epoch", "drain before the look"] {
        finds(name, 2, polled);
    }
}

#[test]
fn select() {
    check(2, selected);
}

#[cfg(ipc_loom)]
#[test]
fn select_mutants() {
    for name in ["waker", "waiter", "look", "ticket"] {
        finds(name, 2, selected);
    }
}

/// Two messages to a sleeper that has a bell of its own, asleep in futex or poll.
fn own_bell(how: Strategy) {
    let shape = log::Shape::new(2, 0);
    let memory = Heap::new(FIRST + 2 * log::Shape::stride::<u64>());
    let own = memory.beside(FIRST);
    shape.init::<u64, _>(&memory);
    let mut writer = Log::<u64, _>::resume(memory.clone(), shape);
    let mut reader = Reading::<u64, _>::new(memory, shape);
    let mut bells = [Bell::new(own.clone())];
    let mut called = Called::alone(Fences::Both, own);
    let writing = thread::spawn(move || {
        for message in [7, 8] {
            writer.write(&message);
            call::call_each(&writer.memory, Fences::Both, &mut bells);
        }
    });
    for message in [7, 8] {
        let ready = || Ok(reader.is_ready());
        called.wait(&reader.memory, how, Deadline::NEVER, ready, || Ok(())).unwrap();
        assert_eq!(reader.next(), Found::Message(message));
    }
    writing.join().unwrap();
}

#[test]
fn own_bells() {
    check(2, || own_bell(Strategy::Park));
    check(2, || own_bell(Strategy::Poll));
}

#[cfg(ipc_loom)]
#[test]
fn own_bells_mutants() {
    for how in [Strategy::Park, Strategy::Poll] {
        for name in ["caller", "waiter", "look", "epoch"] {
            finds(name, 2, move || own_bell(how));
        }
    }
    finds("ticket", 2, || own_bell(Strategy::Park));
    finds("drain before the look", 2, || own_bell(Strategy::Poll));
}
