//! One of those that read: how it is made, and how it waits for a newer value.
//!
//! It writes nothing that the writer waits for: killed, it leaves at most a bell that the writer forgets.

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use ipc_sys::Deadline;

use crate::channel::inlet::{Inlet, Reads};
use crate::channel::latest::cells;
use crate::channel::latest::plan::{any_plan, check};
use crate::channel::link::{Link, Plan, Side};
use crate::channel::meet::private;
use crate::channel::select::private as select;
use crate::channel::sleeper::{Sleeper, Sleepers};
use crate::channel::{ChannelStat, End, Payload, Pollable, Source, Wait};
use crate::memory::header::Layout;
use crate::memory::{MemoryOptions, Mode, Sealed, Trusted};
use crate::{Error, Result};

/// One of those that read.
pub struct Reader<T: Payload, M: Mode = Trusted> {
    inlet: Inlet,
    /// The version that was read last.
    version: u64,
    payload: PhantomData<fn() -> (T, M)>,
}

impl<T: Payload> Reader<T, Trusted> {
    /// Attaches the cell of this name.
    ///
    /// # Errors
    /// As [`spsc::Sender::open`](crate::spsc::Sender::open), but never [`Error::EndInUse`]: there is no limit to the readers.
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
        let read = match cells::read_now(&self.inlet.view) {
            None => cells::read(&self.inlet.view)?,
            read => read,
        };
        let Some((version, value)) = read else { return Ok(None) };
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

impl<T: Payload, M: Mode> fmt::Debug for Reader<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reader").field("version", &self.version).finish_non_exhaustive()
    }
}
