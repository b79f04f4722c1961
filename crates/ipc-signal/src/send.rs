//! Sending: to whom, with or without a value. The kernel keeps what is pending with the target and frees it with the
//! target's end; nothing is left after a crash of either side.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Child;

use ipc_sys::errno::is;
use ipc_sys::signal as sys;

use crate::{Error, Pid, Result, Signal};

/// Whom a signal is for. C's magic numbers 0 and -1 have names here, and nothing becomes one of them by accident.
///
/// A [`Pid`] converts into [`Target::Process`], a pidfd or a [`ProcessFd`](crate::ProcessFd) by [`Target::process_fd`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Target<'a> {
    /// One process; any of its threads takes the signal.
    Process(Pid),
    /// One thread of a process, both by id.
    #[doc(alias = "tgkill")]
    #[doc(alias = "pthread_kill")]
    Thread {
        /// The process that the thread belongs to: a thread id that was given out again elsewhere is refused.
        process: Pid,
        /// The thread: [`Pid::own_thread`] there.
        thread: Pid,
    },
    /// Every process of this group. The group 1 cannot be named: C's kill(-1) means everybody.
    #[doc(alias = "killpg")]
    Group(Pid),
    /// Every process of our own group, ourselves included: C's kill(0).
    OwnGroup,
    /// Every process that we may signal, except ourselves and init: C's kill(-1).
    Everyone,
    /// The process that a pidfd holds, and never another that got its number.
    #[doc(alias = "pidfd_send_signal")]
    ProcessFd(BorrowedFd<'a>),
}

impl<'a> Target<'a> {
    /// The process behind a pidfd.
    #[must_use]
    pub fn process_fd(fd: &'a impl AsFd) -> Self {
        Self::ProcessFd(fd.as_fd())
    }

    /// C's number for kill(2); `None` for those that have calls of their own.
    fn kill_number(self) -> Option<i32> {
        match self {
            Self::Process(pid) => Some(pid.raw()),
            Self::Group(group) => Some(-group.raw()),
            Self::OwnGroup => Some(0),
            Self::Everyone => Some(-1),
            Self::Thread { .. } | Self::ProcessFd(_) => None,
        }
    }
}

impl From<Pid> for Target<'_> {
    fn from(pid: Pid) -> Self {
        Self::Process(pid)
    }
}

impl From<&Child> for Target<'_> {
    fn from(child: &Child) -> Self {
        Self::Process(Pid::of_child(child))
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid) => write!(f, "process {pid}"),
            Self::Thread { process, thread } => write!(f, "thread {thread} of process {process}"),
            Self::Group(group) => write!(f, "process group {group}"),
            Self::OwnGroup => f.write_str("our own process group"),
            Self::Everyone => f.write_str("every process"),
            Self::ProcessFd(_) => f.write_str("the process of this pidfd"),
        }
    }
}

/// kill(2), tgkill(2) or pidfd_send_signal(2): sends `signal`.
///
/// A standard signal (below 32) that is pending already is not counted twice. A real-time signal that is sent this way
/// while the queue is full still arrives, with its sender erased, unless the same signal is pending: then it is lost, and
/// the kernel reports success. [`queue`] reports that as an error. Async-signal-safe while it succeeds; an error allocates.
///
/// # Errors
///
/// | errno | variant |
/// | --- | --- |
/// | ESRCH | [`Error::NoSuchProcess`] |
/// | EPERM | [`Error::PermissionDenied`] |
/// | EAGAIN (a real-time signal to a thread) | [`Error::QueueFull`] |
/// | (group 1) | [`Error::Refused`] |
/// | EBADF, EINVAL (no pidfd) | [`Error::System`] |
///
/// # Examples
/// ```
/// use ipc_signal::{send, Error, Pid, Signal, Target};
/// use std::process::Command;
///
/// let mut child = Command::new("sleep").arg("60").spawn()?;
/// send(&child, Signal::TERM)?;
/// assert!(!child.wait()?.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "kill")]
pub fn send<'a>(target: impl Into<Target<'a>>, signal: Signal) -> Result<()> {
    let target = target.into();
    refuse_group_one(target, signal)?;
    deliver(target, signal.number()).map_err(|error| failed("kill", error, target, signal))
}

/// kill(2) with signal 0: whether the target exists, a zombie included.
///
/// Async-signal-safe. The answer is old when it arrives, and a number may have gone to another process; a
/// [`ProcessFd`](crate::ProcessFd) knows better.
///
/// # Errors
///
/// | errno | variant |
/// | --- | --- |
/// | EBADF, EINVAL (no pidfd) | [`Error::System`] |
///
/// ESRCH is `Ok(false)`, EPERM is `Ok(true)`: it exists and is somebody else's.
///
/// # Examples
/// ```
/// use ipc_signal::{exists, Pid};
///
/// assert!(exists(Pid::own())?);
/// # Ok::<(), ipc_signal::Error>(())
/// ```
pub fn exists<'a>(target: impl Into<Target<'a>>) -> Result<bool> {
    let target = target.into();
    if matches!(target, Target::Group(group) if group.number() == 1) {
        // The group of init exists wherever init does.
        return Ok(true);
    }
    match deliver(target, 0) {
        Ok(()) => Ok(true),
        Err(error) if is(&error, libc::ESRCH) => Ok(false),
        Err(error) if is(&error, libc::EPERM) => Ok(true),
        Err(source) => Err(Error::System { operation: "kill", source }),
    }
}

