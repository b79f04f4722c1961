//! A pidfd: a descriptor that means one process for as long as it is open, whoever gets the number afterwards. It keeps
//! nothing alive and closes like any descriptor.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::Child;
use std::time::Duration;

use ipc_sys::process::{self as sys, Whom};
use ipc_sys::{Deadline, poll};

use crate::child::look_at;
use crate::{ChildState, Error, Pid, Result, Signal, Target, Value};

/// pidfd_open(2): one process, immune to the reuse of its number. Readable for poll when it has ended.
///
/// # After a crash
/// The descriptor is closed, and the process behind it does not notice: holding it neither keeps a process alive nor ends it.
///
/// # Examples
/// ```
/// use ipc_signal::{ChildState, Error, ProcessFd, Signal};
/// use std::process::Command;
/// use std::time::Duration;
///
/// let mut child = Command::new("sleep").arg("60").spawn()?;
/// let process = ProcessFd::of_child(&child)?;
/// assert!(matches!(process.wait_end_timeout(Duration::from_millis(1)), Err(Error::TimedOut)));
/// process.send(Signal::TERM)?;
/// process.wait_end()?;
/// assert_eq!(process.end()?.map(|end| end.to_string()).as_deref(), Some("killed by SIGTERM"));
/// child.wait()?;
/// assert!(matches!(process.send(Signal::TERM), Err(Error::NoSuchProcess { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[doc(alias = "pidfd_open")]
pub struct ProcessFd(OwnedFd);

impl ProcessFd {
    /// pidfd_open(2): the process that has this number now. Only a child that has not been reaped is certainly the one
    /// that was meant.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ESRCH | [`Error::NoSuchProcess`] |
    /// | EINVAL (a thread that leads no process), EMFILE, ENFILE, ENOMEM | [`Error::System`] |
    pub fn open(pid: Pid) -> Result<Self> {
        sys::pidfd_open(pid.raw()).map(Self).map_err(|source| match source.raw_os_error() {
            Some(libc::ESRCH) => Error::NoSuchProcess { target: format!("process {pid}") },
            _ => Error::System { operation: "pidfd_open", source },
        })
    }

    /// A child that std started: its number is its own until somebody has waited for it, which `&Child` shows has not
    /// happened through std.
    ///
    /// # Errors
    /// As [`ProcessFd::open`].
    pub fn of_child(child: &Child) -> Result<Self> {
        Self::open(Pid::of_child(child))
    }

    /// pidfd_send_signal(2).
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ESRCH (it has been reaped) | [`Error::NoSuchProcess`] |
    /// | EPERM | [`Error::PermissionDenied`] |
    /// | EBADF, EINVAL (the descriptor is no pidfd) | [`Error::System`] |
    #[doc(alias = "pidfd_send_signal")]
    pub fn send(&self, signal: Signal) -> Result<()> {
        crate::send(Target::process_fd(self), signal)
    }

    /// pidfd_send_signal(2) with a value, as [`queue`](crate::queue).
    ///
    /// # Errors
    /// As [`ProcessFd::send`], and [`Error::QueueFull`] for EAGAIN.
    #[doc(alias = "pidfd_send_signal")]
    pub fn queue(&self, signal: Signal, value: impl Into<Value>) -> Result<()> {
        crate::queue(Target::process_fd(self), signal, value)
    }

    /// ppoll(2): waits until it has ended; any process, not only a child. Reaps nothing.
    ///
    /// # Blocking
    /// For ever; EINTR is retried.
    ///
    /// # Errors
    /// [`Error::System`]: ENOMEM.
    pub fn wait_end(&self) -> Result<()> {
        self.until(Deadline::NEVER)
    }

    /// As [`ProcessFd::wait_end`], for `timeout` at most.
    ///
    /// # Errors
    /// [`Error::TimedOut`]; [`Error::System`]: ENOMEM.
    pub fn wait_end_timeout(&self, timeout: Duration) -> Result<()> {
        self.until(Deadline::after(timeout))
    }

    /// How it ended, without reaping it: `None` while it lives. For a child that is waitid(2) with P_PIDFD, WNOHANG and
    /// WNOWAIT; for another process, or a child that has been waited for, the pidfd itself remembers from Linux 6.15 on.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ECHILD (no child, or reaped, and the kernel does not remember) | [`Error::NoChild`] |
    /// | EBADF, EINVAL (no pidfd) | [`Error::System`] |
    #[doc(alias = "P_PIDFD")]
    pub fn end(&self) -> Result<Option<ChildState>> {
        match self.look(libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) {
            Err(Error::NoChild { target }) => self.remembered().ok_or(Error::NoChild { target }),
            other => other,
        }
    }

    /// waitid(2) with P_PIDFD: waits until this child has ended and reaps it; std's `Child::wait` fails afterwards.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ECHILD | [`Error::NoChild`] |
    pub fn reap(&self) -> Result<ChildState> {
        self.wait_end()?;
        self.look(libc::WEXITED)?.ok_or(Error::WouldBlock)
    }

    /// Which number it has, or had: ioctl PIDFD_GET_INFO, from Linux 6.13 on.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ESRCH (reaped) | [`Error::NoSuchProcess`] |
    /// | ENOTTY, EINVAL (no pidfd, or an older kernel) | [`Error::System`] |
    #[doc(alias = "PIDFD_GET_INFO")]
    pub fn pid(&self) -> Result<Pid> {
        let gone = || Error::NoSuchProcess { target: "the process of this pidfd".to_owned() };
        match sys::pidfd_info(&self.0) {
            Ok(info) => Pid::from_raw(info.pid).ok_or_else(gone),
            Err(source) if source.raw_os_error() == Some(libc::ESRCH) => Err(gone()),
            Err(source) => Err(Error::System { operation: "ioctl(PIDFD_GET_INFO)", source }),
        }
    }

    fn until(&self, deadline: Deadline) -> Result<()> {
        match poll::wait(&self.0, libc::POLLIN, deadline).map_err(Error::system("ppoll"))? {
            Some(_) => Ok(()),
            None => Err(Error::TimedOut),
        }
    }

    fn look(&self, options: i32) -> Result<Option<ChildState>> {
        look_at(Whom::Pidfd(self.0.as_raw_fd()), options, || "the process of this pidfd".to_owned())
            .map(|seen| seen.map(|(_, state)| state))
    }

    /// For one that is not ours to wait for: `None` when the kernel says nothing.
    fn remembered(&self) -> Option<Option<ChildState>> {
        if poll::wait(&self.0, libc::POLLIN, Deadline::after(Duration::ZERO)).ok()?.is_none() {
            return Some(None);
        }
        sys::pidfd_info(&self.0).ok()?.exit_code.and_then(ChildState::from_wait_status).map(Some)
    }
}

impl AsFd for ProcessFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for ProcessFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl From<ProcessFd> for OwnedFd {
    fn from(process: ProcessFd) -> Self {
        process.0
    }
}

/// A pidfd from elsewhere: a socket's peer, a child's start. Nothing is checked: a descriptor that is no pidfd gets
/// errors from every call.
impl From<OwnedFd> for ProcessFd {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl fmt::Display for ProcessFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid() {
            Ok(pid) => write!(f, "process {pid}"),
            Err(_) => f.write_str("a process that has ended"),
        }
    }
}
