//! Waiting for a blocked signal, one at a time: the simplest way to receive, and the one that loses nothing. What is
//! pending stays in the kernel until somebody takes it, and goes with the process.

use std::time::Duration;

use ipc_sys::signal as sys;
use ipc_sys::{Deadline, errno};

use crate::{Error, Result, SignalInfo, SignalSet};

/// sigwaitinfo(2): takes the first pending signal of `signals`, lowest number first, or waits for one.
///
/// Block them first, in every thread, with a [`MaskGuard`](crate::MaskGuard): what is not blocked is delivered when nobody
/// is waiting. An ignored signal that is blocked arrives here too.
///
/// # Blocking
/// For ever. A handler for another signal does not end it: EINTR is retried.
///
/// # Errors
/// [`Error::System`]: none that the kernel documents for these arguments.
///
/// # Examples
/// See [`queue`](crate::queue).
#[doc(alias = "sigwaitinfo")]
#[doc(alias = "sigwait")]
#[inline]
pub fn wait(signals: impl Into<SignalSet>) -> Result<SignalInfo> {
    until(signals.into(), Deadline::NEVER)
}

/// sigtimedwait(2) without waiting: takes a pending signal of `signals`.
///
/// # Errors
///
/// | errno | variant |
/// | --- | --- |
/// | EAGAIN | [`Error::WouldBlock`] |
#[doc(alias = "sigtimedwait")]
pub fn try_wait(signals: impl Into<SignalSet>) -> Result<SignalInfo> {
    until(signals.into(), Deadline::after(Duration::ZERO)).map_err(|error| match error {
        Error::TimedOut => Error::WouldBlock,
        other => other,
    })
}

/// sigtimedwait(2): as [`wait`], for `timeout` at most, on CLOCK_MONOTONIC.
///
/// # Blocking
/// Up to `timeout`. Handlers for other signals do not prolong it, however often they run.
///
/// # Errors
///
/// | errno | variant |
/// | --- | --- |
/// | EAGAIN | [`Error::TimedOut`] |
#[doc(alias = "sigtimedwait")]
pub fn wait_timeout(signals: impl Into<SignalSet>, timeout: Duration) -> Result<SignalInfo> {
    until(signals.into(), Deadline::after(timeout))
}

#[inline]
fn until(signals: SignalSet, deadline: Deadline) -> Result<SignalInfo> {
    let taken = errno::retry(|| sys::wait(signals.bits(), deadline.remaining_timespec().as_ref()));
    taken.map(SignalInfo::new).map_err(|source| match source.raw_os_error() {
        Some(libc::EAGAIN) => Error::TimedOut,
        _ => Error::System { operation: "sigtimedwait", source },
    })
}
