//! The ring for one sender and one receiver: the algorithm, over any [`Words`].
//!
//! Small messages (up to 56 bytes) live in *slots*: a sequence number and the payload in one cache line, so that one line
//! crosses from core to core per message. Slot `pos & mask` holds message `pos` when its sequence is `pos + 1`, and is
//! free for it when its sequence is `pos + 1 - capacity`. Larger ones are *packed* without sequence numbers; one word,
//! `written`, says how many there are.
//!
//! Positions only ever grow (modulo 2^64); an index is a position under our own mask, never a peer's word. The receiver
//! gives space back a quarter of the ring at a time while the sender does not sleep for it, so a sender may find the
//! ring full with `capacity - capacity / 4 + 1` messages in it: that many are guaranteed.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use ipc_sys::Deadline;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::channel::LastWords;
use crate::channel::area::{FIRST, consumer, producer};
use crate::channel::doorbell::{self, Sleep, Wait, Waiter, Waker};
use crate::channel::sleeper::Sleeper;
use crate::words::{AtomicU64, Words, peer_load, prefetch, publish, put, put_pairs, take, words_of};
use crate::{Error, Result};

/// How many messages ahead of the one that is read a packed message that stands is asked for. What does not stand yet is
/// the sender's to write, and is left alone.
const PREFETCHED: u64 = 8;

/// How a ring of `T` lies in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    capacity: u64,
    /// The first position, 0 but in tests.
    start: u64,
}

impl Shape {
    /// `capacity` is a power of two.
    pub(crate) const fn new(capacity: u64, start: u64) -> Self {
        Self { capacity, start }
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
        let slots = u64::try_from(Self::stride::<T>()).ok()?.checked_mul(8)?.checked_mul(self.capacity)?;
        slots.checked_add(8 * 512)
    }

    #[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
    fn slot<T>(self, pos: u64) -> usize {
        FIRST + (pos & (self.capacity - 1)) as usize * Self::stride::<T>()
    }

    fn sequence<T, W: Words>(self, words: &W, pos: u64) -> &AtomicU64 {
        words.word(self.slot::<T>(pos))
    }

    #[inline]
    fn payload<T, W: Words>(self, words: &W, pos: u64) -> &[AtomicU64] {
        words.words(self.slot::<T>(pos) + Self::offset::<T>(), words_of::<T>())
    }

    /// The words of `count` packed payloads in a row, from that of `pos` on.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
    fn row<T, W: Words>(self, words: &W, pos: u64, count: u64) -> &[AtomicU64] {
        words.words(self.slot::<T>(pos), count as usize * Self::stride::<T>())
    }

    /// How many messages lie in a row from `pos` to the end.
    #[inline]
    fn to_end(self, pos: u64) -> u64 {
        self.capacity - (pos & (self.capacity - 1))
    }

    /// Where the payload of `pos` lies, in bytes.
    fn payload_offset<T>(self, pos: u64) -> usize {
        (self.slot::<T>(pos) + Self::offset::<T>()) * 8
    }

