//! The set: operations on several semaphores at once, its state and its end.

use std::io;
use std::time::Duration;

use ipc_sys::deadline::Deadline;
use ipc_sys::errno;
use ipc_sys::sysv::semaphore as sys;

use super::create::SemaphoreSetOptions;
use super::op::Op;
use super::permit::Semaphore;
use super::stat::SemaphoreStat;
use crate::error::{Call, Error, Result};
use crate::handle::{self, Handle, sealed::Sealed};
use crate::key::Key;
use crate::object::{Identity, Kind, Object, Origin, Permissions};

/// A set of semaphores: 1 to 32,000 counters from 0 to 32,767.
///
/// The handle is a number and an [`Identity`]: cloning it and dropping it cost nothing, removing the set is
/// [`SemaphoreSet::remove`]. It may be used by several threads at once.
///
/// # After a crash
/// The set stays, with its values; what was done with [`Op::undo`] is taken back. [`semaphores`](crate::semaphores()) finds it,
/// [`SemaphoreSet::remove`] removes it. A creator that dies half-way is found out by
/// [`SemaphoreSetOptions`](crate::SemaphoreSetOptions).
///
/// # Fork
/// A forked child may use the handle. It does not inherit what its parent's end shall undo.
///
/// # Examples
/// Several operations in one call happen together or not at all, and cost one system call:
/// ```
/// use ipc_sysv::{Key, Op, RemoveOnDrop, SemaphoreSet};
///
/// // Two accounts; the third semaphore counts transfers.
/// let set = RemoveOnDrop::new(SemaphoreSet::create(Key::PRIVATE, &[100, 0, 0])?);
/// set.op(&[Op::subtract(0, 30), Op::add(1, 30), Op::add(2, 1)])?;
/// assert_eq!(set.values()?, [70, 30, 1]);
/// assert!(set.try_op(&[Op::add(2, 1), Op::subtract(0, 71)]).unwrap_err().is_would_block());
/// assert_eq!(set.values()?, [70, 30, 1]);
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SemaphoreSet {
    identity: Identity,
    len: usize,
}

impl SemaphoreSet {
    /// semget(IPC_CREAT | IPC_EXCL) and the initial values, mode 0600: [`SemaphoreSetOptions::create`].
    ///
    /// # Errors
    /// As [`SemaphoreSetOptions::create`].
    #[doc(alias = "semget")]
    pub fn create(key: Key, values: &[u16]) -> Result<Self> {
        SemaphoreSetOptions::new().create(key, values)
    }

    /// semget of an existing set, when it is initialized: [`SemaphoreSetOptions::open`].
    ///
    /// # Errors
    /// As [`SemaphoreSetOptions::open`].
    pub fn open(key: Key) -> Result<Self> {
        SemaphoreSetOptions::new().open(key)
    }

    /// semget(IPC_CREAT), and who created gives the initial values, mode 0600: [`SemaphoreSetOptions::open_or_create`].
    ///
    /// # Errors
    /// As [`SemaphoreSetOptions::open_or_create`].
    pub fn open_or_create(key: Key, values: &[u16]) -> Result<(Self, Origin)> {
        SemaphoreSetOptions::new().open_or_create(key, values)
    }

    /// The set with this id, which another process has told us.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL, EIDRM | [`Error::NotFound`] |
    pub fn from_id(id: i32) -> Result<Self> {
        let object = Object::numbered(Kind::SemaphoreSet, id);
        let status = handle::status(id, sys::status);
        status.map(|status| Self::new(id, &status)).map_err(|source| handle::not_there(object, source))
    }

    pub(super) fn new(id: i32, status: &sys::SemaphoreStatus) -> Self {
        let stat = SemaphoreStat::new(id, status);
        Self { identity: stat.identity, len: stat.len }
    }

