//! The writer as users hold it: how it is made, and what it can tell.

use std::ffi::OsStr;
use std::fmt;
use std::os::fd::OwnedFd;

use ipc_sys::memory::coarse_millis;
use nix::fcntl::OFlag;

#[cfg(doc)]
use crate::Error;
use crate::Result;
use crate::channel::attached::Attached;
use crate::channel::broadcast::lossless::log::{Log, Shape};
use crate::channel::broadcast::lossless::place::{self, any_plan, plan};
use crate::channel::inlet::{check_fences, fences};
use crate::channel::link::{Link, Side, register};
use crate::channel::{ChannelOptions, ChannelStat, Payload, Wait, slots, stat};
use crate::memory::segment::Segment;
use crate::memory::view::View;
use crate::memory::{MemoryOptions, Origin};

/// The one that writes, and waits for the slowest reader.
pub struct Writer<T: Payload> {
    pub(super) end: Attached<Log<T, View>>,
    /// When the readers that hold us up were last looked at, in milliseconds.
    pub(super) looked: u64,
}

impl<T: Payload> Writer<T> {
    /// Makes the channel under a name, which appears when it is complete, and becomes its writer. Dropping the writer
    /// removes the name; see [`Writer::persist`].
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EEXIST | [`Error::Exists`] |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`], [`Error::InvalidParameter`] (the capacity; pollable) |
    /// | ENOSPC | [`Error::NoSpace`]; nothing was made |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ENOENT (/proc is not mounted) | [`Error::System`] |
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        Self::new(Link::create(name.as_ref(), Side::Producer, &plan::<T>(&options.into())?)?)
    }

    /// Makes the channel without a name, for who is given a descriptor of it: [`Writer::share`].
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] (the capacity; pollable); [`Error::NoSpace`]; [`Error::System`] (EMFILE, ENOMEM).
    pub fn anonymous(options: impl Into<ChannelOptions>) -> Result<Self> {
        let plan = plan::<T>(&options.into())?;
        Self::from_segment(Segment::common(plan.common(), |mapping| plan.init_common(mapping))?)
    }

    /// Becomes the writer of a channel that is there, in the place of one that is gone; readers that are there stay, and
    /// miss nothing.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOENT | [`Error::NotFound`] |
    /// | EBUSY | [`Error::EndInUse`]: the writer is alive |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ELOOP (a symbolic link), ENOSYS (no membarrier here, and the maker had it) | [`Error::System`] |
    /// | | [`Error::Refused`], with the [`Refusal`](crate::Refusal) that says why |
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Writer::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        Self::new(Link::open(name.as_ref(), Side::Producer, &any_plan::<T>(options.tag))?)
    }

    /// Becomes the writer of a channel that any process alive has attached; else makes it new, in the place of what dead
    /// ones left.
    ///
    /// # Errors
    /// As [`Writer::create`] and [`Writer::open`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        let plan = plan::<T>(&options.into())?;
        let (link, origin) = Link::open_or_replace(name.as_ref(), Side::Producer, &plan)?;
        Ok((Self::new(link)?, origin))
    }

    /// Becomes the writer of a channel without a name, by a descriptor that was received or inherited.
    ///
    /// # Errors
    /// [`Error::Refused`]; [`Error::EndInUse`] where the writer is alive; [`Error::System`] (EMFILE, ENOMEM, ENOSYS).
    pub fn from_fd(descriptor: impl Into<OwnedFd>) -> Result<Self> {
        Self::from_fd_with(descriptor, &MemoryOptions::new())
    }

    /// As [`Writer::from_fd`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Writer::from_fd`].
    pub fn from_fd_with(descriptor: impl Into<OwnedFd>, options: &MemoryOptions) -> Result<Self> {
        let plan = any_plan::<T>(options.tag);
        Self::from_segment(Segment::common_from(descriptor.into(), &plan.common(), plan.max)?)
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        let registered = register(segment.layout().flags);
        Self::new(Link::common(segment, Side::Producer, registered, None)?)
    }

    pub(in crate::channel) fn new(link: Link) -> Result<Self> {
        let shape = slots::shape_of::<T, Shape>(link.own.segment().layout())?;
        check_fences(link.own.segment().layout())?;
        let ring = Log::resume(link.own.clone(), shape, fences(link.own.segment().layout()));
        link.announce();
        Ok(Self { end: Attached::new(ring, link), looked: coarse_millis() })
    }

    /// How many messages the slowest reader may be behind before [`Writer::write`] waits: what was asked for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.end.link.own.segment().capacity()
    }

    /// How many readers there are that live; asks the kernel about each.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn readers(&self) -> Result<usize> {
        self.end.link.check_fork()?;
        let mut alive = 0;
        for place in self.end.ring.readers() {
            alive += usize::from(place::is_held(&self.end.link.own, place)?);
        }
        Ok(alive)
    }

    /// How a blocking call waits from now on. [`Wait::Poll`] is
    /// [`Error::NoSocket`](crate::Error::NoSocket): a channel for all who come has none.
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.wait = wait;
    }

    /// A descriptor of a channel without a name, for another process or another end in this one.
    ///
    /// # Errors
    /// [`Error::System`] (EMFILE, ENFILE, ENOENT without /proc), [`Error::Forked`].
    pub fn share(&self) -> Result<OwnedFd> {
        self.end.link.own.segment().share(OFlag::O_RDWR)
    }

    /// What the channel's words say of the writer and of its readers together.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        stat::of_link(&self.end.link)
    }

    /// Leaves the name in place when the writer is dropped.
    pub fn persist(&self) {
        self.end.link.persist();
    }
}

impl<T: Payload> fmt::Debug for Writer<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").finish_non_exhaustive()
    }
}
