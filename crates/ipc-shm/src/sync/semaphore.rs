//! A counting semaphore of our own: one word of shared memory. Its creator is whoever makes the memory, nobody removes it,
//! and the kernel knows of it only while somebody sleeps.
#![expect(unsafe_code, reason = "the type promises to be InPlace and AnyBits")]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipc_sys::Deadline;

use super::word::{Word, low};
use crate::in_place::{AnyBits, InPlace, kind};
use crate::{Error, Result};

/// A POSIX semaphore (`sem_t`) between processes: a number of permits, taken and given back by anybody.
///
/// It is not laid out as `sem_t`; C programs cannot share it. All calls are safe whatever other processes write into it:
/// who may write there can take permits away or invent some, and nothing else.
///
/// No call makes a system call unless it must sleep or somebody sleeps.
///
/// # After a crash
/// A permit that a killed process had acquired is gone: nobody knows who has one. Where a permit must come back use a
/// [`Mutex`](crate::Mutex), or a System V semaphore with SEM_UNDO. A process killed while it waits has taken nothing. One
/// killed inside `release`, or just after it was woken, may cost the others 70 ms until they look again; no permit is
/// lost or doubled.
///
/// # Examples
/// ```
/// # fn main() -> ipc_shm::Result<()> {
/// use ipc_shm::{Semaphore, Shared};
/// use std::time::Duration;
///
/// let shared = Shared::<Semaphore>::anonymous(|semaphore| semaphore.release(2))?;
/// // In the other process: Shared::<Semaphore>::from_fd(descriptor).
/// let semaphore = shared.get()?;
/// semaphore.acquire()?;
/// semaphore.try_acquire()?;
/// assert!(semaphore.acquire_timeout(Duration::from_millis(1)).is_err());
/// semaphore.release(1)?;
/// assert_eq!(semaphore.permits(), 1);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "sem_t")]
#[doc(alias = "sem_init")]
#[repr(transparent)]
pub struct Semaphore {
    word: AtomicU64,
}

impl Semaphore {
    /// The most permits there can be, SEM_VALUE_MAX.
    pub const MAX: u32 = i32::MAX.unsigned_abs();

    /// sem_wait: takes a permit.
    ///
    /// # Blocking
    /// Until there is one. A signal does not end the wait (EINTR is retried).
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EPERM (a seccomp filter) | [`Error::PermissionDenied`] |
    /// | ENOSYS (a seccomp filter) | [`Error::System`] |
    #[doc(alias = "sem_wait")]
    #[inline]
    pub fn acquire(&self) -> Result<()> {
        acquire(&self.word, Deadline::NEVER)
    }

    /// sem_trywait: takes a permit if there is one.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EAGAIN | [`Error::WouldBlock`] |
    #[doc(alias = "sem_trywait")]
    #[inline]
    pub fn try_acquire(&self) -> Result<()> {
        if take(&self.word) { Ok(()) } else { Err(Error::WouldBlock) }
    }

    /// sem_clockwait on CLOCK_MONOTONIC: takes a permit, or gives up.
    ///
    /// # Blocking
    /// For `timeout` at most, from [`Duration::ZERO`] to for ever. A signal does not end the wait.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ETIMEDOUT | [`Error::TimedOut`] |
    /// | EPERM (a seccomp filter) | [`Error::PermissionDenied`] |
    /// | ENOSYS (a seccomp filter) | [`Error::System`] |
    #[doc(alias = "sem_timedwait")]
    #[doc(alias = "sem_clockwait")]
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<()> {
        // The clock is read only by who has to wait.
        if take(&self.word) { Ok(()) } else { acquire(&self.word, Deadline::after(timeout)) }
    }

    /// sem_post, `count` times at once: gives permits and wakes as many of those that wait.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EOVERFLOW | [`Error::Overflow`]: there would be more than [`Semaphore::MAX`]; none was given |
    /// | EPERM (a seccomp filter) | [`Error::PermissionDenied`]; they were given |
    /// | ENOSYS (a seccomp filter) | [`Error::System`]; they were given |
    #[doc(alias = "sem_post")]
    #[inline]
    pub fn release(&self, count: u32) -> Result<()> {
        release(&self.word, count)
    }

    /// sem_getvalue: how many permits there are; others change it meanwhile.
    #[doc(alias = "sem_getvalue")]
    #[must_use]
    pub fn permits(&self) -> u32 {
        low(self.word.load(Ordering::Relaxed)) / PERMIT
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Semaphore({})", self.permits())
    }
}

// SAFETY: a zeroed word is a semaphore without permits; it changes by atomics and futexes alone.
unsafe impl InPlace for Semaphore {
    const KIND: u64 = kind("Semaphore 1", &[]);

    unsafe fn init(_: *mut Self) -> Result<()> {
        Ok(())
    }
}

// SAFETY: the word is only ever a number to us.
unsafe impl AnyBits for Semaphore {}

