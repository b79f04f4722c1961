//! Sending: a place is claimed, written, and committed.
//!
//! A claim bears its owner's mark: the place of a sender that dies before the commit is passed over by the others.

use std::time::Duration;

use ipc_sys::Deadline;

use crate::channel::Payload;
use crate::channel::mpmc::Sender;
use crate::channel::mpmc::bell::MESSAGES;
use crate::channel::mpmc::member::Member;
use crate::channel::mpmc::ring::Claim;
use crate::memory::Common;
use crate::{Error, Result};

impl<T: Payload, M: Common> Sender<T, M> {
    /// Sends a message, waiting for room.
    ///
    /// # Blocking
    /// Until there is room or no receiver is left; a signal does not end it.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EPIPE | [`Error::Disconnected`]: every receiver that ever came is gone |
    /// | ESTALE | [`Error::TakenAway`]: we looked dead; the message was not sent |
    /// | | [`Error::PeerCorrupt`], [`Error::Forked`] |
    #[inline]
    pub fn send(&mut self, message: &T) -> Result<()> {
        self.send_within(message, || Deadline::NEVER)
    }

    /// As [`Sender::send`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Sender::send`].
    pub fn send_timeout(&mut self, message: &T, timeout: Duration) -> Result<()> {
        let deadline = Deadline::after(timeout);
        self.send_within(message, || deadline)
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    /// [`Error::Full`], and as [`Sender::send`].
    pub fn try_send(&mut self, message: &T) -> Result<()> {
        let pos = self.claim_looking()?;
        self.member.ring.write(pos, message);
        self.commit(pos)
    }

    /// Sends as many of the messages as there is room for now, then wakes the receivers once, and says how many went. Those of
    /// other senders may come between them.
    ///
    /// # Errors
    /// As [`Sender::try_send`]; [`Error::Full`] where there was room for none.
    pub fn try_send_batch(&mut self, messages: &[T]) -> Result<usize> {
        if messages.is_empty() {
            return Ok(0);
        }
        let first = self.claim_looking()?;
        self.send_from(first, messages)
    }

    /// Sends all of the messages, in as large batches as there is room for.
    ///
    /// # Blocking
    /// As [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`]. How many went before is not said: send them one by one where it matters.
    pub fn send_batch(&mut self, mut messages: &[T]) -> Result<()> {
        while !messages.is_empty() {
            let first = self.claim_within(|| Deadline::NEVER)?;
            let sent = self.send_from(first, messages)?;
            messages = messages.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends from the place on that was claimed. What goes wrong behind the first message is for the next call to say.
    fn send_from(&self, first: u64, messages: &[T]) -> Result<usize> {
        let ring = &self.member.ring;
        match ring.write_batch(first, messages) {
            0 => Err(Error::TakenAway),
            sent => {
                MESSAGES.ring(&ring.memory);
                Ok(sent)
            }
        }
    }

    #[inline]
    fn send_within(&mut self, message: &T, deadline: impl Fn() -> Deadline) -> Result<()> {
        let pos = self.claim_within(deadline)?;
        self.member.ring.write(pos, message);
        self.commit(pos)
    }

    /// A place for a message, waiting for one.
    #[inline]
    pub(super) fn claim_within(&mut self, deadline: impl Fn() -> Deadline) -> Result<u64> {
        self.member.claim_within(deadline, claim)
    }

    /// A place for a message, if there is one by a closer look.
    pub(super) fn claim_looking(&mut self) -> Result<u64> {
        self.member.claim_looking(claim)?.ok_or(Error::Full)
    }

    /// Sends what was written in the place that was claimed.
    #[inline]
    pub(super) fn commit(&self, pos: u64) -> Result<()> {
        let ring = &self.member.ring;
        if !ring.commit(pos) {
            return Err(Error::TakenAway);
        }
        MESSAGES.ring(&ring.memory);
        Ok(())
    }
}

#[inline]
fn claim<T: Payload>(member: &mut Member<T>) -> Result<Option<u64>> {
    member.check()?;
    match member.ring.claim_to_write() {
        Ok(Claim::Nothing) => Ok(None),
        Ok(Claim::Ours(pos)) => Ok(Some(pos)),
        Err(error) => Err(member.note(error)),
    }
}
