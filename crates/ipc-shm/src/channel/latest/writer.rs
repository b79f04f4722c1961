//! The one that writes: how it is made, whom it lets read, and the value that it replaces.
//!
//! Dropped, it removes the name that it made. Killed in the middle of a value, it leaves the one before.

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;

#[cfg(doc)]
use crate::Error;
use crate::Result;
use crate::channel::attached::Attached;
use crate::channel::call::{self, Fences};
use crate::channel::inlet::{self, check_fences, fences, with_fences};
use crate::channel::latest::Reader;
use crate::channel::latest::cells::Cells;
use crate::channel::latest::plan::{any_plan, check, plan, plan_with};
use crate::channel::link::{Link, POLLABLE, Plan, Side};
use crate::channel::{Acceptance, ChannelStat, Invitation, LastWords, Payload, stat};
use crate::memory::header::Layout;
use crate::memory::view::View;
use crate::memory::{MemoryOptions, Mode, Origin, Sealed, Trusted};
use crate::words::Words;

/// The one that writes.
pub struct Writer<T: Payload, M: Mode = Trusted> {
    end: Attached<Cells<T, View>>,
    fences: Fences,
    mode: PhantomData<fn() -> M>,
}

impl<T: Payload> Writer<T, Trusted> {
    /// Makes the cell under a name, mode 0600, and becomes its writer. Dropping the writer removes the name.
    ///
    /// # Errors
    /// As [`spsc::Sender::create`](crate::spsc::Sender::create); there is no capacity.
    pub fn create(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::create_with(name, &MemoryOptions::new())
    }

    /// As [`Writer::create`], with another mode or a tag.
    ///
    /// # Errors
    /// As [`Writer::create`].
    pub fn create_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        let plan = with_fences(plan_with::<T>(options)?);
        Self::new(Link::create(name.as_ref(), Side::Producer, &plan)?)
    }

    /// Becomes the writer of a cell that is there, in the place of one that is gone.
    ///
    /// # Errors
    /// As [`Reader::open`]; [`Error::EndInUse`] where the writer lives.
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Writer::open`], of a cell that was made with this tag.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        let plan = any_plan::<T>().tagged(options.tag);
        Self::new(Link::open(name.as_ref(), Side::Producer, &plan)?)
    }

    /// Becomes the writer of a cell that any process alive has attached; else makes it new, in the place of what dead ones
    /// left.
    ///
    /// # Errors
    /// As [`Writer::create`] and [`Writer::open`].
    pub fn open_or_replace(name: impl AsRef<OsStr>) -> Result<(Self, Origin)> {
        Self::open_or_replace_with(name, &MemoryOptions::new())
    }

    /// As [`Writer::open_or_replace`], with another mode or a tag.
    ///
    /// # Errors
    /// As [`Writer::open_or_replace`].
    pub fn open_or_replace_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<(Self, Origin)> {
        let plan = with_fences(plan_with::<T>(options)?);
        let (link, origin) = Link::open_or_replace(name.as_ref(), Side::Producer, &plan)?;
        Ok((Self::new(link)?, origin))
    }
}

impl<T: Payload> Writer<T, Sealed> {
    /// Makes a cell that only this process can write.
    ///
    /// # Errors
    /// [`Error::NoSpace`]; [`Error::System`] (EMFILE, ENOMEM, ENOENT without /proc).
    pub fn anonymous() -> Result<Self> {
        Self::anonymous_with(&MemoryOptions::new())
    }

    /// As [`Writer::anonymous`], with a tag.
    ///
    /// # Errors
    /// As [`Writer::anonymous`].
    pub fn anonymous_with(options: &MemoryOptions) -> Result<Self> {
        Self::alone(plan_with::<T>(options)?)
    }

    /// As [`Writer::anonymous`], with readers that are [pollable](crate::Polled) when they have been invited.
    ///
    /// # Errors
    /// As [`Writer::anonymous`].
    pub fn anonymous_pollable() -> Result<Self> {
        let plan = plan::<T>()?;
        Self::alone(Plan { layout: Layout { flags: POLLABLE, ..plan.layout }, ..plan })
    }

    fn alone(plan: Plan) -> Result<Self> {
        let (segment, _) = Link::part(Side::Producer, &with_fences(plan))?;
        Self::new(Link::alone(segment, Side::Producer))
    }

    /// A descriptor of the cell for another process, which can read by it and nothing else.
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
        let cells = &mut self.end.ring;
        inlet::admit(&mut cells.bells, acceptance, &cells.memory, &any_plan::<T>())
    }
}

impl<T: Payload, M: Mode> Writer<T, M> {
    pub(in crate::channel) fn new(link: Link) -> Result<Self> {
        check::<T>(link.own.segment().layout())?;
        check_fences(link.own.segment().layout())?;
        let ring = Cells::resume(link.own.clone());
        let fences = fences(link.own.segment().layout());
        link.announce();
        Ok(Self { end: Attached::new(ring, link), fences, mode: PhantomData })
    }

    /// Replaces the value. Readers are never waited for.
    ///
    /// # Errors
    /// [`Error::Forked`].
    #[inline(always)]
    pub fn write(&mut self, value: &T) -> Result<()> {
        self.end.check()?;
        self.end.ring.write(value);
        let ring = &mut self.end.ring;
        call::call_each(&ring.memory, self.fences, &mut ring.bells);
        Ok(())
    }

    /// What the cell's words say of the writer and, in common memory, of its readers together.
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

impl<T, W: Words> LastWords for Cells<T, W> {
    fn release(&mut self) {}

    fn wake(&mut self) {
        // Dearer than asking how this cell is fenced, and right either way.
        call::call_each(&self.memory, Fences::Both, &mut self.bells);
    }
}

impl<T: Payload, M: Mode> fmt::Debug for Writer<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").finish_non_exhaustive()
    }
}
