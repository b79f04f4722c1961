//! A lock for many readers or one writer, made of robust mutexes: one for each reader at a time, and a writer takes them
//! all. So each reader has a place of its own, which the kernel releases when the reader dies; nobody counts readers, and
//! no count can be left too high. Its creator is whoever makes the memory; nobody destroys it.
#![expect(unsafe_code, reason = "the data are reached by whoever holds the lock")]

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};
use std::time::Duration;

use ipc_sys::Deadline;
use ipc_sys::fork::ForkMark;
use ipc_sys::memory::cpu;
use ipc_sys::pthread::Acquired;
use zerocopy::FromBytes;

use super::recovery::{LockResult, Recovery, private};
use super::robust::{Locked, Robust};
use crate::in_place::{InPlace, kind};
use crate::{Error, Refusal, Result};

/// `pthread_rwlock_t` between processes, except that it survives the death of whoever holds it: up to `READERS` at a time
/// read, or one writes. The data begin as zeros.
///
/// Reading costs an uncontended mutex, on a cache line that no other reader uses; writing costs `READERS` of them. Who
/// comes when `READERS` read waits for one of them. Neither side is preferred, and nothing is fair. It is behind
/// [`Shared::trust`](crate::Shared::trust), as [`Mutex`](crate::Mutex) is; C programs cannot share it.
///
/// # After a crash
/// A reader that is killed, or whose thread ends, leaves nothing: its place is swept by whoever takes it next. When a
/// writer dies while it holds the lock, readers get [`Error::OwnerDied`] until the next writer, who gets
/// [`LockError::OwnerDied`](crate::LockError), has repaired the data, or has given them up ([`Error::NotRecoverable`] for
/// all). A writer that dies while it waits, or between its last change and the end of the unlock, leaves nothing.
///
/// # Examples
/// ```
/// # fn main() -> ipc_shm::Result<()> {
/// use ipc_shm::{LockError, RwLock, Shared};
///
/// let shared = Shared::<RwLock<[u64; 2]>>::anonymous(|_| Ok(()))?;
/// // SAFETY: nobody else has this memory.
/// let shared = unsafe { shared.trust() };
/// let lock = shared.get()?;
/// lock.write().map_err(LockError::give_up)?[1] = 7;
/// let (first, second) = (lock.read()?, lock.read()?);
/// assert_eq!(first[1] + second[1], 14);
/// assert!(lock.try_write().is_err());
/// # Ok(())
/// # }
/// ```
#[doc(alias = "pthread_rwlock_t")]
#[repr(C)]
pub struct RwLock<T, const READERS: usize = 16> {
    state: AtomicU64,
    places: [Place; READERS],
    data: UnsafeCell<T>,
}

/// One reader's mutex, on lines of its own.
#[repr(C, align(128))]
struct Place(Robust);

/// Nobody writes, or somebody prepares to.
const CLEAN: u64 = 0;
/// The writer who holds all places may have changed the data. Seen by anybody else, that writer is dead.
const WRITING: u64 = 1;
/// A dead writer's data were given up.
const GIVEN_UP: u64 = 2;

/// The right to read what an [`RwLock`] guards.
#[doc(alias = "pthread_rwlock_unlock")]
#[must_use = "dropping it unlocks the lock"]
pub struct ReadGuard<'a, T> {
    place: &'a Robust,
    /// Who locked it.
    by: ForkMark,
    data: &'a UnsafeCell<T>,
    /// Not Send: a mutex is unlocked by its owner.
    thread: PhantomData<*const ()>,
}

/// The right to change what an [`RwLock`] guards.
#[doc(alias = "pthread_rwlock_unlock")]
#[must_use = "dropping it unlocks the lock"]
pub struct WriteGuard<'a, T> {
    state: &'a AtomicU64,
    places: &'a [Place],
    /// Who locked them.
    by: ForkMark,
    data: &'a UnsafeCell<T>,
    /// A writer died and nobody has repaired what it left.
    died: bool,
    /// Not Send: a mutex is unlocked by its owner.
    thread: PhantomData<*const ()>,
}

// SAFETY: readers on any thread share `&T`, one writer at a time has `&mut T`.
unsafe impl<T: Send + Sync, const READERS: usize> Sync for RwLock<T, READERS> {}

