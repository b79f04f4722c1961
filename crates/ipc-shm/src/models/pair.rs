//! A ring with one sender and one receiver, its doorbell, and messages of any length in it.

use ipc_sys::Deadline;
#[cfg(ipc_loom)]
use loom::thread;
#[cfg(not(ipc_loom))]
use std::thread;

use super::check;
#[cfg(ipc_loom)]
use super::finds;
use super::heap::Heap;
use crate::channel::area::FIRST;
use crate::channel::bytes::block::{self, Block, Claim};
use crate::channel::spsc::ring::{Consumer, Producer, Shape};
use crate::channel::{LastWords, Payload, Wait as Strategy};

/// Three messages through a ring of two, so that both sides sleep; `T` decides between slots and packed.
fn ring<T: Payload + PartialEq + std::fmt::Debug + 'static>(make: fn(u64) -> T) {
    let shape = Shape::new(2, u64::MAX - 1);
    let memory = Heap::new(FIRST + 2 * Shape::stride::<T>());
    shape.init_producer::<T, _>(&memory);
    shape.init_consumer(&memory);
    let mut producer = Producer::<T, _>::resume(memory.clone(), memory.clone(), shape).unwrap();
    let mut consumer = Consumer::<T, _>::resume(memory.clone(), memory, shape);
    let sending = thread::spawn(move || {
        for turn in 0..3 {
            while !producer.send(&make(turn)) {
                producer.wait(1, Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
            }
        }
    });
    for turn in 0..3 {
        let message = loop {
            if let Some(message) = consumer.next() {
                break message;
            }
            consumer.wait(Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
        };
        assert_eq!(message, make(turn));
    }
    LastWords::release(&mut consumer);
    sending.join().unwrap();
}

/// One message, then the sender's last words: nothing else wakes the receiver.
fn bell() {
    let shape = Shape::new(2, 0);
    let memory = Heap::new(FIRST + 2 * Shape::stride::<u64>());
    shape.init_producer::<u64, _>(&memory);
    shape.init_consumer(&memory);
    let mut producer = Producer::<u64, _>::resume(memory.clone(), memory.clone(), shape).unwrap();
    let mut consumer = Consumer::<u64, _>::resume(memory.clone(), memory, shape);
    let sending = thread::spawn(move || {
        assert!(producer.send(&7));
    });
    consumer.wait(Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
    assert_eq!(consumer.next(), Some(7));
    sending.join().unwrap();
}

/// Messages of one block, two and none, through a ring of four, whose end is passed over twice, each whole or not there.
fn messages(at_once: bool) {
    let shape = Shape::new(4, u64::MAX - 1);
    let memory = Heap::new(FIRST + 4 * Shape::stride::<Block>());
    shape.init_producer::<Block, _>(&memory);
    shape.init_consumer(&memory);
    let mut producer = Producer::<Block, _>::resume(memory.clone(), memory.clone(), shape).unwrap();
    let mut consumer = Consumer::<Block, _>::resume(memory.clone(), memory, shape);
    let texts = [vec![1; 9], vec![2; 70], Vec::new(), vec![3; 120]];
    let sent = texts.clone();
    let sending = thread::spawn(move || {
        for text in &sent {
            let wanted = block::blocks(text.len() as u64).unwrap();
            let pad = block::pad(&producer, 0, wanted);
            let needed = pad + wanted;
            while producer.space(needed).unwrap() < needed {
                producer.wait(needed, Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
            }
            if pad != 0 {
                block::write_pad(&producer, 0);
            }
            block::write(&producer, pad, wanted, text);
            if at_once {
                producer.publish(needed);
            } else {
                (0..needed).for_each(|_| producer.publish(1));
            }
        }
    });
    for text in &texts {
        let (len, taken) = loop {
            while consumer.available(1).unwrap() == 0 {
                consumer.wait(Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
            }
            match block::claim(&consumer, consumer.to_end(), 4) {
                Claim::Message { len, blocks } => break (len, blocks),
                Claim::Pad { blocks } => {
                    assert!(consumer.available(blocks).unwrap() >= blocks, "a pad without its blocks");
                    consumer.advance(blocks);
                }
                Claim::Nonsense => panic!("no head of a message"),
            }
        };
        assert!(consumer.available(taken).unwrap() >= taken, "a length without its message");
        let mut received = vec![0; len];
        block::read(&consumer, taken, &mut received);
        consumer.advance(taken);
        assert_eq!(received, *text);
    }
    LastWords::release(&mut consumer);
    sending.join().unwrap();
}

/// A receiver that attaches while the message is sent: the sender has never seen a bell of its.
fn attaching() {
    let shape = Shape::new(2, 0);
    let memory = Heap::new(FIRST + 2 * Shape::stride::<u64>());
    shape.init_producer::<u64, _>(&memory);
    shape.init_consumer(&memory);
    let mut producer = Producer::<u64, _>::resume(memory.clone(), memory.clone(), shape).unwrap();
    let sending = thread::spawn(move || assert!(producer.send(&7)));
    let mut consumer = Consumer::<u64, _>::resume(memory.clone(), memory, shape);
    consumer.wait(Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
    assert_eq!(consumer.next(), Some(7));
    sending.join().unwrap();
}

#[test]
fn spsc_attach() {
    check(2, attaching);
}

#[cfg(ipc_loom)]
#[test]
fn spsc_attach_mutants() {
    finds("cold", 2, attaching);
}

#[test]
fn spsc_slots() {
    check(2, || ring::<u64>(|turn| turn + 100));
}

#[test]
fn spsc_packed() {
    check(2, || ring::<[u64; 8]>(|turn| [turn + 100; 8]));
}

#[cfg(ipc_loom)]
#[test]
fn spsc_mutants() {
    finds("publish", 2, || ring::<u64>(|turn| turn + 100));
    finds("peer_load", 2, || ring::<u64>(|turn| turn + 100));
}

#[test]
fn doorbell() {
    check(3, bell);
}

#[cfg(ipc_loom)]
#[test]
fn doorbell_mutants() {
    for name in ["waker", "waiter", "look", "ticket"] {
        finds(name, 3, bell);
    }
    // Who sleeps a second time announces it anew.
    finds("epoch", 2, || ring::<u64>(|turn| turn + 100));
}

#[test]
fn bytes() {
    check(1, || messages(true));
}

#[cfg(ipc_loom)]
#[test]
fn bytes_mutants() {
    finds("publish", 1, || messages(true));
    finds("peer_load", 1, || messages(true));
    // A message whose blocks are published one by one.
    finds("", 1, || messages(false));
}
