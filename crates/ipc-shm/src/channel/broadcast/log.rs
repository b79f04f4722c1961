//! One writer, any number of readers, which cannot slow it: the algorithm, over any [`Words`].
//!
//! Slot `pos & mask` has a sequence number, `2 pos + 1` while message `pos` is being written and `2 pos + 2` when it
//! stands. A reader copies and looks at the number again: the same, and the copy is whole; another, and the writer has
//! lapped it.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::channel::area::{FIRST, producer};
use crate::channel::call::Bell;
use crate::words::{AtomicU64, Words, fence, peer_load, publish, put, take, words_of};

/// How a log lies in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    capacity: u64,
    start: u64,
}

impl Shape {
    /// `capacity` is a power of two.
    pub(crate) const fn new(capacity: u64, start: u64) -> Self {
        Self { capacity, start }
    }

    /// The words from one slot to the next.
    pub(crate) const fn stride<T>() -> usize {
        let used = 1 + words_of::<T>();
        if used <= 8 { used.next_power_of_two() } else { used.next_multiple_of(8) }
    }

    /// The bytes of header page and slots; `None` where that does not fit.
    pub(crate) fn len<T>(self) -> Option<u64> {
        (Self::stride::<T>() as u64).checked_mul(8)?.checked_mul(self.capacity)?.checked_add(4096)
    }

    #[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
    fn slot<T>(self, pos: u64) -> usize {
        FIRST + (pos & (self.capacity - 1)) as usize * Self::stride::<T>()
    }

    fn number<T, W: Words>(self, memory: &W, pos: u64) -> &AtomicU64 {
        memory.word(self.slot::<T>(pos))
    }

    /// Gives every slot the number of the lap before.
    pub(crate) fn init<T, W: Words>(self, memory: &W) {
        memory.word(producer::WRITTEN).store(self.start, Ordering::Relaxed);
        for ahead in 0..self.capacity {
            let pos = self.start.wrapping_add(ahead);
            let before = written(pos.wrapping_sub(self.capacity));
            self.number::<T, W>(memory, pos).store(before, Ordering::Relaxed);
        }
    }
}

/// The number of a slot in which message `pos` stands.
fn written(pos: u64) -> u64 {
    pos.wrapping_mul(2).wrapping_add(2)
}

/// The side that writes.
#[derive(Debug)]
pub(crate) struct Log<T, W> {
    pub(crate) memory: W,
    /// The readers that sleep on bells of their own.
    pub(crate) bells: Vec<Bell<W>>,
    shape: Shape,
    pos: u64,
    payload: PhantomData<fn(T)>,
}

impl<T: IntoBytes + Immutable, W: Words> Log<T, W> {
    /// Goes on behind the last whole message, which a predecessor may have been killed before counting.
    pub(crate) fn resume(memory: W, shape: Shape) -> Self {
        let mut pos = memory.word(producer::WRITTEN).load(Ordering::Relaxed);
        if shape.number::<T, W>(&memory, pos).load(Ordering::Relaxed) == written(pos) {
            pos = pos.wrapping_add(1);
            memory.word(producer::WRITTEN).store(pos, Ordering::Relaxed);
        }
        Self { memory, bells: Vec::new(), shape, pos, payload: PhantomData }
    }

    /// Writes one message over the oldest.
    #[inline]
    pub(crate) fn write(&mut self, message: &T) {
        let slot = self.memory.words(self.shape.slot::<T>(self.pos), Shape::stride::<T>());
        let Some((number, payload)) = slot.split_first() else { return };
        number.store(written(self.pos).wrapping_sub(1), Ordering::Relaxed);
        // Who sees a word of this message also sees that it is being written.
        fence("log", Ordering::Release);
        put(payload, message);
        publish(number, written(self.pos));
        self.pos = self.pos.wrapping_add(1);
        publish(self.memory.word(producer::WRITTEN), self.pos);
    }
}

/// What a reader finds at its position.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    /// The message.
    Message(T),
    /// Nothing yet.
    Nothing,
    /// The beginning of a message.
    Unfinished,
    /// A later message.
    Lapped,
}

/// A side that reads.
#[derive(Debug)]
pub(crate) struct Reading<T, W> {
    pub(crate) memory: W,
    shape: Shape,
    pos: u64,
    payload: PhantomData<fn() -> T>,
}

impl<T: FromBytes + IntoBytes, W: Words> Reading<T, W> {
    /// Begins with the next message that will be written.
    pub(crate) fn new(memory: W, shape: Shape) -> Self {
        let pos = peer_load(memory.word(producer::WRITTEN));
        Self { memory, shape, pos, payload: PhantomData }
    }

    /// The next message; on success the position moves on.
    #[inline]
    pub(crate) fn next(&mut self) -> Found<T> {
        let slot = self.memory.words(self.shape.slot::<T>(self.pos), Shape::stride::<T>());
        let Some((number, payload)) = slot.split_first() else { return Found::Nothing };
        let wanted = written(self.pos);
        let before = peer_load(number);
        if before != wanted {
            return match before.wrapping_sub(wanted) {
                u64::MAX => Found::Unfinished,
                ahead if ahead < 1 << 63 => Found::Lapped,
                _ => Found::Nothing,
            };
        }
        let message = take(payload);
        fence("reader", Ordering::Acquire);
        if number.load(Ordering::Relaxed) != before {
            return Found::Lapped;
        }
        self.pos = self.pos.wrapping_add(1);
        Found::Message(message)
    }

    /// Whether [`Reading::next`] would find anything but the wait for it.
    pub(crate) fn is_ready(&self) -> bool {
        let found = peer_load(self.shape.number::<T, W>(&self.memory, self.pos));
        found.wrapping_sub(written(self.pos)) < 1 << 63
    }

    /// Goes on half a lap behind the writer, and says how many messages that leaves out.
    pub(crate) fn skip(&mut self) -> u64 {
        let newest = peer_load(self.memory.word(producer::WRITTEN));
        let next = newest.wrapping_sub(self.shape.capacity / 2);
        let lost = next.wrapping_sub(self.pos);
        if lost < 1 << 63 {
            self.pos = next;
            lost
        } else {
            // The writer was just beginning the slot that lapped us: the next one is still there.
            self.pos = self.pos.wrapping_add(1);
            1
        }
    }
}
