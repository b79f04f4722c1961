//! The bounded queue that one writes by hand for many senders and many receivers: each slot tells whose turn it is, and the
//! two positions are claimed by compare-and-swap. One that is killed between its claim and its turn stops all others.
#![expect(unsafe_code, reason = "slots are used by turns, as in C")]

use std::sync::atomic::{AtomicU64, Ordering};

use crate::cell::{Cell, Wait};
use crate::end::{End, Side, check, fill};
use crate::meet::Meet;
use crate::raw::memory::{Word, place, shared};
use crate::raw::shared::capacity;

/// Where the two positions lie, in words, on pairs of lines of their own,
const TAIL: usize = 0;
const HEAD: usize = 16;
/// the bells of who sleeps for a message and for room,
const THERE: usize = 32;
const ROOM: usize = 64;
/// and the slots.
const SLOTS: usize = 96;

/// Both directions.
pub(crate) struct Queue {
    sending: Way,
    receiving: Way,
}

struct Way {
    memory: &'static [AtomicU64],
    words: usize,
    stride: usize,
    capacity: u64,
    wait: Wait,
}

impl Queue {
    pub(crate) fn duplex(cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let (to_far, to_near) = (Way::new(cell, meet), Way::new(cell, meet));
        meet.together();
        let (sending, receiving) = if meet.is_near() { (to_far, to_near) } else { (to_near, to_far) };
        Box::new(Self { sending, receiving })
    }
}

impl Way {
    fn new(cell: &Cell, meet: &mut Meet) -> Self {
        // The turn stands before the payload.
        let stride = if cell.words() == 1 { 2 } else { (1 + cell.words()).next_multiple_of(8) };
        let slots = capacity(cell);
        let memory = shared(meet, SLOTS + stride * slots);
        let way = Self { memory, words: cell.words(), stride, capacity: slots as u64, wait: cell.wait };
        if meet.is_near() {
            (0..way.capacity).for_each(|position| way.turn(position).store(position, Ordering::Relaxed));
        }
        way
    }

    fn slot(&self, position: u64) -> usize {
        SLOTS + (position % self.capacity) as usize * self.stride
    }

    fn turn(&self, position: u64) -> &AtomicU64 {
        &self.memory[self.slot(position)]
    }

    #[expect(clippy::mut_from_ref, reason = "the memory is another process's, too")]
    fn payload(&self, position: u64) -> &mut [u64] {
        let at = self.slot(position) + 1;
        // SAFETY: who has claimed the position uses its slot alone until it hands the turn on.
        unsafe { place(&self.memory[at..at + self.words]) }
    }

    /// Claims the next position of one end, whose slot says `ahead` more than it when its turn has come.
    fn claim(&self, end: usize, ahead: u64, bell: Word) -> u64 {
        let end = &self.memory[end];
        loop {
            let position = end.load(Ordering::Relaxed);
            let turn = self.turn(position).load(Ordering::Acquire);
            if turn == position + ahead {
                let claim =
                    end.compare_exchange(position, position + 1, Ordering::Relaxed, Ordering::Relaxed);
                if claim.is_ok() {
                    return position;
                }
            } else if turn < position + ahead {
                bell.until(self.wait, |_| self.turn(position).load(Ordering::Acquire) >= position + ahead);
            }
        }
    }

    fn bell(&self, at: usize) -> Word {
        Word::at(&self.memory[at..])
    }
}

impl End for Queue {
    #[inline]
    fn send(&mut self, turn: u64) {
        let way = &self.sending;
        let position = way.claim(TAIL, 0, way.bell(ROOM));
        fill(way.payload(position), turn);
        way.turn(position).store(position + 1, Ordering::Release);
        way.bell(THERE).ring(way.wait);
    }

    #[inline]
    fn receive(&mut self, turn: u64) {
        let way = &self.receiving;
        let position = way.claim(HEAD, 1, way.bell(THERE));
        check(way.payload(position), turn);
        way.turn(position).store(position + way.capacity, Ordering::Release);
        way.bell(ROOM).ring(way.wait);
    }
}