/// raise(3): sends `signal` to the calling thread; when it returns, a handler has run or the signal is blocked.
/// Async-signal-safe.
///
/// # Errors
/// None for a signal that exists; EINVAL would be [`Error::System`].
pub fn raise(signal: Signal) -> Result<()> {
    sys::raise(signal.number()).map_err(Error::system("raise"))
}

/// What a queued signal carries: C's `union sigval`, an `int` or as much as a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias = "sigval")]
pub struct Value(pub(crate) u64);

impl Value {
    /// C's `sival_int`: the lower half. A C sender that set only this one leaves the other half undefined.
    #[must_use]
    #[doc(alias = "sival_int")]
    pub const fn as_i32(self) -> i32 {
        let [a, b, c, d, ..] = self.0.to_le_bytes();
        i32::from_le_bytes([a, b, c, d])
    }

    /// C's `sival_ptr`, as a number: an address means nothing in another process.
    #[must_use]
    #[doc(alias = "sival_ptr")]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// As `sival_int`.
impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self(u64::from(u32::from_ne_bytes(value.to_ne_bytes())))
    }
}

/// As `sival_ptr`.
impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

/// As `sival_ptr`.
impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self(value as u64)
    }
}

/// sigqueue(3), rt_tgsigqueueinfo(2) or pidfd_send_signal(2): sends `signal` with a value.
///
/// Real-time signals are queued one by one: each that was accepted arrives, lowest number first, and in the order sent
/// for one number. A standard signal that is pending already swallows the next one and its value. What is queued to a
/// thread comes before all that is queued to its process. Async-signal-safe while it succeeds; an error allocates.
///
/// # Blocking
/// Never. A full queue is an error at once: the kernel tells nobody when there is room again.
///
/// # Errors
///
/// | errno | variant |
/// | --- | --- |
/// | EAGAIN (RLIMIT_SIGPENDING) | [`Error::QueueFull`] |
/// | ESRCH | [`Error::NoSuchProcess`] |
/// | EPERM | [`Error::PermissionDenied`] |
/// | (a group or everyone: values go to one receiver) | [`Error::Refused`] |
/// | EBADF, EINVAL (no pidfd) | [`Error::System`] |
///
/// # Examples
/// ```
/// use ipc_signal::{queue, wait, MaskGuard, Pid, Signal, Target};
///
/// let signal = Signal::realtime(0)?;
/// let _blocked = MaskGuard::block(signal)?;
/// let here = Target::Thread { process: Pid::own(), thread: Pid::own_thread() };
/// queue(here, signal, 123_456)?;
/// assert_eq!(wait(signal)?.value().map(|value| value.as_i32()), Some(123_456));
/// # Ok::<(), ipc_signal::Error>(())
/// ```
#[doc(alias = "sigqueue")]
pub fn queue<'a>(target: impl Into<Target<'a>>, signal: Signal, value: impl Into<Value>) -> Result<()> {
    let target = target.into();
    let Value(value) = value.into();
    match target {
        Target::Process(pid) => sys::queue(pid.raw(), signal.number(), value),
        Target::Thread { process, thread } => {
            sys::queue_thread(process.raw(), thread.raw(), signal.number(), value)
        }
        Target::ProcessFd(fd) => sys::queue_pidfd(fd, signal.number(), value),
        Target::Group(_) | Target::OwnGroup | Target::Everyone => {
            return Err(Error::Refused {
                signal,
                reason: "a value can be queued to one process only, not to a group",
            });
        }
    }
    .map_err(|error| failed("sigqueue", error, target, signal))
}

fn deliver(target: Target<'_>, number: i32) -> io::Result<()> {
    match target {
        Target::Thread { process, thread } => sys::kill_thread(process.raw(), thread.raw(), number),
        Target::ProcessFd(fd) => sys::kill_pidfd(fd, number),
        other => other.kill_number().map_or(Ok(()), |pid| sys::kill(pid, number)),
    }
}

fn refuse_group_one(target: Target<'_>, signal: Signal) -> Result<()> {
    match target {
        Target::Group(group) if group.number() == 1 => Err(Error::Refused {
            signal,
            reason: "process group 1 cannot be named: kill(-1) would reach everybody",
        }),
        _ => Ok(()),
    }
}

fn failed(operation: &'static str, source: io::Error, target: Target<'_>, signal: Signal) -> Error {
    match source.raw_os_error() {
        Some(libc::ESRCH) => Error::NoSuchProcess { target: target.to_string() },
        Some(libc::EPERM) => Error::PermissionDenied { operation, target: target.to_string() },
        Some(libc::EAGAIN) => Error::QueueFull { signal, target: target.to_string() },
        _ => Error::System { operation, source },
    }
}
