//! A ring of signals between the handler that takes them and the code that reads them: memory of this process and an
//! eventfd, both gone with the last handle.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ipc_sys::fork::ForkMark;
use ipc_sys::{Deadline, event, poll};

use crate::handler::Buffer;
use crate::{Error, Result, SignalInfo};

/// Signals with their senders and values, kept from inside the handler until somebody reads them.
///
/// Lossless up to its capacity; what arrives beyond is counted by [`Ring::overflowed`]. One ring may serve several signals,
/// and clones may read on several threads. Where several threads of the process may take a signal, two that arrive at once
/// may change places: block it in all threads but one where the order matters.
///
/// # Fork
/// A forked child has a copy of what had come, for [`Ring::try_recv`]; nothing comes after it, so waiting is an error (EINVAL). Its
/// signals do not reach the parent.
///
/// # After a crash
/// Nothing is left; what had been taken in and not read is gone with the process.
///
/// # Examples
/// ```
/// use ipc_signal::{on, queue, Pid, Ring, Signal};
///
/// let ring = Ring::with_capacity(64)?;
/// let signal = Signal::realtime(1)?;
/// let _registration = on(signal, &ring)?;
/// queue(Pid::own(), signal, 7)?;
/// let info = ring.recv()?;
/// assert_eq!((info.value().map(|value| value.as_i32()), ring.overflowed()), (Some(7), 0));
/// # Ok::<(), ipc_signal::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ring {
    pub(crate) buffer: Arc<Buffer>,
    /// Whose eventfd it is: a child that read from it would take the parent's news.
    mark: ForkMark,
}

impl Ring {
    /// A ring for `capacity` signals, rounded up to a power of two.
    ///
    /// # Errors
    /// [`Error::System`]: EMFILE, ENFILE, ENOMEM of eventfd(2), or for so many.
    pub fn with_capacity(capacity: usize) -> Result<Self> {
        let event = event::eventfd().map_err(Error::system("eventfd"))?;
        let mark = ForkMark::new().map_err(Error::system("mmap"))?;
        let too_large = || Error::system("malloc")(std::io::Error::from_raw_os_error(libc::ENOMEM));
        let buffer = Buffer::new(capacity, event).ok_or_else(too_large)?;
        Ok(Self { buffer: Arc::new(buffer), mark })
    }

    /// How many it holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// How many were delivered and found it full, since it was made. Async-signal-safe.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.buffer.overflow.load(Ordering::SeqCst)
    }

    /// Takes the oldest.
    ///
    /// # Blocking
    /// For ever; EINTR is retried.
    ///
    /// # Errors
    /// [`Error::System`]: ENOMEM of ppoll(2); EINVAL in a forked child.
    pub fn recv(&self) -> Result<SignalInfo> {
        self.until(Deadline::NEVER)
    }

    /// Takes the oldest if there is one.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] when there is none.
    pub fn try_recv(&self) -> Result<SignalInfo> {
        if let Some(info) = self.buffer.pop() {
            return Ok(info);
        }
        if !self.is_ours() {
            return Err(Error::WouldBlock);
        }
        // Reset first and look again: whatever is pushed after the look sets the event once more.
        event::drain(&self.buffer.event);
        let info = self.buffer.pop().ok_or(Error::WouldBlock)?;
        // The reset may have taken the news from another reader.
        event::write(&self.buffer.event, &1_u64.to_ne_bytes());
        Ok(info)
    }

    /// As [`Ring::recv`], for `timeout` at most.
    ///
    /// # Errors
    /// [`Error::TimedOut`]; [`Error::System`]: ENOMEM of ppoll(2), EINVAL in a forked child.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<SignalInfo> {
        self.until(Deadline::after(timeout))
    }

    /// Those that are there now.
    pub fn drain(&self) -> impl Iterator<Item = SignalInfo> + '_ {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    fn until(&self, deadline: Deadline) -> Result<SignalInfo> {
        loop {
            match self.try_recv() {
                Err(Error::WouldBlock) if !self.is_ours() => {
                    return Err(Error::of_parent("ring of the parent"));
                }
                Err(Error::WouldBlock) => {}
                done => return done,
            }
            if poll::wait(&self.buffer.event, libc::POLLIN, deadline)
                .map_err(Error::system("ppoll"))?
                .is_none()
            {
                return Err(Error::TimedOut);
            }
        }
    }

    /// For the thread of [`Action::Thread`](crate::Action::Thread): `None` when it shall end.
    pub(crate) fn next(&self) -> Option<SignalInfo> {
        loop {
            if self.buffer.closed.load(Ordering::SeqCst) {
                return None;
            }
            match self.try_recv() {
                Ok(info) => return Some(info),
                Err(_) => poll::wait(&self.buffer.event, libc::POLLIN, Deadline::NEVER).ok()?,
            };
        }
    }

    /// Whether this is the process that made it.
    pub(crate) fn is_ours(&self) -> bool {
        self.mark.is_ours()
    }

    pub(crate) fn close(&self) {
        self.buffer.closed.store(true, Ordering::SeqCst);
        event::write(&self.buffer.event, &1_u64.to_ne_bytes());
    }
}

/// Readable when something may have arrived: then [`Ring::try_recv`] until it would block.
impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.buffer.event.as_fd()
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.buffer.event.as_raw_fd()
    }
}
