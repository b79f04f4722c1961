//! semget, semtimedop and semctl.
#![expect(unsafe_code, reason = "the calls take pointers, two of them without a length")]

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use super::{By, Permissions, check, selector};
use crate::errno;

const STAT_ANY: libc::c_int = 20;
const INFO: libc::c_int = 19;
const GETPID: libc::c_int = 11;
const GETVAL: libc::c_int = 12;
const GETALL: libc::c_int = 13;
const GETNCNT: libc::c_int = 14;
const GETZCNT: libc::c_int = 15;
const SETVAL: libc::c_int = 16;
const SETALL: libc::c_int = 17;

/// `struct semid64_ds`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct SemaphoreStatus {
    /// Key, owner, creator, mode.
    pub permissions: Permissions,
    /// The last semop that was done, in seconds, or 0.
    pub operated: i64,
    #[cfg(target_arch = "x86_64")]
    unused1: u64,
    /// Creation, SETVAL, SETALL or IPC_SET, whichever was last.
    pub changed: i64,
    #[cfg(target_arch = "x86_64")]
    unused2: u64,
    /// How many semaphores.
    pub len: u64,
    unused: [u64; 2],
}

/// `struct seminfo`, filled by IPC_INFO (limits) and by SEM_INFO (usage, in two of its fields).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct SemaphoreLimits {
    unused_map: i32,
    /// SEMMNI: sets.
    pub sets_max: i32,
    /// SEMMNS: semaphores in all sets.
    pub semaphores_max: i32,
    unused_undo: i32,
    /// SEMMSL: semaphores of one set.
    pub set_len_max: i32,
    /// SEMOPM: operations of one semop.
    pub operations_max: i32,
    unused_entries: i32,
    /// SEM_INFO: sets there are.
    pub sets: i32,
    /// SEMVMX.
    pub value_max: i32,
    /// SEM_INFO: semaphores in all sets there are.
    pub semaphores: i32,
}

/// semget.
///
/// # Errors
/// EACCES, EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC.
pub fn get(key: i32, len: i32, flags: libc::c_int) -> io::Result<i32> {
    // SAFETY: three integers, no pointer.
    check(unsafe { libc::syscall(libc::SYS_semget, key, len, flags) })
}

/// semtimedop, once: EINTR is the caller's. Without a timeout it is semop.
///
/// # Errors
/// E2BIG, EACCES, EAGAIN, EFBIG, EIDRM, EINTR, EINVAL, ENOMEM, ENOSPC, ERANGE.
pub fn operate(id: i32, operations: &[libc::sembuf], timeout: Option<&libc::timespec>) -> io::Result<()> {
    let timeout = timeout.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `operations` is a live slice of that many sembufs, which the kernel only reads; `timeout` is null or
    // points at a live timespec.
    check(unsafe { libc::syscall(libc::SYS_semtimedop, id, operations.as_ptr(), operations.len(), timeout) })
        .map(drop)
}

/// semctl GETVAL.
///
/// # Errors
/// EACCES, EIDRM, EINVAL.
pub fn value(id: i32, index: i32) -> io::Result<i32> {
    control(id, index, GETVAL, 0)
}

/// semctl GETPID: who changed the semaphore last, 0 if nobody has.
///
/// # Errors
/// EACCES, EIDRM, EINVAL.
pub fn last_pid(id: i32, index: i32) -> io::Result<i32> {
    control(id, index, GETPID, 0)
}

/// semctl GETNCNT: how many wait for the value to grow.
///
/// # Errors
/// EACCES, EIDRM, EINVAL.
pub fn waiting_for_increase(id: i32, index: i32) -> io::Result<i32> {
    control(id, index, GETNCNT, 0)
}

/// semctl GETZCNT: how many wait for zero.
///
/// # Errors
/// EACCES, EIDRM, EINVAL.
pub fn waiting_for_zero(id: i32, index: i32) -> io::Result<i32> {
    control(id, index, GETZCNT, 0)
}

