//! Signals: sending, masks, waiting, signalfd.
//!
//! A set of signals is a `u64` here, signal n is bit n-1, as the kernel has it. The C library's own signals are left out of
//! every set on its way to the kernel, as its sigfillset does. Its wrappers are gone through, except where they would rewrite
//! siginfo.
#![expect(unsafe_code, reason = "these calls take pointers")]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use crate::errno;
use crate::siginfo::Info;

/// The size of the kernel's `sigset_t`, which the raw calls want to hear.
const SET: usize = size_of::<u64>();

/// A `siginfo_t` that says "queued by this process": for the calls that take one from the sender.
#[repr(C, align(8))]
struct Queued {
    signal: i32,
    errno: i32,
    code: i32,
    pad: i32,
    pid: i32,
    uid: u32,
    value: u64,
    rest: [u64; 12],
}

impl Queued {
    fn new(signal: i32, value: u64) -> Self {
        // SAFETY: getpid has no precondition.
        let pid = unsafe { libc::getpid() };
        // SAFETY: getuid has no precondition.
        let uid = unsafe { libc::getuid() };
        Self { signal, errno: 0, code: libc::SI_QUEUE, pad: 0, pid, uid, value, rest: [0; 12] }
    }
}

/// kill(2), with the C meaning of 0, -1 and negative numbers: callers have types that rule accidents out.
///
/// # Errors
/// EINVAL, EPERM, ESRCH.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill takes two numbers.
    errno::check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// tgkill(2).
///
/// # Errors
/// EINVAL, EPERM, ESRCH, EAGAIN.
pub fn kill_thread(process: i32, thread: i32, signal: i32) -> io::Result<()> {
    // SAFETY: tgkill takes three numbers.
    check_long(unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) })
}

/// raise(3): to the calling thread. Async-signal-safe.
///
/// # Errors
/// EINVAL.
pub fn raise(signal: i32) -> io::Result<()> {
    // SAFETY: raise takes a number.
    if unsafe { libc::raise(signal) } == 0 { Ok(()) } else { Err(errno::last()) }
}

/// sigqueue(3).
///
/// # Errors
/// EAGAIN at RLIMIT_SIGPENDING, EINVAL, EPERM, ESRCH.
#[inline]
pub fn queue(pid: i32, signal: i32, value: u64) -> io::Result<()> {
    let value = libc::sigval { sival_ptr: ptr::without_provenance_mut(usize_of(value)) };
    // SAFETY: sigqueue takes numbers; the kernel never looks where the value points.
    errno::check(unsafe { libc::sigqueue(pid, signal, value) }).map(drop)
}

/// rt_tgsigqueueinfo(2).
///
/// # Errors
/// As [`queue`].
pub fn queue_thread(process: i32, thread: i32, signal: i32, value: u64) -> io::Result<()> {
    let info = Queued::new(signal, value);
    // SAFETY: `info` is 128 bytes in the layout of siginfo_t and lives for the call.
    check_long(unsafe {
        libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, signal, &raw const info)
    })
}

/// pidfd_send_signal(2) without siginfo: as kill.
///
/// # Errors
/// EBADF, EINVAL, EPERM, ESRCH.
pub fn kill_pidfd(process: impl AsFd, signal: i32) -> io::Result<()> {
    let fd = process.as_fd().as_raw_fd();
    // SAFETY: a null siginfo asks the kernel to fill in that of kill(2).
    check_long(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, ptr::null::<libc::siginfo_t>(), 0)
    })
}

/// pidfd_send_signal(2) with a value: as sigqueue.
///
/// # Errors
/// As [`kill_pidfd`], and EAGAIN at RLIMIT_SIGPENDING.
pub fn queue_pidfd(process: impl AsFd, signal: i32, value: u64) -> io::Result<()> {
    let info = Queued::new(signal, value);
    let fd = process.as_fd().as_raw_fd();
    // SAFETY: `info` is 128 bytes in the layout of siginfo_t and lives for the call.
    check_long(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, &raw const info, 0) })
}

/// How [`change_mask`] combines the set with what is blocked already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// SIG_BLOCK.
    Block,
    /// SIG_UNBLOCK.
    Unblock,
    /// SIG_SETMASK.
    Set,
}

/// pthread_sigmask(3) on the calling thread; gives the mask that was. Async-signal-safe.
///
/// # Errors
/// None that the kernel documents for these arguments.
pub fn change_mask(how: How, set: u64) -> io::Result<u64> {
    let how = match how {
        How::Block => libc::SIG_BLOCK,
        How::Unblock => libc::SIG_UNBLOCK,
        How::Set => libc::SIG_SETMASK,
    };
    let new = to_sigset(set);
    let mut old = to_sigset(0);
    // SAFETY: both sets are initialised and live for the call.
    match unsafe { libc::pthread_sigmask(how, &raw const new, &raw mut old) } {
        0 => Ok(of_sigset(&old)),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// The mask of the calling thread.
///
/// # Errors
/// As [`change_mask`].
pub fn mask() -> io::Result<u64> {
    change_mask(How::Block, 0)
}

/// sigpending(2): what is pending for the thread or the process.
///
/// # Errors
/// None that the kernel documents for these arguments.
pub fn pending() -> io::Result<u64> {
    let mut set = 0_u64;
    // SAFETY: `set` is a live kernel sigset_t of the size passed.
    check_long(unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut set, SET) })?;
    Ok(set)
}

/// sigsuspend(2): waits with `mask` in place until a handler has run.
///
/// # Errors
/// Always one: EINTR after a handler has run.
pub fn suspend(mask: u64) -> io::Result<()> {
    let mask = usable(mask);
    // SAFETY: `mask` is a live kernel sigset_t of the size passed.
    check_long(unsafe { libc::syscall(libc::SYS_rt_sigsuspend, &raw const mask, SET) })
}

