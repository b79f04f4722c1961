//! What can go wrong, by what the caller decides then.

use std::io;

use crate::Signal;

/// Why a call of this crate did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No signal of this kernel has that name or number.
    #[error("{what:?} is no signal: a number from 1 to 64 or a name that `kill -l` lists")]
    UnknownSignal {
        /// What was asked for.
        what: String,
    },
    /// A process id is a number from 1 to 2147483647; 0 and negative numbers would reach a group or everybody.
    #[error("{what:?} is no process id: a whole number above 0")]
    InvalidPid {
        /// What was asked for.
        what: String,
    },
    /// The safe interface does not do that, for the reason given.
    #[error("{signal}: {reason}")]
    Refused {
        /// The signal.
        signal: Signal,
        /// Why.
        reason: &'static str,
    },
    /// No such process, thread or group (ESRCH); a zombie that has been reaped is none.
    #[error("{target} does not exist")]
    NoSuchProcess {
        /// Whom the call was for.
        target: String,
    },
    /// The target belongs to somebody else (EPERM).
    #[error("{target} belongs to another user or is protected: {operation} is not permitted")]
    PermissionDenied {
        /// What was asked.
        operation: &'static str,
        /// Whom the call was for.
        target: String,
    },
    /// The target's user has RLIMIT_SIGPENDING signals queued already (EAGAIN). Nothing was sent. The kernel wakes nobody
    /// when there is room again: let the receiver acknowledge, or try later.
    #[error("as many signals are queued as RLIMIT_SIGPENDING allows: {signal} was not sent to {target}")]
    QueueFull {
        /// The signal.
        signal: Signal,
        /// Whom it was for.
        target: String,
    },
    /// The time was over first.
    #[error("timed out")]
    TimedOut,
    /// Nothing is there yet.
    #[error("nothing has arrived yet")]
    WouldBlock,
    /// It is not our child, or somebody has waited for it already (ECHILD).
    #[error("{target} is no child of this process, or has been waited for already")]
    NoChild {
        /// Whom the call was for.
        target: String,
    },
    /// The calling thread does not block this signal, so it would be delivered instead of waited for.
    #[error(
        "{signal} is not blocked in this thread: hold a MaskGuard for it before, and start threads after"
    )]
    NotBlocked {
        /// The first signal that is not blocked.
        signal: Signal,
    },
    /// The tracee is not stopped, is gone, or is not ours to trace (ESRCH).
    #[error("process {pid} is not stopped under our trace")]
    NotStopped {
        /// The tracee.
        pid: u32,
    },
    /// Another call failed.
    #[error("{operation} failed")]
    System {
        /// The C call.
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The result of a call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The errno of the kernel, or the one that stands for this refusal in C.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        Some(match self {
            Self::UnknownSignal { .. }
            | Self::InvalidPid { .. }
            | Self::Refused { .. }
            | Self::NotBlocked { .. } => libc::EINVAL,
            Self::NoSuchProcess { .. } | Self::NotStopped { .. } => libc::ESRCH,
            Self::PermissionDenied { .. } => libc::EPERM,
            Self::QueueFull { .. } | Self::WouldBlock => libc::EAGAIN,
            Self::TimedOut => libc::ETIMEDOUT,
            Self::NoChild { .. } => libc::ECHILD,
            Self::System { source, .. } => return source.raw_os_error(),
        })
    }

    /// A handle that belongs to the process that made it, in a child that it has forked.
    pub(crate) fn of_parent(what: &'static str) -> Self {
        Self::System { operation: what, source: io::Error::from_raw_os_error(libc::EINVAL) }
    }

    /// For `map_err`: the call that failed.
    pub(crate) fn system(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { operation, source }
    }
}

/// Keeps errno, and with it the kind.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::System { source, .. } => source,
            other => other.errno().map_or_else(|| Self::other("no errno"), Self::from_raw_os_error),
        }
    }
}
