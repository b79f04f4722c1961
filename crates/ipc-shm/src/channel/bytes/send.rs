//! Sending: room for the blocks of a message in a row, the message, and its publication at once.

use std::os::fd::OwnedFd;
use std::time::Duration;

use ipc_sys::Deadline;

use crate::channel::area::producer;
use crate::channel::attached::Patience;
use crate::channel::bytes::Sender;
use crate::channel::bytes::block::{self, blocks};
use crate::channel::bytes::plan::max_len;
use crate::channel::counters::{self, Counter};
use crate::channel::{ChannelStat, Wait};
use crate::memory::Mode;
use crate::{Error, Result};

impl<M: Mode> Sender<M> {
    /// Sends a message, waiting for room.
    ///
    /// # Blocking
    /// Until there is room or the receiver is gone; a signal does not end it.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::Disconnected`], [`Error::PeerCorrupt`], [`Error::Forked`].
    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        self.put(message, Patience::ENDLESS)
    }

    /// As [`Sender::send`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Sender::send`].
    pub fn send_timeout(&mut self, message: &[u8], timeout: Duration) -> Result<()> {
        self.put(message, Patience::Until(Deadline::after(timeout)))
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    /// [`Error::Full`], and as [`Sender::send`].
    pub fn try_send(&mut self, message: &[u8]) -> Result<()> {
        self.put(message, Patience::None)
    }

    /// Sends as many of the messages as there is room for now, seen by the receiver all at once, and says how many.
    ///
    /// # Errors
    /// As [`Sender::try_send`]; [`Error::Full`] where there was room for none.
    pub fn try_send_batch(&mut self, messages: &[&[u8]]) -> Result<usize> {
        let (mut count, mut used) = (0, 0);
        for message in messages {
            let wanted = self.wanted(message.len())?;
            let pad = block::pad(&self.ring.end.ring, used, wanted);
            let needed = used + pad + wanted;
            if self.ring.space(needed)? < needed {
                break;
            }
            if pad != 0 {
                block::write_pad(&self.ring.end.ring, used);
            }
            block::write(&self.ring.end.ring, used + pad, wanted, message);
            used = needed;
            count += 1;
        }
        match (count, messages) {
            (0, [first, ..]) => self.try_send(first).map(|()| 1),
            (0, []) => Ok(0),
            _ => {
                self.publish(0, used, count as u64);
                Ok(count)
            }
        }
    }

    /// Sends all of the messages, in as large batches as there is room for.
    ///
    /// # Blocking
    /// As [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`]. How many went before is not said: send them one by one where it matters.
    pub fn send_batch(&mut self, mut messages: &[&[u8]]) -> Result<()> {
        while let [first, rest @ ..] = messages {
            match self.try_send_batch(messages) {
                Ok(sent) => messages = messages.get(sent..).unwrap_or_default(),
                Err(Error::Full) => {
                    self.send(first)?;
                    messages = rest;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
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

    /// Sends, waiting for room until the deadline, or not at all.
    fn put(&mut self, message: &[u8], patience: Patience) -> Result<()> {
        let wanted = self.wanted(message.len())?;
        let pad = self.room(wanted, patience)?;
        block::write(&self.ring.end.ring, pad, wanted, message);
        self.publish(pad, wanted, 1);
        Ok(())
    }

    /// Makes sure of `wanted` blocks in a row, and gives how many before them are to be passed over.
    pub(super) fn room(&mut self, wanted: u64, patience: Patience) -> Result<u64> {
        loop {
            let pad = block::pad(&self.ring.end.ring, 0, wanted);
            if pad + wanted <= self.blocks {
                self.ring.room(pad + wanted, patience)?;
                return Ok(pad);
            }
            // The rest of the ring and the message are never free at once: the rest goes first.
            self.ring.room(pad, patience)?;
            self.publish(pad, 0, 0);
        }
    }

    /// Publishes what was written, behind `pad` blocks that are passed over.
    pub(super) fn publish(&mut self, pad: u64, blocks: u64, messages: u64) {
        if pad != 0 {
            block::write_pad(&self.ring.end.ring, 0);
        }
        let own = &self.ring.end.link.own;
        counters::add(own, producer::COUNTERS, Counter::Messages, messages);
        self.ring.publish(pad + blocks);
    }

    /// The blocks that a message takes, if it is not too long and this end is usable.
    pub(super) fn wanted(&self, len: usize) -> Result<u64> {
        self.ring.end.check()?;
        blocks(len as u64)
            .filter(|wanted| *wanted <= self.blocks)
            .ok_or(Error::TooLong { len, max: self.max_len() })
    }
}
