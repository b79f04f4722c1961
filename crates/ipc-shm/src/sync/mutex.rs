//! A mutex and what it guards, in shared memory: a robust, process-shared pthread mutex, followed by the data. Its
//! creator is whoever makes the memory; nobody destroys it.
#![expect(unsafe_code, reason = "the data are reached by whoever holds the lock")]

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use ipc_sys::fork::ForkMark;
use ipc_sys::pthread::Acquired;
use zerocopy::FromBytes;

use super::recovery::{LockResult, Recovery, private};
use super::robust::{Locked, Robust};
use crate::in_place::{InPlace, kind};
use crate::{Refusal, Result};

/// `pthread_mutex_t` with PTHREAD_PROCESS_SHARED and PTHREAD_MUTEX_ROBUST, and the data that it guards, begun as zeros.
///
/// C programs share it as `struct { pthread_mutex_t mutex; T data; }`, 4,096 bytes into the segment's file, where both
/// sides use the same C library (glibc and musl lay the mutex out differently; [`Shared`](crate::Shared) refuses the
/// other's). `T` is [`FromBytes`], because a killed owner leaves any bytes, and has no pointers.
///
/// It is behind [`Shared::trust`](crate::Shared::trust): the C library keeps the pointers of its list inside the mutex and
/// follows them, so whoever writes the memory could make our unlock write anywhere.
///
/// Without contention no call makes a system call. There is no poisoning: a panic unlocks, as in C.
///
/// # After a crash
/// When a thread ends, is killed, or its process executes another program while it holds the lock, the kernel unlocks it
/// and wakes one who waits. The next to lock it gets [`LockError::OwnerDied`](crate::LockError), repairs the data or gives
/// up; nobody gets it as if nothing had happened. A process killed while it waits leaves nothing.
///
/// That is more than the C library gives. Where a waiter is woken and killed before it has looked, and another takes the lock
/// meanwhile, pthread_mutex_lock leaves all who wait behind it asleep, though the lock be free, until somebody else has to
/// wait for it. Ours look again every 70 ms; C programs that share the mutex do well to use pthread_mutex_timedlock, again and
/// again.
///
/// The kernel does this for 2,048 mutexes of a thread, in no order that one should rely on. A thread may hold 1,024 locks
/// of this crate ([`Error::TooManyLocks`](crate::Error::TooManyLocks)); the rest is for mutexes of other code in the thread.
///
/// A forgotten guard (`mem::forget`) holds the lock until its thread ends. A child forked while the lock is held does not
/// hold it: its copy of the guard does nothing.
///
/// # Examples
/// ```
/// # fn main() -> ipc_shm::Result<()> {
/// use ipc_shm::{LockError, Mutex, Shared};
///
/// let shared = Shared::<Mutex<[u64; 4]>>::anonymous(|_| Ok(()))?;
/// // SAFETY: whoever gets the descriptor of this memory is a program of ours.
/// let shared = unsafe { shared.trust() };
/// let table = shared.get()?;
/// match table.lock() {
///     Ok(mut table) => table[0] += 1,
///     Err(LockError::OwnerDied(mut recovery)) => {
///         *recovery = [0; 4];
///         recovery.repaired()[0] = 1;
///     }
///     Err(LockError::Failed(error)) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
#[doc(alias = "pthread_mutexattr_setpshared")]
#[doc(alias = "pthread_mutexattr_setrobust")]
#[doc(alias = "pthread_mutex_t")]
#[repr(C)]
pub struct Mutex<T> {
    lock: Robust,
    data: UnsafeCell<T>,
}

/// The right to use what a [`Mutex`] guards; dropping it is pthread_mutex_unlock, by the thread that locked.
#[doc(alias = "pthread_mutex_unlock")]
#[must_use = "dropping it unlocks the mutex"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// Who locked it.
    by: ForkMark,
    /// Its owner died and nobody has repaired what it left.
    died: bool,
    /// Not Send: a mutex is unlocked by its owner.
    thread: PhantomData<*const ()>,
}

// SAFETY: one thread at a time reaches the data, whichever sends the reference.
unsafe impl<T: Send> Sync for Mutex<T> {}
// SAFETY: by a shared guard only `&T` is reached.
unsafe impl<T: Sync> Sync for MutexGuard<'_, T> {}

