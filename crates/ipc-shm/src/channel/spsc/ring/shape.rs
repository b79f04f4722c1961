//! How the ring lies in memory: where a position's slot is, and what stands there before anybody has sent.

use std::sync::atomic::Ordering;

use crate::channel::area::{FIRST, consumer, producer};
use crate::channel::doorbell;
use crate::words::{AtomicU64, Words, words_of};

/// How a ring of `T` lies in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// What an index is of a position: one less than the capacity.
    mask: u64,
    /// The first position, 0 but in tests.
    start: u64,
}

impl Shape {
    /// `capacity` is a power of two.
    pub(crate) const fn new(capacity: u64, start: u64) -> Self {
        Self { mask: capacity - 1, start }
    }

    /// How many slots there are.
    #[inline]
    pub(super) fn capacity(self) -> u64 {
        self.mask + 1
    }

    /// Whether messages of this type carry no sequence numbers.
    pub(crate) const fn packed<T>() -> bool {
        size_of::<T>() > 56
    }

    /// Where in a slot the payload begins, in words.
    pub(crate) const fn offset<T>() -> usize {
        const { assert!(align_of::<T>() <= 64, "a payload type aligned to more than a cache line") };
        if Self::packed::<T>() {
            0
        } else if align_of::<T>() <= 8 {
            1
        } else {
            align_of::<T>() / 8
        }
    }

    /// The words from one slot to the next.
    pub(crate) const fn stride<T>() -> usize {
        let used = Self::offset::<T>() + words_of::<T>();
        if Self::packed::<T>() {
            used.next_multiple_of(align_of::<T>().div_ceil(8))
        } else if used <= 2 {
            2
        } else if used <= 4 {
            4
        } else {
            8
        }
    }

    /// The bytes of header page and slots; `None` where that does not fit.
    pub(crate) fn len<T>(self) -> Option<u64> {
        let slots = u64::try_from(Self::stride::<T>()).ok()?.checked_mul(8)?.checked_mul(self.capacity())?;
        slots.checked_add(8 * 512)
    }

    #[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
    pub(super) fn slot<T>(self, pos: u64) -> usize {
        FIRST + (pos & self.mask) as usize * Self::stride::<T>()
    }

    pub(super) fn sequence<T, W: Words>(self, words: &W, pos: u64) -> &AtomicU64 {
        words.word(self.slot::<T>(pos))
    }

    #[inline]
    pub(super) fn payload<T, W: Words>(self, words: &W, pos: u64) -> &[AtomicU64] {
        words.words(self.slot::<T>(pos) + Self::offset::<T>(), words_of::<T>())
    }

    /// The words of `count` packed payloads in a row, from that of `pos` on.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
    pub(super) fn row<T, W: Words>(self, words: &W, pos: u64, count: u64) -> &[AtomicU64] {
        words.words(self.slot::<T>(pos), count as usize * Self::stride::<T>())
    }

    /// How many messages lie in a row from `pos` to the end.
    #[inline]
    pub(super) fn to_end(self, pos: u64) -> u64 {
        self.capacity() - (pos & self.mask)
    }

    /// Where the payload of `pos` lies, in bytes.
    pub(super) fn payload_offset<T>(self, pos: u64) -> usize {
        (self.slot::<T>(pos) + Self::offset::<T>()) * 8
    }

    /// Marks every slot free, before anybody can look: zeroed memory would look like a message where positions wrap.
    pub(crate) fn init_producer<T, W: Words>(self, words: &W) {
        doorbell::init(producer::BELL, words);
        words.word(producer::WRITTEN).store(self.start, Ordering::Relaxed);
        if !Self::packed::<T>() {
            for ahead in 0..self.capacity() {
                let pos = self.start.wrapping_add(ahead);
                let free = pos.wrapping_add(1).wrapping_sub(self.capacity());
                self.sequence::<T, W>(words, pos).store(free, Ordering::Relaxed);
            }
        }
    }

    /// Says that nothing has been read.
    pub(crate) fn init_consumer(self, words: &impl Words) {
        doorbell::init(consumer::BELL, words);
        words.word(consumer::READ).store(self.start, Ordering::Relaxed);
    }

    /// How many messages are guaranteed to fit, whatever the receiver has not yet given back.
    pub(crate) fn guaranteed(self) -> u64 {
        self.capacity() - self.quarter() + 1
    }

    pub(super) fn quarter(self) -> u64 {
        self.capacity() / 4
    }
}