impl<T: FromBytes + Send + Sync, const READERS: usize> RwLock<T, READERS> {
    /// pthread_rwlock_rdlock.
    ///
    /// # Blocking
    /// While somebody writes, or `READERS` read. A signal does not end the wait.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EOWNERDEAD | [`Error::OwnerDied`]: a writer died; who locks for writing can repair it |
    /// | ENOTRECOVERABLE | [`Error::NotRecoverable`] |
    /// | EDEADLK | [`Error::Deadlock`]: this thread writes, or its reading fills the last place |
    /// | ENOLCK | [`Error::TooManyLocks`] |
    #[doc(alias = "pthread_rwlock_rdlock")]
    #[inline]
    pub fn read(&self) -> Result<ReadGuard<'_, T>> {
        self.read_with(|place| place.lock(None))
    }

    /// pthread_rwlock_tryrdlock.
    ///
    /// # Errors
    /// As [`RwLock::read`], and
    ///
    /// | errno | error |
    /// | --- | --- |
    /// | EBUSY | [`Error::WouldBlock`] |
    #[doc(alias = "pthread_rwlock_tryrdlock")]
    #[inline]
    pub fn try_read(&self) -> Result<ReadGuard<'_, T>> {
        self.read_with(Robust::try_lock)
    }

    /// pthread_rwlock_clockrdlock on CLOCK_MONOTONIC.
    ///
    /// # Blocking
    /// For `timeout` at most, from [`Duration::ZERO`] to for ever; see [`Mutex::lock_timeout`](crate::Mutex::lock_timeout).
    ///
    /// # Errors
    /// As [`RwLock::read`], and
    ///
    /// | errno | error |
    /// | --- | --- |
    /// | ETIMEDOUT | [`Error::TimedOut`] |
    #[doc(alias = "pthread_rwlock_clockrdlock")]
    #[doc(alias = "pthread_rwlock_timedrdlock")]
    pub fn read_timeout(&self, timeout: Duration) -> Result<ReadGuard<'_, T>> {
        self.read_with(|place| place.lock(Some(timeout)))
    }

    /// pthread_rwlock_wrlock.
    ///
    /// # Blocking
    /// While anybody reads or writes. A signal does not end the wait.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EOWNERDEAD | [`LockError::OwnerDied`](crate::LockError) |
    /// | ENOTRECOVERABLE | [`Error::NotRecoverable`] |
    /// | EDEADLK | [`Error::Deadlock`]: this thread reads or writes |
    /// | ENOLCK | [`Error::TooManyLocks`] |
    #[doc(alias = "pthread_rwlock_wrlock")]
    pub fn write(&self) -> LockResult<WriteGuard<'_, T>> {
        self.write_with(|place| place.lock(None))
    }

    /// pthread_rwlock_trywrlock.
    ///
    /// # Errors
    /// As [`RwLock::write`], and
    ///
    /// | errno | error |
    /// | --- | --- |
    /// | EBUSY | [`Error::WouldBlock`] |
    #[doc(alias = "pthread_rwlock_trywrlock")]
    pub fn try_write(&self) -> LockResult<WriteGuard<'_, T>> {
        self.write_with(Robust::try_lock)
    }

    /// pthread_rwlock_clockwrlock on CLOCK_MONOTONIC.
    ///
    /// # Blocking
    /// For `timeout` at most, from [`Duration::ZERO`] to for ever; see [`Mutex::lock_timeout`](crate::Mutex::lock_timeout).
    ///
    /// # Errors
    /// As [`RwLock::write`], and
    ///
    /// | errno | error |
    /// | --- | --- |
    /// | ETIMEDOUT | [`Error::TimedOut`] |
    #[doc(alias = "pthread_rwlock_clockwrlock")]
    #[doc(alias = "pthread_rwlock_timedwrlock")]
    pub fn write_timeout(&self, timeout: Duration) -> LockResult<WriteGuard<'_, T>> {
        // One deadline for all places.
        let deadline = Deadline::after(timeout);
        self.write_with(|place| place.lock(deadline.remaining()))
    }

    #[inline]
    fn read_with(&self, lock: impl FnOnce(&Robust) -> Result<Locked>) -> Result<ReadGuard<'_, T>> {
        const { assert!(READERS > 0 && READERS <= 256, "a writer holds a mutex for each reader") };
        // Readers on different processors begin at different places.
        let first = usize::try_from(cpu()).unwrap_or(0) % READERS;
        let (before, from) = self.places.split_at(first);
        let mut free = from.iter().chain(before).map(|Place(place)| (place, place.try_lock()));
        let found = free.find(|(_, tried)| !matches!(tried, Err(Error::WouldBlock)));
        let (place, Locked { how, by }) = match (found, from) {
            (Some((place, tried)), _) => (place, tried?),
            (None, [Place(place), ..]) => (place, lock(place)?),
            (None, []) => return Err(Error::WouldBlock),
        };
        if how == Acquired::OwnerDied {
            // A reader changed nothing, and of a writer `state` tells.
            place.consistent();
        }
        let guard = ReadGuard { place, by, data: &self.data, thread: PhantomData };
        match self.state.load(Ordering::Relaxed) {
            CLEAN => Ok(guard),
            WRITING => Err(Error::OwnerDied),
            _ => Err(Error::NotRecoverable),
        }
    }

    fn write_with(&self, mut lock: impl FnMut(&Robust) -> Result<Locked>) -> LockResult<WriteGuard<'_, T>> {
        const { assert!(READERS > 0 && READERS <= 256, "a writer holds a mutex for each reader") };
        let by = ForkMark::new().map_err(Error::system("mmap", "a lock in shared memory"))?;
        let mut held = Held { places: &self.places, by, count: 0 };
        for Place(place) in &self.places {
            // A place may be a reader's; writers meet at the first one.
            let Locked { how, .. } = lock(place)?;
            held.count += 1;
            if how == Acquired::OwnerDied {
                place.consistent();
            }
        }
        let died = match self.state.load(Ordering::Relaxed) {
            CLEAN => false,
            WRITING => true,
            _ => return Err(Error::NotRecoverable.into()),
        };
        std::mem::forget(held);
        self.state.store(WRITING, Ordering::Relaxed);
        // A process that is killed has made its stores in the order of its instructions.
        compiler_fence(Ordering::SeqCst);
        let (state, places, data) = (&self.state, &self.places[..], &self.data);
        let guard = WriteGuard { state, places, by, data, died, thread: PhantomData };
        if died { Err(Recovery::new(guard).into()) } else { Ok(guard) }
    }
}

