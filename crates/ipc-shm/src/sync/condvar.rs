//! A condition variable of our own: one word of shared memory. The kernel knows of it only while somebody sleeps.
#![expect(unsafe_code, reason = "the type promises to be InPlace and AnyBits")]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipc_sys::Deadline;
use zerocopy::FromBytes;

use super::mutex::MutexGuard;
use super::recovery::LockResult;
use super::word::{Word, low};
use crate::Result;
use crate::in_place::{AnyBits, InPlace, kind};

/// `pthread_cond_t` between processes, for a [`Mutex`](crate::Mutex) of this crate: waits for what others do under it.
///
/// It is not laid out as `pthread_cond_t`, of which glibc's is neither robust nor of one size with musl's; C programs
/// cannot share it. Notifying makes no system call when nobody waits.
///
/// Change what is waited for under the mutex; whether to notify before or after unlocking is yours to choose. A wait may
/// end without a reason: look again, or use [`Condvar::wait_while`].
///
/// # After a crash
/// A waiter that is killed leaves nothing; a notification that it alone got is passed on to the others within 70 ms, as
/// is one whose sender was killed half-way. Whoever died holding the mutex shows when the wait locks it again: as
/// [`LockError::OwnerDied`](crate::LockError).
///
/// # Examples
/// ```
/// # fn main() -> ipc_shm::Result<()> {
/// use std::time::Duration;
/// use ipc_shm::{Condvar, LockError, Mutex, Shared, Wake};
///
/// ipc_shm::in_place! {
///     struct Mailbox { letters: Mutex<u32>, arrived: Condvar }
/// }
///
/// let shared = Shared::<Mailbox>::anonymous(|_| Ok(()))?;
/// // SAFETY: nobody else has this memory.
/// let shared = unsafe { shared.trust() };
/// let mailbox = shared.get()?;
///
/// let guard = mailbox.letters.lock().map_err(LockError::give_up)?;
/// let wait = Duration::from_millis(1);
/// let (mut letters, wake) = mailbox.arrived.wait_timeout(guard, wait).map_err(LockError::give_up)?;
/// assert_eq!(wake, Wake::TimedOut);
/// *letters += 1;
/// drop(letters);
/// mailbox.arrived.notify_one()?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "pthread_cond_t")]
#[repr(transparent)]
pub struct Condvar {
    word: AtomicU64,
}

/// How a wait with a timeout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Somebody notified, or perhaps nobody.
    Notified,
    /// The deadline came first (ETIMEDOUT).
    TimedOut,
}

impl Condvar {
    /// pthread_cond_wait: unlocks, waits for a notification, locks again.
    ///
    /// # Blocking
    /// Until a notification after the call began, and then until the mutex is ours. A signal does not end the wait.
    ///
    /// # Errors
    /// As [`Mutex::lock`](crate::Mutex::lock), of the second locking; without a guard the mutex is not held.
    #[doc(alias = "pthread_cond_wait")]
    pub fn wait<'a, T: FromBytes + Send>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, Deadline::NEVER)?.0
    }

    /// Waits as long as `condition` holds.
    ///
    /// # Blocking
    /// As [`Condvar::wait`].
    ///
    /// # Errors
    /// As [`Condvar::wait`].
    pub fn wait_while<'a, T: FromBytes + Send>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// pthread_cond_clockwait on CLOCK_MONOTONIC: as [`Condvar::wait`], or gives up.
    ///
    /// # Blocking
    /// For `timeout` at most, from [`Duration::ZERO`] to for ever, and then until the mutex is ours.
    ///
    /// # Errors
    /// As [`Condvar::wait`].
    #[doc(alias = "pthread_cond_timedwait")]
    #[doc(alias = "pthread_cond_clockwait")]
    pub fn wait_timeout<'a, T: FromBytes + Send>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> Result<(MutexGuard<'a, T>, Wake), crate::LockError<MutexGuard<'a, T>>> {
        let (guard, wake) = self.wait_until(guard, Deadline::after(timeout))?;
        Ok((guard?, wake))
    }

    /// pthread_cond_signal: wakes one of those that wait, if any does.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EPERM (a seccomp filter) | [`Error::PermissionDenied`](crate::Error) |
    /// | ENOSYS (a seccomp filter) | [`Error::System`](crate::Error) |
    #[doc(alias = "pthread_cond_signal")]
    #[inline]
    pub fn notify_one(&self) -> Result<()> {
        notify(&self.word, 1)
    }

    /// pthread_cond_broadcast: wakes all that wait.
    ///
    /// # Errors
    /// As [`Condvar::notify_one`].
    #[doc(alias = "pthread_cond_broadcast")]
    #[inline]
    pub fn notify_all(&self) -> Result<()> {
        notify(&self.word, i32::MAX)
    }

    fn wait_until<'a, T: FromBytes + Send>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> Result<(LockResult<MutexGuard<'a, T>>, Wake)> {
        let mutex = guard.mutex();
        let ticket = register(&self.word);
        drop(guard);
        let wake = wait(&self.word, ticket, deadline)?;
        Ok((mutex.lock(), wake))
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Condvar")
    }
}

