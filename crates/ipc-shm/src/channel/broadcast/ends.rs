//! The writer and the readers as users hold them.

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use ipc_sys::Deadline;
use nix::fcntl::OFlag;

use crate::channel::attached::Attached;
use crate::channel::broadcast::log::{Found, Log, Reading, Shape};
use crate::channel::call::{self, Fences};
use crate::channel::inlet::{self, Inlet, Reads, check_fences, fences, with_fences};
use crate::channel::link::{Link, Plan, Side};
use crate::channel::meet::private;
use crate::channel::select::private as select;
use crate::channel::sleeper::{Sleeper, Sleepers};
use crate::channel::slots::{self, Slots};
use crate::channel::{
    Acceptance, ChannelOptions, ChannelStat, End, Invitation, LastWords, Payload, Pollable, Source, Wait,
    stat,
};
use crate::memory::header::{Kind, Layout};
use crate::memory::mapping::Mapping;
use crate::memory::view::View;
use crate::memory::{MemoryOptions, Mode, Origin, Sealed, Trusted};
use crate::words::Words;
use crate::{Error, Result};

/// The one that writes.
pub struct Writer<T: Payload, M: Mode = Trusted> {
    end: Attached<Log<T, View>>,
    fences: Fences,
    mode: PhantomData<fn() -> M>,
}

/// One of those that read.
pub struct Reader<T: Payload, M: Mode = Trusted> {
    reading: Reading<T, View>,
    inlet: Inlet,
    mode: PhantomData<fn() -> M>,
}

impl<T: Payload> Writer<T, Trusted> {
    /// Makes the channel under a name, and becomes its writer. Dropping the writer removes the name.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EEXIST | [`Error::Exists`] |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`], [`Error::InvalidParameter`] (the capacity) |
    /// | ENOSPC | [`Error::NoSpace`]; nothing was made |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ENOENT (/proc is not mounted) | [`Error::System`] |
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
        inlet::admit(
            &mut log.bells,
            acceptance,
            &log.memory,
            &Plan { layout: *log.memory.segment().layout(), ..slots::any_plan::<T, Shape>() },
        )
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
    #[inline]
    pub fn write(&mut self, message: &T) -> Result<()> {
        self.end.link.check_fork()?;
        self.end.ring.write(message);
        let ring = &mut self.end.ring;
        call::call_each(&ring.memory, self.fences, &mut ring.bells);
        Ok(())
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

impl<T: Payload> Reader<T, Trusted> {
    /// Attaches the channel of this name; the first message is the next one written.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOENT | [`Error::NotFound`] |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ELOOP (a symbolic link) | [`Error::System`] |
    /// | | [`Error::Refused`], with the [`Refusal`](crate::Refusal) that says why |
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Reader::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        Self::new(Inlet::open(name.as_ref(), &slots::any_plan::<T, Shape>().tagged(options.tag))?)
    }
}

impl<T: Payload> Reader<T, Sealed> {
    /// Attaches another process's sealed channel; the first message is the next one written.
    ///
    /// # Errors
    /// [`Error::Refused`]; [`Error::System`] (EMFILE, ENOMEM).
    pub fn from_fd(descriptor: impl Into<OwnedFd>) -> Result<Self> {
        Self::from_fd_with(descriptor, &MemoryOptions::new())
    }

    /// As [`Reader::from_fd`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Reader::from_fd`].
    pub fn from_fd_with(descriptor: impl Into<OwnedFd>, options: &MemoryOptions) -> Result<Self> {
        Self::new(Inlet::from_fd(descriptor.into(), &slots::any_plan::<T, Shape>().tagged(options.tag))?)
    }
}

impl<T: Payload, M: Mode> Reader<T, M> {
    pub(in crate::channel) fn new(inlet: Inlet) -> Result<Self> {
        let shape = slots::shape_of::<T, Shape>(inlet.layout())?;
        let reading = Reading::new(inlet.view.clone(), shape);
        Ok(Self { reading, inlet, mode: PhantomData })
    }

    /// Copies the next message, if it is there.
    ///
    /// # Errors
    /// [`Error::Empty`]; [`Error::Lagged`] where the writer has lapped this reader; [`Error::Disconnected`] and
    /// [`Error::WriterDied`] where there will be no more; [`Error::Forked`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<T> {
        self.inlet.check_fork()?;
        match self.reading.next() {
            Found::Message(message) => Ok(message),
            other => self.explain(&other),
        }
    }

    /// What the channel's words say of the writer and, in common memory, of its readers together; asks the kernel whether the
    /// writer lives. Of sealed memory it says what this reader has lost.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        self.inlet.stat()
    }

    #[cold]
    fn explain(&mut self, found: &Found<T>) -> Result<T> {
        if matches!(found, Found::Lapped) {
            return Err(self.lagged());
        }
        let gone = self.inlet.look();
        // What was written before the writer went is there now, if it ever was.
        match self.reading.next() {
            Found::Message(message) => Ok(message),
            Found::Lapped => Err(self.lagged()),
            left => match gone {
                Ok(()) => Err(Error::Empty),
                Err(Error::Disconnected) => Err(self.inlet.end(matches!(left, Found::Unfinished))),
                Err(error) => Err(error),
            },
        }
    }
}

impl<T: Payload, M: Mode> Reader<T, M> {
    fn lagged(&mut self) -> Error {
        let lost = self.reading.skip();
        self.inlet.count_lagged(lost);
        Error::Lagged(lost)
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

    /// Copies the next message, waiting for it.
    ///
    /// # Blocking
    /// Until there is one or the writer is gone; a signal does not end it.
    ///
    /// # Errors
    /// As [`Reader::try_recv`], [`Error::Empty`] excepted.
    #[inline]
    pub fn recv(&mut self) -> Result<T> {
        match self.try_recv() {
            Err(Error::Empty) => self.recv_until(Deadline::NEVER),
            done => done,
        }
    }

    /// As [`Reader::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Reader::recv`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T> {
        match self.try_recv() {
            Err(Error::Empty) => self.recv_until(Deadline::after(timeout)),
            done => done,
        }
    }

    #[cold]
    fn recv_until(&mut self, deadline: Deadline) -> Result<T> {
        loop {
            let reading = &self.reading;
            let waited = self.inlet.wait(deadline, || Ok(reading.is_ready()));
            match waited {
                // Which end it was is for `try_recv` to say.
                Ok(()) | Err(Error::Disconnected) => {}
                Err(error) => return Err(error),
            }
            match self.try_recv() {
                // A writer that takes back what it has shown must not keep us beyond our time.
                Err(Error::Empty) if deadline.has_passed() => return Err(Error::TimedOut),
                Err(Error::Empty) => {}
                done => return done,
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
        slots::any_plan::<T, Shape>()
    }

    fn plan_for(layout: &Layout) -> Result<Plan> {
        slots::shape_of::<T, Shape>(layout)?;
        Ok(Plan { layout: *layout, ..slots::any_plan::<T, Shape>() })
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
        self.reading.is_ready()
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
        formatter.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl<T: Payload> Slots<T> for Shape {
    const KIND: Kind = Kind::Broadcast;
    const STRIDE: usize = Self::stride::<T>();

    fn new(capacity: u64, start: u64) -> Self {
        Self::new(capacity, start)
    }

    fn bytes(&self) -> Option<u64> {
        self.len::<T>()
    }

    fn init(&self, mapping: &Mapping, side: Side) {
        if side == Side::Producer {
            Self::init::<T, _>(*self, mapping);
        }
    }
}
