//! One semaphore of a set, and what one has of it.

use std::num::NonZeroU32;
use std::time::Duration;

use ipc_sys::fork::ForkMark;

use super::create::SemaphoreSetOptions;
use super::op::Op;
use super::set::SemaphoreSet;
use crate::error::Result;
use crate::key::Key;
use crate::object::Origin;

/// One semaphore: so many permits, to be had one at a time.
///
/// # Examples
/// ```
/// use ipc_sysv::{Key, RemoveOnDrop, Semaphore};
///
/// let semaphore = Semaphore::create(Key::PRIVATE, 1)?;
/// let _removed_at_the_end = RemoveOnDrop::new(semaphore.set().clone());
/// let permit = semaphore.acquire()?;
/// assert!(semaphore.try_acquire().unwrap_err().is_would_block());
/// drop(permit);
/// assert_eq!(semaphore.value()?, 1);
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Semaphore {
    set: SemaphoreSet,
    index: u16,
}

impl Semaphore {
    pub(super) fn new(set: SemaphoreSet, index: u16) -> Self {
        Self { set, index }
    }

    /// semget(IPC_CREAT | IPC_EXCL) of a set of one, mode 0600.
    ///
    /// # Errors
    /// As [`SemaphoreSetOptions::create`].
    pub fn create(key: Key, permits: u16) -> Result<Self> {
        SemaphoreSetOptions::new().create(key, &[permits]).map(|set| Self::new(set, 0))
    }

    /// semget of an existing set, of which this is the first semaphore.
    ///
    /// # Errors
    /// As [`SemaphoreSetOptions::open`].
    pub fn open(key: Key) -> Result<Self> {
        SemaphoreSetOptions::new().open(key).map(|set| Self::new(set, 0))
    }

    /// semget(IPC_CREAT) of a set of one, mode 0600; who created it gives it its permits.
    ///
    /// # Errors
    /// As [`SemaphoreSetOptions::open_or_create`].
    pub fn open_or_create(key: Key, permits: u16) -> Result<(Self, Origin)> {
        let (set, origin) = SemaphoreSetOptions::new().open_or_create(key, &[permits])?;
        Ok((Self::new(set, 0), origin))
    }

    /// The set that it belongs to.
    #[must_use]
    pub fn set(&self) -> &SemaphoreSet {
        &self.set
    }

    /// semop of −1 with SEM_UNDO: waits for a permit and takes it.
    ///
    /// # Blocking
    /// As [`SemaphoreSet::op`].
    ///
    /// # Errors
    /// As [`SemaphoreSet::op`].
    pub fn acquire(&self) -> Result<Permit<'_>> {
        self.set.op(&[self.take()]).map(|()| self.permit())
    }

    /// semop of −1 with SEM_UNDO and IPC_NOWAIT: takes a permit now or not at all.
    ///
    /// # Errors
    /// As [`SemaphoreSet::try_op`].
    pub fn try_acquire(&self) -> Result<Permit<'_>> {
        self.set.op(&[self.take().no_wait()]).map(|()| self.permit())
    }

    /// semtimedop of −1 with SEM_UNDO: waits at most so long for a permit.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op_timeout`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>> {
        self.set.op_timeout(&[self.take()], timeout).map(|()| self.permit())
    }

    /// semop of `permits` without undo: as many more for everybody, as one signals an event or a new item.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op`].
    pub fn add_permits(&self, permits: u16) -> Result<()> {
        self.set.op(&[Op::add(self.index, permits)])
    }

    /// semctl GETVAL: how many permits are free, at this moment.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`].
    pub fn value(&self) -> Result<u16> {
        self.set.value(self.index)
    }

    /// semctl GETNCNT: how many wait for a permit.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`].
    pub fn waiting(&self) -> Result<usize> {
        self.set.waiting_for_increase(self.index)
    }

    /// semctl GETPID: who took or gave last.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`].
    pub fn last_pid(&self) -> Result<Option<NonZeroU32>> {
        self.set.last_pid(self.index)
    }

    fn take(&self) -> Op {
        Op::subtract(self.index, 1).undo()
    }

    fn permit(&self) -> Permit<'_> {
        Permit { semaphore: self, mark: ForkMark::new().ok() }
    }
}

/// A permit that this process holds; dropped, it goes back (semop of +1 with SEM_UNDO).
///
/// # After a crash
/// The kernel gives it back when the process ends, however it ends, SIGKILL included. Not when the thread ends: undo
/// belongs to the process.
///
/// # Limits of undo
/// - The kernel keeps one sum per process and semaphore, between −32,768 and 32,767; beyond that the next operation with
///   undo is ERANGE ([`Error::OutOfRange`](crate::Error::OutOfRange)).
/// - What is taken back at the end is clamped to 0..=32,767: after +5 with undo and −3 without, a kill leaves 0, not −3.
/// - SETVAL and SETALL forget every process's undo: a permit that was held then is given back by nobody, and dropping it
///   gives one too many.
/// - execve keeps it, fork does not: a forked child has no permit, and dropping its copy does nothing.
#[derive(Debug)]
#[must_use = "dropped at once, the permit is given back at once"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    /// Whose it is; `None` where the kernel cannot tell a child (before Linux 4.14).
    mark: Option<ForkMark>,
}

impl Permit<'_> {
    /// The semaphore that it is of.
    #[must_use]
    pub fn semaphore(&self) -> &Semaphore {
        self.semaphore
    }

    /// Uses the permit up: nobody gives it back, neither a drop nor the kernel. One semop of +1 with undo and −1 without.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op`]; the permit is given back then.
    pub fn consume(self) -> Result<()> {
        let index = self.semaphore.index;
        self.semaphore.set.op(&[Op::add(index, 1).undo(), Op::subtract(index, 1)])?;
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.mark.is_some_and(|mark| !mark.is_ours()) {
            return;
        }
        // The set may be gone by now: then there is nothing to give back.
        let _ = self.semaphore.set.op(&[Op::add(self.semaphore.index, 1).undo()]);
    }
}
