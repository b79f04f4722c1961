//! The receiving side of the ring.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use ipc_sys::Deadline;
use zerocopy::{FromBytes, IntoBytes};

use super::Shape;
use crate::channel::LastWords;
use crate::channel::area::{consumer, producer};
use crate::channel::doorbell::{ReceiverWaiter, SenderWaker, Sleep, Wait};
use crate::channel::sleeper::Sleeper;
use crate::words::{AtomicU64, Words, peer_load, prefetch, publish, take};
use crate::{Error, Result};

/// How many messages ahead of the one that is read a packed message that stands is asked for. What does not stand yet is
/// the sender's to write, and is left alone.
const PREFETCHED: u64 = 8;

/// The receiving side. `own` is what it writes, `peer` what the sender writes.
#[derive(Debug)]
pub(crate) struct Consumer<T, W> {
    own: W,
    peer: W,
    shape: Shape,
    /// The position of the next message.
    pos: u64,
    /// From where on the sender must be told how far we have read: a quarter behind what it knows.
    due: u64,
    /// Up to where the sender had written when we last looked (packed messages only).
    written: u64,
    waker: SenderWaker,
    waiter: ReceiverWaiter,
    payload: PhantomData<fn() -> T>,
}

impl<T, W: Words> Consumer<T, W> {
    /// Takes up the ring where the last receiver left it, or at its start. What a killed one had read and not yet given
    /// back, at most a quarter of the ring, comes again.
    pub(crate) fn resume(own: W, peer: W, shape: Shape) -> Self {
        let pos = own.word(consumer::READ).load(Ordering::Relaxed);
        let waker = SenderWaker::new();
        let waiter = ReceiverWaiter::new(&own);
        Self {
            own,
            peer,
            shape,
            pos,
            due: pos.wrapping_add(shape.quarter()),
            written: pos,
            waker,
            waiter,
            payload: PhantomData,
        }
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
        let written = peer_load(self.peer.header(producer::WRITTEN));
        let known = written.wrapping_sub(self.pos);
        if known > self.shape.capacity() {
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
            if number != full && number != full.wrapping_sub(self.shape.capacity()) {
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
        if self.pos.wrapping_sub(self.due) <= u64::MAX / 2 || !self.waker.is_hot(&self.peer) {
            self.release();
        }
    }

    /// Gives back all that was read.
    #[inline]
    pub(crate) fn release(&mut self) {
        let due = self.pos.wrapping_add(self.shape.quarter());
        if self.due != due {
            publish(self.own.header(consumer::READ), self.pos);
            self.due = due;
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
                if known > shape.capacity() {
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
            peer_load(self.peer.header(producer::WRITTEN)) != self.pos
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
