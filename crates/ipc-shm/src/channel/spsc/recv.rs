//! Receiving: what a message costs, then what waiting for one costs.

use std::time::Duration;

use crate::channel::attached::Patience;
use crate::channel::doorbell::poll_for;
use crate::channel::spsc::{Receiver, as_usize, streak};
use crate::channel::{Payload, Wait};
use crate::memory::Mode;
use crate::{Error, Result};

impl<T: Payload, M: Mode> Receiver<T, M> {
    /// Receives the next message, waiting for one.
    ///
    /// # Blocking
    /// Until a message comes or the sender is gone; a signal does not end it.
    ///
    /// # Errors
    /// [`Error::Disconnected`], when everything sent has been received; [`Error::PeerCorrupt`], [`Error::Forked`].
    #[inline]
    pub fn recv(&mut self) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.recv_within(Patience::ENDLESS),
        }
    }

    /// As [`Receiver::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Receiver::recv`].
    #[inline]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.recv_within(Patience::For(timeout)),
        }
    }

    /// Receives the next message if it is there.
    ///
    /// # Errors
    /// [`Error::Empty`], and as [`Receiver::recv`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.recv_within(Patience::None),
        }
    }

    /// Receives what is there, as much as `buffer` holds, and says how many.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`]; [`Error::Empty`] where there was nothing.
    pub fn try_recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.recv_batch_within(buffer, Patience::None)
    }

    /// As [`Receiver::try_recv_batch`], waiting for the first message.
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.recv_batch_within(buffer, Patience::ENDLESS)
    }

    /// As [`Receiver::recv_batch`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv_timeout`].
    pub fn recv_batch_timeout(&mut self, buffer: &mut [T], timeout: Duration) -> Result<usize> {
        self.recv_batch_within(buffer, Patience::For(timeout))
    }

    fn recv_batch_within(&mut self, buffer: &mut [T], patience: Patience) -> Result<usize> {
        let count = self.fill(buffer)?;
        if count != 0 || buffer.is_empty() {
            return Ok(count);
        }
        self.wait_for_message(patience)?;
        self.fill(buffer)
    }

    /// Receives what is there by the cheapest look, as much as `buffer` holds, and says how many.
    pub(in crate::channel) fn fill(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.end.check()?;
        let count = self.available(buffer.len() as u64)?;
        for (ahead, place) in (0..count).zip(buffer) {
            *place = self.end.ring.read(ahead);
        }
        if count != 0 {
            self.advance(count);
        }
        Ok(as_usize(count))
    }

    /// Gives all space back to the sender now, not a quarter of the ring at a time.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn release(&mut self) -> Result<()> {
        self.end.check()?;
        self.end.ring.release();
        Ok(())
    }

    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.wait = wait;
    }

    /// Leaves the name in place when this end is dropped.
    pub fn persist(&self) {
        self.end.link.persist();
    }

    /// The next message, if this end may be used and it was there by the cheapest look.
    #[inline(always)]
    pub(in crate::channel) fn next(&mut self) -> Option<T> {
        if !self.end.is_usable() {
            return None;
        }
        let message = self.end.ring.next();
        if message.is_some() {
            self.end.ring.count(1, || self.end.link.may_be_hot());
        }
        message
    }

    #[inline(never)]
    fn recv_within(&mut self, patience: Patience) -> Result<T> {
        if !matches!(patience, Patience::None) && self.end.is_usable() {
            self.end.ring.release();
            if let Some(message) = poll_for(self.end.wait, || self.next()) {
                return Ok(message);
            }
        }
        self.message(patience)?;
        let message = self.end.ring.read(0);
        self.advance(1);
        Ok(message)
    }

    #[inline]
    pub(in crate::channel) fn advance(&mut self, count: u64) {
        self.end.ring.advance(count);
        self.end.ring.count(streak(count), || self.end.link.may_be_hot());
    }

    /// How many messages are there, as far as a look that finds one need go; at most `wanted`.
    #[inline]
    pub(in crate::channel) fn available(&mut self, wanted: u64) -> Result<u64> {
        let found = self.end.ring.available(wanted);
        self.end.note(found)
    }

    /// Whether this end may be used and a message is there by the cheapest look.
    pub(in crate::channel) fn has_message(&mut self) -> bool {
        self.end.is_usable() && matches!(self.available(1), Ok(1..))
    }

    /// A message, which is then there.
    ///
    /// # Errors
    /// [`Error::Empty`] without patience, [`Error::TimedOut`], and as [`Receiver::recv`].
    #[inline]
    pub(in crate::channel) fn message(&mut self, patience: Patience) -> Result<()> {
        self.end.check()?;
        if self.available(1)? != 0 { Ok(()) } else { self.wait_for_message(patience) }
    }

    #[cold]
    fn wait_for_message(&mut self, patience: Patience) -> Result<()> {
        let Some(deadline) = patience.deadline() else { return self.empty() };
        let (wait, link) = (self.end.wait, &mut self.end.link);
        let waited = self.end.ring.wait(wait, deadline, || link.look());
        self.end.note(waited)
    }

    /// Why there is nothing: `Ok` where there is by now something after all.
    #[cold]
    fn empty(&mut self) -> Result<()> {
        self.end.ring.release();
        let gone = self.end.link.look();
        // What the sender published before it left is there now, if it ever was.
        if self.available(1)? != 0 {
            return Ok(());
        }
        let lies = self.end.ring.check_empty();
        self.end.note(lies)?;
        gone?;
        Err(Error::Empty)
    }
}
