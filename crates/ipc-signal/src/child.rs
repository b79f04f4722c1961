//! What becomes of a child: waitid(2). The kernel keeps a dead child as a zombie until somebody has waited for it.

use std::fmt;
use std::time::Duration;

use ipc_sys::errno::{is, retry};
use ipc_sys::process::{self, Whom};

use crate::{Error, Pid, Result, Signal};

/// What happened to a child: the wait states of waitid(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "WIFEXITED")]
pub enum ChildState {
    /// It ended by itself, with this status. CLD_EXITED.
    #[doc(alias = "WEXITSTATUS")]
    Exited(i32),
    /// A signal ended it. CLD_KILLED, CLD_DUMPED.
    #[doc(alias = "WCOREDUMP")]
    #[doc(alias = "WIFSIGNALED")]
    #[doc(alias = "WTERMSIG")]
    Killed {
        /// Which.
        signal: Signal,
        /// Whether it left a core dump.
        core_dumped: bool,
    },
    /// A signal stopped it, and it can go on. CLD_STOPPED, and CLD_TRAPPED for a tracee.
    #[doc(alias = "WIFSTOPPED")]
    #[doc(alias = "WSTOPSIG")]
    Stopped(Signal),
    /// SIGCONT let it go on. CLD_CONTINUED.
    #[doc(alias = "WIFCONTINUED")]
    Continued,
}

impl ChildState {
    pub(crate) fn from_code(code: i32, status: i32) -> Option<Self> {
        Some(match code {
            libc::CLD_EXITED => Self::Exited(status),
            libc::CLD_KILLED | libc::CLD_DUMPED => Self::Killed {
                signal: Signal::from_number(status).ok()?,
                core_dumped: code == libc::CLD_DUMPED,
            },
            // A tracee's stop may carry more than the signal in the bits above.
            libc::CLD_STOPPED | libc::CLD_TRAPPED => Self::Stopped(Signal::from_number(status & 0x7f).ok()?),
            libc::CLD_CONTINUED => Self::Continued,
            _ => return None,
        })
    }

    /// From the encoding of wait(2), of which a pidfd remembers the last.
    pub(crate) fn from_wait_status(status: i32) -> Option<Self> {
        if libc::WIFEXITED(status) {
            return Some(Self::Exited(libc::WEXITSTATUS(status)));
        }
        let signal = Signal::from_number(libc::WTERMSIG(status)).ok()?;
        Some(Self::Killed { signal, core_dumped: libc::WCOREDUMP(status) })
    }

    /// Whether the child is no more.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Exited(_) | Self::Killed { .. })
    }

    /// Whether it ended by itself with status 0.
    #[must_use]
    pub const fn success(self) -> bool {
        matches!(self, Self::Exited(0))
    }
}

impl fmt::Display for ChildState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Killed { signal, core_dumped: false } => write!(f, "killed by {signal}"),
            Self::Killed { signal, core_dumped: true } => write!(f, "killed by {signal}, core dumped"),
            Self::Stopped(signal) => write!(f, "stopped by {signal}"),
            Self::Continued => f.write_str("continued"),
        }
    }
}

/// Which children [`wait_child`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Children {
    /// This one.
    #[doc(alias = "P_PID")]
    One(Pid),
    /// Those of this process group.
    #[doc(alias = "P_PGID")]
    Group(Pid),
    /// All of this process: also those of other parts of the program, whose wait then fails.
    #[doc(alias = "P_ALL")]
    All,
}

impl From<Pid> for Children {
    fn from(pid: Pid) -> Self {
        Self::One(pid)
    }
}

impl From<&std::process::Child> for Children {
    fn from(child: &std::process::Child) -> Self {
        Self::One(Pid::of_child(child))
    }
}

impl fmt::Display for Children {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(pid) => write!(f, "process {pid}"),
            Self::Group(group) => write!(f, "process group {group}"),
            Self::All => f.write_str("any process"),
        }
    }
}

/// What to wait for, and whether to take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting(i32);

impl Waiting {
    /// WEXITED: ends only, as std does.
    pub const ENDS: Self = Self(libc::WEXITED);
    /// WEXITED, WSTOPPED and WCONTINUED.
    #[doc(alias = "WUNTRACED")]
    #[doc(alias = "WCONTINUED")]
    pub const CHANGES: Self = Self(libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED);
    /// Stops and continuations, and no end: what std's `wait` never takes.
    pub const PAUSES: Self = Self(libc::WSTOPPED | libc::WCONTINUED);

