//! The writer and the readers as users hold them.

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use ipc_sys::Deadline;
use nix::fcntl::OFlag;

use crate::channel::attached::Attached;
use crate::channel::call::{self, Fences};
use crate::channel::inlet::{self, Inlet, Reads, check_fences, fences, with_fences};
use crate::channel::latest::cells::{self, Cells};
use crate::channel::link::{Link, POLLABLE, Plan, Side, one_way};
use crate::channel::meet::private;
use crate::channel::select::private as select;
use crate::channel::sleeper::{Sleeper, Sleepers};
use crate::channel::slots;
use crate::channel::{
    Acceptance, ChannelStat, End, Invitation, LastWords, Payload, Pollable, Source, Wait, meet, stat,
};
use crate::memory::header::{Kind, Layout};
use crate::memory::view::View;
use crate::memory::{MemoryOptions, Mode, Origin, Sealed, Trusted};
use crate::{Error, Refusal, Result};

/// The one that writes.
pub struct Writer<T: Payload, M: Mode = Trusted> {
    end: Attached<Cells<T, View>>,
    fences: Fences,
    mode: PhantomData<fn() -> M>,
}

/// One of those that read.
pub struct Reader<T: Payload, M: Mode = Trusted> {
    inlet: Inlet,
    /// The version that was read last.
    version: u64,
    payload: PhantomData<fn() -> (T, M)>,
}

impl<T: Payload> Writer<T, Trusted> {
    /// Makes the cell under a name, mode 0600, and becomes its writer. Dropping the writer removes the name.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EEXIST | [`Error::Exists`] |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`] |
    /// | ENOSPC | [`Error::NoSpace`]; nothing was made |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ENOENT (/proc is not mounted) | [`Error::System`] |
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
        let log = &mut self.end.ring;
        inlet::admit(
            &mut log.bells,
            acceptance,
            &log.memory,
            &Plan { layout: *log.memory.segment().layout(), ..plan::<T>()? },
        )
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
    #[inline]
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

impl<T, W: crate::words::Words> LastWords for Cells<T, W> {
    fn release(&mut self) {}

    fn wake(&mut self) {
        // Dearer than asking how this cell is fenced, and right either way.
        call::call_each(&self.memory, Fences::Both, &mut self.bells);
    }
}

impl<T: Payload> Reader<T, Trusted> {
    /// Attaches the cell of this name.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOENT | [`Error::NotFound`] |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ELOOP (a symbolic link) | [`Error::System`] |
    /// | | [`Error::Refused`], with the [`Refusal`] that says why |
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Reader::open`], of a cell that was made with this tag.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        Self::new(Inlet::open(name.as_ref(), &any_plan::<T>().tagged(options.tag))?)
    }
}

impl<T: Payload> Reader<T, Sealed> {
    /// Attaches another process's sealed cell.
    ///
    /// # Errors
    /// [`Error::Refused`]; [`Error::System`] (EMFILE, ENOMEM).
    pub fn from_fd(descriptor: impl Into<OwnedFd>) -> Result<Self> {
        Self::from_fd_with(descriptor, &MemoryOptions::new())
    }

    /// As [`Reader::from_fd`], of a cell that was made with this tag.
    ///
    /// # Errors
    /// As [`Reader::from_fd`].
    pub fn from_fd_with(descriptor: impl Into<OwnedFd>, options: &MemoryOptions) -> Result<Self> {
        Self::new(Inlet::from_fd(descriptor.into(), &any_plan::<T>().tagged(options.tag))?)
    }
}

impl<T: Payload, M: Mode> Reader<T, M> {
    pub(in crate::channel) fn new(inlet: Inlet) -> Result<Self> {
        check::<T>(inlet.layout())?;
        Ok(Self { inlet, version: 0, payload: PhantomData })
    }

    /// Copies the newest value; `None` when nothing was ever written.
    ///
    /// # Errors
    /// [`Error::Contended`] where the writer was faster than the copy, 64 times in a row; [`Error::Forked`].
    #[inline]
    pub fn read(&mut self) -> Result<Option<T>> {
        self.inlet.check_fork()?;
        let Some((version, value)) = cells::read(&self.inlet.view)? else { return Ok(None) };
        self.version = version;
        Ok(Some(value))
    }

    /// As [`Reader::read`], but `None` also when the value has not been replaced since the last read.
    ///
    /// # Errors
    /// As [`Reader::read`].
    #[inline]
    pub fn read_newer(&mut self) -> Result<Option<T>> {
        self.inlet.check_fork()?;
        if cells::version(&self.inlet.view) == self.version { Ok(None) } else { self.read() }
    }

    /// What the cell's words say of the writer and, in common memory, of its readers together; asks the kernel whether the
    /// writer lives.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        self.inlet.stat()
    }

    /// Whether the writer's process holds the cell now: asks the kernel.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn writer_is_alive(&self) -> Result<bool> {
        self.inlet.writer_is_alive()
    }
}

impl<T: Payload, M: Mode> Reader<T, M> {
    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.inlet.set_wait(wait);
    }

    /// Watches the process at the other side by its pidfd: [`spsc::Receiver::watch`](crate::spsc::Receiver::watch).
    ///
    /// # Errors
    /// As there.
    pub fn watch(&mut self, process: impl Into<OwnedFd>) -> Result<()> {
        self.inlet.watch(process.into())
    }

    /// As [`Reader::read_newer`], but says whether there will be another value at all.
    ///
    /// # Errors
    /// [`Error::Empty`] where the value has not been replaced since the last read; [`Error::Disconnected`] where the writer
    /// is gone and the newest value has been read; as [`Reader::read`].
    pub fn try_wait(&mut self) -> Result<T> {
        if let Some(value) = self.read_newer()? {
            return Ok(value);
        }
        let gone = self.inlet.look();
        // What was written before the writer went is there now, if it ever was.
        match self.read_newer()? {
            Some(value) => Ok(value),
            None => gone.and(Err(Error::Empty)),
        }
    }

    /// Waits until the value has been replaced since the last read, and copies it.
    ///
    /// # Blocking
    /// Until there is a newer value or the writer is gone; a signal does not end it.
    ///
    /// # Errors
    /// [`Error::Disconnected`] where the writer is gone and the newest value has been read; as [`Reader::read`].
    pub fn wait(&mut self) -> Result<T> {
        self.wait_until(Deadline::NEVER)
    }

    /// As [`Reader::wait`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Reader::wait`].
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<T> {
        self.wait_until(Deadline::after(timeout))
    }

