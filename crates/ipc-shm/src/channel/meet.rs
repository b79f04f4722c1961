//! How two ends find each other without a name: by an invitation, which makes a sealed pair, or by two descriptors of
//! common memory.
//!
//! Each end is made in the process that uses it. What travels, over a Unix socket or into a child, is an
//! [`Invitation`], an [`Acceptance`] or an [`Unattached`] end: descriptors, checked on arrival. An end in use never does.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;

use crate::channel::Socket;
use crate::channel::link::{Link, Parcel, Plan, Side};
use crate::memory::segment::Segment;
use crate::{Error, Refusal, Result, Tag};

/// One end of a channel, as these hand-shakes see it.
pub trait End: private::End {}

pub(crate) mod private {
    use super::{Link, Plan, Result, Side};
    use crate::memory::header::Layout;

    /// What the crate knows of an end that users need not.
    #[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
    pub trait End: Sized {
        /// Which side it is.
        #[doc(hidden)]
        const SIDE: Side;

        /// Whether the pair of sockets is made by who accepts, because the invitation is for any number of processes.
        #[doc(hidden)]
        const BRINGS_SOCKET: bool = false;

        /// What to expect of a channel of unknown capacity.
        #[doc(hidden)]
        fn plan() -> Plan;

        /// The same, for what a header says, once checked.
        #[doc(hidden)]
        fn plan_for(layout: &Layout) -> Result<Plan>;

        /// The end itself.
        #[doc(hidden)]
        fn from_link(link: Link) -> Result<Self>;
    }
}

/// The first half of a sealed pair: this process's memory is made, the other's not yet.
pub struct Offer<E: End> {
    own: Segment,
    plan: Plan,
    socket: Option<OwnedFd>,
    end: PhantomData<fn() -> E>,
}

/// What the other process needs to make its half. `E` is the end that it will hold.
pub struct Invitation<E: End> {
    parcel: Parcel,
    max: usize,
    tag: u64,
    end: PhantomData<fn() -> E>,
}

/// What the first process needs to complete its half.
#[derive(Debug)]
pub struct Acceptance {
    pub(crate) parcel: Parcel,
}

/// An end of common memory that no process has attached yet: a descriptor, and a socket where the channel is pollable. Copies of
/// them that somebody keeps (who sent them, a `Command` that a child inherited them from) hold nothing: the end is whose process
/// attaches it, one at a time.
pub struct Unattached<E: End> {
    parcel: Parcel,
    tag: u64,
    end: PhantomData<fn() -> E>,
}

impl<E: End> Offer<E> {
    pub(crate) fn new<Other: End>(plan: Plan) -> Result<(Self, Invitation<Other>)> {
        let (own, memory) = Link::part(E::SIDE, &plan)?;
        let (socket, theirs) = plan.sockets()?;
        let parcel = Parcel { memory, socket: theirs };
        let invitation = Invitation { parcel, max: MAX, tag: plan.layout.tag, end: PhantomData };
        Ok((Self { own, plan, socket, end: PhantomData }, invitation))
    }

    /// Attaches the memory that the other process made, and gives the end.
    ///
    /// # Errors
    /// [`Error::Refused`] where it is not the other half of this offer; [`Error::Forked`]; [`Error::System`] (EMFILE, ENOMEM).
    pub fn complete(self, acceptance: Acceptance) -> Result<E> {
        self.own.check_fork()?;
        let peer = Link::other_part(acceptance.parcel.memory, E::SIDE, &self.plan)?;
        E::from_link(Link::sealed(self.own, peer, E::SIDE, self.socket.map(Socket::new)))
    }
}

impl<E: End> Invitation<E> {
    /// To memory that its writer shares with any number of readers.
    pub(crate) fn to(memory: OwnedFd) -> Self {
        Self { parcel: Parcel { memory, socket: None }, max: MAX, tag: 0, end: PhantomData }
    }

    /// Allows memory of up to `max` bytes, instead of 1 GiB.
    #[must_use]
    pub fn at_most(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    /// Expects a channel that was made with this tag; what travels does not carry it.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tag = tag.into().number();
        self
    }

