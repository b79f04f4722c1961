//! An event: one word of shared memory that says yes or no, and those who wait for yes.
#![expect(unsafe_code, reason = "the type promises to be InPlace and AnyBits")]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipc_sys::Deadline;

use super::word::{Word, low};
use crate::in_place::{AnyBits, InPlace, kind};
use crate::{Error, Result};

/// Something that has happened or not: set by anybody, seen by all who wait, until somebody resets it.
///
/// Who waits when it is set returns, even if it was reset before they ran. All calls are safe whatever other processes
/// write into it. No call makes a system call unless it must sleep or somebody sleeps.
///
/// # After a crash
/// It stays as it was: set, if the killed process had set it. One killed inside `set` may cost those who wait 70 ms until
/// they look again. A waiter that is killed leaves nothing.
///
/// # Examples
/// ```
/// # fn main() -> ipc_shm::Result<()> {
/// use ipc_shm::{Event, Shared};
///
/// let shared = Shared::<Event>::anonymous(|_| Ok(()))?;
/// let ready = shared.get()?;
/// ready.set()?;
/// ready.wait()?;
/// assert!(ready.reset());
/// assert!(!ready.is_set());
/// # Ok(())
/// # }
/// ```
#[doc(alias = "eventfd")]
#[doc(alias = "futex")]
#[repr(transparent)]
pub struct Event {
    word: AtomicU64,
}

impl Event {
    /// Sets it and wakes all who wait. What this process wrote before is seen by those who see the event set.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EPERM (a seccomp filter) | [`Error::PermissionDenied`]; it is set |
    /// | ENOSYS (a seccomp filter) | [`Error::System`]; it is set |
    #[inline]
    pub fn set(&self) -> Result<()> {
        set(&self.word)
    }

    /// Takes it back, and says whether it was set. Of several that reset it at once, one is told true.
    #[inline]
    pub fn reset(&self) -> bool {
        reset(&self.word)
    }

    /// Whether it is set now.
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        low(self.word.load(Ordering::Acquire)) & SET != 0
    }

    /// Waits until it is set.
    ///
    /// # Blocking
    /// A signal does not end the wait (EINTR is retried).
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EPERM (a seccomp filter) | [`Error::PermissionDenied`] |
    /// | ENOSYS (a seccomp filter) | [`Error::System`] |
    #[inline]
    pub fn wait(&self) -> Result<()> {
        if self.is_set() { Ok(()) } else { wait(&self.word, Deadline::NEVER) }
    }

    /// Waits until it is set, or gives up.
    ///
    /// # Blocking
    /// For `timeout` at most, on CLOCK_MONOTONIC, from [`Duration::ZERO`] to for ever.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ETIMEDOUT | [`Error::TimedOut`] |
    /// | EPERM (a seccomp filter) | [`Error::PermissionDenied`] |
    /// | ENOSYS (a seccomp filter) | [`Error::System`] |
    pub fn wait_timeout(&self, timeout: Duration) -> Result<()> {
        if self.is_set() { Ok(()) } else { wait(&self.word, Deadline::after(timeout)) }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_set() { "Event(set)" } else { "Event(not set)" })
    }
}

// SAFETY: a zeroed word is an event that is not set; it changes by atomics and futexes alone.
unsafe impl InPlace for Event {
    const KIND: u64 = kind("Event 1", &[]);

    unsafe fn init(_: *mut Self) -> Result<()> {
        Ok(())
    }
}

// SAFETY: the word is only ever a number to us.
unsafe impl AnyBits for Event {}

const SET: u32 = 1;
/// Somebody may sleep: setting costs a system call.
const SLEEPERS: u32 = 2;
/// The rest of the low half counts how often it was set, for those who sleep through a reset. Within the 70 ms after
/// which a sleeper looks by himself it cannot come round.
const TIMES: u32 = 4;

#[inline]
pub(super) fn set(word: &impl Word) -> Result<()> {
    let mut now = word.load(Ordering::Relaxed);
    loop {
        let half = low(now);
        // Where it is set already the store publishes what was written before.
        let then = if half & SET != 0 { half } else { (half & !SLEEPERS).wrapping_add(TIMES) | SET };
        match word.replace(now, u64::from(then), Ordering::Release) {
            Ok(_) if half & SET == 0 && half & SLEEPERS != 0 => return word.wake(i32::MAX).map(drop),
            Ok(_) => return Ok(()),
            Err(changed) => now = changed,
        }
    }
}

#[inline]
pub(super) fn reset(word: &impl Word) -> bool {
    let mut now = word.load(Ordering::Relaxed);
    while low(now) & SET != 0 {
        match word.replace(now, now & !u64::from(SET), Ordering::AcqRel) {
            Ok(_) => return true,
            Err(changed) => now = changed,
        }
    }
    false
}

#[cold]
pub(super) fn wait(word: &impl Word, deadline: Deadline) -> Result<()> {
    let mut now = word.load(Ordering::Acquire);
    let before = low(now) / TIMES;
    loop {
        let half = low(now);
        if half & SET != 0 || half / TIMES != before {
            return Ok(());
        }
        let registered = u64::from(half | SLEEPERS);
        if word.replace(now, registered, Ordering::Relaxed).is_ok()
            && !word.sleep(low(registered), deadline)?
        {
            let half = low(word.load(Ordering::Acquire));
            let happened = half & SET != 0 || half / TIMES != before;
            return if happened { Ok(()) } else { Err(Error::TimedOut) };
        }
        now = word.load(Ordering::Acquire);
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_stays_set_until_it_is_reset_and_counts_round() {
        let event = Event { word: AtomicU64::new(u64::from(!(SET | SLEEPERS))) };
        assert!(matches!(event.wait_timeout(Duration::ZERO), Err(Error::TimedOut)));
        event.set().unwrap();
        event.set().unwrap();
        event.wait().unwrap();
        assert_eq!(low(event.word.load(Ordering::Relaxed)), SET, "the count has come round");
        assert!(event.reset());
        assert!(!event.reset());
        assert!(matches!(event.wait_timeout(Duration::from_millis(2)), Err(Error::TimedOut)));
    }
}
