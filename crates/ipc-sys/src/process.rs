//! Processes: pidfds, wait states, and ptrace of a child.
#![expect(unsafe_code, reason = "waitid and ptrace take pointers")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use crate::errno;
use crate::siginfo::{Info, signed, unsigned};

/// pidfd_open(2), CLOEXEC as every pidfd is born.
///
/// # Errors
/// ESRCH, EINVAL for a thread that leads no process, EMFILE, ENFILE, ENOMEM.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(errno::last)?;
    // SAFETY: the kernel returned this descriptor just now and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What a pidfd knows of its process, by ioctl PIDFD_GET_INFO (Linux 6.13; the exit status from 6.15 on).
#[derive(Debug, Clone, Copy)]
pub struct PidfdInfo {
    /// The process id, as seen from here.
    pub pid: i32,
    /// The parent's.
    pub parent: i32,
    /// As wait(2) encodes it, once the process has been reaped.
    pub exit_code: Option<i32>,
}

/// PIDFD_GET_INFO.
///
/// # Errors
/// ENOTTY or EINVAL on kernels that do not know it, ESRCH once the process has been reaped (before 6.15).
pub fn pidfd_info(fd: impl AsFd) -> io::Result<PidfdInfo> {
    const PID: u64 = 1;
    const EXIT: u64 = 1 << 3;
    // SAFETY: pidfd_info is integers: all zeros are valid.
    let mut info: libc::pidfd_info = unsafe { MaybeUninit::zeroed().assume_init() };
    info.mask = PID | EXIT;
    // SAFETY: the request carries the size of the structure, which lives for the call.
    errno::check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) })?;
    Ok(PidfdInfo {
        pid: signed(info.pid),
        parent: signed(info.ppid),
        exit_code: (info.mask & EXIT != 0).then_some(info.exit_code),
    })
}

/// Whom [`wait`] waits for.
#[derive(Debug, Clone, Copy)]
pub enum Whom {
    /// P_ALL.
    Any,
    /// P_PID.
    Process(i32),
    /// P_PGID; 0 is the caller's own.
    Group(i32),
    /// P_PIDFD.
    Pidfd(i32),
}

