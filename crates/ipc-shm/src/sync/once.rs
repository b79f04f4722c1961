//! Something to be done once for all processes: a flag, and a robust mutex for whoever is doing it. Its creator is whoever
//! makes the memory; when the one who does it dies, the next caller does it.
#![expect(unsafe_code, reason = "the type promises to be InPlace")]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use ipc_sys::fork::ForkMark;
use ipc_sys::pthread::Acquired;

use super::robust::{Locked, Robust};
use crate::in_place::{InPlace, kind};
use crate::{Refusal, Result};

/// `pthread_once_t` between processes: the first caller does it, the others wait until it is done.
///
/// It is behind [`Shared::trust`](crate::Shared::trust), as a [`Mutex`](crate::Mutex) is part of it. When it is done a call
/// is one load.
///
/// # After a crash
/// When the process that does it is killed, one of those that wait, or the next to call, does it in its place and is told
/// so: [`Attempt::Again`]. Done is done, whoever dies afterwards.
///
/// # Examples
/// ```
/// # fn main() -> ipc_shm::Result<()> {
/// use ipc_shm::{Attempt, Once, Shared};
///
/// let shared = Shared::<Once>::anonymous(|_| Ok(()))?;
/// // SAFETY: nobody else has this memory.
/// let shared = unsafe { shared.trust() };
/// let once = shared.get()?;
/// let mut times = 0;
/// for _ in 0..3 {
///     once.call_once(|attempt| {
///         assert_eq!(attempt, Attempt::First);
///         times += 1;
///     })?;
/// }
/// assert_eq!(times, 1);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "pthread_once_t")]
#[repr(C)]
pub struct Once {
    state: AtomicU64,
    lock: Robust,
}

/// Whether somebody has tried before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Nobody has begun it.
    First,
    /// Somebody began it and died or panicked: what it left may be there half-way.
    Again,
}

const NEW: u64 = 0;
const BEGUN: u64 = 1;
const DONE: u64 = 2;

impl Once {
    /// pthread_once: does it, unless it is done. What it wrote is seen by each whose call returns `Ok`.
    ///
    /// # Blocking
    /// Until it is done, by us or by who is at it. A signal does not end the wait.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EDEADLK | [`Error::Deadlock`](crate::Error): called from within `action` |
    /// | ENOLCK | [`Error::TooManyLocks`](crate::Error) |
    #[doc(alias = "pthread_once")]
    #[inline]
    pub fn call_once(&self, action: impl FnOnce(Attempt)) -> Result<()> {
        if self.is_done() { Ok(()) } else { self.call(action) }
    }

    /// Whether it is done.
    #[inline]
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }

    #[cold]
    fn call(&self, action: impl FnOnce(Attempt)) -> Result<()> {
        let Locked { how, by } = self.lock.lock(None)?;
        if how == Acquired::OwnerDied {
            // What the dead one was at is in `state`.
            self.lock.consistent();
        }
        let _unlock = Unlock(&self.lock, by);
        let attempt = match self.state.load(Ordering::Relaxed) {
            DONE => return Ok(()),
            NEW => Attempt::First,
            _ => Attempt::Again,
        };
        self.state.store(BEGUN, Ordering::Relaxed);
        action(attempt);
        self.state.store(DONE, Ordering::Release);
        Ok(())
    }
}

/// Unlocks when `action` panics, too.
struct Unlock<'a>(&'a Robust, ForkMark);

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        self.0.unlock(self.1);
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_done() { "Once(done)" } else { "Once(not done)" })
    }
}

// SAFETY: `init` makes the mutex, and a zeroed state is `NEW`; what changes through `&Self` is an atomic and the mutex.
unsafe impl InPlace for Once {
    const KIND: u64 = kind("Once 1", &[Robust::KIND]);

    unsafe fn init(place: *mut Self) -> Result<()> {
        // SAFETY: the caller's: `place` is valid for the whole.
        let lock = unsafe { &raw mut (*place).lock };
        // SAFETY: the caller's, for the mutex in it.
        unsafe { Robust::init(lock) }
    }

    unsafe fn check(place: *const Self) -> Result<(), Refusal> {
        // SAFETY: the caller's: `place` is valid for the whole.
        let lock = unsafe { &raw const (*place).lock };
        // SAFETY: the caller's, for the mutex in it.
        unsafe { Robust::check(lock) }
    }

    unsafe fn is_held(place: *const Self) -> bool {
        // SAFETY: the caller's: `place` is valid for the whole.
        let lock = unsafe { &raw const (*place).lock };
        // SAFETY: the caller's, for the mutex in it.
        unsafe { Robust::is_held(lock) }
    }
}