impl<T: FromBytes + Send> Mutex<T> {
    /// pthread_mutex_lock, in turns of 70 ms where it is held by another.
    ///
    /// # Blocking
    /// Until it is ours. A signal does not end the wait.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EOWNERDEAD | [`LockError::OwnerDied`](crate::LockError) |
    /// | ENOTRECOVERABLE | [`Error::NotRecoverable`](crate::Error) |
    /// | EDEADLK | [`Error::Deadlock`](crate::Error): this thread holds it |
    /// | ENOLCK | [`Error::TooManyLocks`](crate::Error) |
    #[doc(alias = "pthread_mutex_lock")]
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.locked(self.lock.lock(None))
    }

    /// pthread_mutex_trylock.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EBUSY | [`Error::WouldBlock`](crate::Error), when this thread holds it too |
    /// | EOWNERDEAD | [`LockError::OwnerDied`](crate::LockError) |
    /// | ENOTRECOVERABLE | [`Error::NotRecoverable`](crate::Error) |
    /// | ENOLCK | [`Error::TooManyLocks`](crate::Error) |
    #[doc(alias = "pthread_mutex_trylock")]
    #[inline]
    pub fn try_lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.locked(self.lock.try_lock())
    }

    /// pthread_mutex_clocklock on CLOCK_MONOTONIC.
    ///
    /// # Blocking
    /// For `timeout` at most, from [`Duration::ZERO`] to for ever. musl has no pthread_mutex_clocklock, nor has glibc before
    /// 2.30: there the wait is made of turns of 70 ms by the clock that can be set, and CLOCK_MONOTONIC decides between
    /// them. Setting that clock back within a turn can make this one turn longer by as much.
    ///
    /// # Errors
    /// As [`Mutex::lock`], and
    ///
    /// | errno | error |
    /// | --- | --- |
    /// | ETIMEDOUT | [`Error::TimedOut`](crate::Error) |
    #[doc(alias = "pthread_mutex_timedlock")]
    #[doc(alias = "pthread_mutex_clocklock")]
    pub fn lock_timeout(&self, timeout: Duration) -> LockResult<MutexGuard<'_, T>> {
        self.locked(self.lock.lock(Some(timeout)))
    }

    #[inline]
    fn locked(&self, locked: Result<Locked>) -> LockResult<MutexGuard<'_, T>> {
        let Locked { how, by } = locked?;
        let died = how == Acquired::OwnerDied;
        let guard = MutexGuard { mutex: self, by, died, thread: PhantomData };
        if died { Err(Recovery::new(guard).into()) } else { Ok(guard) }
    }
}

impl<'a, T> MutexGuard<'a, T> {
    /// The mutex that it unlocks.
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: shared memory: this thread holds the lock, and who else may write keeps to it (`Shared::trust`); any
        // bytes are a `T` (`FromBytes`).
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the guard is borrowed mutably.
        unsafe { &mut *self.mutex.data.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.died { self.mutex.lock.give_up(self.by) } else { self.mutex.lock.unlock(self.by) }
    }
}

impl<T> private::Guard for MutexGuard<'_, T> {
    fn repair(&mut self) {
        self.mutex.lock.consistent();
        self.died = false;
    }
}

// SAFETY: `init` makes the mutex, and zeroed data are a `T` (`FromBytes`), which has no destructor that anybody would run
// and no pointer, since none is made from bytes; what changes through `&Self` is the mutex and what it guards.
unsafe impl<T: FromBytes + Send> InPlace for Mutex<T> {
    const KIND: u64 = kind("Mutex 1", &[Robust::KIND, size_of::<T>() as u64, align_of::<T>() as u64]);

    unsafe fn init(place: *mut Self) -> Result<()> {
        // SAFETY: the caller's: `place` is valid for the whole.
        let lock = unsafe { &raw mut (*place).lock };
        // SAFETY: the caller's, for the mutex in it.
        unsafe { Robust::init(lock) }
    }

    unsafe fn check(place: *const Self) -> Result<(), Refusal> {
        // SAFETY: the caller's; the mutex comes first.
        unsafe { Robust::check(place.cast()) }
    }

    unsafe fn is_held(place: *const Self) -> bool {
        // SAFETY: the caller's; the mutex comes first.
        unsafe { Robust::is_held(place.cast()) }
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Mutex").field(&self.lock).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("MutexGuard").field(&**self).finish()
    }
}
