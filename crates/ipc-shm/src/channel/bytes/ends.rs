//! The two ends as users hold them.

use std::ffi::OsStr;
use std::time::Duration;

use crate::channel::area::{consumer, producer};
use crate::channel::bytes::block::{self, BLOCK, Block, blocks};
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
    ring: spsc::Sender<Block, M>,
    blocks: u64,
}

/// The end that receives.
#[derive(Debug)]
pub struct Receiver<M: Mode = Trusted> {
    ring: spsc::Receiver<Block, M>,
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
        self.send_within(message, None)
    }

    /// As [`Sender::send`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Sender::send`].
    pub fn send_timeout(&mut self, message: &[u8], timeout: Duration) -> Result<()> {
        self.send_within(message, Some(timeout))
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    /// [`Error::Full`], and as [`Sender::send`].
    pub fn try_send(&mut self, message: &[u8]) -> Result<()> {
        let wanted = self.wanted(message)?;
        if self.ring.space(wanted)? < wanted {
            return Err(self.ring.full());
        }
        self.put(message, wanted);
        Ok(())
    }

    /// Sends as many of the messages as there is room for now, seen by the receiver all at once, and says how many.
    ///
    /// # Errors
    /// As [`Sender::try_send`]; [`Error::Full`] where there was room for none.
    pub fn try_send_batch(&mut self, messages: &[&[u8]]) -> Result<usize> {
        let (mut count, mut used) = (0, 0);
        for message in messages {
            let wanted = self.wanted(message)?;
            if self.ring.space(used + wanted)? < used + wanted {
                break;
            }
            block::write(&self.ring.end.ring, used, message);
            used += wanted;
            count += 1;
        }
        match (used, messages) {
            (0, [_, ..]) => Err(self.ring.full()),
            (0, []) => Ok(0),
            _ => {
                self.publish(used, count as u64);
                Ok(count)
            }
        }
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

    fn send_within(&mut self, message: &[u8], timeout: Option<Duration>) -> Result<()> {
        let wanted = self.wanted(message)?;
        if self.ring.space(wanted)? < wanted {
            self.ring.wait_for_space(wanted, timeout)?;
        }
        self.put(message, wanted);
        Ok(())
    }

    fn put(&mut self, message: &[u8], blocks: u64) {
        block::write(&self.ring.end.ring, 0, message);
        self.publish(blocks, 1);
    }

    fn publish(&mut self, blocks: u64, messages: u64) {
        let own = &self.ring.end.link.own;
        counters::add(own, producer::COUNTERS, Counter::Messages, messages);
        self.ring.publish(blocks);
    }

    /// The blocks that a message takes, if it is not too long and this end is usable.
    fn wanted(&self, message: &[u8]) -> Result<u64> {
        self.ring.check()?;
        blocks(message.len() as u64)
            .filter(|wanted| *wanted <= self.blocks)
            .ok_or(Error::TooLong { len: message.len(), max: self.max_len() })
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
        self.recv_within(message, None)
    }

    /// As [`Receiver::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Receiver::recv`].
    pub fn recv_timeout(&mut self, message: &mut Vec<u8>, timeout: Duration) -> Result<usize> {
        self.recv_within(message, Some(timeout))
    }

    /// Receives the next message if it is there.
    ///
    /// # Errors
    /// [`Error::Empty`], and as [`Receiver::recv`].
    pub fn try_recv(&mut self, message: &mut Vec<u8>) -> Result<usize> {
        self.ring.check()?;
        if self.ring.available(1)? == 0 {
            self.ring.empty()?;
        }
        self.take(message)
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

    fn recv_within(&mut self, message: &mut Vec<u8>, timeout: Option<Duration>) -> Result<usize> {
        self.ring.check()?;
        if self.ring.available(1)? == 0 {
            self.ring.wait_for_message(timeout)?;
        }
        self.take(message)
    }

    /// The next message, of which the first block is there.
    fn take(&mut self, message: &mut Vec<u8>) -> Result<usize> {
        let claimed = block::len(&self.ring.end.ring);
        let taken = blocks(claimed).filter(|blocks| *blocks <= self.blocks);
        // A message is published at once: if not all of it is there, its length is a lie.
        let (Some(taken), Ok(len)) = (taken, usize::try_from(claimed)) else { return Err(self.lie()) };
        if self.ring.available(taken)? < taken {
            return Err(self.lie());
        }
        message.clear();
        message.resize(len, 0);
        block::read(&self.ring.end.ring, message);
        let own = &self.ring.end.link.own;
        counters::add(own, consumer::COUNTERS, Counter::Messages, 1);
        self.ring.advance(taken);
        Ok(len)
    }

    #[cold]
    fn lie(&mut self) -> Error {
        self.ring.note(Error::PeerCorrupt { what: "a message's length" })
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
