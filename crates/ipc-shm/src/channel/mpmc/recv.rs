//! Receiving: a message is claimed, read, and its place released.
//!
//! A claim bears its owner's mark: the message of a receiver that dies before the release goes to another.

use std::time::Duration;

use ipc_sys::Deadline;

use crate::channel::Payload;
use crate::channel::mpmc::bell::{MESSAGES, ROOM};
use crate::channel::mpmc::member::Member;
use crate::channel::mpmc::ring::Claim;
use crate::channel::mpmc::{Held, Receiver};
use crate::memory::Common;
use crate::{Error, Result};

impl<T: Payload, M: Common> Receiver<T, M> {
    /// Receives the next message, waiting for one.
    ///
    /// # Blocking
    /// Until a message comes or no sender is left; a signal does not end it.
    ///
    /// # Errors
    /// [`Error::Disconnected`], when every sender that ever came is gone and everything sent has been received;
    /// [`Error::PeerCorrupt`], [`Error::Forked`].
    #[inline]
    pub fn recv(&mut self) -> Result<T> {
        self.recv_within(|| Deadline::NEVER)
    }

    /// As [`Receiver::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Receiver::recv`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T> {
        let deadline = Deadline::after(timeout);
        self.recv_within(|| deadline)
    }

    /// Receives the next message if it is there.
    ///
    /// # Errors
    /// [`Error::Empty`], and as [`Receiver::recv`].
    pub fn try_recv(&mut self) -> Result<T> {
        loop {
            let pos = self.claim_looking()?;
            let message = self.member.ring.read(pos);
            if self.release(pos) {
                return Ok(message);
            }
        }
    }

    /// Receives what is there, as much as `buffer` holds, and says how many; senders that wait are woken once, at its end.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`]; [`Error::Empty`] where there was nothing.
    pub fn try_recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.recv_batch_by(buffer, Self::claim_looking)
    }

    /// As [`Receiver::try_recv_batch`], waiting for the first message.
    ///
    /// # Blocking
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.recv_batch_by(buffer, |receiver| receiver.claim_within(|| Deadline::NEVER))
    }

    /// As [`Receiver::recv_batch`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv_timeout`].
    pub fn recv_batch_timeout(&mut self, buffer: &mut [T], timeout: Duration) -> Result<usize> {
        let deadline = Deadline::after(timeout);
        self.recv_batch_by(buffer, |receiver| receiver.claim_within(|| deadline))
    }

    fn recv_batch_by(&mut self, buffer: &mut [T], claim: impl Fn(&mut Self) -> Result<u64>) -> Result<usize> {
        let mut count = 0;
        // What was taken away from us is another's.
        while count == 0 && !buffer.is_empty() {
            let first = claim(self)?;
            let ring = &self.member.ring;
            count = ring.read_batch(first, buffer);
            ROOM.ring(&ring.memory);
        }
        Ok(count)
    }

    /// Takes the next message to work on it, waiting for one: should this process die before [`Held::done`], another
    /// receiver gets it.
    ///
    /// # Blocking
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn hold(&mut self) -> Result<Held<'_, T, M>> {
        let pos = self.claim_within(|| Deadline::NEVER)?;
        Ok(Held::new(self, pos))
    }

    /// As [`Receiver::hold`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Receiver::recv`].
    pub fn hold_timeout(&mut self, timeout: Duration) -> Result<Held<'_, T, M>> {
        let deadline = Deadline::after(timeout);
        let pos = self.claim_within(|| deadline)?;
        Ok(Held::new(self, pos))
    }

    /// Takes the next message to work on it, if it is there.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`].
    pub fn try_hold(&mut self) -> Result<Held<'_, T, M>> {
        let pos = self.claim_looking()?;
        Ok(Held::new(self, pos))
    }

    #[inline]
    fn recv_within(&mut self, deadline: impl Fn() -> Deadline) -> Result<T> {
        loop {
            let pos = self.claim_within(&deadline)?;
            let message = self.member.ring.read(pos);
            if self.release(pos) {
                return Ok(message);
            }
        }
    }

    /// Claims a message, waiting for one.
    #[inline]
    pub(super) fn claim_within(&mut self, deadline: impl Fn() -> Deadline) -> Result<u64> {
        self.member.claim_within(deadline, claim)
    }

    /// Claims a message, if there is one by a closer look.
    pub(super) fn claim_looking(&mut self) -> Result<u64> {
        self.member.claim_looking(claim)?.ok_or(Error::Empty)
    }

    /// Lets a message that was claimed stand again, for any receiver.
    pub(super) fn give_back(&self, pos: u64) {
        let member = &self.member;
        if member.check().is_ok() {
            member.ring.give_back(pos);
            member.returned.set(true);
            MESSAGES.ring(&member.ring.memory);
        }
    }

    /// Frees the place of a message; false where we looked dead and another has got it.
    #[inline]
    pub(super) fn release(&self, pos: u64) -> bool {
        let released = self.member.ring.release(pos);
        ROOM.ring(&self.member.ring.memory);
        released
    }
}

#[inline]
fn claim<T: Payload>(member: &mut Member<T>) -> Result<Option<u64>> {
    member.check()?;
    if member.returned.get() {
        if let Claim::Ours(pos) = member.ring.returned() {
            return Ok(Some(pos));
        }
        member.returned.set(false);
    }
    match member.ring.claim_to_read() {
        Ok(Claim::Nothing) => Ok(None),
        Ok(Claim::Ours(pos)) => Ok(Some(pos)),
        Err(error) => Err(member.note(error)),
    }
}