// SAFETY: a zeroed word is a condition variable for which nobody waits; it changes by atomics and futexes alone.
unsafe impl InPlace for Condvar {
    const KIND: u64 = kind("Condvar 1", &[]);

    unsafe fn init(_: *mut Self) -> Result<()> {
        Ok(())
    }
}

// SAFETY: the word is only ever a number to us; what it is used with, a mutex, is another matter.
unsafe impl AnyBits for Condvar {}

/// The bit of the low half that says that somebody may wait: notifying then costs a system call.
const SLEEPERS: u32 = 1;
/// The rest of the low half counts notifications. Within the 70 ms after which a sleeper looks by himself it cannot come
/// round.
const NOTIFICATION: u32 = 2;
/// The high half counts those who began to wait.
const WAITER: u64 = 1 << 32;

/// Announces a waiter, under the mutex, and gives the half of the word that it will wait on. Whoever changes the condition
/// later locks the mutex after this, and so sees the announcement when it notifies.
pub(super) fn register(word: &impl Word) -> u32 {
    let mut now = word.load(Ordering::Relaxed);
    loop {
        let registered = (now | u64::from(SLEEPERS)).wrapping_add(WAITER);
        match word.replace(now, registered, Ordering::Relaxed) {
            Ok(_) => return low(registered),
            Err(changed) => now = changed,
        }
    }
}

/// Waits for a notification after `ticket` was drawn.
pub(super) fn wait(word: &impl Word, ticket: u32, deadline: Deadline) -> Result<Wake> {
    loop {
        let in_time = word.sleep(ticket, deadline)?;
        if low(word.load(Ordering::Relaxed)) / NOTIFICATION != ticket / NOTIFICATION {
            return Ok(Wake::Notified);
        }
        if !in_time {
            return Ok(Wake::TimedOut);
        }
    }
}

#[inline]
pub(super) fn notify(word: &impl Word, count: i32) -> Result<()> {
    let now = word.load(Ordering::Relaxed);
    if low(now) & SLEEPERS == 0 { Ok(()) } else { wake(word, now, count) }
}

#[cold]
fn wake(word: &impl Word, mut now: u64, count: i32) -> Result<()> {
    let notified = loop {
        let next = now & !u64::from(u32::MAX) | u64::from(low(now).wrapping_add(NOTIFICATION));
        match word.replace(now, next, Ordering::Relaxed) {
            Ok(_) => break next,
            Err(changed) => now = changed,
        }
    };
    let woken = word.wake(count)?;
    if woken == 0 || count == i32::MAX {
        // The queue is empty, and who drew a ticket before the notification will not fall asleep on it any more. If
        // nobody has drawn one since, the word is what we stored, and nobody waits.
        let _ = word.replace(notified, notified & !u64::from(SLEEPERS), Ordering::Relaxed);
    }
    Ok(())
}
