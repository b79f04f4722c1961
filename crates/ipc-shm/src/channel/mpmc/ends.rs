//! The ends as users hold them, how they are made, and what both can do.

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;

#[cfg(doc)]
use crate::Error;
use crate::Result;
use crate::channel::mpmc::member::Member;
use crate::channel::mpmc::roll::Role;
use crate::channel::{ChannelOptions, ChannelStat, Payload, Wait};
use crate::memory::{Common, MemoryOptions, Origin, Trusted};

/// One of those that send.
pub struct Sender<T: Payload, M: Common = Trusted> {
    pub(super) member: Member<T>,
    mode: PhantomData<fn() -> M>,
}

/// One of those that receive.
pub struct Receiver<T: Payload, M: Common = Trusted> {
    pub(super) member: Member<T>,
    mode: PhantomData<fn() -> M>,
}

impl<T: Payload> Sender<T> {
    /// Makes the channel under a name, which appears when it is complete, and sends into it. Dropping this end removes the
    /// name; see [`Sender::persist`].
    ///
    /// # Errors
    /// As [`spsc::Sender::create`](crate::spsc::Sender::create).
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        Member::create(name.as_ref(), &options.into(), Role::Sends).map(Self::of)
    }

    /// Makes the channel without a name, for processes that are given a descriptor of it: [`Sender::share`].
    ///
    /// # Errors
    /// As [`spsc::channel`](crate::spsc::channel).
    pub fn anonymous(options: impl Into<ChannelOptions>) -> Result<Self> {
        Member::anonymous(&options.into(), Role::Sends).map(Self::of)
    }

    /// Sends into a channel that is there.
    ///
    /// # Errors
    /// As [`spsc::Sender::open`](crate::spsc::Sender::open); [`Error::EndInUse`] where 127 senders are alive.
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Sender::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Sender::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        Member::open(name.as_ref(), options.tag, Role::Sends).map(Self::of)
    }

    /// Sends into a channel that any process alive has attached; else makes it new, in the place of what dead ones left.
    ///
    /// # Errors
    /// As [`Sender::create`] and [`Sender::open`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        let (member, origin) = Member::open_or_replace(name.as_ref(), &options.into(), Role::Sends)?;
        Ok((Self::of(member), origin))
    }

    /// Sends into a channel without a name, by a descriptor that was received or inherited.
    ///
    /// # Errors
    /// [`Error::Refused`]; [`Error::EndInUse`] where 127 senders are alive; [`Error::System`] (EMFILE, ENOMEM).
    pub fn from_fd(descriptor: impl Into<OwnedFd>) -> Result<Self> {
        Self::from_fd_with(descriptor, &MemoryOptions::new())
    }

    /// As [`Sender::from_fd`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Sender::from_fd`].
    pub fn from_fd_with(descriptor: impl Into<OwnedFd>, options: &MemoryOptions) -> Result<Self> {
        Member::from_fd(descriptor.into(), options.tag, Role::Sends).map(Self::of)
    }

    fn of(member: Member<T>) -> Self {
        Self { member, mode: PhantomData }
    }
}

impl<T: Payload> Receiver<T> {
    /// As [`Sender::create`], to receive.
    ///
    /// # Errors
    /// As [`Sender::create`].
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        Member::create(name.as_ref(), &options.into(), Role::Receives).map(Self::of)
    }

    /// As [`Sender::anonymous`], to receive.
    ///
    /// # Errors
    /// As [`Sender::anonymous`].
    pub fn anonymous(options: impl Into<ChannelOptions>) -> Result<Self> {
        Member::anonymous(&options.into(), Role::Receives).map(Self::of)
    }

    /// Receives from a channel that is there.
    ///
    /// # Errors
    /// As [`Sender::open`]; [`Error::EndInUse`] where 128 receivers are alive.
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Receiver::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Receiver::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        Member::open(name.as_ref(), options.tag, Role::Receives).map(Self::of)
    }

    /// As [`Sender::open_or_replace`], to receive.
    ///
    /// # Errors
    /// As [`Sender::open_or_replace`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        let (member, origin) = Member::open_or_replace(name.as_ref(), &options.into(), Role::Receives)?;
        Ok((Self::of(member), origin))
    }

    /// As [`Sender::from_fd`], to receive.
    ///
    /// # Errors
    /// As [`Sender::from_fd`].
    pub fn from_fd(descriptor: impl Into<OwnedFd>) -> Result<Self> {
        Self::from_fd_with(descriptor, &MemoryOptions::new())
    }

    /// As [`Receiver::from_fd`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Receiver::from_fd`].
    pub fn from_fd_with(descriptor: impl Into<OwnedFd>, options: &MemoryOptions) -> Result<Self> {
        Member::from_fd(descriptor.into(), options.tag, Role::Receives).map(Self::of)
    }

    fn of(member: Member<T>) -> Self {
        Self { member, mode: PhantomData }
    }
}

impl<T: Payload, M: Common> Sender<T, M> {
    /// How many messages fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.member.segment().capacity()
    }

    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.member.wait = wait;
    }

    /// Leaves the name in place when this end is dropped.
    pub fn persist(&self) {
        self.member.segment().persist();
    }

    /// What the channel's words say of both sides; asks the kernel how many of each are there.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        self.member.stat()
    }

    /// A descriptor of a channel without a name, for another process or another end in this one.
    ///
    /// # Errors
    /// [`Error::System`] (EMFILE, ENFILE, ENOENT without /proc), [`Error::Forked`].
    pub fn share(&self) -> Result<OwnedFd> {
        self.member.segment().share(OFlag::O_RDWR)
    }

    pub(super) fn into_mode<N: Common>(self) -> Sender<T, N> {
        Sender { member: self.member, mode: PhantomData }
    }
}

impl<T: Payload, M: Common> Receiver<T, M> {
    /// How many messages fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.member.segment().capacity()
    }

    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.member.wait = wait;
    }

    /// Leaves the name in place when this end is dropped.
    pub fn persist(&self) {
        self.member.segment().persist();
    }

    /// What the channel's words say of both sides; asks the kernel how many of each are there.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        self.member.stat()
    }

    /// As [`Sender::share`].
    ///
    /// # Errors
    /// As [`Sender::share`].
    pub fn share(&self) -> Result<OwnedFd> {
        self.member.segment().share(OFlag::O_RDWR)
    }

    pub(super) fn into_mode<N: Common>(self) -> Receiver<T, N> {
        Receiver { member: self.member, mode: PhantomData }
    }
}

impl<T: Payload, M: Common> fmt::Debug for Sender<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").field("place", &self.member.ring.id.0).finish_non_exhaustive()
    }
}

impl<T: Payload, M: Common> fmt::Debug for Receiver<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").field("place", &self.member.ring.id.0).finish_non_exhaustive()
    }
}
