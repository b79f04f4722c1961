//! signalfd(2): signals as records to be read from a descriptor. The kernel keeps what is pending with the thread or the
//! process, not with the descriptor, which holds a set and nothing else.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use ipc_sys::signal as sys;
use ipc_sys::{Deadline, errno, poll};

use crate::{Error, Result, Signal, SignalInfo, SignalSet};

/// How many records one read takes at most.
const BATCH: usize = 64;

/// A descriptor from which blocked signals are read: what belongs to the reading thread, and what belongs to its process.
///
/// It is non-blocking and CLOEXEC. A child that inherits it by fork reads its own signals from it, never the parent's.
///
/// # After a crash
/// Nothing is left; what was pending for the process is gone with it.
///
/// # Examples
/// ```
/// use ipc_signal::{raise, MaskGuard, Signal, SignalFd};
///
/// let _blocked = MaskGuard::block([Signal::USR1, Signal::USR2])?;
/// let signals = SignalFd::new([Signal::USR1, Signal::USR2])?;
/// raise(Signal::USR2)?;
/// raise(Signal::USR1)?;
/// let mut batch = Vec::new();
/// assert_eq!(signals.recv_batch(&mut batch)?, 2);
/// assert_eq!((batch[0].signal(), batch[1].signal()), (Signal::USR1, Signal::USR2));
/// # Ok::<(), ipc_signal::Error>(())
/// ```
#[derive(Debug)]
#[doc(alias = "signalfd")]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// signalfd(2): for `signals`, which the calling thread blocks with a [`MaskGuard`](crate::MaskGuard). KILL and STOP
    /// are left out by the kernel.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | (one of them is not blocked, and would be delivered instead) | [`Error::NotBlocked`] |
    /// | EMFILE, ENFILE, ENODEV, ENOMEM | [`Error::System`] |
    pub fn new(signals: impl Into<SignalSet>) -> Result<Self> {
        let signals = signals.into();
        blocked(signals)?;
        sys::signalfd(signals.bits(), true).map(Self).map_err(Error::system("signalfd"))
    }

    /// signalfd(2) again: from now on for these.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | (one of them is not blocked) | [`Error::NotBlocked`] |
    /// | EINVAL (the descriptor came from elsewhere and is no signalfd) | [`Error::System`] |
    pub fn set(&self, signals: impl Into<SignalSet>) -> Result<()> {
        let signals = signals.into();
        blocked(signals)?;
        sys::signalfd_set(&self.0, signals.bits()).map_err(Error::system("signalfd"))
    }

    /// read(2) of one record, and ppoll(2) where nothing is pending: the lowest signal first, one signal in the order sent.
    ///
    /// # Blocking
    /// For ever; EINTR is retried.
    ///
    /// # Errors
    /// [`Error::System`]: ENOMEM.
    pub fn recv(&self) -> Result<SignalInfo> {
        self.until(Deadline::NEVER)
    }

    /// read(2) of one record, if one is pending.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EAGAIN | [`Error::WouldBlock`] |
    pub fn try_recv(&self) -> Result<SignalInfo> {
        let mut one = None;
        self.read::<1>(|info| one = Some(info))?;
        one.ok_or(Error::WouldBlock)
    }

    /// As [`SignalFd::recv`], for `timeout` at most.
    ///
    /// # Errors
    /// [`Error::TimedOut`]; [`Error::System`]: ENOMEM.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<SignalInfo> {
        self.until(Deadline::after(timeout))
    }

    /// read(2) of up to 64 records, appended to `batch`: waits for the first as [`SignalFd::recv`] does, and says how many
    /// came.
    ///
    /// # Errors
    /// [`Error::System`]: ENOMEM.
    pub fn recv_batch(&self, batch: &mut Vec<SignalInfo>) -> Result<usize> {
        loop {
            match self.try_recv_batch(batch) {
                Err(Error::WouldBlock) => self.ready(Deadline::NEVER)?,
                done => return done,
            }
        }
    }

    /// read(2) of up to 64 records, appended to `batch`, as far as they are pending.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EAGAIN | [`Error::WouldBlock`] |
    pub fn try_recv_batch(&self, batch: &mut Vec<SignalInfo>) -> Result<usize> {
        self.read::<BATCH>(|info| batch.push(info))
    }

    /// An iterator that waits for each signal as [`SignalFd::recv`] does, and never ends but by an error.
    pub fn incoming(&self) -> impl Iterator<Item = Result<SignalInfo>> + '_ {
        std::iter::repeat_with(|| self.recv())
    }

    fn until(&self, deadline: Deadline) -> Result<SignalInfo> {
        loop {
            match self.try_recv() {
                Err(Error::WouldBlock) => self.ready(deadline)?,
                done => return done,
            }
        }
    }

    fn ready(&self, deadline: Deadline) -> Result<()> {
        match poll::wait(&self.0, libc::POLLIN, deadline).map_err(Error::system("ppoll"))? {
            Some(_) => Ok(()),
            None => Err(Error::TimedOut),
        }
    }

    fn read<const N: usize>(&self, mut take: impl FnMut(SignalInfo)) -> Result<usize> {
        errno::retry(|| sys::signalfd_read::<N>(&self.0, |info| take(SignalInfo::new(info)))).map_err(
            |source| match source.raw_os_error() {
                Some(libc::EAGAIN) => Error::WouldBlock,
                _ => Error::System { operation: "read", source },
            },
        )
    }
}

/// Whether the calling thread blocks all of them, as far as they can be blocked.
fn blocked(signals: SignalSet) -> Result<()> {
    let mut open = signals & !crate::mask()?;
    for fixed in [Signal::KILL, Signal::STOP] {
        open.remove(fixed);
    }
    // The C library keeps its own two out of every mask.
    match open.iter().find(|signal| Signal::all().any(|usable| usable == *signal)) {
        None => Ok(()),
        Some(signal) => Err(Error::NotBlocked { signal }),
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for SignalFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl From<SignalFd> for OwnedFd {
    fn from(signals: SignalFd) -> Self {
        signals.0
    }
}

/// A signalfd from elsewhere, made non-blocking there if [`SignalFd::try_recv`] shall not wait.
impl From<OwnedFd> for SignalFd {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}
