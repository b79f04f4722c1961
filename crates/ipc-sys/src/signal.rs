//! Signals: sending, masks, waiting, signalfd, and the 48 bytes of siginfo that mean something.
//!
//! A set of signals is a `u64` here, signal n is bit n-1, as the kernel has it. Where glibc's wrapper guards its two
//! internal signals (32 and 33) we go through it; where it would rewrite siginfo we do not.
#![expect(unsafe_code, reason = "these calls take pointers")]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use crate::errno;

/// The size of the kernel's `sigset_t`, which the raw calls want to hear.
const SET: usize = size_of::<u64>();

/// What came with a signal: the first 48 bytes of the kernel's `siginfo_t`, beyond which no field lies.
///
/// Which of the fields below holds something depends on signal and code; asking for another gives bits, never undefined
/// behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info([u64; 6]);

impl Info {
    /// Takes over what a handler was given. Async-signal-safe.
    ///
    /// # Safety
    /// `info` points at a `siginfo_t` that the kernel filled.
    #[must_use]
    pub unsafe fn from_handler(info: *const libc::siginfo_t) -> Self {
        // SAFETY: siginfo_t is 128 bytes aligned to 8, filled by the kernel (the caller's promise): its first 48 bytes
        // are six initialised words.
        Self(unsafe { ptr::read(info.cast::<[u64; 6]>()) })
    }

    /// Puts a signalfd's record into the same order.
    #[must_use]
    pub fn from_signalfd(record: &libc::signalfd_siginfo) -> Self {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let head = [pair(record.ssi_signo, unsigned(record.ssi_errno)), u64::from(unsigned(record.ssi_code))];
        let signal = signed(record.ssi_signo);
        let sender = pair(record.ssi_pid, record.ssi_uid);
        let rest = match record.ssi_code {
            libc::SI_TIMER => [pair(record.ssi_tid, record.ssi_overrun), record.ssi_ptr, 0, 0],
            libc::SI_SIGIO => [u64::from(record.ssi_band), u64::from(unsigned(record.ssi_fd)), 0, 0],
            code if code <= 0 || code == libc::SI_KERNEL => [sender, record.ssi_ptr, 0, 0],
            _ => match signal {
                libc::SIGCHLD => {
                    [sender, u64::from(unsigned(record.ssi_status)), record.ssi_utime, record.ssi_stime]
                }
                libc::SIGIO => [u64::from(record.ssi_band), u64::from(unsigned(record.ssi_fd)), 0, 0],
                libc::SIGSYS => {
                    [record.ssi_call_addr, pair(unsigned(record.ssi_syscall), record.ssi_arch), 0, 0]
                }
                libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP => {
                    [record.ssi_addr, u64::from(record.ssi_addr_lsb), 0, 0]
                }
                _ => [sender, record.ssi_ptr, 0, 0],
            },
        };
        Self([head[0], head[1], rest[0], rest[1], rest[2], rest[3]])
    }

    /// The words themselves, to be stored somewhere and made into an `Info` again.
    #[must_use]
    pub const fn words(&self) -> [u64; 6] {
        self.0
    }

    /// See [`Info::words`].
    #[must_use]
    pub const fn from_words(words: [u64; 6]) -> Self {
        Self(words)
    }

    /// `si_signo`.
    #[must_use]
    pub const fn signal(&self) -> i32 {
        low(self.0[0])
    }
    /// `si_errno`, which seccomp fills.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        high(self.0[0])
    }
    /// `si_code`.
    #[must_use]
    pub const fn code(&self) -> i32 {
        low(self.0[1])
    }
    /// `si_pid`, or `si_timerid`.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        low(self.0[2])
    }
    /// `si_uid`.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        unsigned(high(self.0[2]))
    }
    /// `si_overrun`.
    #[must_use]
    pub const fn overrun(&self) -> i32 {
        high(self.0[2])
    }
    /// `si_value`.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.0[3]
    }
    /// `si_status`, or `si_fd`, or `si_syscall`.
    #[must_use]
    pub const fn status(&self) -> i32 {
        low(self.0[3])
    }
    /// `si_addr`, or `si_band`.
    #[must_use]
    pub const fn address(&self) -> u64 {
        self.0[2]
    }
    /// `si_utime` and `si_stime`, in clock ticks.
    #[must_use]
    pub const fn times(&self) -> (u64, u64) {
        (self.0[4], self.0[5])
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
const fn low(word: u64) -> i32 {
    signed(word as u32)
}

const fn high(word: u64) -> i32 {
    low(word >> 32)
}

/// The same 32 bits; std's own methods came after our oldest compiler.
pub(crate) const fn signed(bits: u32) -> i32 {
    i32::from_ne_bytes(bits.to_ne_bytes())
}

/// The same 32 bits.
pub(crate) const fn unsigned(bits: i32) -> u32 {
    u32::from_ne_bytes(bits.to_ne_bytes())
}

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
/// glibc never blocks its own two signals, whatever is asked.
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
    // SAFETY: `mask` is a live kernel sigset_t of the size passed.
    check_long(unsafe { libc::syscall(libc::SYS_rt_sigsuspend, &raw const mask, SET) })
}

/// rt_sigtimedwait(2), once: without a timeout as sigwaitinfo.
///
/// # Errors
/// EAGAIN when the time is over, EINTR when a handler for a signal outside of `set` ran.
pub fn wait(set: u64, timeout: Option<&libc::timespec>) -> io::Result<Info> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let timeout = timeout.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the set is a live kernel sigset_t of the size passed, `info` has room for siginfo_t, the timeout is null
    // or outlives the call.
    check_long(unsafe {
        libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, info.as_mut_ptr(), timeout, SET)
    })?;
    // SAFETY: the call returned a signal, so the kernel filled `info`; what it left out was zero before.
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

/// read(2) of as many records as fit: how many came.
///
/// # Errors
/// EAGAIN on a non-blocking descriptor, EINTR.
pub fn signalfd_read(
    fd: impl AsFd,
    records: &mut [MaybeUninit<libc::signalfd_siginfo>],
) -> io::Result<usize> {
    let len = size_of_val(records);
    // SAFETY: `records` is valid for `len` bytes of writing and borrowed for this call only.
    let read = unsafe { libc::read(fd.as_fd().as_raw_fd(), records.as_mut_ptr().cast(), len) };
    Ok(errno::check_len(read)? / size_of::<libc::signalfd_siginfo>())
}

/// Where errno of this thread lies. Async-signal-safe.
#[must_use]
pub fn errno_location() -> *mut libc::c_int {
    // SAFETY: no precondition.
    unsafe { libc::__errno_location() }
}

pub(crate) fn check_long(result: libc::c_long) -> io::Result<()> {
    if result == -1 { Err(errno::last()) } else { Ok(()) }
}

#[expect(clippy::cast_possible_truncation, reason = "the targets have 64-bit pointers")]
pub(crate) fn usize_of(value: u64) -> usize {
    value as usize
}

pub(crate) fn to_sigset(set: u64) -> libc::sigset_t {
    // SAFETY: sigset_t is an array of integers: all zeros are valid.
    let mut c: libc::sigset_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: its first 64 bits are signals 1 to 64, in glibc and in musl; it is at least as long and as aligned.
    unsafe { ptr::from_mut(&mut c).cast::<u64>().write(set) };
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
        assert_eq!(of_sigset(&to_sigset(u64::MAX)), u64::MAX);
    }
}