/// The bit of the low half that says that somebody may sleep: releasing then costs a system call.
const SLEEPERS: u32 = 1;
/// The rest of the low half counts permits.
const PERMIT: u32 = 2;
/// The high half counts what makes [`settle`]'s look at the word stale.
const TURN: u64 = 1 << 32;

/// The word with one permit less, where there is one.
fn less(word: u64) -> Option<u64> {
    if low(word) < PERMIT {
        return None;
    }
    let less = word - u64::from(PERMIT);
    Some(if low(word) & SLEEPERS == 0 { less } else { less.wrapping_add(TURN) })
}

#[inline]
fn take(word: &impl Word) -> bool {
    let mut now = word.load(Ordering::Relaxed);
    while let Some(less) = less(now) {
        match word.replace(now, less, Ordering::Acquire) {
            Ok(_) => return true,
            Err(changed) => now = changed,
        }
    }
    false
}

#[inline]
pub(super) fn acquire(word: &impl Word, deadline: Deadline) -> Result<()> {
    if take(word) { Ok(()) } else { wait(word, deadline) }
}

#[cold]
fn wait(word: &impl Word, deadline: Deadline) -> Result<()> {
    loop {
        let now = word.load(Ordering::Relaxed);
        if low(now) >= PERMIT {
            if take(word) {
                return Ok(());
            }
            continue;
        }
        let registered = (now | u64::from(SLEEPERS)).wrapping_add(TURN);
        if word.replace(now, registered, Ordering::Relaxed).is_ok()
            && !word.sleep(low(registered), deadline)?
        {
            return if take(word) { Ok(()) } else { Err(Error::TimedOut) };
        }
    }
}

#[inline]
pub(super) fn release(word: &impl Word, count: u32) -> Result<()> {
    let mut now = word.load(Ordering::Relaxed);
    loop {
        let sum = (low(now) / PERMIT).checked_add(count).filter(|sum| *sum <= Semaphore::MAX);
        if sum.is_none() {
            return Err(Error::Overflow);
        }
        let more = now + u64::from(count) * u64::from(PERMIT);
        match word.replace(now, more, Ordering::Release) {
            Ok(_) if low(now) & SLEEPERS == 0 || count == 0 => return Ok(()),
            Ok(_) => return wake(word, more, count),
            Err(changed) => now = changed,
        }
    }
}

#[cold]
fn wake(word: &impl Word, released: u64, count: u32) -> Result<()> {
    let woken = word.wake(i32::try_from(count).unwrap_or(i32::MAX))?;
    if woken < usize::try_from(count).unwrap_or(usize::MAX) {
        settle(word, released);
    }
    Ok(())
}

/// Takes SLEEPERS off the word when nobody sleeps, however many were killed in their sleep.
///
/// The wake found fewer sleepers than permits, so the queue was empty at that moment. Since `released` was stored there
/// has been a permit without a break, or else the turn has changed, as every taking beside SLEEPERS changes it; so
/// nobody can have fallen asleep since. Who registers later changes the turn as well.
fn settle(word: &impl Word, released: u64) {
    let mut now = word.load(Ordering::Relaxed);
    while now / TURN == released / TURN && low(now) & SLEEPERS != 0 {
        match word.replace(now, now & !u64::from(SLEEPERS), Ordering::Relaxed) {
            Ok(_) => return,
            Err(changed) => now = changed,
        }
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    fn new() -> Semaphore {
        Semaphore { word: AtomicU64::new(0) }
    }

    #[test]
    fn permits_are_counted_up_to_the_limit() {
        let semaphore = new();
        assert!(matches!(semaphore.try_acquire(), Err(Error::WouldBlock)));
        semaphore.release(2).unwrap();
        semaphore.acquire().unwrap();
        assert_eq!(semaphore.permits(), 1);
        semaphore.release(Semaphore::MAX - 1).unwrap();
        assert!(matches!(semaphore.release(1), Err(Error::Overflow)));
        assert!(matches!(semaphore.release(u32::MAX), Err(Error::Overflow)));
        assert_eq!(semaphore.permits(), Semaphore::MAX);
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_leaves_no_sleeper_behind() {
        let semaphore = new();
        for timeout in [Duration::ZERO, Duration::from_millis(2)] {
            assert!(matches!(semaphore.acquire_timeout(timeout), Err(Error::TimedOut)));
        }
        semaphore.release(1).unwrap();
        assert_eq!(low(semaphore.word.load(Ordering::Relaxed)), PERMIT, "the release found nobody asleep");
        semaphore.acquire_timeout(Duration::MAX).unwrap();
    }

    #[test]
    fn the_turn_wraps_without_touching_the_permits() {
        let semaphore = Semaphore { word: AtomicU64::new(u64::MAX << 32 | u64::from(PERMIT | SLEEPERS)) };
        semaphore.acquire().unwrap();
        assert_eq!(semaphore.word.load(Ordering::Relaxed), u64::from(SLEEPERS));
    }
}
