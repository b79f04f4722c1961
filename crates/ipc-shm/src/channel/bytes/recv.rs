//! Receiving: the head of the next message, checked, since the other process wrote it; then a copy of it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use ipc_sys::Deadline;

use crate::channel::area::consumer;
use crate::channel::attached::Patience;
use crate::channel::bytes::Receiver;
use crate::channel::bytes::block::{self, Claim};
use crate::channel::bytes::plan::max_len;
use crate::channel::counters::{self, Counter};
use crate::channel::{ChannelStat, Wait};
use crate::memory::Mode;
use crate::{Error, Result};

impl<M: Mode> Receiver<M> {
    /// Receives the next message into `message`, whose contents it replaces and whose allocation it uses; gives its
    /// length.
    ///
    /// # Blocking
    /// Until a message comes or the sender is gone; a signal does not end it.
    ///
    /// # Errors
    /// [`Error::Disconnected`], when everything sent has been received; [`Error::PeerCorrupt`], [`Error::Forked`].
    pub fn recv(&mut self, message: &mut Vec<u8>) -> Result<usize> {
        self.take(message, Patience::ENDLESS)
    }

    /// As [`Receiver::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Receiver::recv`].
    pub fn recv_timeout(&mut self, message: &mut Vec<u8>, timeout: Duration) -> Result<usize> {
        self.take(message, Patience::Until(Deadline::after(timeout)))
    }

    /// Receives the next message if it is there.
    ///
    /// # Errors
    /// [`Error::Empty`], and as [`Receiver::recv`].
    pub fn try_recv(&mut self, message: &mut Vec<u8>) -> Result<usize> {
        self.take(message, Patience::None)
    }

    /// Receives what is there, a message into each of `messages`, as many as they are, and says how many.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`]; [`Error::Empty`] where there was nothing.
    pub fn try_recv_batch(&mut self, messages: &mut [Vec<u8>]) -> Result<usize> {
        self.recv_batch_within(messages, Patience::None)
    }

    /// As [`Receiver::try_recv_batch`], waiting for the first message.
    ///
    /// # Blocking
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn recv_batch(&mut self, messages: &mut [Vec<u8>]) -> Result<usize> {
        self.recv_batch_within(messages, Patience::ENDLESS)
    }

    /// As [`Receiver::recv_batch`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv_timeout`].
    pub fn recv_batch_timeout(&mut self, messages: &mut [Vec<u8>], timeout: Duration) -> Result<usize> {
        self.recv_batch_within(messages, Patience::Until(Deadline::after(timeout)))
    }

    /// Gives all space back to the sender now, not a quarter of the ring at a time.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn release(&mut self) -> Result<()> {
        self.ring.release()
    }

    /// The longest message.
    #[must_use]
    pub fn max_len(&self) -> usize {
        max_len(self.blocks)
    }

    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.ring.set_wait(wait);
    }

    /// Watches the process at the other side by its pidfd: [`spsc::Receiver::watch`](crate::spsc::Receiver::watch).
    ///
    /// # Errors
    /// As there.
    pub fn watch(&mut self, process: impl Into<OwnedFd>) -> Result<()> {
        self.ring.watch(process.into())
    }

    /// Leaves the name in place when this end is dropped.
    pub fn persist(&self) {
        self.ring.persist();
    }

    /// What the channel's words say of both ends: [`spsc::Sender::stat`](crate::spsc::Sender::stat).
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        self.ring.stat()
    }

    fn recv_batch_within(&mut self, messages: &mut [Vec<u8>], patience: Patience) -> Result<usize> {
        let Some((first, rest)) = messages.split_first_mut() else { return Ok(0) };
        self.take(first, patience)?;
        // What is wrong, or at its end, is told by the next call.
        let more = rest.iter_mut().map_while(|message| self.take(message, Patience::None).ok());
        Ok(1 + more.count())
    }

    fn take(&mut self, message: &mut Vec<u8>, patience: Patience) -> Result<usize> {
        let (len, blocks) = self.next(patience)?;
        message.clear();
        message.resize(len, 0);
        block::read(&self.ring.end.ring, blocks, message);
        self.advance(blocks);
        Ok(len)
    }

    /// The length and the blocks of the next message, all of which are there; waits until the deadline, or not at all.
    pub(super) fn next(&mut self, patience: Patience) -> Result<(usize, u64)> {
        loop {
            self.ring.message(patience)?;
            let left = self.ring.end.ring.to_end();
            let claim = block::claim(&self.ring.end.ring, left, self.blocks);
            let (Claim::Message { blocks, .. } | Claim::Pad { blocks }) = claim else {
                return Err(self.lie());
            };
            // They are published at once: if not all of them are there, the length is a lie.
            if self.ring.available(blocks)? < blocks {
                return Err(self.lie());
            }
            match claim {
                Claim::Message { len, blocks } => return Ok((len, blocks)),
                // Then the ring begins, where nothing is passed over: the next turn is the last.
                _ => self.ring.advance(blocks),
            }
        }
    }

    /// Counts a message as read.
    pub(super) fn advance(&mut self, blocks: u64) {
        let own = &self.ring.end.link.own;
        counters::add(own, consumer::COUNTERS, Counter::Messages, 1);
        self.ring.advance(blocks);
    }

    #[cold]
    fn lie(&mut self) -> Error {
        self.ring.end.condemn(Error::PeerCorrupt { what: "a message's length" })
    }
}
