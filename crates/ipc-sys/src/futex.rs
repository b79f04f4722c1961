//! The futex word and the barrier that goes with it: what a waiter and its waker share, across processes, hence never
//! FUTEX_PRIVATE_FLAG.
//!
//! The kernel knows a word by the page of memory that it lies in, not by its address, so two mappings of one segment
//! meet on it, read-only ones too. Nothing of a futex is left after a crash: a waiter that is killed leaves the queue.
#![expect(unsafe_code, reason = "futex, futex_waitv and membarrier are raw system calls")]

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use crate::deadline::{Deadline, timespec};
use crate::errno;

/// Why a wait ended. Whatever it says, look at the condition again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// A wake, or a signal (EINTR): the caller looks again either way.
    Woken,
    /// The word did not hold the expected value (EAGAIN): nothing was waited for.
    Changed,
    /// The deadline came first.
    TimedOut,
}

/// The most words that [`wait_any`] takes, FUTEX_WAITV_MAX.
pub const ANY_MAX: usize = 128;

/// A futex of 32 bits that other processes share: what futex_waitv and io_uring are told of a word.
pub const FUTEX2_SIZE_U32: u32 = 2;

/// FUTEX_WAIT: sleeps while `word` holds `expected`, until a wake, a signal or the deadline.
///
/// # Errors
/// EFAULT where the page is gone: the file behind it was truncated. ENOSYS and EPERM under a seccomp filter.
pub fn wait(word: &AtomicU32, expected: u32, deadline: Deadline) -> io::Result<Wait> {
    wait_at(word.as_ptr(), expected, deadline)
}

/// As [`wait`], on the low half of a 64-bit word.
///
/// # Errors
/// As [`wait`].
pub fn wait_low(word: &AtomicU64, expected: u32, deadline: Deadline) -> io::Result<Wait> {
    wait_at(low_half(word), expected, deadline)
}

/// As [`wait_low`], for so long from now: FUTEX_WAIT takes a relative time, so that nobody looks at the clock but the
/// kernel.
///
/// # Errors
/// As [`wait`].
pub fn wait_low_for(word: &AtomicU64, expected: u32, timeout: Duration) -> io::Result<Wait> {
    wait_within(low_half(word), expected, Some(timespec(timeout)))
}

/// FUTEX_WAKE: wakes at most `count` waiters and says how many it woke. Safe in a signal handler.
///
/// # Errors
/// EFAULT where the page is gone.
pub fn wake(word: &AtomicU32, count: i32) -> io::Result<usize> {
    wake_at(word.as_ptr(), count)
}

/// As [`wake`], on the low half of a 64-bit word.
///
/// # Errors
/// As [`wake`].
pub fn wake_low(word: &AtomicU64, count: i32) -> io::Result<usize> {
    wake_at(low_half(word), count)
}

/// futex_waitv (Linux 5.16): sleeps while each word's low half holds its expected value.
///
/// # Errors
/// ENOSYS on an older kernel; EINVAL without words or with more than [`ANY_MAX`]; EFAULT.
pub fn wait_any(words: &[(&AtomicU64, u32)], deadline: Deadline) -> io::Result<Wait> {
    /// `struct futex_waitv`.
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Waiter {
        value: u64,
        address: u64,
        flags: u32,
        reserved: u32,
    }
    let mut waiters = [Waiter { value: 0, address: 0, flags: 0, reserved: 0 }; ANY_MAX];
    if words.len() > waiters.len() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    for (waiter, (word, expected)) in waiters.iter_mut().zip(words) {
        waiter.value = u64::from(*expected);
        waiter.address = address(word);
        waiter.flags = FUTEX2_SIZE_U32;
    }
    let at = deadline.remaining().map(|left| timespec(monotonic().saturating_add(left)));
    let at = at.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `waiters` holds at least `words.len()` structures whose addresses are borrowed words; the time is null or
    // a live timespec; the kernel writes to none of them.
    let result = unsafe {
        libc::syscall(libc::SYS_futex_waitv, waiters.as_ptr(), words.len(), 0, at, libc::CLOCK_MONOTONIC)
    };
    outcome(result)
}