/// semctl SETVAL.
///
/// # Errors
/// EACCES, EIDRM, EINVAL, ERANGE.
pub fn set_value(id: i32, index: i32, value: i32) -> io::Result<()> {
    // `union semun` passes its int in the low half of a register: both our architectures are little-endian.
    control(id, index, SETVAL, i64::from(value)).map(drop)
}

/// semctl IPC_RMID.
///
/// # Errors
/// EIDRM, EINVAL, EPERM.
pub fn remove(id: i32) -> io::Result<()> {
    control(id, 0, libc::IPC_RMID, 0).map(drop)
}

fn control(id: i32, index: i32, command: libc::c_int, argument: i64) -> io::Result<i32> {
    // SAFETY: none of the commands above takes a pointer.
    check(unsafe { libc::syscall(libc::SYS_semctl, id, index, command, argument) })
}

/// semctl IPC_STAT or SEM_STAT_ANY: the id, and the status.
///
/// # Errors
/// EACCES (by id), EIDRM, EINVAL.
pub fn status(by: By) -> io::Result<(i32, SemaphoreStatus)> {
    let (number, command) = selector(by, STAT_ANY);
    let mut status = MaybeUninit::<SemaphoreStatus>::uninit();
    // SAFETY: `status` has room for one semid64_ds, which is what the kernel writes.
    let id = check(unsafe { libc::syscall(libc::SYS_semctl, number, 0, command, status.as_mut_ptr()) })?;
    // SAFETY: the call returned no error, so it filled every field.
    let status = unsafe { status.assume_init() };
    Ok((by.id(id), status))
}

/// semctl IPC_SET: owner and mode.
///
/// # Errors
/// EINVAL, EIDRM, EPERM.
pub fn set_permissions(id: i32, status: &SemaphoreStatus) -> io::Result<()> {
    let status = ptr::from_ref(status);
    // SAFETY: the kernel only reads one live semid64_ds.
    check(unsafe { libc::syscall(libc::SYS_semctl, id, 0, libc::IPC_SET, status) }).map(drop)
}

/// semctl IPC_INFO, and the highest place in use of the kernel's table.
///
/// # Errors
/// None is documented.
pub fn limits() -> io::Result<(i32, SemaphoreLimits)> {
    info(libc::IPC_INFO)
}

/// semctl SEM_INFO: as [`limits`], with what there is.
///
/// # Errors
/// None is documented.
pub fn usage() -> io::Result<(i32, SemaphoreLimits)> {
    info(INFO)
}

fn info(command: libc::c_int) -> io::Result<(i32, SemaphoreLimits)> {
    let mut limits = SemaphoreLimits::default();
    // SAFETY: `limits` has room for one seminfo.
    let highest = check(unsafe { libc::syscall(libc::SYS_semctl, 0, 0, command, &raw mut limits) })?;
    Ok((highest, limits))
}

/// semctl GETALL.
///
/// The kernel writes as many values as the set has, whatever the caller thought: an id whose set was replaced by a
/// larger one would overrun a plain buffer. Ours ends where an inaccessible page begins, so that the kernel reports
/// EFAULT instead. When the set is smaller, the values beyond its end are 0.
///
/// # Errors
/// EACCES, EFAULT (the set has more semaphores than `values`), EIDRM, EINVAL; ENOMEM for the buffer.
pub fn values(id: i32, values: &mut [u16]) -> io::Result<()> {
    with_buffer(values.len(), |buffer| {
        buffer.fill(0);
        let pointer = buffer.as_mut_ptr();
        // SAFETY: the kernel writes the set's values from `pointer` on; what lies between there and the guard page is
        // this buffer, and the guard page takes no write.
        check(unsafe { libc::syscall(libc::SYS_semctl, id, 0, GETALL, pointer) })?;
        values.copy_from_slice(buffer);
        Ok(())
    })
}

