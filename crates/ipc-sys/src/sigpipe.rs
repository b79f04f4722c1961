//! A call that would raise SIGPIPE, without SIGPIPE: the signal is blocked in this thread, and the one that the call
//! raised is taken back before it is unblocked. The process's disposition, which others rely on, stays as it is.
#![expect(unsafe_code, reason = "sigset_t is filled and read through pointers")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use crate::errno;

/// Runs `call`; when it fails with EPIPE, the SIGPIPE that came with it is gone.
///
/// The kernel sends that signal to the calling thread, so no other thread is concerned. Costs two system calls, four
/// on EPIPE.
///
/// # Errors
/// What `call` returns.
pub fn held<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let before = change_mask(libc::SIG_BLOCK, &only_sigpipe())?;
    let was_blocked = contains(&before);
    // One that was pending before is somebody else's: it must not be taken. It can only be when it was blocked.
    let was_pending = was_blocked && pending();
    let result = call();
    if !was_pending && matches!(&result, Err(error) if errno::is(error, libc::EPIPE)) {
        take();
    }
    if !was_blocked {
        change_mask(libc::SIG_SETMASK, &before)?;
    }
    result
}

fn only_sigpipe() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set that it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: sigemptyset, which cannot fail on a valid pointer, has filled it.
    let mut set = unsafe { set.assume_init() };
    // SAFETY: `set` is a live, initialised set, and SIGPIPE a valid number.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGPIPE) };
    set
}

fn contains(set: &libc::sigset_t) -> bool {
    // SAFETY: `set` is a live, initialised set.
    unsafe { libc::sigismember(set, libc::SIGPIPE) == 1 }
}

fn change_mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: both pointers lead to live sets; the second is filled by the call.
    let result = unsafe { libc::pthread_sigmask(how, set, before.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::from_raw_os_error(result));
    }
    // SAFETY: the call returned 0, so it filled the former mask.
    Ok(unsafe { before.assume_init() })
}

fn pending() -> bool {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigpending fills the set that it is given.
    let result = unsafe { libc::sigpending(set.as_mut_ptr()) };
    // SAFETY: the call returned 0, so it filled the set.
    result == 0 && contains(&unsafe { set.assume_init() })
}

/// Takes one pending SIGPIPE without waiting for it.
fn take() {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let _ = errno::retry(|| {
        // SAFETY: the set and the timeout are alive during the call; a null siginfo is allowed.
        errno::check(unsafe { libc::sigtimedwait(&only_sigpipe(), ptr::null_mut(), &raw const now) })
    });
}
