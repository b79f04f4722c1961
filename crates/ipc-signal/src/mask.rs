//! The signal mask of a thread: what waits in the kernel instead of being delivered. It belongs to the thread, is
//! inherited by threads and children that it starts, and goes with it.

use std::marker::PhantomData;

use ipc_sys::signal::{self as sys, How};

use crate::{Error, Result, SignalSet};

/// pthread_sigmask(3) for as long as it lives: on drop, unwinding included, the mask is what it was before.
///
/// Guards nest: drop the younger first. A guard cannot be sent to another thread, whose mask it would not be. Signals
/// sent to the process go to any thread that does not block them, so block before threads are started, which inherit it. Children inherit it as well:
/// [`CommandExt::signal_mask`](crate::CommandExt::signal_mask).
///
/// # After a crash
/// Nothing is left: a mask belongs to its thread and ends with it. A child that was started meanwhile keeps its copy, through
/// fork and through exec.
///
/// # Examples
/// ```
/// use ipc_signal::{pending, raise, wait, MaskGuard, Signal};
///
/// let blocked = MaskGuard::block(Signal::USR1)?;
/// raise(Signal::USR1)?;
/// assert!(pending()?.contains(Signal::USR1));
/// assert_eq!(wait(Signal::USR1)?.signal(), Signal::USR1);
/// drop(blocked);
/// # Ok::<(), ipc_signal::Error>(())
/// ```
/// ```compile_fail
/// fn sent(_: impl Send) {}
/// sent(ipc_signal::MaskGuard::block(ipc_signal::Signal::USR1)?);
/// # Ok::<(), ipc_signal::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the mask is restored when the guard is dropped"]
#[doc(alias = "sigprocmask")]
#[doc(alias = "pthread_sigmask")]
pub struct MaskGuard {
    former: SignalSet,
    not_send: PhantomData<*const ()>,
}

impl MaskGuard {
    /// SIG_BLOCK: blocks these as well. KILL and STOP cannot be blocked and are left out by the kernel.
    ///
    /// # Errors
    /// [`Error::System`]: none that the kernel documents.
    pub fn block(signals: impl Into<SignalSet>) -> Result<Self> {
        Self::change(How::Block, signals.into())
    }

    /// SIG_UNBLOCK: lets these through. What was pending is delivered before this returns.
    ///
    /// # Errors
    /// [`Error::System`]: none that the kernel documents.
    pub fn unblock(signals: impl Into<SignalSet>) -> Result<Self> {
        Self::change(How::Unblock, signals.into())
    }

    /// SIG_SETMASK: blocks these and no others.
    ///
    /// # Errors
    /// [`Error::System`]: none that the kernel documents.
    pub fn set(signals: impl Into<SignalSet>) -> Result<Self> {
        Self::change(How::Set, signals.into())
    }

    /// The mask that comes back.
    #[must_use]
    pub const fn former(&self) -> SignalSet {
        self.former
    }

    /// sigsuspend(2) with the former mask: lets through what this guard blocks and waits, in one step, until a handler has
    /// run; then the guard's mask is in place again.
    ///
    /// # Blocking
    /// Until a handler has run. Ignored signals do not end it. That is what EINTR means here, and it is no error.
    ///
    /// # Errors
    /// [`Error::System`]: none that the kernel documents.
    #[doc(alias = "sigsuspend")]
    #[doc(alias = "pause")]
    pub fn suspend(&self) -> Result<()> {
        suspend(self.former)
    }

    fn change(how: How, signals: SignalSet) -> Result<Self> {
        let former = sys::change_mask(how, signals.bits()).map_err(Error::system("pthread_sigmask"))?;
        Ok(Self { former: SignalSet::from_bits(former), not_send: PhantomData })
    }
}

impl Drop for MaskGuard {
    fn drop(&mut self) {
        // It cannot fail: the arguments are valid whatever the mask.
        let _ = sys::change_mask(How::Set, self.former.bits());
    }
}

/// sigsuspend(2): waits with exactly `mask` blocked until a handler has run; the thread's mask then is what it was.
///
/// # Blocking
/// Until a handler has run: EINTR means that here, and is no error.
///
/// # Errors
/// [`Error::System`]: none that the kernel documents.
#[doc(alias = "sigsuspend")]
pub fn suspend(mask: impl Into<SignalSet>) -> Result<()> {
    match sys::suspend(mask.into().bits()) {
        Err(error) if !ipc_sys::errno::is(&error, libc::EINTR) => {
            Err(Error::System { operation: "sigsuspend", source: error })
        }
        _ => Ok(()),
    }
}

/// pthread_sigmask(3): what the calling thread blocks. Async-signal-safe.
///
/// # Errors
/// [`Error::System`]: none that the kernel documents.
pub fn mask() -> Result<SignalSet> {
    sys::mask().map(SignalSet::from_bits).map_err(Error::system("pthread_sigmask"))
}

/// sigpending(2): what has been sent to this thread or this process and is blocked. Async-signal-safe.
///
/// # Errors
/// [`Error::System`]: none that the kernel documents.
#[doc(alias = "sigpending")]
pub fn pending() -> Result<SignalSet> {
    sys::pending().map(SignalSet::from_bits).map_err(Error::system("sigpending"))
}
