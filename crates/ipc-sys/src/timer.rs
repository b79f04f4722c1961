//! Timers that end in a signal: alarm, interval timers, POSIX timers.
#![expect(unsafe_code, reason = "these calls take pointers")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use crate::errno;
use crate::signal::check_long;

/// alarm(2): the seconds that were left of the former one.
#[must_use]
pub fn alarm(seconds: u32) -> u32 {
    // SAFETY: alarm takes a number.
    unsafe { libc::alarm(seconds) }
}

/// setitimer(2): gives what was left of the former one.
///
/// # Errors
/// EINVAL for microseconds out of range.
pub fn setitimer(which: i32, new: &libc::itimerval) -> io::Result<libc::itimerval> {
    let mut old = MaybeUninit::<libc::itimerval>::zeroed();
    // SAFETY: both structures live for the call.
    errno::check(unsafe { libc::setitimer(which, new, old.as_mut_ptr()) })?;
    // SAFETY: four integers, filled by the call, zero before.
    Ok(unsafe { old.assume_init() })
}

/// getitimer(2).
///
/// # Errors
/// None that the kernel documents for these arguments.
pub fn getitimer(which: i32) -> io::Result<libc::itimerval> {
    let mut now = MaybeUninit::<libc::itimerval>::zeroed();
    // SAFETY: the structure lives for the call.
    errno::check(unsafe { libc::getitimer(which, now.as_mut_ptr()) })?;
    // SAFETY: four integers, filled by the call, zero before.
    Ok(unsafe { now.assume_init() })
}

/// A POSIX timer's number in the kernel.
pub type TimerId = i32;

/// timer_create(2): expires with `signal` and `value`, to `thread` or to the process.
///
/// # Errors
/// EAGAIN at RLIMIT_SIGPENDING, EINVAL.
pub fn timer_create(clock: i32, signal: i32, value: u64, thread: Option<i32>) -> io::Result<TimerId> {
    // SAFETY: sigevent is integers and a union of an integer and a pointer: all zeros are valid.
    let mut event: libc::sigevent = unsafe { MaybeUninit::zeroed().assume_init() };
    event.sigev_signo = signal;
    event.sigev_value.sival_ptr = ptr::without_provenance_mut(crate::signal::usize_of(value));
    event.sigev_notify = libc::SIGEV_SIGNAL;
    if let Some(thread) = thread {
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_notify_thread_id = thread;
    }
    let mut id: TimerId = 0;
    // SAFETY: `event` and `id` live for the call; the kernel's timer_t is an int.
    check_long(unsafe { libc::syscall(libc::SYS_timer_create, clock, &raw const event, &raw mut id) })?;
    Ok(id)
}

/// timer_settime(2): gives what was left of the former setting.
///
/// # Errors
/// EINVAL.
pub fn timer_settime(id: TimerId, new: &libc::itimerspec) -> io::Result<libc::itimerspec> {
    let mut old = MaybeUninit::<libc::itimerspec>::zeroed();
    // SAFETY: both structures live for the call.
    check_long(unsafe {
        libc::syscall(libc::SYS_timer_settime, id, 0, ptr::from_ref(new), old.as_mut_ptr())
    })?;
    // SAFETY: four integers, filled by the call, zero before.
    Ok(unsafe { old.assume_init() })
}

/// timer_gettime(2).
///
/// # Errors
/// EINVAL.
pub fn timer_gettime(id: TimerId) -> io::Result<libc::itimerspec> {
    let mut now = MaybeUninit::<libc::itimerspec>::zeroed();
    // SAFETY: the structure lives for the call.
    check_long(unsafe { libc::syscall(libc::SYS_timer_gettime, id, now.as_mut_ptr()) })?;
    // SAFETY: four integers, filled by the call, zero before.
    Ok(unsafe { now.assume_init() })
}

/// timer_getoverrun(2).
///
/// # Errors
/// EINVAL.
pub fn timer_overrun(id: TimerId) -> io::Result<i32> {
    // SAFETY: takes a number.
    let overrun = unsafe { libc::syscall(libc::SYS_timer_getoverrun, id) };
    i32::try_from(overrun).ok().filter(|overrun| *overrun >= 0).ok_or_else(errno::last)
}

/// timer_delete(2).
///
/// # Errors
/// EINVAL.
pub fn timer_delete(id: TimerId) -> io::Result<()> {
    // SAFETY: takes a number.
    check_long(unsafe { libc::syscall(libc::SYS_timer_delete, id) })
}
