//! One of those that read: how it is made, and how it receives.
//!
//! It writes nothing that the writer waits for: killed, it leaves at most a bell that the writer forgets.

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use ipc_sys::Deadline;

use crate::channel::broadcast::log::{Found, Reading, Shape};
use crate::channel::inlet::{Inlet, Reads};
use crate::channel::link::{Link, Plan, Side};
use crate::channel::meet::private;
use crate::channel::select::private as select;
use crate::channel::sleeper::{Sleeper, Sleepers};
use crate::channel::{ChannelStat, End, Payload, Pollable, Source, Wait, slots};
use crate::memory::header::Layout;
use crate::memory::view::View;
use crate::memory::{MemoryOptions, Mode, Sealed, Trusted};
use crate::{Error, Result};

/// One of those that read.
pub struct Reader<T: Payload, M: Mode = Trusted> {
    reading: Reading<T, View>,
    inlet: Inlet,
    mode: PhantomData<fn() -> M>,
}

impl<T: Payload> Reader<T, Trusted> {
    /// Attaches the channel of this name; the first message is the next one written.
    ///
    /// # Errors
    /// As [`spsc::Sender::open`](crate::spsc::Sender::open), but never [`Error::EndInUse`]: there is no limit to the readers.
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

    /// How many messages this reader may be behind before it is lapped.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.inlet.view.segment().capacity()
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

    fn lagged(&mut self) -> Error {
        let lost = self.reading.skip();
        self.inlet.count_lagged(lost);
        Error::Lagged(lost)
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

    /// Copies what is there, as much as `buffer` holds, and says how many. That it was lapped behind those, the next call says.
    ///
    /// # Errors
    /// As [`Reader::try_recv`]; [`Error::Empty`] where there was nothing.
    pub fn try_recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.recv_batch_by(buffer, Self::try_recv)
    }

    /// As [`Reader::try_recv_batch`], waiting for the first message.
    ///
    /// # Blocking
    /// As [`Reader::recv`].
    ///
    /// # Errors
    /// As [`Reader::recv`].
    pub fn recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.recv_batch_by(buffer, Self::recv)
    }

    /// As [`Reader::recv_batch`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Reader::recv_timeout`].
    pub fn recv_batch_timeout(&mut self, buffer: &mut [T], timeout: Duration) -> Result<usize> {
        self.recv_batch_by(buffer, |reader| reader.recv_timeout(timeout))
    }

    fn recv_batch_by(
        &mut self,
        buffer: &mut [T],
        recv: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<usize> {
        let Some((first, rest)) = buffer.split_first_mut() else { return Ok(0) };
        *first = recv(self)?;
        let mut count = 1;
        for place in rest {
            let Found::Message(message) = self.reading.next() else { break };
            *place = message;
            count += 1;
        }
        Ok(count)
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

impl<T: Payload, M: Mode> fmt::Debug for Reader<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reader").finish_non_exhaustive()
    }
}
