//! The two ends as users hold them, and how they are made: a ring of blocks, whose handles they hold.

use std::ffi::OsStr;

use crate::Result;
use crate::channel::bytes::block::Block;
use crate::channel::bytes::plan::{any_plan, plan, plan_for};
use crate::channel::link::{Link, Plan, Side};
use crate::channel::meet::{self, private};
use crate::channel::{ChannelOptions, End, Invitation, Offer, Unattached, named, spsc};
use crate::memory::header::Layout;
use crate::memory::{MemoryOptions, Mode, Origin, Sealed, Trusted};

/// The end that sends.
#[derive(Debug)]
pub struct Sender<M: Mode = Trusted> {
    pub(super) ring: spsc::Sender<Block, M>,
    /// How many blocks the ring has.
    pub(super) blocks: u64,
}

/// The end that receives.
#[derive(Debug)]
pub struct Receiver<M: Mode = Trusted> {
    pub(super) ring: spsc::Receiver<Block, M>,
    /// How many blocks the ring has.
    pub(super) blocks: u64,
}

/// A channel in common memory without a name: two ends, each to be attached in the process that uses it, after the fork
/// or exec.
///
/// # Errors
/// As [`spsc::channel`].
pub fn channel(options: impl Into<ChannelOptions>) -> Result<(Unattached<Sender>, Unattached<Receiver>)> {
    meet::unattached(&plan(&options.into())?)
}

impl Sender<Trusted> {
    /// Makes the channel under a name and holds its sending end: [`spsc::Sender::create`].
    ///
    /// # Errors
    /// As [`spsc::Sender::create`].
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        named::create(name, &plan(&options.into())?)
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
        named::open(name, options)
    }

    /// Attaches the sending end, or makes the channel new: [`spsc::Sender::open_or_replace`].
    ///
    /// # Errors
    /// As [`spsc::Sender::open_or_replace`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        named::open_or_replace(name, &plan(&options.into())?)
    }
}

impl Receiver<Trusted> {
    /// As [`Sender::create`], holding the receiving end.
    ///
    /// # Errors
    /// As [`spsc::Sender::create`].
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        named::create(name, &plan(&options.into())?)
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
        named::open(name, options)
    }

    /// As [`Sender::open_or_replace`], for the receiving end.
    ///
    /// # Errors
    /// As [`spsc::Sender::open_or_replace`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        named::open_or_replace(name, &plan(&options.into())?)
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
    pub(super) fn into_mode<N: Mode>(self) -> Sender<N> {
        Sender { ring: self.ring.into_mode(), blocks: self.blocks }
    }
}

impl<M: Mode> Receiver<M> {
    pub(super) fn into_mode<N: Mode>(self) -> Receiver<N> {
        Receiver { ring: self.ring.into_mode(), blocks: self.blocks }
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
        plan_for(layout)
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
        plan_for(layout)
    }

    fn from_link(link: Link) -> Result<Self> {
        let blocks = link.peer.segment().layout().capacity;
        Ok(Self { ring: private::End::from_link(link)?, blocks })
    }
}
