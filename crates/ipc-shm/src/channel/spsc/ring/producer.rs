//! The sending side of the ring.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use ipc_sys::Deadline;
use zerocopy::{Immutable, IntoBytes};

use super::Shape;
use crate::channel::LastWords;
use crate::channel::area::{consumer, producer};
use crate::channel::doorbell::{ReceiverWaker, SenderWaiter, Sleep, Wait};
use crate::channel::sleeper::Sleeper;
use crate::words::{AtomicU64, Words, peer_load, publish, put, put_pairs};
use crate::{Error, Result};

/// The sending side. `own` is what it writes, `peer` what the receiver writes.
#[derive(Debug)]
pub(crate) struct Producer<T, W> {
    own: W,
    peer: W,
    shape: Shape,
    /// The position of the next message.
    pos: u64,
    /// The first position for which there was no room when we last looked.
    end: u64,
    /// How much room to sleep for.
    wanted: u64,
    waker: ReceiverWaker,
    waiter: SenderWaiter,
    payload: PhantomData<fn(T)>,
}

impl<T, W: Words> Producer<T, W> {
    /// Takes up the ring where the last sender left it: at its start, if there was none.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`], where the words contradict each other.
    pub(crate) fn resume(own: W, peer: W, shape: Shape) -> Result<Self> {
        let read = peer_load(peer.word(consumer::READ));
        let waker = ReceiverWaker::new();
        let waiter = SenderWaiter::new(&own);
        let mut this = Self {
            own,
            peer,
            shape,
            pos: read,
            end: read.wrapping_add(shape.capacity()),
            wanted: 1,
            waker,
            waiter,
            payload: PhantomData,
        };
        this.pos = if Shape::packed::<T>() {
            this.own.word(producer::WRITTEN).load(Ordering::Relaxed)
        } else {
            this.first_unwritten(read)
        };
        if this.pos.wrapping_sub(read) > shape.capacity() {
            return Err(Error::PeerCorrupt { what: "positions further apart than the ring is long" });
        }
        this.own.word(producer::WRITTEN).store(this.pos, Ordering::Relaxed);
        this.ring();
        Ok(this)
    }

    /// Where to go on: behind the last message whose sequence number stands. A predecessor that died while it published
    /// a batch, last message first, had written all of it: its missing numbers are completed.
    fn first_unwritten(&self, read: u64) -> u64 {
        let number = |pos: u64| self.shape.sequence::<T, W>(&self.own, pos);
        let stands = |pos: &u64| number(*pos).load(Ordering::Relaxed) == pos.wrapping_add(1);
        let ahead = (0..self.shape.capacity()).map(|ahead| read.wrapping_add(ahead));
        let Some(first) = ahead.clone().find(|pos| !stands(pos)) else {
            return self.end;
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
        let space = self.end.wrapping_sub(self.pos);
        if space >= wanted { Ok(space) } else { self.look_for_space() }
    }

    #[inline(never)]
    fn look_for_space(&mut self) -> Result<u64> {
        let read = peer_load(self.peer.word(consumer::READ));
        let used = self.pos.wrapping_sub(read);
        if used > self.shape.capacity() {
            return Err(Error::PeerCorrupt { what: "the receiver's position" });
        }
        self.end = read.wrapping_add(self.shape.capacity());
        Ok(self.shape.capacity() - used)
    }

    /// Publishes `count` messages whose payloads stand behind `pos`, so that a poller sees all of them at once.
    #[inline]
    pub(crate) fn publish(&mut self, count: u64) {
        let end = self.pos.wrapping_add(count);
        if Shape::packed::<T>() {
            publish(self.own.header(producer::WRITTEN), end);
        } else {
            let mut pos = end;
            while pos != self.pos {
                let number = pos;
                pos = pos.wrapping_sub(1);
                publish(self.shape.sequence::<T, W>(&self.own, pos), number);
            }
            // For those who look on; the receiver never reads it.
            self.own.header(producer::WRITTEN).store(end, Ordering::Relaxed);
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
        let Self { own, peer, shape, pos, end, waiter, .. } = self;
        // What was checked is what is kept: a receiver that lies may say something else at the next look.
        let ready = || {
            let seen = peer_load(peer.word(consumer::READ));
            let used = pos.wrapping_sub(seen);
            if used > shape.capacity() {
                return Err(Error::PeerCorrupt { what: "the receiver's position" });
            }
            *end = seen.wrapping_add(shape.capacity());
            Ok(shape.capacity() - used >= wanted)
        };
        waiter.wait(own, peer, wait, deadline, wanted, ready, look)
    }
}

impl<T: IntoBytes + Immutable, W: Words> Producer<T, W> {
    /// Sends a message, if there was space by the last look. `false` says nothing about what a new look finds.
    #[inline(always)]
    pub(crate) fn send(&mut self, message: &T) -> bool {
        if self.pos == self.end {
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
            self.own.header(producer::WRITTEN).store(number, Ordering::Relaxed);
        } else {
            publish(self.own.header(producer::WRITTEN), number);
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

/// Waits for the room that was last found missing.
impl<T, W: Words> Sleeper for Producer<T, W> {
    fn is_ready(&self) -> bool {
        let read = peer_load(self.peer.word(consumer::READ));
        // What no receiver can have read is for the next call to find.
        let used = self.pos.wrapping_sub(read);
        self.shape.capacity().checked_sub(used).is_none_or(|space| space >= self.wanted)
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