/// rt_sigtimedwait(2), once: without a timeout as sigwaitinfo.
///
/// # Errors
/// EAGAIN when the time is over, EINTR when a handler for a signal outside of `set` ran.
#[inline]
pub fn wait(set: u64, timeout: Option<&libc::timespec>) -> io::Result<Info> {
    let set = usable(set);
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    let timeout = timeout.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the set is a live kernel sigset_t of the size passed, `info` has room for siginfo_t, the timeout is null
    // or outlives the call.
    check_long(unsafe {
        libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, info.as_mut_ptr(), timeout, SET)
    })?;
    // SAFETY: the call returned a signal, so the kernel filled `info`, all 128 bytes of it.
    Ok(unsafe { Info::from_handler(info.as_ptr()) })
}

/// signalfd4(2): a new descriptor for `set`, CLOEXEC.
///
/// # Errors
/// EMFILE, ENFILE, ENODEV, ENOMEM.
pub fn signalfd(set: u64, nonblocking: bool) -> io::Result<OwnedFd> {
    let flags = libc::SFD_CLOEXEC | if nonblocking { libc::SFD_NONBLOCK } else { 0 };
    let set = to_sigset(set);
    // SAFETY: `set` lives for the call; -1 asks for a new descriptor.
    let fd = errno::check(unsafe { libc::signalfd(-1, &raw const set, flags) })?;
    // SAFETY: the kernel returned this descriptor just now and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// signalfd4(2) on an existing descriptor: another set.
///
/// # Errors
/// EBADF, EINVAL when it is no signalfd.
pub fn signalfd_set(fd: impl AsFd, set: u64) -> io::Result<()> {
    let set = to_sigset(set);
    // SAFETY: `set` and the descriptor live for the call.
    errno::check(unsafe { libc::signalfd(fd.as_fd().as_raw_fd(), &raw const set, 0) }).map(drop)
}

/// read(2) of up to `N` records, handed to `take` in the order in which they came: how many.
///
/// # Errors
/// EAGAIN on a non-blocking descriptor, EINTR.
pub fn signalfd_read<const N: usize>(fd: impl AsFd, take: impl FnMut(Info)) -> io::Result<usize> {
    let mut records = [const { MaybeUninit::<libc::signalfd_siginfo>::uninit() }; N];
    let len = size_of_val(&records);
    // SAFETY: `records` is valid for `len` bytes of writing and borrowed for this call only.
    let read = unsafe { libc::read(fd.as_fd().as_raw_fd(), records.as_mut_ptr().cast(), len) };
    let count = errno::check_len(read)? / size_of::<libc::signalfd_siginfo>();
    // SAFETY: the kernel wrote that many whole records, at most as many as there is room for.
    let filled = unsafe { std::slice::from_raw_parts(records.as_ptr().cast(), count) };
    filled.iter().map(Info::from_signalfd).for_each(take);
    Ok(count)
}

/// Where errno of this thread lies. Async-signal-safe.
#[must_use]
pub fn errno_location() -> *mut libc::c_int {
    // SAFETY: no precondition.
    unsafe { libc::__errno_location() }
}

#[inline]
pub(crate) fn check_long(result: libc::c_long) -> io::Result<()> {
    if result == -1 { Err(errno::last()) } else { Ok(()) }
}

#[expect(clippy::cast_possible_truncation, reason = "the targets have 64-bit pointers")]
pub(crate) fn usize_of(value: u64) -> usize {
    value as usize
}

/// Without what the C library keeps to itself, 32 up to SIGRTMIN: by these it reaches every thread for setuid, or cancels one.
/// A thread that blocked them, or took them as its own, would let that call wait for ever.
#[inline]
fn usable(set: u64) -> u64 {
    const STANDARD: u64 = (1 << 31) - 1;
    let below_realtime = (1_u64 << (libc::SIGRTMIN() - 1)) - 1;
    set & (STANDARD | !below_realtime)
}

pub(crate) fn to_sigset(set: u64) -> libc::sigset_t {
    // SAFETY: sigset_t is an array of integers: all zeros are valid.
    let mut c: libc::sigset_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: its first 64 bits are signals 1 to 64, in glibc and in musl; it is at least as long and as aligned.
    unsafe { ptr::from_mut(&mut c).cast::<u64>().write(usable(set)) };
    c
}

pub(crate) fn of_sigset(c: &libc::sigset_t) -> u64 {
    // SAFETY: as in `to_sigset`.
    unsafe { ptr::from_ref(c).cast::<u64>().read() }
}

const _: () = assert!(
    size_of::<Queued>() == size_of::<libc::siginfo_t>()
        && align_of::<libc::siginfo_t>() >= align_of::<u64>()
        && align_of::<libc::sigset_t>() >= align_of::<u64>()
        && size_of::<libc::sigset_t>() >= SET
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_goes_to_c_and_comes_back() {
        let mut c = to_sigset(0);
        // SAFETY: a live set.
        unsafe { libc::sigaddset(&raw mut c, libc::SIGTERM) };
        // SAFETY: a live set.
        unsafe { libc::sigaddset(&raw mut c, 64) };
        assert_eq!(of_sigset(&c), 1 << 14 | 1 << 63);
        // SAFETY: sigfillset initialises the set that it is given.
        unsafe { libc::sigfillset(&raw mut c) };
        assert_eq!(of_sigset(&to_sigset(u64::MAX)), of_sigset(&c), "the C library's own are left out");
    }
}
