//! The C library's robust, process-shared mutex, in place. Its creator is whoever makes the memory; nobody destroys it,
//! which on Linux leaves nothing behind. When its owner dies the kernel hands it to the next who locks it, and says so.
#![expect(unsafe_code, reason = "the pthread functions take the address of the mutex")]

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::io;
use std::time::Duration;

use ipc_sys::Deadline;
use ipc_sys::fork::ForkMark;
use ipc_sys::pthread::{self, Acquired, Errno};

use super::word::next_look;
use crate::{Error, Refusal, Result};

/// How many locks of this crate a thread may hold: half of what the kernel releases when the thread dies
/// (ROBUST_LIST_LIMIT), so that mutexes of other code in the same thread have the other half.
const MAX_HELD: usize = pthread::ROBUST_LIST_LIMIT / 2;

/// What a thread holds, and in which process: a forked child has a copy of it, and of the guards, and holds none.
struct Holder {
    by: Cell<ForkMark>,
    held: Cell<usize>,
}

thread_local! {
    static HOLDER: Holder = const { Holder { by: Cell::new(ForkMark::nobody()), held: Cell::new(0) } };
}

/// That it was locked, and by which process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Locked {
    pub(super) how: Acquired,
    pub(super) by: ForkMark,
}

/// A `pthread_mutex_t` without what it guards. A reference to one says that it was initialised in place and that whoever
/// else writes it does so through the same C library.
#[repr(transparent)]
pub(super) struct Robust(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: a mutex is there to be used by several threads; it is unlocked by the thread that locked it because the guards
// are not Send.
unsafe impl Send for Robust {}
// SAFETY: as above.
unsafe impl Sync for Robust {}

/// The first lock of this thread in this process, which holds none yet.
#[cold]
fn begin() -> Result<ForkMark> {
    let by = ForkMark::new().map_err(Error::system("mmap", OBJECT))?;
    HOLDER.with(|us| {
        us.by.set(by);
        us.held.set(0);
    });
    Ok(by)
}

impl Robust {
    /// What the layout depends on: a program with another C library must not attach.
    pub(super) const KIND: u64 = crate::kind(pthread::LIBRARY, &[]);

    /// pthread_mutex_init.
    ///
    /// # Safety
    /// `place` is aligned and valid for writes, and nobody else uses it yet.
    pub(super) unsafe fn init(place: *mut Self) -> Result<()> {
        // SAFETY: the caller's; the mutex is all there is of `Self`.
        unsafe { pthread::init(place.cast()) }
            .map_err(|errno| Error::system("pthread_mutex_init", OBJECT)(io::Error::from_raw_os_error(errno)))
    }

    /// Whether it is one that [`Robust::init`] or the same in C made.
    ///
    /// # Safety
    /// `place` is aligned and valid for reads.
    pub(super) unsafe fn check(place: *const Self) -> Result<(), Refusal> {
        // SAFETY: the caller's.
        if unsafe { pthread::is_robust_and_shared(place.cast()) } { Ok(()) } else { Err(Refusal::Type) }
    }

    /// Whether a thread of this process holds it. The number is of the owner's pid namespace, so an owner in another one
    /// may look like ours.
    ///
    /// # Safety
    /// As [`Robust::check`].
    pub(super) unsafe fn is_held(place: *const Self) -> bool {
        // SAFETY: the caller's.
        pthread::is_thread_of_ours(unsafe { pthread::owner(place.cast()) })
    }

    /// pthread_mutex_trylock, which is a little faster than pthread_mutex_lock, and where that finds the mutex held
    /// pthread_mutex_clocklock on CLOCK_MONOTONIC, in turns.
    #[inline]
    pub(super) fn lock(&self, timeout: Option<Duration>) -> Result<Locked> {
        self.count(|held| {
            // SAFETY: `self` is initialised and mapped, and others keep to the protocol (the type's contract).
            match unsafe { pthread::try_lock(self.0.get()) } {
                Err(libc::EBUSY) => self.wait(timeout, held),
                done => done,
            }
        })
    }

    /// pthread_mutex_trylock.
    #[inline]
    pub(super) fn try_lock(&self) -> Result<Locked> {
        // SAFETY: as in `lock`.
        self.count(|_| unsafe { pthread::try_lock(self.0.get()) })
    }

    /// pthread_mutex_unlock; nothing in a child that was forked from who locked it, where there may be other memory by now.
    #[inline]
    pub(super) fn unlock(&self, by: ForkMark) {
        if !by.is_ours() {
            return;
        }
        HOLDER.with(|us| us.held.set(us.held.get().wrapping_sub(1)));
        // SAFETY: as in `lock`.
        let _ = unsafe { pthread::unlock(self.0.get()) };
    }

    /// Unlocks what was obtained from a dead owner and not repaired: nobody gets it again, and all who wait are told.
    pub(super) fn give_up(&self, by: ForkMark) {
        if !by.is_ours() {
            return;
        }
        self.unlock(by);
        // SAFETY: as in `lock`, and it was unlocked without being made consistent.
        unsafe { pthread::settle_not_recoverable(self.0.get()) };
    }

    /// pthread_mutex_consistent, by the thread that obtained it from a dead owner.
    pub(super) fn consistent(&self) {
        // SAFETY: as in `lock`, and this thread holds it: it was just told that the owner died. It fails only otherwise.
        let _ = unsafe { pthread::consistent(self.0.get()) };
    }

    #[cold]
    fn wait(&self, timeout: Option<Duration>, held: usize) -> Result<Acquired, Errno> {
        // Who holds nothing cannot wait for himself.
        // SAFETY: as in `lock`, and all that this thread holds is mapped: `Shared` does not unmap what is held.
        if held > 0 && unsafe { pthread::is_held_by_this_thread(self.0.get()) } {
            return Err(libc::EDEADLK);
        }
        let deadline = timeout.map_or(Deadline::NEVER, Deadline::after);
        loop {
            // SAFETY: as in `lock`.
            if unsafe { pthread::is_not_recoverable(self.0.get()) } {
                return Err(libc::ENOTRECOVERABLE);
            }
            // One who was woken, and killed before it had looked, took the wake-up with it. The kernel passes it on, unless
            // somebody has locked the mutex meanwhile, and that one knows of no waiter: so each looks again by itself.
            // SAFETY: as in `lock`.
            match unsafe { pthread::lock_until(self.0.get(), next_look(deadline)) } {
                Err(libc::ETIMEDOUT) if !deadline.has_passed() => {}
                done => return done,
            }
        }
    }

    #[inline]
    fn count(&self, lock: impl FnOnce(usize) -> Result<Acquired, Errno>) -> Result<Locked> {
        let by = HOLDER.with(|us| us.by.get());
        let by = if by.is_ours() { by } else { begin()? };
        let held = HOLDER.with(|us| us.held.get());
        if held >= MAX_HELD {
            return Err(Error::TooManyLocks { max: MAX_HELD });
        }
        let how = lock(held).map_err(|errno| self.failure(errno))?;
        HOLDER.with(|us| us.held.set(held + 1));
        Ok(Locked { how, by })
    }

    #[cold]
    fn failure(&self, errno: Errno) -> Error {
        match errno {
            libc::EBUSY => Error::WouldBlock,
            libc::ETIMEDOUT => Error::TimedOut,
            libc::EDEADLK => Error::Deadlock,
            libc::ENOTRECOVERABLE => {
                // Who gave it up may be a C program, or have been killed before it could do this.
                // SAFETY: as in `lock`, and it has just said so.
                unsafe { pthread::settle_not_recoverable(self.0.get()) };
                Error::NotRecoverable
            }
            _ => Error::system("pthread_mutex_lock", OBJECT)(io::Error::from_raw_os_error(errno)),
        }
    }
}

impl fmt::Debug for Robust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: initialised and mapped; the owner's word is read atomically.
        match unsafe { pthread::owner(self.0.get()) } {
            0 => formatter.write_str("not locked"),
            owner => write!(formatter, "locked by thread {owner} of its namespace"),
        }
    }
}

const OBJECT: &str = "a mutex in shared memory";
