//! One operation of a semop: `struct sembuf`, as the kernel takes it.
#![expect(unsafe_code, reason = "a slice of operations is handed to the kernel as it is, without a copy")]

use std::fmt;

/// What one operation does to one semaphore of a set. [`SemaphoreSet::op`](crate::SemaphoreSet::op) does several of them
/// at once, all or none.
///
/// ```
/// use ipc_sysv::Op;
///
/// // Semaphore 0 is a lock: wait until it is free (0), then take it; the kernel frees it should we die.
/// let lock = [Op::wait_for_zero(0), Op::add(0, 1).undo()];
/// # let _ = lock;
/// ```
#[derive(Clone, Copy)]
#[repr(transparent)]
#[doc(alias = "sembuf")]
pub struct Op(libc::sembuf);

/// SEMVMX: what a semaphore can hold.
pub(crate) const VALUE_MAX: u16 = 32767;

#[expect(clippy::cast_possible_truncation, reason = "0o4000 fits 16 bits")]
const NOWAIT: i16 = libc::IPC_NOWAIT as i16;
#[expect(clippy::cast_possible_truncation, reason = "0x1000 fits 16 bits")]
const UNDO: i16 = libc::SEM_UNDO as i16;

impl Op {
    /// V: adds `by`, 1..=32767, to the semaphore at `index`. Never waits.
    ///
    /// A `by` of 0 is [`Error::OutOfRange`](crate::Error::OutOfRange) when the operation is done: to the kernel 0
    /// means wait for zero. So is one over 32767.
    #[must_use]
    pub const fn add(index: u16, by: u16) -> Self {
        Self::new(index, by, 1)
    }

    /// P: subtracts `by`, 1..=32767, as soon as the value is at least that. A `by` out of range is an error as for [`Op::add`].
    #[must_use]
    pub const fn subtract(index: u16, by: u16) -> Self {
        Self::new(index, by, -1)
    }

    /// Waits until the value is 0.
    #[must_use]
    pub const fn wait_for_zero(index: u16) -> Self {
        Self(libc::sembuf { sem_num: index, sem_op: 0, sem_flg: 0 })
    }

    /// SEM_UNDO: the kernel takes this back when the process ends, however it ends. The limits of that are with
    /// [`Permit`](crate::Permit).
    #[must_use]
    #[doc(alias = "SEM_UNDO")]
    pub const fn undo(mut self) -> Self {
        self.0.sem_flg |= UNDO;
        self
    }

    /// IPC_NOWAIT: if this operation would have to wait, all of them fail with
    /// [`Error::WouldBlock`](crate::Error::WouldBlock).
    #[must_use]
    #[doc(alias = "IPC_NOWAIT")]
    pub const fn no_wait(mut self) -> Self {
        self.0.sem_flg |= NOWAIT;
        self
    }

    /// The semaphore's number in its set.
    #[must_use]
    pub const fn index(&self) -> u16 {
        self.0.sem_num
    }

    /// What is added: negative for [`Op::subtract`], 0 for [`Op::wait_for_zero`].
    #[must_use]
    pub const fn change(&self) -> i16 {
        self.0.sem_op
    }

    /// A number out of range is kept as i16::MIN, which no valid one becomes.
    const fn new(index: u16, by: u16, sign: i16) -> Self {
        #[expect(clippy::cast_possible_wrap, reason = "at most VALUE_MAX")]
        let change = if by == 0 || by > VALUE_MAX { i16::MIN } else { by as i16 * sign };
        Self(libc::sembuf { sem_num: index, sem_op: change, sem_flg: 0 })
    }

    pub(crate) const fn is_valid(&self) -> bool {
        self.0.sem_op != i16::MIN
    }

    /// As the kernel wants them.
    pub(crate) fn as_raw(ops: &[Self]) -> &[libc::sembuf] {
        // SAFETY: `Op` is a transparent wrapper of `sembuf`, so this is the same slice, borrowed for as long.
        unsafe { std::slice::from_raw_parts(ops.as_ptr().cast(), ops.len()) }
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let undo = self.0.sem_flg & UNDO != 0;
        let no_wait = self.0.sem_flg & NOWAIT != 0;
        formatter
            .debug_struct("Op")
            .field("index", &self.index())
            .field("change", &self.change())
            .field("undo", &undo)
            .field("no_wait", &no_wait)
            .finish()
    }
}
