//! The two ends as users hold them, and how they are made.

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;

use crate::Result;
use crate::channel::attached::Attached;
use crate::channel::link::{Link, Plan, Side};
use crate::channel::meet::{self, private};
use crate::channel::spsc::plan::{any_plan, plan, plan_for};
use crate::channel::spsc::ring::{Consumer, Producer, Shape};
use crate::channel::{ChannelOptions, End, Invitation, Offer, Payload, Unattached};
use crate::channel::{named, slots};
use crate::memory::header::Layout;
use crate::memory::view::View;
use crate::memory::{MemoryOptions, Mode, Origin, Sealed, Trusted};

/// The end that sends.
pub struct Sender<T: Payload, M: Mode = Trusted> {
    pub(in crate::channel) end: Attached<Producer<T, View>>,
    pub(super) guaranteed: u64,
    mode: PhantomData<fn() -> M>,
}

/// The end that receives.
pub struct Receiver<T: Payload, M: Mode = Trusted> {
    pub(in crate::channel) end: Attached<Consumer<T, View>>,
    mode: PhantomData<fn() -> M>,
}

/// A channel in common memory without a name: two ends, each to be attached in the process that uses it, after the fork
/// or exec.
///
/// # Errors
/// [`Error::InvalidParameter`](crate::Error::InvalidParameter) for the capacity; [`Error::NoSpace`](crate::Error::NoSpace); [`Error::System`](crate::Error::System) (EMFILE, ENOMEM, ENOENT without /proc).
#[expect(clippy::type_complexity, reason = "two ends")]
pub fn channel<T: Payload>(
    options: impl Into<ChannelOptions>,
) -> Result<(Unattached<Sender<T>>, Unattached<Receiver<T>>)> {
    meet::unattached(&plan::<T>(&options.into())?)
}

impl<T: Payload> Sender<T, Trusted> {
    /// Makes the channel under a name, which appears when it is complete, and holds its sending end. Dropping this end
    /// removes the name; see [`Sender::persist`].
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EEXIST | [`Error::Exists`](crate::Error::Exists) |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`](crate::Error::InvalidName), [`Error::InvalidParameter`](crate::Error::InvalidParameter) (the capacity) |
    /// | ENOSPC | [`Error::NoSpace`](crate::Error::NoSpace); nothing was made |
    /// | EACCES | [`Error::PermissionDenied`](crate::Error::PermissionDenied) |
    /// | EMFILE, ENOENT (/proc is not mounted) | [`Error::System`](crate::Error::System) |
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        named::create(name, &plan::<T>(&options.into())?)
    }

    /// Attaches the sending end of a channel that is there.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOENT | [`Error::NotFound`](crate::Error::NotFound) |
    /// | EBUSY | [`Error::EndInUse`](crate::Error::EndInUse): another sender is alive |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`](crate::Error::InvalidName) |
    /// | EACCES | [`Error::PermissionDenied`](crate::Error::PermissionDenied) |
    /// | EMFILE, ELOOP (a symbolic link) | [`Error::System`](crate::Error::System) |
    /// | | [`Error::Refused`](crate::Error::Refused), with the [`Refusal`](crate::Refusal) that says why |
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

    /// Attaches the sending end if any process alive has the channel attached, taking up where the last sender ended; else
    /// makes the channel new, in the place of what dead ones left.
    ///
    /// # Errors
    /// As [`Sender::create`] and [`Sender::open`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        named::open_or_replace(name, &plan::<T>(&options.into())?)
    }
}

impl<T: Payload> Receiver<T, Trusted> {
    /// As [`Sender::create`], holding the receiving end.
    ///
    /// # Errors
    /// As [`Sender::create`].
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        named::create(name, &plan::<T>(&options.into())?)
    }

    /// As [`Sender::open`], for the receiving end.
    ///
    /// # Errors
    /// As [`Sender::open`].
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
    /// As [`Sender::open_or_replace`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        named::open_or_replace(name, &plan::<T>(&options.into())?)
    }
}

impl<T: Payload> Sender<T, Sealed> {
    /// Makes this process's half of a sealed pair, to send from, and the invitation for the process that receives.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](crate::Error::InvalidParameter) for the capacity; [`Error::NoSpace`](crate::Error::NoSpace); [`Error::System`](crate::Error::System) (EMFILE, ENOMEM, ENOENT without
    /// /proc).
    #[expect(clippy::type_complexity, reason = "an end and the invitation to the other")]
    pub fn offer(
        options: impl Into<ChannelOptions>,
    ) -> Result<(Offer<Self>, Invitation<Receiver<T, Sealed>>)> {
        Offer::new(plan::<T>(&options.into())?)
    }
}

impl<T: Payload> Receiver<T, Sealed> {
    /// Makes this process's half of a sealed pair, to receive by, and the invitation for the process that sends.
    ///
    /// # Errors
    /// As [`Sender::offer`].
    #[expect(clippy::type_complexity, reason = "an end and the invitation to the other")]
    pub fn offer(options: impl Into<ChannelOptions>) -> Result<(Offer<Self>, Invitation<Sender<T, Sealed>>)> {
        Offer::new(plan::<T>(&options.into())?)
    }
}

impl<T: Payload, M: Mode> Sender<T, M> {
    pub(in crate::channel) fn into_mode<N: Mode>(self) -> Sender<T, N> {
        let Self { end, guaranteed, mode: _ } = self;
        Sender { end, guaranteed, mode: PhantomData }
    }
}

impl<T: Payload, M: Mode> Receiver<T, M> {
    pub(in crate::channel) fn into_mode<N: Mode>(self) -> Receiver<T, N> {
        let Self { end, mode: _ } = self;
        Receiver { end, mode: PhantomData }
    }
}

impl<T: Payload, M: Mode> End for Sender<T, M> {}
impl<T: Payload, M: Mode> End for Receiver<T, M> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload, M: Mode> private::End for Sender<T, M> {
    const SIDE: Side = Side::Producer;

    fn plan() -> Plan {
        any_plan::<T>()
    }

    fn plan_for(layout: &Layout) -> Result<Plan> {
        plan_for::<T>(layout)
    }

    fn from_link(link: Link) -> Result<Self> {
        let shape = slots::shape_of::<T, Shape>(link.own.segment().layout())?;
        let ring = Producer::resume(link.own.clone(), link.peer.clone(), shape)?;
        link.announce();
        Ok(Self { end: Attached::new(ring, link), guaranteed: shape.guaranteed(), mode: PhantomData })
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload, M: Mode> private::End for Receiver<T, M> {
    const SIDE: Side = Side::Consumer;

    fn plan() -> Plan {
        any_plan::<T>()
    }

    fn plan_for(layout: &Layout) -> Result<Plan> {
        plan_for::<T>(layout)
    }

    fn from_link(link: Link) -> Result<Self> {
        let shape = slots::shape_of::<T, Shape>(link.peer.segment().layout())?;
        let ring = Consumer::resume(link.own.clone(), link.peer.clone(), shape);
        link.announce();
        Ok(Self { end: Attached::new(ring, link), mode: PhantomData })
    }
}

impl<T: Payload, M: Mode> fmt::Debug for Sender<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").field("sent", &self.end.ring.pos()).finish_non_exhaustive()
    }
}

impl<T: Payload, M: Mode> fmt::Debug for Receiver<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").field("received", &self.end.ring.pos()).finish_non_exhaustive()
    }
}
