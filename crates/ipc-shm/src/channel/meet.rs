//! How two ends find each other without a name: by an invitation, which makes a sealed pair, or by two descriptors of
//! common memory.
//!
//! Each end is made in the process that uses it. What travels, over a Unix socket or into a child, is an
//! [`Invitation`], an [`Acceptance`] or an [`Unattached`] end: descriptors, checked on arrival. An end in use never does.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;

use crate::channel::link::{Link, Plan, Side};
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
    end: PhantomData<fn() -> E>,
}

/// What the other process needs to make its half. `E` is the end that it will hold.
pub struct Invitation<E: End> {
    descriptor: OwnedFd,
    max: usize,
    tag: u64,
    end: PhantomData<fn() -> E>,
}

/// What the first process needs to complete its half.
#[derive(Debug)]
pub struct Acceptance {
    descriptor: OwnedFd,
}

/// An end of common memory that no process has attached yet: a descriptor.
pub struct Unattached<E: End> {
    descriptor: OwnedFd,
    tag: u64,
    end: PhantomData<fn() -> E>,
}

impl<E: End> Offer<E> {
    pub(crate) fn new<Other: End>(plan: Plan) -> Result<(Self, Invitation<Other>)> {
        let (own, descriptor) = Link::part(E::SIDE, &plan)?;
        let invitation = Invitation { descriptor, max: MAX, tag: plan.layout.tag, end: PhantomData };
        Ok((Self { own, plan, end: PhantomData }, invitation))
    }

    /// Attaches the memory that the other process made, and gives the end.
    ///
    /// # Errors
    /// [`Error::Refused`] where it is not the other half of this offer; [`Error::Forked`]; [`Error::System`] (EMFILE, ENOMEM).
    pub fn complete(self, acceptance: Acceptance) -> Result<E> {
        self.own.check_fork()?;
        let peer = Link::other_part(acceptance.descriptor, E::SIDE, &self.plan)?;
        E::from_link(Link::sealed(self.own, peer, E::SIDE))
    }
}

impl<E: End> Invitation<E> {
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
        let peer = Link::other_part(self.descriptor, E::SIDE, &wanted)?;
        let plan = E::plan_for(peer.layout())?.tagged(self.tag);
        let (own, descriptor) = Link::part(E::SIDE, &plan)?;
        let end = E::from_link(Link::sealed(own, peer, E::SIDE))?;
        Ok((end, Acceptance { descriptor }))
    }
}

impl<E: End> Unattached<E> {
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self { descriptor, tag: 0, end: PhantomData }
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
        E::from_link(Link::attach(self.descriptor, E::SIDE, &E::plan().tagged(self.tag))?)
    }
}

/// How much memory an invitation may bring, unless the caller says otherwise.
pub(crate) const MAX: usize = 1 << 30;

/// One descriptor, or a refusal.
fn only(descriptors: Vec<OwnedFd>) -> Result<OwnedFd> {
    let mut descriptors = descriptors.into_iter();
    match (descriptors.next(), descriptors.next()) {
        (Some(descriptor), None) => Ok(descriptor),
        _ => Err(Error::refused("a message without exactly one descriptor", Refusal::NotRegular)),
    }
}

impl<E: End> From<Invitation<E>> for Vec<OwnedFd> {
    fn from(invitation: Invitation<E>) -> Self {
        vec![invitation.descriptor]
    }
}

impl<E: End> TryFrom<Vec<OwnedFd>> for Invitation<E> {
    type Error = Error;

    fn try_from(descriptors: Vec<OwnedFd>) -> Result<Self> {
        Ok(Self { descriptor: only(descriptors)?, max: MAX, tag: 0, end: PhantomData })
    }
}

impl From<Acceptance> for Vec<OwnedFd> {
    fn from(acceptance: Acceptance) -> Self {
        vec![acceptance.descriptor]
    }
}

impl TryFrom<Vec<OwnedFd>> for Acceptance {
    type Error = Error;

    fn try_from(descriptors: Vec<OwnedFd>) -> Result<Self> {
        Ok(Self { descriptor: only(descriptors)? })
    }
}

impl<E: End> From<Unattached<E>> for Vec<OwnedFd> {
    fn from(end: Unattached<E>) -> Self {
        vec![end.descriptor]
    }
}

impl<E: End> TryFrom<Vec<OwnedFd>> for Unattached<E> {
    type Error = Error;

    fn try_from(descriptors: Vec<OwnedFd>) -> Result<Self> {
        Ok(Self::new(only(descriptors)?))
    }
}

impl<E: End> fmt::Debug for Offer<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Offer").finish_non_exhaustive()
    }
}

impl<E: End> fmt::Debug for Invitation<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Invitation").field(&self.descriptor).finish()
    }
}

impl<E: End> fmt::Debug for Unattached<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Unattached").field(&self.descriptor).finish()
    }
}
