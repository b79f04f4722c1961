//! Sending: what a message costs, then what waiting for room costs.

use std::time::Duration;

use crate::channel::attached::Patience;
use crate::channel::spsc::{Sender, as_usize, streak};
use crate::channel::{Payload, Wait};
use crate::memory::Mode;
use crate::{Error, Result};

impl<T: Payload, M: Mode> Sender<T, M> {
    /// Sends a message, waiting for room.
    ///
    /// # Blocking
    /// Until there is room or the receiver is gone; a signal does not end it.
    ///
    /// # Errors
    /// [`Error::Disconnected`], [`Error::PeerCorrupt`], [`Error::Forked`].
    #[inline]
    pub fn send(&mut self, message: &T) -> Result<()> {
        self.send_within(message, Patience::ENDLESS)
    }

    /// As [`Sender::send`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Sender::send`].
    #[inline]
    pub fn send_timeout(&mut self, message: &T, timeout: Duration) -> Result<()> {
        self.send_within(message, Patience::For(timeout))
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    /// [`Error::Full`], and as [`Sender::send`].
    #[inline]
    pub fn try_send(&mut self, message: &T) -> Result<()> {
        self.send_within(message, Patience::None)
    }

    /// Sends as many of the messages as there is room for now, seen by the receiver all at once, and says how many.
    ///
    /// # Errors
    /// As [`Sender::try_send`]; [`Error::Full`] where there was room for none.
    pub fn try_send_batch(&mut self, messages: &[T]) -> Result<usize> {
        self.end.check()?;
        if messages.is_empty() {
            return Ok(0);
        }
        let count = self.space(messages.len() as u64)?.min(messages.len() as u64);
        if count == 0 {
            return Err(self.full());
        }
        for (ahead, message) in (0..count).zip(messages) {
            self.end.ring.write(ahead, message);
        }
        self.publish(count);
        Ok(as_usize(count))
    }

    /// Sends all of the messages, in as large batches as there is room for.
    ///
    /// # Errors
    /// As [`Sender::send`]. How many went before is not said: send them one by one where it matters.
    pub fn send_batch(&mut self, mut messages: &[T]) -> Result<()> {
        while !messages.is_empty() {
            match self.try_send_batch(messages) {
                Ok(sent) => messages = messages.get(sent..).unwrap_or_default(),
                Err(Error::Full) => self.room(1, Patience::ENDLESS)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How many messages are guaranteed to fit before [`Sender::send`] waits: about three quarters of what was asked for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        as_usize(self.guaranteed)
    }

    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.wait = wait;
    }

    /// Leaves the name in place when this end is dropped.
    pub fn persist(&self) {
        self.end.link.persist();
    }

    /// Sends if this end may be used and there was room by the last look.
    #[inline(always)]
    fn send_now(&mut self, message: &T) -> bool {
        let sent = self.end.is_usable() && self.end.ring.send(message);
        if sent {
            self.end.ring.count(1, || self.end.link.may_be_hot());
        }
        sent
    }

    /// The slow way does not see the message, which may so stay in registers.
    #[inline(always)]
    fn send_within(&mut self, message: &T, patience: Patience) -> Result<()> {
        while !self.send_now(message) {
            self.room_for_one(patience)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn room_for_one(&mut self, patience: Patience) -> Result<()> {
        self.room(1, patience)
    }

    #[inline]
    pub(in crate::channel) fn publish(&mut self, count: u64) {
        self.end.ring.publish(count);
        self.end.ring.count(streak(count), || self.end.link.may_be_hot());
    }

    /// How many messages fit, as far as a look that finds `wanted` need go.
    #[inline]
    pub(in crate::channel) fn space(&mut self, wanted: u64) -> Result<u64> {
        let found = self.end.ring.space(wanted);
        self.end.note(found)
    }

    /// Room for `wanted` messages, which are fewer than the ring has slots.
    ///
    /// # Errors
    /// [`Error::Full`] without patience, [`Error::TimedOut`], and as [`Sender::send`].
    #[inline]
    pub(in crate::channel) fn room(&mut self, wanted: u64, patience: Patience) -> Result<()> {
        self.end.check()?;
        if self.space(wanted)? >= wanted { Ok(()) } else { self.wait_for_room(wanted, patience) }
    }

    #[cold]
    fn wait_for_room(&mut self, wanted: u64, patience: Patience) -> Result<()> {
        let Some(deadline) = patience.deadline() else {
            // A select or an event loop that comes next waits for as much.
            self.end.ring.want(wanted);
            return Err(self.full());
        };
        let (wait, link) = (self.end.wait, &mut self.end.link);
        let waited = self.end.ring.wait(wanted, wait, deadline, || link.look());
        self.end.note(waited)
    }

    /// Why there is no room: the receiver is slow, or gone.
    #[cold]
    pub(in crate::channel) fn full(&mut self) -> Error {
        match self.end.link.look() {
            Ok(()) => Error::Full,
            Err(error) => error,
        }
    }
}
