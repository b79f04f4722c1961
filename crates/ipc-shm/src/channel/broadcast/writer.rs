//! The one that writes: how it is made, whom it lets read, and a message over the oldest.
//!
//! Dropped, it removes the name that it made. Killed in the middle of a message, it leaves the others whole.

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::slice;

use nix::fcntl::OFlag;

#[cfg(doc)]
use crate::Error;
use crate::Result;
use crate::channel::attached::Attached;
use crate::channel::broadcast::Reader;
use crate::channel::broadcast::log::{Log, Shape};
use crate::channel::call::{self, Fences};
use crate::channel::inlet::{self, check_fences, fences, with_fences};
use crate::channel::link::{Link, Side};
use crate::channel::{Acceptance, ChannelOptions, ChannelStat, Invitation, LastWords, Payload, slots, stat};
use crate::memory::view::View;
use crate::memory::{MemoryOptions, Mode, Origin, Sealed, Trusted};
use crate::words::Words;

/// The one that writes.
pub struct Writer<T: Payload, M: Mode = Trusted> {
    end: Attached<Log<T, View>>,
    fences: Fences,
    mode: PhantomData<fn() -> M>,
}

impl<T: Payload> Writer<T, Trusted> {
    /// Makes the channel under a name, and becomes its writer. Dropping the writer removes the name.
    ///
    /// # Errors
    /// As [`spsc::Sender::create`](crate::spsc::Sender::create).
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        let plan = with_fences(slots::plan::<T, Shape>(&options.into())?);
        Self::new(Link::create(name.as_ref(), Side::Producer, &plan)?)
    }

    /// Becomes the writer of a channel that is there, in the place of one that is gone.
    ///
    /// # Errors
    /// As [`Reader::open`]; [`Error::EndInUse`] where the writer lives.
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Writer::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        let plan = slots::any_plan::<T, Shape>().tagged(options.tag);
        Self::new(Link::open(name.as_ref(), Side::Producer, &plan)?)
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
        let plan = with_fences(slots::plan::<T, Shape>(&options.into())?);
        let (link, origin) = Link::open_or_replace(name.as_ref(), Side::Producer, &plan)?;
        Ok((Self::new(link)?, origin))
    }
}

impl<T: Payload> Writer<T, Sealed> {
    /// Makes a channel that only this process can write.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for the capacity; [`Error::NoSpace`]; [`Error::System`] (EMFILE, ENOMEM, ENOENT without
    /// /proc).
    pub fn anonymous(options: impl Into<ChannelOptions>) -> Result<Self> {
        let (segment, _) =
            Link::part(Side::Producer, &with_fences(slots::plan::<T, Shape>(&options.into())?))?;
        Self::new(Link::alone(segment, Side::Producer))
    }

    /// A descriptor of the channel for another process, which can read by it and nothing else.
    ///
    /// # Errors
    /// [`Error::System`] (EMFILE, ENFILE, ENOENT without /proc), [`Error::Forked`].
    pub fn share(&self) -> Result<OwnedFd> {
        self.end.link.own.segment().share(OFlag::O_RDONLY)
    }

    /// What another process needs to read here and to be woken: [`Invitation::accept`] gives it a reader that can wait,
    /// and an acceptance for [`Writer::admit`]. The same invitation is as good for any number of processes.
    ///
    /// # Errors
    /// As [`Writer::share`].
    pub fn invite(&self) -> Result<Invitation<Reader<T, Sealed>>> {
        self.share().map(Invitation::to)
    }

    /// Wakes one more reader from now on, at a cached load a write; those that are gone are forgotten. A reader that
    /// sleeps before it is admitted looks by itself every 60 ms.
    ///
    /// # Errors
    /// [`Error::Refused`] where it is not the acceptance of such an invitation; [`Error::System`] (ENOMEM); [`Error::Forked`].
    pub fn admit(&mut self, acceptance: Acceptance) -> Result<()> {
        let log = &mut self.end.ring;
        inlet::admit(&mut log.bells, acceptance, &log.memory, &slots::any_plan::<T, Shape>())
    }
}

impl<T: Payload, M: Mode> Writer<T, M> {
    pub(in crate::channel) fn new(link: Link) -> Result<Self> {
        let shape = slots::shape_of::<T, Shape>(link.own.segment().layout())?;
        check_fences(link.own.segment().layout())?;
        let ring = Log::resume(link.own.clone(), shape);
        let fences = fences(link.own.segment().layout());
        link.announce();
        Ok(Self { end: Attached::new(ring, link), fences, mode: PhantomData })
    }

    /// Writes one message over the oldest. Readers are never waited for.
    ///
    /// # Errors
    /// [`Error::Forked`].
    #[inline(always)]
    pub fn write(&mut self, message: &T) -> Result<()> {
        self.write_batch(slice::from_ref(message))
    }

    /// Writes all of the messages over the oldest, one after another, then wakes the readers once. A batch that is as long as
    /// half the capacity laps readers that are a little behind.
    ///
    /// # Errors
    /// [`Error::Forked`].
    #[inline(always)]
    pub fn write_batch(&mut self, messages: &[T]) -> Result<()> {
        self.end.check()?;
        let ring = &mut self.end.ring;
        messages.iter().for_each(|message| ring.write(message));
        call::call_each(&ring.memory, self.fences, &mut ring.bells);
        Ok(())
    }

    /// How many messages a reader may be behind before it is lapped.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.end.link.own.segment().capacity()
    }

    /// What the channel's words say of the writer and, in common memory, of its readers together.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn stat(&self) -> Result<ChannelStat> {
        stat::of_link(&self.end.link)
    }

    /// Leaves the name in place when the writer is dropped.
    pub fn persist(&self) {
        self.end.link.persist();
    }
}

impl<T, W: Words> LastWords for Log<T, W> {
    fn release(&mut self) {}

    fn wake(&mut self) {
        // Dearer than asking how this channel is fenced, and right either way.
        call::call_each(&self.memory, Fences::Both, &mut self.bells);
    }
}

impl<T: Payload, M: Mode> fmt::Debug for Writer<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").finish_non_exhaustive()
    }
}