    /// Checks the other process's memory, makes ours, and gives the end and what the other process must have to complete
    /// its own.
    ///
    /// # Errors
    /// [`Error::Refused`] where the memory is not the other half of such a pair; [`Error::System`] (EMFILE, ENOMEM, ENOENT
    /// without /proc); [`Error::NoSpace`].
    pub fn accept(self) -> Result<(E, Acceptance)> {
        let wanted = Plan { max: self.max, ..E::plan().tagged(self.tag) };
        let peer = Link::other_part(self.parcel.memory, E::SIDE, &wanted)?;
        let plan = E::plan_for(peer.layout())?.tagged(self.tag);
        let (socket, theirs) = if E::BRINGS_SOCKET {
            let (ours, theirs) = plan.sockets()?;
            (ours.map(Socket::new), theirs)
        } else {
            (Parcel::socket_for(self.parcel.socket, peer.layout())?, None)
        };
        let (own, memory) = Link::part(E::SIDE, &plan)?;
        let end = E::from_link(Link::sealed(own, peer, E::SIDE, socket))?;
        Ok((end, Acceptance { parcel: Parcel { memory, socket: theirs } }))
    }
}

/// Common memory without a name: both ends, neither attached yet.
pub(crate) fn unattached<S: End, R: End>(plan: &Plan) -> Result<(Unattached<S>, Unattached<R>)> {
    let (one, other) = Link::anonymous(plan)?;
    let tag = plan.layout.tag;
    Ok((Unattached { tag, ..Unattached::new(one) }, Unattached { tag, ..Unattached::new(other) }))
}

impl<E: End> Unattached<E> {
    fn new(parcel: Parcel) -> Self {
        Self { parcel, tag: 0, end: PhantomData }
    }

    /// Expects a channel that was made with this tag; what travels does not carry it.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tag = tag.into().number();
        self
    }

    /// Attaches the end in this process.
    ///
    /// # Errors
    /// [`Error::Refused`] where the descriptor is of something else; [`Error::EndInUse`]; [`Error::System`].
    pub fn attach(self) -> Result<E> {
        E::from_link(Link::attach(self.parcel, E::SIDE, &E::plan().tagged(self.tag))?)
    }
}

/// How much memory an invitation may bring, unless the caller says otherwise.
pub(crate) const MAX: usize = 1 << 30;

impl From<Parcel> for Vec<OwnedFd> {
    fn from(parcel: Parcel) -> Self {
        [Some(parcel.memory), parcel.socket].into_iter().flatten().collect()
    }
}

impl TryFrom<Vec<OwnedFd>> for Parcel {
    type Error = Error;

    fn try_from(descriptors: Vec<OwnedFd>) -> Result<Self> {
        let mut descriptors = descriptors.into_iter();
        match (descriptors.next(), descriptors.next(), descriptors.next()) {
            (Some(memory), socket, None) => Ok(Self { memory, socket }),
            _ => Err(Error::refused("a message of no or more than two descriptors", Refusal::NotRegular)),
        }
    }
}

impl<E: End> From<Invitation<E>> for Vec<OwnedFd> {
    fn from(invitation: Invitation<E>) -> Self {
        invitation.parcel.into()
    }
}

impl<E: End> TryFrom<Vec<OwnedFd>> for Invitation<E> {
    type Error = Error;

    fn try_from(descriptors: Vec<OwnedFd>) -> Result<Self> {
        Ok(Self { parcel: descriptors.try_into()?, max: MAX, tag: 0, end: PhantomData })
    }
}

impl From<Acceptance> for Vec<OwnedFd> {
    fn from(acceptance: Acceptance) -> Self {
        acceptance.parcel.into()
    }
}

impl TryFrom<Vec<OwnedFd>> for Acceptance {
    type Error = Error;

    fn try_from(descriptors: Vec<OwnedFd>) -> Result<Self> {
        Ok(Self { parcel: descriptors.try_into()? })
    }
}

impl<E: End> From<Unattached<E>> for Vec<OwnedFd> {
    fn from(end: Unattached<E>) -> Self {
        end.parcel.into()
    }
}

impl<E: End> TryFrom<Vec<OwnedFd>> for Unattached<E> {
    type Error = Error;

    fn try_from(descriptors: Vec<OwnedFd>) -> Result<Self> {
        Ok(Self::new(descriptors.try_into()?))
    }
}

impl<E: End> fmt::Debug for Offer<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Offer").finish_non_exhaustive()
    }
}

impl<E: End> fmt::Debug for Invitation<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Invitation").field(&self.parcel).finish()
    }
}

impl<E: End> fmt::Debug for Unattached<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Unattached").field(&self.parcel).finish()
    }
}
