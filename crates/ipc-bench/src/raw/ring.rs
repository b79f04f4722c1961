//! The ring that one writes by hand for one sender and one receiver: a word for each side's position, on lines of their
//! own, and slots. No checks, no counters, no second thoughts.
#![expect(unsafe_code, reason = "slots are used by turns, as in C")]

use std::sync::atomic::AtomicU64;

use crate::cell::{Cell, Wait};
use crate::end::{End, Side, check, fill};
use crate::meet::Meet;
use crate::raw::memory::{Word, place, shared};
use crate::raw::shared::capacity;

/// Where the slots begin, in words: the sender's position has a pair of lines before them, and so has the receiver's.
const SLOTS: usize = 64;

pub(crate) struct Ring {
    sending: Way,
    receiving: Way,
    wait: Wait,
}

/// One direction: its memory, our position, and what we last saw of the other side's.
struct Way {
    memory: &'static [AtomicU64],
    sent: Word,
    received: Word,
    words: usize,
    stride: usize,
    capacity: u64,
    position: u64,
    seen: u64,
}

impl Ring {
    pub(crate) fn duplex(cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let stride = if cell.words() == 1 { 1 } else { cell.words().next_multiple_of(8) };
        let capacity = capacity(cell);
        let mut way = || {
            let memory = shared(meet, SLOTS + stride * capacity);
            let (sent, received) = (Word::at(memory), Word::at(&memory[SLOTS / 2..]));
            let capacity = capacity as u64;
            Way { memory, sent, received, words: cell.words(), stride, capacity, position: 0, seen: 0 }
        };
        let (to_far, to_near) = (way(), way());
        let (sending, receiving) = if meet.is_near() { (to_far, to_near) } else { (to_near, to_far) };
        Box::new(Self { sending, receiving, wait: cell.wait })
    }
}

impl Way {
    #[expect(clippy::mut_from_ref, reason = "the memory is another process's, too")]
    fn slot(&self) -> &mut [u64] {
        let at = SLOTS + (self.position % self.capacity) as usize * self.stride;
        // SAFETY: between the other side's hand-over of this slot and ours nobody else uses it.
        unsafe { place(&self.memory[at..at + self.words]) }
    }
}

impl End for Ring {
    #[inline]
    fn send(&mut self, turn: u64) {
        let way = &mut self.sending;
        if way.position - way.seen == way.capacity {
            way.seen = way.received.until(self.wait, |received| way.position - received < way.capacity);
        }
        fill(way.slot(), turn);
        way.position += 1;
        way.sent.change(self.wait, way.position);
    }

    #[inline]
    fn receive(&mut self, turn: u64) {
        let way = &mut self.receiving;
        if way.seen == way.position {
            way.seen = way.sent.until(self.wait, |sent| sent != way.position);
        }
        check(way.slot(), turn);
        way.position += 1;
        // One who sleeps because the ring is full is woken each time half of it has become free.
        if way.position.is_multiple_of(way.capacity / 2) {
            way.received.change(self.wait, way.position);
        } else {
            way.received.store(way.position);
        }
    }
}