/// The first places, held by a writer that is not complete.
struct Held<'a> {
    places: &'a [Place],
    by: ForkMark,
    count: usize,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.places.iter().take(self.count).rev().for_each(|Place(place)| place.unlock(self.by));
    }
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: shared memory: this thread holds a place, so no writer holds all; who else may write keeps to that
        // (`Shared::trust`); any bytes are a `T` (`FromBytes`).
        unsafe { &*self.data.get() }
    }
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: as in `ReadGuard`: this thread holds all places.
        unsafe { &*self.data.get() }
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this thread holds all places, so nobody else has a guard; this one is borrowed mutably.
        unsafe { &mut *self.data.get() }
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.place.unlock(self.by);
    }
}

impl<T> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        if !self.by.is_ours() {
            // A forked child's copy, in which there may be other memory by now.
            return;
        }
        compiler_fence(Ordering::SeqCst);
        self.state.store(if self.died { GIVEN_UP } else { CLEAN }, Ordering::Release);
        drop(Held { places: self.places, by: self.by, count: self.places.len() });
    }
}

impl<T> private::Guard for WriteGuard<'_, T> {
    fn repair(&mut self) {
        self.died = false;
    }
}

// SAFETY: `init` makes each mutex; zeroed data are a `T` (`FromBytes`), without destructor or pointer, and a zeroed state is
// `CLEAN`; what changes through `&Self` are an atomic, the mutexes and what they guard.
unsafe impl<T: FromBytes + Send + Sync, const READERS: usize> InPlace for RwLock<T, READERS> {
    const KIND: u64 =
        kind("RwLock 1", &[Robust::KIND, READERS as u64, size_of::<T>() as u64, align_of::<T>() as u64]);

    unsafe fn init(place: *mut Self) -> Result<()> {
        // SAFETY: the caller's: `place` is valid for the whole.
        let places = unsafe { &raw mut (*place).places };
        for index in 0..READERS {
            // SAFETY: the caller's, for one of the mutexes.
            unsafe { Robust::init(places.cast::<Place>().wrapping_add(index).cast()) }?;
        }
        Ok(())
    }

    unsafe fn check(place: *const Self) -> Result<(), Refusal> {
        // SAFETY: the caller's: `place` is valid for the whole.
        let places = unsafe { &raw const (*place).places };
        for index in 0..READERS {
            // SAFETY: the caller's, for one of the mutexes.
            unsafe { Robust::check(places.cast::<Place>().wrapping_add(index).cast()) }?;
        }
        Ok(())
    }

    unsafe fn is_held(place: *const Self) -> bool {
        // SAFETY: the caller's: `place` is valid for the whole.
        let places = unsafe { &raw const (*place).places };
        // SAFETY: the caller's, for one of the mutexes.
        (0..READERS)
            .any(|index| unsafe { Robust::is_held(places.cast::<Place>().wrapping_add(index).cast()) })
    }
}

impl<T, const READERS: usize> fmt::Debug for RwLock<T, READERS> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RwLock")
    }
}

impl<T: fmt::Debug> fmt::Debug for ReadGuard<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ReadGuard").field(&**self).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for WriteGuard<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("WriteGuard").field(&**self).finish()
    }
}