    /// Marks every slot free, before anybody can look: zeroed memory would look like a message where positions wrap.
    pub(crate) fn init_producer<T, W: Words>(self, words: &W) {
        doorbell::init(producer::BELL, words);
        words.word(producer::WRITTEN).store(self.start, Ordering::Relaxed);
        if !Self::packed::<T>() {
            for ahead in 0..self.capacity {
                let pos = self.start.wrapping_add(ahead);
                let free = pos.wrapping_add(1).wrapping_sub(self.capacity);
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
        self.capacity - self.quarter() + 1
    }

    fn quarter(self) -> u64 {
        self.capacity / 4
    }
}

/// The sending side. `own` is what it writes, `peer` what the receiver writes.
#[derive(Debug)]
pub(crate) struct Producer<T, W> {
    own: W,
    peer: W,
    shape: Shape,
    /// The position of the next message.
    pos: u64,
    /// Up to where the receiver had read when we last looked.
    read: u64,
    /// How much room to sleep for.
    wanted: u64,
    waker: Waker,
    waiter: Waiter,
    payload: PhantomData<fn(T)>,
}

impl<T, W: Words> Producer<T, W> {
    /// Takes up the ring where the last sender left it: at its start, if there was none.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`], where the words contradict each other.
    pub(crate) fn resume(own: W, peer: W, shape: Shape) -> Result<Self> {
        let read = peer_load(peer.word(consumer::READ));
        let waker = Waker::new(producer::TICKET, consumer::BELL);
        let waiter = Waiter::new(producer::BELL, consumer::TICKET, &own);
        let mut this =
            Self { own, peer, shape, pos: read, read, wanted: 1, waker, waiter, payload: PhantomData };
        this.pos = if Shape::packed::<T>() {
            this.own.word(producer::WRITTEN).load(Ordering::Relaxed)
        } else {
            this.first_unwritten()
        };
        if this.pos.wrapping_sub(read) > shape.capacity {
            return Err(Error::PeerCorrupt { what: "positions further apart than the ring is long" });
        }
        this.own.word(producer::WRITTEN).store(this.pos, Ordering::Relaxed);
        this.ring();
        Ok(this)
    }

    /// Where to go on: behind the last message whose sequence number stands. A predecessor that died while it published
    /// a batch, last message first, had written all of it: its missing numbers are completed.
    fn first_unwritten(&self) -> u64 {
        let number = |pos: u64| self.shape.sequence::<T, W>(&self.own, pos);
        let stands = |pos: &u64| number(*pos).load(Ordering::Relaxed) == pos.wrapping_add(1);
        let ahead = (0..self.shape.capacity).map(|ahead| self.read.wrapping_add(ahead));
        let Some(first) = ahead.clone().find(|pos| !stands(pos)) else {
            return self.read.wrapping_add(self.shape.capacity);
        };
        let Some(last) = ahead.rev().take_while(|pos| *pos != first).find(stands) else {
            return first;
        };
        let mut pos = last;
        while pos != first {
            pos = pos.wrapping_sub(1);
            publish(number(pos), pos.wrapping_add(1));
        }
        last.wrapping_add(1)
    }

    /// The position of the next message.
    #[inline]
    pub(crate) fn pos(&self) -> u64 {
        self.pos
    }

    /// Sleeps from now on until there is room for so many, at most the capacity.
    pub(crate) fn want(&mut self, wanted: u64) {
        self.wanted = wanted;
    }

    /// How many messages fit now; the receiver's word is read again only when fewer than `wanted` did by the last look.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`].
    #[inline]
    pub(crate) fn space(&mut self, wanted: u64) -> Result<u64> {
        let space = self.shape.capacity.wrapping_sub(self.pos.wrapping_sub(self.read));
        if space >= wanted { Ok(space) } else { self.look_for_space() }
    }

    #[inline(never)]
    fn look_for_space(&mut self) -> Result<u64> {
        let read = peer_load(self.peer.word(consumer::READ));
        let used = self.pos.wrapping_sub(read);
        if used > self.shape.capacity {
            return Err(Error::PeerCorrupt { what: "the receiver's position" });
        }
        self.read = read;
        Ok(self.shape.capacity - used)
    }

    /// Publishes `count` messages whose payloads stand behind `pos`, so that a poller sees all of them at once.
    #[inline]
    pub(crate) fn publish(&mut self, count: u64) {
        let end = self.pos.wrapping_add(count);
        if Shape::packed::<T>() {
            publish(self.own.word(producer::WRITTEN), end);
        } else {
            let mut pos = end;
            while pos != self.pos {
                let number = pos;
                pos = pos.wrapping_sub(1);
                publish(self.shape.sequence::<T, W>(&self.own, pos), number);
            }
            // For those who look on; the receiver never reads it.
            self.own.word(producer::WRITTEN).store(end, Ordering::Relaxed);
        }
        self.pos = end;
        self.ring();
    }

    #[inline]
    fn ring(&mut self) {
        self.waker.ring(&self.own, &self.peer);
    }

    /// Where the next payload lies, in bytes.
    pub(crate) fn next_payload_offset(&self) -> usize {
        self.shape.payload_offset::<T>(self.pos)
    }

    /// Counts messages that were sent without sleeping; enough of them buy the receiver's fence off.
    #[inline]
    pub(crate) fn count(&mut self, messages: u32, may_be_hot: impl FnOnce() -> bool) {
        self.waiter.count(messages, &self.own, may_be_hot);
    }

    /// Waits until there is space for `wanted` messages, at most the capacity.
    ///
    /// # Errors
    /// As [`Waiter::wait`].
    pub(crate) fn wait(
        &mut self,
        wanted: u64,
        wait: Wait,
        deadline: Deadline,
        look: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let Self { own, peer, shape, pos, read, waiter, .. } = self;
        // What was checked is what is kept: a receiver that lies may say something else at the next look.
        let ready = || {
            let seen = peer_load(peer.word(consumer::READ));
            let used = pos.wrapping_sub(seen);
            if used > shape.capacity {
                return Err(Error::PeerCorrupt { what: "the receiver's position" });
            }
            *read = seen;
            Ok(shape.capacity - used >= wanted)
        };
        waiter.wait(own, peer, wait, deadline, wanted, ready, look)
    }
}

impl<T: IntoBytes + Immutable, W: Words> Producer<T, W> {
    /// Sends a message, if there was space by the last look. `false` says nothing about what a new look finds.
    #[inline(always)]
    pub(crate) fn send(&mut self, message: &T) -> bool {
        if self.pos.wrapping_sub(self.read) >= self.shape.capacity {
            return false;
        }
        let number = self.pos.wrapping_add(1);
        let slot = self.own.words(self.shape.slot::<T>(self.pos), Shape::stride::<T>());
        let Some(payload) = slot.get(Shape::offset::<T>()..) else { return false };
        // By words: a sender that is faster than its receiver gains nothing, and runs through a long ring by lines that have
        // left the first-level caches.
        put(payload, message);
        if let (false, Some(word)) = (Shape::packed::<T>(), slot.first()) {
            publish(word, number);
            // For those who look on; the receiver never reads it.
            self.own.word(producer::WRITTEN).store(number, Ordering::Relaxed);
        } else {
            publish(self.own.word(producer::WRITTEN), number);
        }
        self.pos = number;
        self.ring();
        true
    }

    /// The words of `count` packed messages from `ahead` of the next one on, which lie in a row: see
    /// [`Producer::to_end`]. There must be space for them.
    #[inline]
    pub(crate) fn row(&self, ahead: u64, count: u64) -> &[AtomicU64] {
        self.shape.row::<T, W>(&self.own, self.pos.wrapping_add(ahead), count)
    }

    /// Where that row begins, in bytes.
    pub(crate) fn row_offset(&self, ahead: u64) -> usize {
        self.shape.payload_offset::<T>(self.pos.wrapping_add(ahead))
    }

    /// How many messages lie in a row from `ahead` of the next one on, to the ring's end.
    #[inline]
    pub(crate) fn to_end(&self, ahead: u64) -> u64 {
        self.shape.to_end(self.pos.wrapping_add(ahead))
    }

    /// Writes the payload of the message `ahead` of the next one; there must be space for it.
    #[inline]
    pub(crate) fn write(&self, ahead: u64, message: &T) {
        put_pairs(self.shape.payload::<T, W>(&self.own, self.pos.wrapping_add(ahead)), message);
    }
}

impl<T, W: Words> LastWords for Producer<T, W> {
    fn release(&mut self) {}

    fn wake(&mut self) {
        self.waker.ring_cold(&self.own, &self.peer);
    }
}

/// The receiving side. `own` is what it writes, `peer` what the sender writes.
#[derive(Debug)]
pub(crate) struct Consumer<T, W> {
    own: W,
    peer: W,
    shape: Shape,
    /// The position of the next message.
    pos: u64,
    /// Up to where the sender knows that we have read.
    given: u64,
    /// Up to where the sender had written when we last looked (packed messages only).
    written: u64,
    waker: Waker,
    waiter: Waiter,
    payload: PhantomData<fn() -> T>,
}

impl<T, W: Words> Consumer<T, W> {
    /// Takes up the ring where the last receiver left it, or at its start. What a killed one had read and not yet given
    /// back, at most a quarter of the ring, comes again.
    pub(crate) fn resume(own: W, peer: W, shape: Shape) -> Self {
        let pos = own.word(consumer::READ).load(Ordering::Relaxed);
        let waker = Waker::new(consumer::TICKET, producer::BELL);
        let waiter = Waiter::new(consumer::BELL, producer::TICKET, &own);
        Self { own, peer, shape, pos, given: pos, written: pos, waker, waiter, payload: PhantomData }
    }

    /// The position of the next message.
    #[inline]
    pub(crate) fn pos(&self) -> u64 {
        self.pos
    }

    /// How many messages are there, as far as a look that finds one need go; at most `wanted`.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`].
    #[inline]
    pub(crate) fn available(&mut self, wanted: u64) -> Result<u64> {
        if Shape::packed::<T>() {
            let known = self.written.wrapping_sub(self.pos);
            if known >= wanted { Ok(wanted) } else { self.look_for_more(wanted) }
        } else {
            let mut count = 0;
            while count < wanted && self.holds(self.pos.wrapping_add(count)) {
                count += 1;
            }
            Ok(count)
        }
    }

    /// Whether the slot of `pos` holds its message.
    #[inline]
    fn holds(&self, pos: u64) -> bool {
        peer_load(self.shape.sequence::<T, W>(&self.peer, pos)) == pos.wrapping_add(1)
    }

    #[inline]
    fn look_for_more(&mut self, wanted: u64) -> Result<u64> {
        let written = peer_load(self.peer.word(producer::WRITTEN));
        let known = written.wrapping_sub(self.pos);
        if known > self.shape.capacity {
            return Err(Error::PeerCorrupt { what: "the sender's position" });
        }
        self.written = written;
        Ok(known.min(wanted))
    }

    /// Whether the slot that is neither full nor free says so because its writer lies.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`].
    pub(crate) fn check_empty(&self) -> Result<()> {
        if !Shape::packed::<T>() {
            let number = peer_load(self.shape.sequence::<T, W>(&self.peer, self.pos));
            let full = self.pos.wrapping_add(1);
            if number != full && number != full.wrapping_sub(self.shape.capacity) {
                return Err(Error::PeerCorrupt { what: "a sequence number" });
            }
        }
        Ok(())
    }

    /// Counts `count` messages as read, and gives their space back when the sender needs it or a quarter has come
    /// together.
    #[inline]
    pub(crate) fn advance(&mut self, count: u64) {
        self.pos = self.pos.wrapping_add(count);
        if self.pos.wrapping_sub(self.given) >= self.shape.quarter() || !self.waker.is_hot(&self.peer) {
            self.release();
        }
    }

    /// Gives back all that was read.
    #[inline]
    pub(crate) fn release(&mut self) {
        if self.given != self.pos {
            publish(self.own.word(consumer::READ), self.pos);
            self.given = self.pos;
            self.waker.ring(&self.own, &self.peer);
        }
    }

    /// Where the next payload lies, in bytes.
    pub(crate) fn next_payload_offset(&self) -> usize {
        self.shape.payload_offset::<T>(self.pos)
    }

    /// See [`Producer::count`].
    #[inline]
    pub(crate) fn count(&mut self, messages: u32, may_be_hot: impl FnOnce() -> bool) {
        self.waiter.count(messages, &self.own, may_be_hot);
    }

    /// Waits until there is a message.
    ///
    /// # Errors
    /// As [`Waiter::wait`].
    pub(crate) fn wait(
        &mut self,
        wait: Wait,
        deadline: Deadline,
        look: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        self.release();
        let Self { own, peer, shape, pos, written, waiter, .. } = self;
        let ready = || {
            if Shape::packed::<T>() {
                // What was checked is what is kept: a sender that lies may say something else at the next look.
                let seen = peer_load(peer.word(producer::WRITTEN));
                let known = seen.wrapping_sub(*pos);
                if known > shape.capacity {
                    return Err(Error::PeerCorrupt { what: "the sender's position" });
                }
                *written = seen;
                Ok(known != 0)
            } else {
                Ok(peer_load(shape.sequence::<T, W>(peer, *pos)) == pos.wrapping_add(1))
            }
        };
        waiter.wait(own, peer, wait, deadline, 1, ready, look)
    }
}

/// Waits for a message.
impl<T, W: Words> Sleeper for Consumer<T, W> {
    fn is_ready(&self) -> bool {
        if Shape::packed::<T>() {
            peer_load(self.peer.word(producer::WRITTEN)) != self.pos
        } else {
            self.holds(self.pos)
        }
    }

    fn announce(&mut self, on: Sleep) -> bool {
        self.release();
        self.waiter.announce(on, &self.own, &self.peer)
    }

    fn retract(&mut self) {
        self.waiter.retract(&self.own);
    }

    fn ticket(&self) -> (&AtomicU64, u32) {
        self.waiter.ticket_of(&self.peer)
    }
}

/// Waits for the room that was last found missing.
impl<T, W: Words> Sleeper for Producer<T, W> {
    fn is_ready(&self) -> bool {
        let read = peer_load(self.peer.word(consumer::READ));
        // What no receiver can have read is for the next call to find.
        let used = self.pos.wrapping_sub(read);
        self.shape.capacity.checked_sub(used).is_none_or(|space| space >= self.wanted)
    }

    fn announce(&mut self, on: Sleep) -> bool {
        self.waiter.announce(on, &self.own, &self.peer)
    }

    fn retract(&mut self) {
        self.waiter.retract(&self.own);
    }

    fn ticket(&self) -> (&AtomicU64, u32) {
        self.waiter.ticket_of(&self.peer)
    }
}

impl<T: FromBytes + IntoBytes, W: Words> Consumer<T, W> {
    /// The next message, if it is there by the cheapest look. `None` says nothing about what a closer look finds.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<T> {
        let message = if Shape::packed::<T>() {
            if self.written == self.pos && !self.look_for_more(1).is_ok_and(|known| known != 0) {
                return None;
            }
            self.read(0)
        } else {
            let slot = self.peer.words(self.shape.slot::<T>(self.pos), Shape::stride::<T>());
            let (number, rest) = slot.split_first()?;
            if peer_load(number) != self.pos.wrapping_add(1) {
                return None;
            }
            take(rest.get(Shape::offset::<T>() - 1..)?)
        };
        self.advance(1);
        Some(message)
    }

    /// The words of `count` packed messages from `ahead` of the next one on, which lie in a row: see
    /// [`Consumer::to_end`]. They must be there.
    #[inline]
    pub(crate) fn row(&self, ahead: u64, count: u64) -> &[AtomicU64] {
        self.shape.row::<T, W>(&self.peer, self.pos.wrapping_add(ahead), count)
    }

    /// How many messages lie in a row from the next one on, to the ring's end.
    #[inline]
    pub(crate) fn to_end(&self) -> u64 {
        self.shape.to_end(self.pos)
    }

    /// Copies the message `ahead` of the next one; it must be there.
    #[inline]
    pub(crate) fn read(&self, ahead: u64) -> T {
        let pos = self.pos.wrapping_add(ahead);
        if Shape::packed::<T>() && self.written.wrapping_sub(pos) > PREFETCHED {
            prefetch(self.peer.word(self.shape.slot::<T>(pos.wrapping_add(PREFETCHED))));
        }
        take(self.shape.payload::<T, W>(&self.peer, pos))
    }
}

impl<T, W: Words> LastWords for Consumer<T, W> {
    fn release(&mut self) {
        Consumer::release(self);
    }

    fn wake(&mut self) {
        self.waker.ring_cold(&self.own, &self.peer);
    }
}
