//! Descriptors that a process was started with, and the environment that says so.
#![expect(
    unsafe_code,
    reason = "a number from outside becomes an owned descriptor; the environment is changed"
)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::errno;

/// Takes `count` descriptors from number 3 on, makes them close-on-exec, and removes `variables` from the environment.
/// It does so once in a process, and only before there is a second thread: later, a number may have another owner, and the
/// environment other readers. `Ok(None)` says that it is too late.
///
/// # Errors
/// EBADF: one of them is not open; EBUSY: one of them is close-on-exec, hence not from before the last exec, and somebody's in this
/// program. Nothing was taken or removed then, and it may be tried again. ENOENT: /proc, which counts the threads, is not mounted.
pub fn take(count: RawFd, variables: &[&str]) -> io::Result<Option<Vec<OwnedFd>>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 || TAKEN.load(Ordering::SeqCst) {
        return Ok(None);
    }
    let numbers = 3..3 + count;
    for number in numbers.clone() {
        // SAFETY: F_GETFD takes no pointer; a number that is not open is EBADF.
        let flags = errno::check(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
        if flags & libc::FD_CLOEXEC != 0 {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
    }
    for number in numbers.clone() {
        // SAFETY: F_SETFD takes an int and no pointer.
        errno::check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    }
    TAKEN.store(true, Ordering::SeqCst);
    for variable in variables {
        // SAFETY: this is the only thread, so that nobody reads the environment meanwhile.
        unsafe { std::env::remove_var(variable) };
    }
    // SAFETY: the process was started with these descriptors for us to take: std opens each of its own close-on-exec, which
    // none of them was; and this happens once.
    Ok(Some(numbers.map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect()))
}
