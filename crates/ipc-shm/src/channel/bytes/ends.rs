//! The two ends as users hold them.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use ipc_sys::Deadline;

use crate::channel::area::{consumer, producer};
use crate::channel::attached::Patience;
use crate::channel::bytes::block::{self, BLOCK, Block, Claim, blocks};
use crate::channel::counters::{self, Counter};
use crate::channel::link::{Link, Plan, Side};
use crate::channel::meet::private;
use crate::channel::spsc::{self, plan as ring};
use crate::channel::{ChannelOptions, ChannelStat, End, Invitation, Offer, Unattached, Wait};
use crate::memory::header::{Kind, Layout};
use crate::memory::{MemoryOptions, Mode, Origin, Sealed, Trusted};
use crate::{Error, Result};

/// The end that sends.
#[derive(Debug)]
pub struct Sender<M: Mode = Trusted> {
    pub(super) ring: spsc::Sender<Block, M>,
    blocks: u64,
}

/// The end that receives.
#[derive(Debug)]
pub struct Receiver<M: Mode = Trusted> {
    pub(super) ring: spsc::Receiver<Block, M>,
    blocks: u64,
}

/// A channel in common memory without a name: two ends, each to be attached in the process that uses it, after the fork
/// or exec.
///
/// # Errors
/// As [`spsc::channel`].
pub fn channel(options: impl Into<ChannelOptions>) -> Result<(Unattached<Sender>, Unattached<Receiver>)> {
    let options = options.into();
    let (sender, receiver) = Link::anonymous(&plan(&options)?)?;
    Ok((Unattached::new(sender).tag(options.tag), Unattached::new(receiver).tag(options.tag)))
}

impl Sender<Trusted> {
    /// Makes the channel under a name and holds its sending end: [`spsc::Sender::create`].
    ///
    /// # Errors
    /// As [`spsc::Sender::create`].
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        private::End::from_link(Link::create(name.as_ref(), Side::Producer, &plan(&options.into())?)?)
    }

    /// Attaches the sending end of a channel that is there.
    ///
    /// # Errors
    /// As [`spsc::Sender::open`].
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Sender::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Sender::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        let plan = any_plan().tagged(options.tag);
        private::End::from_link(Link::open(name.as_ref(), Side::Producer, &plan)?)
    }

    /// Attaches the sending end, or makes the channel new: [`spsc::Sender::open_or_replace`].
    ///
    /// # Errors
    /// As [`spsc::Sender::open_or_replace`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        let (link, origin) = Link::open_or_replace(name.as_ref(), Side::Producer, &plan(&options.into())?)?;
        Ok((private::End::from_link(link)?, origin))
    }
}

impl Receiver<Trusted> {
    /// As [`Sender::create`], holding the receiving end.
    ///
    /// # Errors
    /// As [`spsc::Sender::create`].
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        private::End::from_link(Link::create(name.as_ref(), Side::Consumer, &plan(&options.into())?)?)
    }

    /// As [`Sender::open`], for the receiving end.
    ///
    /// # Errors
    /// As [`spsc::Sender::open`].
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Receiver::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Receiver::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        let plan = any_plan().tagged(options.tag);
        private::End::from_link(Link::open(name.as_ref(), Side::Consumer, &plan)?)
    }

    /// As [`Sender::open_or_replace`], for the receiving end.
    ///
    /// # Errors
    /// As [`spsc::Sender::open_or_replace`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        let (link, origin) = Link::open_or_replace(name.as_ref(), Side::Consumer, &plan(&options.into())?)?;
        Ok((private::End::from_link(link)?, origin))
    }
}

impl Sender<Sealed> {
    /// Makes this process's half of a sealed pair, to send from, and the invitation for the process that receives.
    ///
    /// # Errors
    /// As [`spsc::Sender::offer`].
    pub fn offer(options: impl Into<ChannelOptions>) -> Result<(Offer<Self>, Invitation<Receiver<Sealed>>)> {
        Offer::new(plan(&options.into())?)
    }
}

impl Receiver<Sealed> {
    /// Makes this process's half of a sealed pair, to receive by, and the invitation for the process that sends.
    ///
    /// # Errors
    /// As [`spsc::Sender::offer`].
    pub fn offer(options: impl Into<ChannelOptions>) -> Result<(Offer<Self>, Invitation<Sender<Sealed>>)> {
        Offer::new(plan(&options.into())?)
    }
}

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

    /// What the channel's words say of both ends: [`spsc::Sender::stat`].
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        self.ring.stat()
    }

    pub(super) fn into_mode<N: Mode>(self) -> Sender<N> {
        Sender { ring: self.ring.into_mode(), blocks: self.blocks }
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
        let mut count = 0;
        for message in messages {
            match self.take(message, Patience::None) {
                Ok(_) => count += 1,
                // What is wrong, or at its end, is told by the next call.
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// As [`Receiver::try_recv_batch`], waiting for the first message.
    ///
    /// # Blocking
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn recv_batch(&mut self, messages: &mut [Vec<u8>]) -> Result<usize> {
        let [first, rest @ ..] = messages else { return Ok(0) };
        self.recv(first)?;
        Ok(1 + self.try_recv_batch(rest).unwrap_or(0))
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

    /// What the channel's words say of both ends: [`spsc::Sender::stat`].
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        self.ring.stat()
    }

    pub(super) fn into_mode<N: Mode>(self) -> Receiver<N> {
        Receiver { ring: self.ring.into_mode(), blocks: self.blocks }
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

impl<M: Mode> End for Sender<M> {}
impl<M: Mode> End for Receiver<M> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<M: Mode> private::End for Sender<M> {
    const SIDE: Side = Side::Producer;

    fn plan() -> Plan {
        any_plan()
    }

    fn plan_for(layout: &Layout) -> Result<Plan> {
        Ok(of_bytes(ring::plan_for::<Block>(layout)?))
    }

    fn from_link(link: Link) -> Result<Self> {
        let blocks = link.own.segment().layout().capacity;
        Ok(Self { ring: private::End::from_link(link)?, blocks })
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<M: Mode> private::End for Receiver<M> {
    const SIDE: Side = Side::Consumer;

    fn plan() -> Plan {
        any_plan()
    }

    fn plan_for(layout: &Layout) -> Result<Plan> {
        Ok(of_bytes(ring::plan_for::<Block>(layout)?))
    }

    fn from_link(link: Link) -> Result<Self> {
        let blocks = link.peer.segment().layout().capacity;
        Ok(Self { ring: private::End::from_link(link)?, blocks })
    }
}

/// A plan for a new channel of so many bytes.
pub(in crate::channel) fn plan(options: &ChannelOptions) -> Result<Plan> {
    Ok(of_bytes(ring::plan::<Block>(&options.in_blocks_of(BLOCK)?)?))
}

pub(in crate::channel) fn any_plan() -> Plan {
    of_bytes(ring::any_plan::<Block>())
}

fn of_bytes(plan: Plan) -> Plan {
    Plan { layout: Layout { kind: Kind::Bytes, ..plan.layout }, ..plan }
}

#[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
fn max_len(blocks: u64) -> usize {
    blocks as usize * BLOCK - 8
}