    /// WNOWAIT: only looks. The child stays for the next wait, by `std::process::Child` for instance.
    #[must_use]
    #[doc(alias = "WNOWAIT")]
    pub const fn looking(self) -> Self {
        Self(self.0 | libc::WNOWAIT)
    }
}

/// waitid(2): waits until one of `children` changes its state in the way asked for, and takes that change: an end is
/// reaped.
///
/// # Blocking
/// For ever; EINTR is retried.
///
/// # Errors
///
/// | errno | variant |
/// | --- | --- |
/// | ECHILD | [`Error::NoChild`] |
///
/// # Examples
/// ```
/// use ipc_signal::{send, wait_child, ChildState, Signal, Waiting};
/// use std::process::Command;
///
/// let child = Command::new("sleep").arg("60").spawn()?;
/// send(&child, Signal::STOP)?;
/// let (_, state) = wait_child(&child, Waiting::CHANGES)?;
/// assert_eq!(state, ChildState::Stopped(Signal::STOP));
/// send(&child, Signal::CONT)?;
/// assert_eq!(wait_child(&child, Waiting::CHANGES)?.1, ChildState::Continued);
/// send(&child, Signal::KILL)?;
/// let (pid, state) = wait_child(&child, Waiting::CHANGES)?;
/// assert_eq!((pid.number(), state.to_string()), (child.id(), "killed by SIGKILL".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "waitid")]
#[doc(alias = "waitpid")]
#[doc(alias = "wait4")]
pub fn wait_child(children: impl Into<Children>, what: Waiting) -> Result<(Pid, ChildState)> {
    let children = children.into();
    look(children, what.0)?.ok_or(Error::WouldBlock)
}

/// waitid(2) with WNOHANG: as [`wait_child`], at once.
///
/// # Errors
///
/// | errno | variant |
/// | --- | --- |
/// | ECHILD | [`Error::NoChild`] |
/// | (nothing has changed) | [`Error::WouldBlock`] |
#[doc(alias = "WNOHANG")]
pub fn try_wait_child(children: impl Into<Children>, what: Waiting) -> Result<(Pid, ChildState)> {
    look(children.into(), what.0 | libc::WNOHANG)?.ok_or(Error::WouldBlock)
}

/// As [`wait_child`], for `timeout` at most: pidfd_open(2), ppoll(2) and waitid(2), as no C call has a deadline. Sees ends
/// of one child only; nothing wakes anybody for a stop but SIGCHLD.
///
/// # Errors
///
/// | errno | variant |
/// | --- | --- |
/// | ECHILD, ESRCH | [`Error::NoChild`] |
/// | (the time is over) | [`Error::TimedOut`] |
pub fn wait_child_timeout(child: impl Into<Pid>, timeout: Duration) -> Result<ChildState> {
    let pid = child.into();
    let no_child = |error| match error {
        Error::NoSuchProcess { .. } | Error::NoChild { .. } => {
            Error::NoChild { target: Children::One(pid).to_string() }
        }
        other => other,
    };
    let process = crate::ProcessFd::open(pid).map_err(no_child)?;
    process.wait_end_timeout(timeout)?;
    // By the pidfd: who has the number by now may live for long.
    process.reap().map_err(no_child)
}

fn look(children: Children, options: i32) -> Result<Option<(Pid, ChildState)>> {
    let whom = match children {
        Children::One(pid) => Whom::Process(pid.raw()),
        Children::Group(group) => Whom::Group(group.raw()),
        Children::All => Whom::Any,
    };
    look_at(whom, options, || children.to_string())
}

/// waitid, its result as ours.
pub(crate) fn look_at(
    whom: Whom,
    options: i32,
    name: impl FnOnce() -> String,
) -> Result<Option<(Pid, ChildState)>> {
    match retry(|| process::wait(whom, options)) {
        Ok(info) => Ok(info.and_then(|info| {
            Some((Pid::from_raw(info.pid())?, ChildState::from_code(info.code(), info.status())?))
        })),
        Err(error) if is(&error, libc::ECHILD) => Err(Error::NoChild { target: name() }),
        Err(source) => Err(Error::System { operation: "waitid", source }),
    }
}