/// Where futex_waitv and io_uring find the low half of a word.
#[must_use]
pub fn address(word: &AtomicU64) -> u64 {
    low_half(word) as u64
}

/// Registers this process for [`barrier`] (MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED). In a process with threads the
/// first registration takes milliseconds.
///
/// # Errors
/// ENOSYS or EINVAL where the kernel has it not; EPERM under a seccomp filter.
pub fn register_barrier() -> io::Result<()> {
    membarrier(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED)
}

/// A full memory barrier on every CPU that runs a registered process (MEMBARRIER_CMD_GLOBAL_EXPEDITED): after it, a
/// store of ours is seen by whatever they load next, and what they stored before is seen by us.
///
/// # Errors
/// As [`register_barrier`].
pub fn barrier() -> io::Result<()> {
    membarrier(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED)
}

fn membarrier(command: libc::c_int) -> io::Result<()> {
    // SAFETY: membarrier takes three integers and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    if result == -1 { Err(errno::last()) } else { Ok(()) }
}

/// The half of a 64-bit word that the kernel compares: both targets are little-endian.
fn low_half(word: &AtomicU64) -> *mut u32 {
    const { assert!(cfg!(target_endian = "little")) };
    word.as_ptr().cast()
}

fn wait_at(word: *mut u32, expected: u32, deadline: Deadline) -> io::Result<Wait> {
    wait_within(word, expected, deadline.remaining_timespec())
}

fn wait_within(word: *mut u32, expected: u32, left: Option<libc::timespec>) -> io::Result<Wait> {
    let left = left.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `word` points into a borrowed atomic, aligned to 4 bytes; `left` is null or a live timespec; FUTEX_WAIT
    // takes no further argument.
    let result = unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, expected, left) };
    outcome(result)
}

fn wake_at(word: *mut u32, count: i32) -> io::Result<usize> {
    // SAFETY: `word` points into a borrowed atomic, aligned to 4 bytes; FUTEX_WAKE reads and writes no memory.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, count) };
    usize::try_from(woken).map_err(|_| errno::last())
}

fn outcome(result: libc::c_long) -> io::Result<Wait> {
    if result >= 0 {
        return Ok(Wait::Woken);
    }
    let error = errno::last();
    match error.raw_os_error() {
        Some(libc::EINTR) => Ok(Wait::Woken),
        Some(libc::EAGAIN) => Ok(Wait::Changed),
        Some(libc::ETIMEDOUT) => Ok(Wait::TimedOut),
        _ => Err(error),
    }
}

/// CLOCK_MONOTONIC now, as futex_waitv wants its deadline.
fn monotonic() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a live timespec; CLOCK_MONOTONIC always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn a_changed_word_a_deadline_and_a_wake_are_three_things() {
        let word = AtomicU32::new(1);
        let soon = || Deadline::after(Duration::from_millis(1));
        assert_eq!(wait(&word, 0, Deadline::NEVER).unwrap(), Wait::Changed);
        assert_eq!(wait(&word, 1, soon()).unwrap(), Wait::TimedOut);
        assert_eq!(wake(&word, 1).unwrap(), 0);
        let wide = AtomicU64::new(0xffff_ffff_0000_0007);
        assert_eq!(wait_low(&wide, 7, soon()).unwrap(), Wait::TimedOut);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while wake_low(&wide, 1).unwrap() == 0 {
                    wide.fetch_add(0, Ordering::Relaxed);
                }
            });
            assert_eq!(wait_low(&wide, 7, Deadline::NEVER).unwrap(), Wait::Woken);
        });
    }

    #[test]
    fn any_of_several_words_is_enough() {
        let (first, second) = (AtomicU64::new(1), AtomicU64::new(2));
        let soon = Deadline::after(Duration::from_millis(1));
        match wait_any(&[(&first, 1), (&second, 2)], soon) {
            Err(error) if errno::is(&error, libc::ENOSYS) => return,
            done => assert_eq!(done.unwrap(), Wait::TimedOut),
        }
        assert_eq!(wait_any(&[(&first, 1), (&second, 3)], Deadline::NEVER).unwrap(), Wait::Changed);
        assert_eq!(wait_any(&[], soon).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