/// semctl SETALL. A set that is larger than `values` is EFAULT, as for [`values`](values()); of a smaller one only the first are set.
///
/// # Errors
/// EACCES, EFAULT (the set has more semaphores than `values`), EIDRM, EINVAL, ERANGE; ENOMEM for the buffer.
pub fn set_values(id: i32, values: &[u16]) -> io::Result<()> {
    with_buffer(values.len(), |buffer| {
        buffer.copy_from_slice(values);
        let pointer = buffer.as_ptr();
        // SAFETY: the kernel reads the set's number of values from `pointer` on; behind this buffer lies the guard
        // page, which cannot be read.
        check(unsafe { libc::syscall(libc::SYS_semctl, id, 0, SETALL, pointer) }).map(drop)
    })
}

/// Runs `call` with a buffer of `len` values whose end is the end of accessible memory. It is kept for the thread's
/// next call: in the long run GETALL and SETALL are one system call each.
fn with_buffer<T>(len: usize, call: impl FnOnce(&mut [u16]) -> io::Result<T>) -> io::Result<T> {
    thread_local! { static KEPT: Cell<Option<Guarded>> = const { Cell::new(None) }; }
    // A thread that is ending keeps nothing any more.
    let kept = KEPT.try_with(Cell::take).ok().flatten();
    let mut buffer = match kept.filter(|buffer| buffer.capacity() >= len) {
        Some(buffer) => buffer,
        None => Guarded::new(len)?,
    };
    let done = call(buffer.last(len));
    let _ = KEPT.try_with(|kept| kept.set(Some(buffer)));
    done
}

/// Whole pages of memory with an inaccessible one behind them.
struct Guarded {
    start: NonNull<u8>,
    /// Bytes before the guard page.
    accessible: usize,
}

/// A multiple of the page size of every kernel we support (64 KiB pages on aarch64).
const PAGE: usize = 65536;

impl Guarded {
    fn new(len: usize) -> io::Result<Self> {
        let accessible = (len * size_of::<u16>()).next_multiple_of(PAGE).max(PAGE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new private mapping at an address of the kernel's choice touches nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), accessible + PAGE, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(errno::last());
        }
        let start =
            NonNull::new(start.cast::<u8>()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        let guarded = Self { start, accessible };
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the first `accessible` bytes of the mapping made above, which nobody else knows.
        errno::check(unsafe { libc::mprotect(start.as_ptr().cast(), accessible, protection) })?;
        Ok(guarded)
    }

    fn capacity(&self) -> usize {
        self.accessible / size_of::<u16>()
    }

    /// The last `len` values before the guard page.
    fn last(&mut self, len: usize) -> &mut [u16] {
        let len = len.min(self.capacity());
        // SAFETY: `len` values are at most `accessible` bytes (the line above), so the start is within the mapping.
        let start = unsafe { self.start.add(self.accessible - len * size_of::<u16>()) };
        // SAFETY: readable, writable, zeroed by the kernel at birth, aligned (both terms of the offset are even), and
        // borrowed from `self`, to which the mapping belongs alone.
        unsafe { std::slice::from_raw_parts_mut(start.cast::<u16>().as_ptr(), len) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, made in `new` and unmapped nowhere else; no slice of it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.accessible + PAGE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_larger_than_the_buffer_is_efault_and_overruns_nothing() {
        let id = get(super::super::PRIVATE, 40, libc::IPC_CREAT | 0o600).unwrap();
        set_values(id, &[7; 40]).unwrap();
        for len in [0, 1, 39] {
            let mut few = vec![1; len];
            assert_eq!(values(id, &mut few).unwrap_err().raw_os_error(), Some(libc::EFAULT));
            assert_eq!(set_values(id, &few).unwrap_err().raw_os_error(), Some(libc::EFAULT));
        }
        let mut more = vec![1; 50];
        values(id, &mut more).unwrap();
        assert_eq!((&more[..40], &more[40..]), (&[7; 40][..], &[0; 10][..]));
        remove(id).unwrap();
    }
}