    fn wait_until(&mut self, deadline: Deadline) -> Result<T> {
        self.inlet.check_fork()?;
        loop {
            let view = self.inlet.view.clone();
            let last = self.version;
            let ready = || Ok(cells::version(&view) != last);
            self.inlet.wait(deadline, ready)?;
            if let Some(value) = self.read()? {
                return Ok(value);
            }
            // A writer that takes back what it has shown must not keep us beyond our time.
            if deadline.has_passed() {
                return Err(Error::TimedOut);
            }
        }
    }
}

impl<T: Payload> End for Reader<T, Sealed> {}
impl<T: Payload, M: Mode> Pollable for Reader<T, M> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::End for Reader<T, Sealed> {
    const SIDE: Side = Side::Consumer;
    const BRINGS_SOCKET: bool = true;

    fn plan() -> Plan {
        any_plan::<T>()
    }

    fn plan_for(layout: &Layout) -> Result<Plan> {
        check::<T>(layout)?;
        Ok(Plan { layout: *layout, ..any_plan::<T>() })
    }

    fn from_link(link: Link) -> Result<Self> {
        Self::new(Inlet::invited(link))
    }
}

impl<T: Payload, M: Mode> Source for Reader<T, M> {}

impl<T: Payload, M: Mode> Reads for Reader<T, M> {
    fn inlet(&self) -> &Inlet {
        &self.inlet
    }

    fn inlet_mut(&mut self) -> &mut Inlet {
        &mut self.inlet
    }

    fn has_news(&self) -> bool {
        cells::version(&self.inlet.view) != self.version
    }
}

impl<T: Payload, M: Mode> Sleepers for Reader<T, M> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        visit(self);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        visit(self);
    }
}

impl<T: Payload, M: Mode> select::Source for Reader<T, M> {
    fn check(&self) -> Result<()> {
        self.inlet.check_wait()
    }

    fn look(&mut self) -> Result<bool> {
        self.inlet.look()?;
        Ok(self.has_news())
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        self.inlet.descriptors(visit);
    }
}

impl<T: Payload, M: Mode> fmt::Debug for Writer<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl<T: Payload, M: Mode> fmt::Debug for Reader<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reader").field("version", &self.version).finish_non_exhaustive()
    }
}

fn plan<T: Payload>() -> Result<Plan> {
    let len = cells::len::<T>().filter(|len| i64::try_from(*len).is_ok()).ok_or(Error::InvalidParameter {
        what: "the size",
        value: size_of::<T>() as u64,
        reason: "four such values do not fit in the address space",
    })?;
    let plan = any_plan::<T>();
    Ok(Plan { layout: Layout { capacity: 4, len, ..plan.layout }, ..plan })
}

/// A plan that fits whatever flags a header has; [`check`] looks at the rest.
pub(in crate::channel) fn any_plan<T: Payload>() -> Plan {
    let layout = slots::fingerprint::<T>(Kind::Latest, cells::stride::<T>());
    // A cell is complete when it is zero: version 0.
    let permissions = MemoryOptions::new().permissions;
    Plan { layout, permissions, init: |_, _, _| (), max: meet::MAX, part: one_way }
}

pub(in crate::channel) fn plan_with<T: Payload>(options: &MemoryOptions) -> Result<Plan> {
    Ok(Plan { permissions: options.permissions, ..plan::<T>()? }.tagged(options.tag))
}

/// Whether a header's lengths are this type's.
fn check<T: Payload>(found: &Layout) -> Result<()> {
    let wanted = plan::<T>()?.layout;
    if (found.capacity, found.len) != (wanted.capacity, wanted.len) {
        return Err(Error::refused("the cell", Refusal::Capacity));
    }
    Ok(())
}
