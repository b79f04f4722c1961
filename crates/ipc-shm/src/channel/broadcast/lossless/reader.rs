//! A reader as users hold it: how it is made, and what it can tell.

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;

use ipc_sys::fork::ForkMark;
use nix::fcntl::OFlag;

#[cfg(doc)]
use crate::Error;
use crate::Result;
use crate::channel::broadcast::lossless::cursor::Cursor;
use crate::channel::broadcast::lossless::log::Shape;
use crate::channel::broadcast::lossless::place::{self, any_plan};
use crate::channel::broadcast::lossless::reading::Reading;
use crate::channel::inlet::{Inlet, check_fences, fences};
use crate::channel::{ChannelStat, Payload, Wait, slots};
use crate::memory::segment::Segment;
use crate::memory::view::View;
use crate::memory::{Common, MemoryOptions, Trusted};

/// One of those that read. The writer waits for it.
pub struct Reader<T: Payload, M: Common = Trusted> {
    pub(super) seat: Seat<T>,
    /// The process that attached this end; void when the writer wrote nonsense.
    pub(super) mark: ForkMark,
    /// Set for good when the writer wrote nonsense.
    pub(super) corrupt: Option<&'static str>,
    mode: PhantomData<fn() -> M>,
}

/// A place that is given up when it is dropped, in the process that took it.
pub(super) struct Seat<T> {
    pub(super) reading: Reading<T, View>,
    pub(super) inlet: Inlet,
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        if self.inlet.check_fork().is_ok() {
            self.reading.leave();
            place::leave(self.inlet.view.segment(), self.reading.cursor.place);
        }
    }
}

impl<T: Payload> Reader<T, Trusted> {
    /// Attaches the channel of this name; the first message is the next one written.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOENT | [`Error::NotFound`] |
    /// | EBUSY | [`Error::EndInUse`]: 64 readers are alive |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ELOOP (a symbolic link), ENOSYS (no membarrier here, and the maker had it) | [`Error::System`] |
    /// | | [`Error::Refused`], with the [`Refusal`](crate::Refusal) that says why |
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Reader::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        let plan = any_plan::<T>(options.tag);
        Self::new(Segment::open(name.as_ref(), &plan.common(), plan.max)?)
    }

    /// Reads a channel without a name, by a descriptor that was received or inherited.
    ///
    /// # Errors
    /// [`Error::Refused`]; [`Error::EndInUse`] where 64 readers are alive; [`Error::System`] (EMFILE, ENOMEM, ENOSYS).
    pub fn from_fd(descriptor: impl Into<OwnedFd>) -> Result<Self> {
        Self::from_fd_with(descriptor, &MemoryOptions::new())
    }

    /// As [`Reader::from_fd`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Reader::from_fd`].
    pub fn from_fd_with(descriptor: impl Into<OwnedFd>, options: &MemoryOptions) -> Result<Self> {
        let plan = any_plan::<T>(options.tag);
        Self::new(Segment::common_from(descriptor.into(), &plan.common(), plan.max)?)
    }

    pub(in crate::channel) fn new(segment: Segment) -> Result<Self> {
        let shape = slots::shape_of::<T, Shape>(segment.layout())?;
        check_fences(segment.layout())?;
        let fences = fences(segment.layout());
        let place = place::take(&segment)?;
        let mark = segment.mapping().mark();
        let inlet = Inlet::new(segment);
        let cursor = Cursor::at(&inlet.view, place);
        let reading = Reading::join(inlet.view.clone(), shape, fences, cursor);
        Ok(Self { seat: Seat { reading, inlet }, mark, corrupt: None, mode: PhantomData })
    }
}

impl<T: Payload, M: Common> Reader<T, M> {
    /// How many messages this reader may be behind before the writer waits for it.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.segment().capacity()
    }

    /// How a blocking call waits from now on. [`Wait::Poll`] is
    /// [`Error::NoSocket`](crate::Error::NoSocket): a channel for all who come has none.
    pub fn set_wait(&mut self, wait: Wait) {
        self.seat.inlet.set_wait(wait);
    }

    /// Watches the writer's process by its pidfd: [`spsc::Receiver::watch`](crate::spsc::Receiver::watch).
    ///
    /// # Errors
    /// As there.
    pub fn watch(&mut self, process: impl Into<OwnedFd>) -> Result<()> {
        self.seat.inlet.watch(process.into())
    }

    /// As [`Writer::share`](super::Writer::share).
    ///
    /// # Errors
    /// As there.
    pub fn share(&self) -> Result<OwnedFd> {
        self.seat.inlet.view.segment().share(OFlag::O_RDWR)
    }

    /// What the channel's words say of the writer and of its readers together; asks the kernel whether the writer lives.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        self.seat.inlet.stat()
    }

    pub(super) fn into_mode<N: Common>(self) -> Reader<T, N> {
        let Self { seat, mark, corrupt, mode: _ } = self;
        Reader { seat, mark, corrupt, mode: PhantomData }
    }

    /// Where message bytes lie in this process.
    pub(super) fn segment(&self) -> &Segment {
        self.seat.inlet.view.segment()
    }
}

impl<T: Payload, M: Common> fmt::Debug for Reader<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.seat.reading.cursor.place;
        formatter.debug_struct("Reader").field("place", &place).finish_non_exhaustive()
    }
}