/// waitid(2), once: `None` when WNOHANG was given and nothing has happened.
///
/// # Errors
/// ECHILD, EINTR, EINVAL.
pub fn wait(whom: Whom, options: i32) -> io::Result<Option<Info>> {
    let (kind, id) = match whom {
        Whom::Any => (libc::P_ALL, 0),
        Whom::Process(pid) => (libc::P_PID, pid),
        Whom::Group(pid) => (libc::P_PGID, pid),
        Whom::Pidfd(fd) => (libc::P_PIDFD, fd),
    };
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` has room for siginfo_t.
    errno::check(unsafe { libc::waitid(kind, unsigned(id), info.as_mut_ptr(), options) })?;
    // SAFETY: all zeros unless the call filled it.
    let info = unsafe { Info::from_handler(info.as_ptr()) };
    Ok((info.pid() != 0).then_some(info))
}

/// The calling thread's id. Async-signal-safe.
#[must_use]
pub fn thread_id() -> i32 {
    // SAFETY: takes nothing.
    let id = unsafe { libc::syscall(libc::SYS_gettid) };
    i32::try_from(id).unwrap_or(0)
}

/// getppid(2): 0 when the parent lives outside of our pid namespace.
#[must_use]
pub fn parent() -> i32 {
    // SAFETY: takes nothing.
    unsafe { libc::getppid() }
}

/// PTRACE_TRACEME: the caller stops at its next exec and at signals. Async-signal-safe: for between fork and exec.
///
/// # Errors
/// EPERM.
pub fn trace_me() -> io::Result<()> {
    ptrace(libc::PTRACE_TRACEME, 0, 0, 0)
}

/// The ptrace requests on a stopped tracee whose address and data are plain numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// PTRACE_SEIZE, with the options in `data`.
    Seize,
    /// PTRACE_INTERRUPT.
    Interrupt,
    /// PTRACE_LISTEN.
    Listen,
    /// PTRACE_DETACH, delivering the signal in `data`.
    Detach,
    /// PTRACE_CONT, delivering the signal in `data`.
    Continue,
    /// PTRACE_SYSCALL, delivering the signal in `data`.
    ToSyscall,
    /// PTRACE_SINGLESTEP, delivering the signal in `data`.
    Step,
}

/// ptrace(2) of one of these requests.
///
/// # Errors
/// ESRCH when the tracee is not stopped, or not ours; EPERM; EINVAL.
pub fn trace(request: Request, pid: i32, data: usize) -> io::Result<()> {
    let request = match request {
        Request::Seize => libc::PTRACE_SEIZE,
        Request::Interrupt => libc::PTRACE_INTERRUPT,
        Request::Listen => libc::PTRACE_LISTEN,
        Request::Detach => libc::PTRACE_DETACH,
        Request::Continue => libc::PTRACE_CONT,
        Request::ToSyscall => libc::PTRACE_SYSCALL,
        Request::Step => libc::PTRACE_SINGLESTEP,
    };
    ptrace(request, pid, 0, data)
}

/// PTRACE_POKEDATA: writes one word into the tracee's memory.
///
/// # Errors
/// EIO or EFAULT for an address that the tracee does not have.
pub fn write_word(pid: i32, address: usize, word: u64) -> io::Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "the targets have 64-bit pointers")]
    ptrace(libc::PTRACE_POKEDATA, pid, address, word as usize)
}

/// PTRACE_PEEKDATA: reads one word of the tracee's memory.
///
/// # Errors
/// As [`write_word`].
pub fn read_word(pid: i32, address: usize) -> io::Result<u64> {
    let mut word = 0_u64;
    // The raw call stores the word through its data argument, so that -1 is no riddle.
    ptrace(libc::PTRACE_PEEKDATA, pid, address, (&raw mut word).expose_provenance())?;
    Ok(word)
}

/// PTRACE_GETSIGINFO: what the tracee's signal came with.
///
/// # Errors
/// EINVAL in a group-stop, ESRCH.
pub fn trace_info(pid: i32) -> io::Result<Info> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    ptrace(libc::PTRACE_GETSIGINFO, pid, 0, info.as_mut_ptr().expose_provenance())?;
    // SAFETY: the call returned 0, so it filled `info`.
    Ok(unsafe { Info::from_handler(info.as_ptr()) })
}

/// PTRACE_GETEVENTMSG: the new process's id after a fork event, the status after an exit event.
///
/// # Errors
/// ESRCH.
pub fn trace_event_message(pid: i32) -> io::Result<u64> {
    let mut message = 0_u64;
    ptrace(libc::PTRACE_GETEVENTMSG, pid, 0, (&raw mut message).expose_provenance())?;
    Ok(message)
}

/// At which side of a system call a tracee stands, by PTRACE_GET_SYSCALL_INFO (Linux 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyscallStop {
    /// Before it.
    Entry {
        /// The call's number.
        number: u64,
        /// Its six arguments.
        arguments: [u64; 6],
    },
    /// After it: the result, negative errno for an error.
    Exit(i64),
    /// At none.
    None,
}

/// PTRACE_GET_SYSCALL_INFO.
///
/// # Errors
/// ESRCH, EIO on kernels before 5.3.
pub fn trace_syscall(pid: i32) -> io::Result<SyscallStop> {
    const GET_SYSCALL_INFO: u32 = 0x420e;
    /// The kernel's `struct ptrace_syscall_info`, its union as words.
    #[repr(C)]
    #[derive(Default)]
    struct Raw {
        op: u8,
        pad: [u8; 3],
        arch: u32,
        instruction_pointer: u64,
        stack_pointer: u64,
        union: [u64; 8],
    }
    let mut raw = Raw::default();
    #[cfg_attr(
        target_env = "gnu",
        expect(clippy::useless_conversion, reason = "c_int with musl, c_uint with glibc")
    )]
    ptrace(
        GET_SYSCALL_INFO.try_into().map_err(|_| io::ErrorKind::Unsupported)?,
        pid,
        size_of::<Raw>(),
        (&raw mut raw).expose_provenance(),
    )?;
    let [first, arguments @ .., _] = raw.union;
    Ok(match raw.op {
        1 => SyscallStop::Entry { number: first, arguments },
        2 => SyscallStop::Exit(i64::from_ne_bytes(first.to_ne_bytes())),
        _ => SyscallStop::None,
    })
}

#[cfg(target_env = "gnu")]
type PtraceRequest = libc::c_uint;
#[cfg(not(target_env = "gnu"))]
type PtraceRequest = libc::c_int;

fn ptrace(request: PtraceRequest, pid: i32, address: usize, data: usize) -> io::Result<()> {
    let data = ptr::with_exposed_provenance_mut::<libc::c_void>(data);
    let address = ptr::without_provenance_mut::<libc::c_void>(address);
    // SAFETY: the callers in this file pass numbers, or the address of a live value that is as large as what the request
    // stores; memory that the tracee is made to change is another process's.
    let result = unsafe {
        libc::syscall(libc::SYS_ptrace, libc::c_long::from(request), libc::c_long::from(pid), address, data)
    };
    if result == -1 { Err(errno::last()) } else { Ok(()) }
}

/// getpgid(2).
///
/// # Errors
/// ESRCH.
pub fn group(pid: i32) -> io::Result<i32> {
    // SAFETY: takes a number.
    errno::check(unsafe { libc::getpgid(pid) })
}

/// prctl(PR_SET_PDEATHSIG). Async-signal-safe.
///
/// # Errors
/// EINVAL.
pub fn set_parent_death_signal(signal: i32) -> io::Result<()> {
    // SAFETY: takes numbers.
    errno::check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) }).map(drop)
}
