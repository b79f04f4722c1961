//! What can go wrong with a pipe or a FIFO, as the decisions that a caller takes.

use std::io;
use std::path::PathBuf;

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call on a pipe or a FIFO failed.
///
/// `Empty`, `Full` and `TimedOut` are made without an allocation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// EAGAIN of a read that does not wait: there are writers, but no bytes.
    #[error("the pipe is empty")]
    Empty,
    /// EAGAIN of a write that does not wait: there is no room.
    #[error("the pipe is full")]
    Full,
    /// The time was over before the other end came, or did its part.
    #[error("{operation}: the time was over")]
    TimedOut {
        /// What was waited for, by its C name: `read`, `write`, `open`.
        operation: &'static str,
    },
    /// EPIPE: nobody holds the reading end any more. What was written before may not have been read.
    #[error("{operation}: nobody reads this pipe any more")]
    PeerGone {
        /// `write`, `splice`, `tee` or `vmsplice`.
        operation: &'static str,
    },
    /// ENXIO: nobody has the FIFO open for reading.
    #[error("nobody has the FIFO {} open for reading", path.display())]
    NoReader {
        /// The FIFO.
        path: PathBuf,
    },
    /// More bytes than the kernel keeps together; nothing was written.
    #[error("{len} bytes cannot be written in one piece, {max} is the most; split them, or use frames")]
    TooLong {
        /// How many there were.
        len: usize,
        /// The most: `PIPE_BUF`.
        max: usize,
    },
    /// A packet without a byte: the kernel would drop it without a word.
    #[error("an empty packet cannot be sent")]
    EmptyPacket,
    /// A packet was longer than the buffer, and the rest of it is lost.
    #[error("a packet was longer than the buffer of {max} bytes; its end is lost")]
    Truncated {
        /// The length of the buffer, which is filled.
        max: usize,
    },
    /// EPERM: more than an unprivileged process may have.
    #[error(
        "a capacity of {wanted} bytes is refused: above /proc/sys/fs/pipe-max-size, or above what pipe-user-pages-soft leaves this user"
    )]
    CapacityDenied {
        /// The number of bytes asked for.
        wanted: usize,
    },
    /// EBUSY: the pipe holds more than it would have room for.
    #[error("the pipe holds more than {wanted} bytes; read it first")]
    CapacityInUse {
        /// The number of bytes asked for.
        wanted: usize,
    },
    /// A descriptor number that cannot be handed to a child.
    #[error("a child cannot be given a descriptor as number {number}: {reason}")]
    Number {
        /// The number.
        number: i32,
        /// `0, 1 and 2 are Stdio's`, or `it is given twice`.
        reason: &'static str,
    },
    /// EEXIST: the name is taken, by whatever object.
    #[error("{} exists already", path.display())]
    Exists {
        /// The name.
        path: PathBuf,
    },
    /// ENOENT: nothing has this name, or a directory on the way is missing.
    #[error("there is no {}", path.display())]
    NotFound {
        /// The name.
        path: PathBuf,
    },
    /// Something else stands under the name: a file, a directory, a socket, or a symbolic link, which is not followed.
    #[error("{} is {found}, not a FIFO", path.display())]
    NotFifo {
        /// The name.
        path: PathBuf,
        /// What stands there: `a directory`, `a symbolic link`.
        found: &'static str,
    },
    /// The FIFO is another user's, who could be listening; see `FifoOptions::owner`.
    #[error("the FIFO {} belongs to user {uid}", path.display())]
    ForeignOwner {
        /// The name.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// EACCES, EPERM: permissions do not allow it.
    #[error("{operation} {} is not permitted", object.display())]
    PermissionDenied {
        /// The C call.
        operation: &'static str,
        /// The path, or the kind of object where it has none.
        object: PathBuf,
        /// errno.
        source: io::Error,
    },
    /// Any other errno.
    #[error("{operation} {}", object.display())]
    System {
        /// The C call.
        operation: &'static str,
        /// The path, or the kind of object where it has none.
        object: PathBuf,
        /// errno.
        source: io::Error,
    },
}

impl Error {
    /// The errno that says the same, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Empty | Self::Full => Some(libc::EAGAIN),
            Self::TimedOut { .. } => Some(libc::ETIMEDOUT),
            Self::PeerGone { .. } => Some(libc::EPIPE),
            Self::NoReader { .. } => Some(libc::ENXIO),
            Self::TooLong { .. } | Self::Truncated { .. } => Some(libc::EMSGSIZE),
            Self::CapacityDenied { .. } => Some(libc::EPERM),
            Self::CapacityInUse { .. } => Some(libc::EBUSY),
            Self::Exists { .. } => Some(libc::EEXIST),
            Self::NotFound { .. } => Some(libc::ENOENT),
            Self::Number { .. } | Self::EmptyPacket | Self::NotFifo { .. } | Self::ForeignOwner { .. } => {
                None
            }
            Self::PermissionDenied { source, .. } | Self::System { source, .. } => source.raw_os_error(),
        }
    }

    /// The decision that an errno of a call on a pipe without a name asks for.
    pub(crate) fn of_pipe(operation: &'static str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EPIPE) => Self::PeerGone { operation },
            _ => Self::of(operation, "pipe", source),
        }
    }

    /// The error of a call that no other decision is asked for.
    pub(crate) fn of(operation: &'static str, object: impl Into<PathBuf>, source: io::Error) -> Self {
        let object = object.into();
        match source.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => Self::PermissionDenied { operation, object, source },
            _ => Self::System { operation, object, source },
        }
    }
}

impl From<Error> for io::Error {
    /// Keeps the errno and the kind that goes with it; where there is no errno, the kind and the whole error.
    fn from(error: Error) -> Self {
        match error.errno() {
            Some(errno) => Self::from_raw_os_error(errno),
            None => {
                let kind = match &error {
                    Error::ForeignOwner { .. } => io::ErrorKind::PermissionDenied,
                    Error::PermissionDenied { source, .. } | Error::System { source, .. } => source.kind(),
                    _ => io::ErrorKind::InvalidInput,
                };
                Self::new(kind, error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_keeps_kind_and_errno() {
        let io = io::Error::from(Error::Empty);
        assert_eq!((io.kind(), io.raw_os_error()), (io::ErrorKind::WouldBlock, Some(libc::EAGAIN)));
        let io = io::Error::from(Error::TimedOut { operation: "read" });
        assert_eq!((io.kind(), io.raw_os_error()), (io::ErrorKind::TimedOut, Some(libc::ETIMEDOUT)));
        let io = io::Error::from(Error::of_pipe("write", io::Error::from_raw_os_error(libc::EPIPE)));
        assert_eq!(io.kind(), io::ErrorKind::BrokenPipe);
        let io = io::Error::from(Error::ForeignOwner { path: PathBuf::from("/run/f"), uid: 7 });
        assert_eq!(io.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(io.to_string(), "the FIFO /run/f belongs to user 7");
        let io = io::Error::from(Error::of_pipe("epoll_wait", io::ErrorKind::Interrupted.into()));
        assert_eq!((io.kind(), io.to_string()), (io::ErrorKind::Interrupted, "epoll_wait pipe".to_owned()));
    }
}