    /// How many semaphores the set has.
    #[expect(clippy::len_without_is_empty, reason = "there is no empty set")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The id, by which the kernel and other processes know it.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.identity.id
    }

    /// What the handle remembers of its set.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// One semaphore of the set, for those who need no more.
    ///
    /// # Errors
    /// An index that the set does not have is [`Error::OutOfRange`].
    pub fn semaphore(&self, index: u16) -> Result<Semaphore> {
        if usize::from(index) >= self.len {
            return Err(self.call("semop").out_of_range("the semaphore's index", libc::EFBIG));
        }
        Ok(Semaphore::new(self.clone(), index))
    }

    /// semop: does all of `ops` at once, when none of them has to wait any more.
    ///
    /// # Blocking
    /// Until every operation can be done. A signal handler runs meanwhile and the wait goes on (EINTR is retried).
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EAGAIN (when an operation that carries [`Op::no_wait`] would have to wait) | [`Error::WouldBlock`] |
    /// | EIDRM, EINVAL (the set is gone) | [`Error::Removed`] |
    /// | EFBIG (an index), ERANGE (a value over 32,767, or a sum of the process's undos beyond ±32,767), EINVAL (no operation, or an [`Op::add`] or [`Op::subtract`] out of range) | [`Error::OutOfRange`] |
    /// | E2BIG (more operations than SEMOPM, 500 by default) | [`Error::TooLong`] |
    /// | EACCES (altering wants write permission, waiting for zero read permission) | [`Error::PermissionDenied`] |
    /// | ENOMEM | [`Error::LimitReached`] |
    ///
    /// # After a crash
    /// What was done with [`Op::undo`] the kernel takes back, the rest stays done.
    ///
    /// # Examples
    /// ```
    /// use ipc_sysv::{Key, Op, RemoveOnDrop, SemaphoreSet};
    ///
    /// let set = RemoveOnDrop::new(SemaphoreSet::create(Key::PRIVATE, &[1, 5])?);
    /// set.op(&[Op::subtract(0, 1).undo(), Op::subtract(1, 5)])?;
    /// set.op(&[Op::wait_for_zero(1), Op::add(0, 1).undo()])?;
    /// assert_eq!(set.values()?, [1, 0]);
    /// # Ok::<(), ipc_sysv::Error>(())
    /// ```
    #[doc(alias = "semop")]
    pub fn op(&self, ops: &[Op]) -> Result<()> {
        let raw = self.checked(ops)?;
        errno::retry(|| sys::operate(self.id(), raw, None)).map_err(|source| self.op_failed(ops, source))
    }

    /// semop that gives up at a signal: as [`SemaphoreSet::op`], and
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINTR (nothing was done) | [`Error::Interrupted`] |
    ///
    /// Else as [`SemaphoreSet::op`].
    pub fn op_interruptible(&self, ops: &[Op]) -> Result<()> {
        let raw = self.checked(ops)?;
        sys::operate(self.id(), raw, None).map_err(|source| self.op_failed(ops, source))
    }

    /// semop with IPC_NOWAIT on every operation: does all of `ops` now, or none.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EAGAIN | [`Error::WouldBlock`] |
    ///
    /// Else as [`SemaphoreSet::op`].
    pub fn try_op(&self, ops: &[Op]) -> Result<()> {
        const ON_STACK: usize = 32;
        self.checked(ops)?;
        let mut stack = [Op::wait_for_zero(0); ON_STACK];
        let mut heap = Vec::new();
        let copy = match stack.get_mut(..ops.len()) {
            Some(copy) => {
                copy.copy_from_slice(ops);
                copy
            }
            None => {
                heap.extend_from_slice(ops);
                &mut heap[..]
            }
        };
        for op in &mut *copy {
            *op = op.no_wait();
        }
        sys::operate(self.id(), Op::as_raw(copy), None).map_err(|source| self.op_failed(ops, source))
    }

    /// semtimedop: as [`SemaphoreSet::op`], for at most `timeout`; zero looks once, a century is for ever.
    ///
    /// # Blocking
    /// Until every operation can be done or the time is over, by CLOCK_MONOTONIC; EINTR is retried with what is left.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EAGAIN (the time is over) | [`Error::TimedOut`] |
    /// | EAGAIN (before; an operation that carries [`Op::no_wait`]) | [`Error::WouldBlock`] |
    ///
    /// Else as [`SemaphoreSet::op`].
    #[doc(alias = "semtimedop")]
    pub fn op_timeout(&self, ops: &[Op], timeout: Duration) -> Result<()> {
        let raw = self.checked(ops)?;
        let deadline = Deadline::after(timeout);
        errno::retry(|| sys::operate(self.id(), raw, deadline.remaining_timespec().as_ref())).map_err(
            |source| {
                if errno::is(&source, libc::EAGAIN) && deadline.has_passed() {
                    return Error::TimedOut { object: self.identity.object(), operation: "semtimedop" };
                }
                self.op_failed(ops, source)
            },
        )
    }

    /// semctl IPC_STAT.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL, EIDRM | [`Error::Removed`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    #[doc(alias = "IPC_STAT")]
    #[doc(alias = "semctl")]
    pub fn stat(&self) -> Result<SemaphoreStat> {
        let status = sys::status(ipc_sys::sysv::By::Id(self.id()));
        let (id, status) = status.map_err(|source| self.failed("IPC_STAT", source))?;
        Ok(SemaphoreStat::new(id, &status))
    }

    /// semctl IPC_SET: owner and mode. Owner, creator and root may.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL, EIDRM | [`Error::Removed`] |
    /// | EINVAL (a uid or gid of -1) | [`Error::OutOfRange`] |
    /// | EPERM | [`Error::PermissionDenied`] |
    #[doc(alias = "IPC_SET")]
    #[doc(alias = "semctl")]
    pub fn set_permissions(&self, permissions: Permissions) -> Result<()> {
        let mut status = sys::SemaphoreStatus::default();
        permissions.write_to(&mut status.permissions);
        sys::set_permissions(self.id(), &status).map_err(|source| self.failed("IPC_SET", source))
    }

    /// semctl IPC_STAT: whether the set that this handle was opened for is still there.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | (it is gone) | [`Error::Removed`] |
    /// | (another set has its id) | [`Error::Replaced`] |
    pub fn verify(&self) -> Result<()> {
        handle::verify(self, "verify")
    }

    /// semctl IPC_RMID, after [`SemaphoreSet::verify`]: removes the set. Whoever waits in it gets [`Error::Removed`].
    ///
    /// Between the look and the removal another process could remove the set and create one with the same id: that takes
    /// 65,536 creations, or a write to `/proc/sys/kernel/sem_next_id`.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EPERM (owner, creator and root may) | [`Error::PermissionDenied`] |
    ///
    /// As [`SemaphoreSet::verify`].
    #[doc(alias = "IPC_RMID")]
    #[doc(alias = "semctl")]
    pub fn remove(&self) -> Result<()> {
        handle::remove(self)
    }

    pub(super) const fn call(&self, operation: &'static str) -> Call {
        Call { object: self.identity.object(), operation }
    }

    /// The operations as the kernel takes them, when none is out of range.
    fn checked<'a>(&self, ops: &'a [Op]) -> Result<&'a [libc::sembuf]> {
        if ops.is_empty() {
            return Err(self.call("semop").out_of_range("the number of operations", libc::EINVAL));
        }
        if !ops.iter().all(Op::is_valid) {
            return Err(self.call("semop").out_of_range("a number to add or subtract", libc::ERANGE));
        }
        Ok(Op::as_raw(ops))
    }

    fn op_failed(&self, ops: &[Op], source: io::Error) -> Error {
        let call = self.call("semop");
        let Call { object, operation } = call;
        match source.raw_os_error() {
            Some(libc::EFBIG) => {
                Error::OutOfRange { object, operation, what: "the semaphore's index", source }
            }
            Some(libc::ERANGE) => {
                Error::OutOfRange { object, operation, what: "the value or the sum of the undos", source }
            }
            Some(libc::E2BIG) => {
                let max = sys::limits().map_or(0, |(_, limits)| limits.operations_max);
                let max = usize::try_from(max).unwrap_or(0);
                Error::TooLong { object, operation, len: Some(ops.len()), max, source }
            }
            Some(libc::EINVAL) => self.failed(operation, source),
            _ => call.failed(source),
        }
    }

    pub(super) fn failed(&self, operation: &'static str, source: io::Error) -> Error {
        handle::failed_on::<Self>(self.identity.object(), operation, source, "an argument")
    }
}

impl Handle for SemaphoreSet {
    fn identity(&self) -> Identity {
        self.identity
    }
}

impl Sealed for SemaphoreSet {
    fn look(id: i32) -> io::Result<Identity> {
        handle::status(id, sys::status).map(|status| SemaphoreStat::new(id, &status).identity)
    }

    fn remove(id: i32) -> io::Result<()> {
        sys::remove(id)
    }
}
