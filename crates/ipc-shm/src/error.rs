//! What can go wrong, by what the caller does about it.

use std::ffi::OsString;
use std::io;

use crate::Refusal;

/// The longest name, without the slash: NAME_MAX of tmpfs.
pub(crate) const NAME_MAX: usize = 255;

/// What a call of this crate ends with when it does not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no room now; a receiver makes some.
    #[error("full")]
    Full,
    /// There is nothing to receive now.
    #[error("empty")]
    Empty,
    /// The deadline came first (ETIMEDOUT).
    #[error("timed out")]
    TimedOut,
    /// A lock is held by somebody else, or a semaphore has no permit, now.
    #[error("it would have to wait")]
    WouldBlock,
    /// The owner of a lock died while it changed what the lock guards, and nobody has repaired it yet.
    #[error("the owner of the lock died while it changed what the lock guards")]
    OwnerDied,
    /// The owner of a lock died and its successor gave up (ENOTRECOVERABLE). Nobody gets this lock again; make new memory.
    #[error("the lock was given up after its owner died; make new memory")]
    NotRecoverable,
    /// This thread holds the lock already: waiting for it would never end (EDEADLK).
    #[error("this thread holds the lock already")]
    Deadlock,
    /// This thread holds as many locks as the kernel is sure to release when it dies (ENOLCK).
    #[error("this thread holds {max} locks, more would not be released if it died")]
    TooManyLocks {
        /// How many it may hold.
        max: usize,
    },
    /// A counter would go beyond what it can hold (EOVERFLOW). It was not changed.
    #[error("the count would exceed its limit")]
    Overflow,
    /// A party of a barrier is dead or has left, so it can never be complete again. Make a new one.
    #[error("a party of the barrier is gone")]
    Broken,
    /// The other end was dropped, or its process is dead. What it had sent has been received.
    #[error("the other end is gone")]
    Disconnected,
    /// A server took a request and gave it up without an answer, or died with it (ECANCELED). It is not served again.
    #[error("the server gave up the request without an answer")]
    Unanswered,
    /// Another process found this one's lock gone and took it for dead (ESTALE): what was claimed is another's by now. It
    /// happens to a process whose code unlocks descriptors that are not its own.
    #[error("this process looked dead, and what it had claimed was taken away")]
    TakenAway,
    /// The other process wrote what its protocol cannot say. This end stays unusable for good; make a new channel.
    #[error("the other process wrote nonsense: {what}")]
    PeerCorrupt {
        /// Which word it was.
        what: &'static str,
    },
    /// A reader fell behind and has lost this many messages; the next receive continues after them.
    #[error("{0} messages were overwritten before they were read")]
    Lagged(u64),
    /// The writer died in the middle of a message.
    #[error("the writer died in the middle of a message")]
    WriterDied,
    /// Writers were faster than this reader, time and again; try again.
    #[error("the value changed during every attempt to read it")]
    Contended,
    /// The handle was made before a fork, in the parent. Attach anew in the child.
    #[error("the handle belongs to the parent process; attach anew after a fork")]
    Forked,
    /// Another process holds this end of the channel (EBUSY): it has locked the end's byte of the memory. So can whoever may
    /// open the memory, for reading too: that keeps others from the end, and does nothing else.
    #[error("{end} of {object} is in use by another handle")]
    EndInUse {
        /// The name, or what kind of memory it is.
        object: String,
        /// Which end.
        end: &'static str,
    },
    /// The channel has no socket, by which alone [`Wait::Poll`](crate::Wait::Poll) sees a death at once: it was not made with
    /// [`pollable`](crate::ChannelOptions::pollable).
    #[error("the channel has no socket to poll: make it pollable, by invitation or from descriptors")]
    NoSocket,
    /// The channel has no socket, and the kernel gives us no io_uring that could be polled in its place (ENOSYS, EPERM,
    /// EOPNOTSUPP): it is older than Linux 6.7, or io_uring is forbidden here, by a container or by the sysctl
    /// kernel.io_uring_disabled.
    #[error(
        "the kernel gives no io_uring to poll for a channel without a socket (Linux 6.7, where nothing forbids it): \
         make the channel pollable, where it can be"
    )]
    NoUring {
        /// What was said of it.
        source: io::Error,
    },
    /// The writer does not know of this reader, which was made from a descriptor alone, and cannot wake it (EOPNOTSUPP).
    #[error("the writer cannot wake this reader: take an invitation, or poll")]
    NotInvited,
    /// This memory was attached for reading: its owner sealed it.
    #[error("the memory is sealed against writing by anybody but its owner")]
    ReadOnly,
    /// An access that does not lie within the memory.
    #[error("{len} bytes at {offset} do not lie within the {size} bytes of the memory")]
    OutOfBounds {
        /// Where it begins.
        offset: usize,
        /// How long it is.
        len: usize,
        /// How much there is.
        size: usize,
    },
    /// A message longer than the channel carries (EMSGSIZE).
    #[error("a message of {len} bytes is longer than the {max} that the channel carries")]
    TooLong {
        /// How long it is.
        len: usize,
        /// How long it may be.
        max: usize,
    },
    /// A name that POSIX shared memory cannot have (EINVAL, ENAMETOOLONG).
    #[error("{name:?} cannot name shared memory: {reason}")]
    InvalidName {
        /// What was given.
        name: OsString,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A number that the memory or the channel cannot be made with (EINVAL).
    #[error("{what} cannot be {value}: {reason}")]
    InvalidParameter {
        /// Which parameter.
        what: &'static str,
        /// What was given.
        value: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The name is taken (EEXIST).
    #[error("{name} exists")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is nothing of this name (ENOENT).
    #[error("{name} does not exist")]
    NotFound {
        /// The name.
        name: String,
    },
    /// There is not enough memory left in the file system (ENOSPC): nothing was made.
    #[error("no space for {len} bytes of shared memory")]
    NoSpace {
        /// How much was asked for.
        len: usize,
    },
    /// What was found or received is not what this call can attach. Nothing was changed.
    #[error("{object} was refused: {reason}")]
    Refused {
        /// The name, or "the descriptor".
        object: String,
        /// Why.
        reason: Refusal,
    },
    /// The kernel does not allow it (EACCES, EPERM): the mode of the memory, a security module, a seccomp filter.
    #[error("{operation} of {object} is not permitted")]
    PermissionDenied {
        /// Which call.
        operation: &'static str,
        /// On what.
        object: String,
        /// errno.
        source: io::Error,
    },
    /// A system call failed in a way that this crate has no better word for.
    #[error("{operation} of {object} failed")]
    System {
        /// Which call.
        operation: &'static str,
        /// On what.
        object: String,
        /// errno.
        source: io::Error,
    },
}

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The errno that the error stands for, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        Some(match self {
            Self::Full | Self::Empty | Self::WouldBlock => libc::EAGAIN,
            Self::OwnerDied => libc::EOWNERDEAD,
            Self::NotRecoverable => libc::ENOTRECOVERABLE,
            Self::Deadlock => libc::EDEADLK,
            Self::TooManyLocks { .. } => libc::ENOLCK,
            Self::Overflow => libc::EOVERFLOW,
            Self::TimedOut => libc::ETIMEDOUT,
            Self::Disconnected | Self::WriterDied | Self::Broken => libc::EPIPE,
            Self::Unanswered => libc::ECANCELED,
            Self::TakenAway => libc::ESTALE,
            Self::EndInUse { .. } => libc::EBUSY,
            Self::NoSocket | Self::NotInvited => libc::EOPNOTSUPP,
            Self::ReadOnly => libc::EROFS,
            Self::OutOfBounds { .. } | Self::InvalidParameter { .. } => libc::EINVAL,
            Self::TooLong { .. } => libc::EMSGSIZE,
            Self::InvalidName { name, .. } => {
                let bytes = name.as_encoded_bytes();
                let len = bytes.strip_prefix(b"/").unwrap_or(bytes).len();
                if len > NAME_MAX { libc::ENAMETOOLONG } else { libc::EINVAL }
            }
            Self::Exists { .. } => libc::EEXIST,
            Self::NotFound { .. } => libc::ENOENT,
            Self::NoSpace { .. } => libc::ENOSPC,
            Self::PermissionDenied { source, .. }
            | Self::NoUring { source }
            | Self::System { source, .. } => {
                return source.raw_os_error();
            }
            Self::PeerCorrupt { .. }
            | Self::Lagged(_)
            | Self::Contended
            | Self::Forked
            | Self::Refused { .. } => return None,
        })
    }

    /// What an io::Error says of it that has no errno to say it with.
    fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Contended => io::ErrorKind::WouldBlock,
            Self::PeerCorrupt { .. } | Self::Lagged(_) | Self::Refused { .. } => io::ErrorKind::InvalidData,
            Self::Forked => io::ErrorKind::Unsupported,
            Self::System { source, .. } => source.kind(),
            _ => io::ErrorKind::Other,
        }
    }

    /// What a system call failed with, where its caller has no better word for that errno.
    pub(crate) fn system(operation: &'static str, object: impl ToString) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            let object = object.to_string();
            match source.raw_os_error() {
                Some(libc::EACCES | libc::EPERM) => Self::PermissionDenied { operation, object, source },
                _ => Self::System { operation, object, source },
            }
        }
    }

    /// What a wait on a socket ends with that did not even begin.
    pub(crate) fn no_socket(source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EOPNOTSUPP) => Self::NoSocket,
            _ => Self::system("ppoll", "the channel")(source),
        }
    }

    pub(crate) fn refused(object: &(impl ToString + ?Sized), reason: Refusal) -> Self {
        Self::Refused { object: object.to_string(), reason }
    }
}

impl From<Error> for io::Error {
    /// The errno, where there is one: callers match on it, and nothing is allocated. Else the error itself, of a kind that fits.
    fn from(error: Error) -> Self {
        match error.errno() {
            Some(errno) => Self::from_raw_os_error(errno),
            None => Self::new(error.kind(), error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid_name(name: &str) -> Error {
        Error::InvalidName { name: name.into(), reason: "it is no name" }
    }

    #[test]
    fn an_io_error_keeps_the_errno() {
        let name = || "/x".to_owned();
        let denied = io::Error::from_raw_os_error(libc::EACCES);
        for (error, errno) in [
            (Error::Full, libc::EAGAIN),
            (Error::Empty, libc::EAGAIN),
            (Error::WouldBlock, libc::EAGAIN),
            (Error::TimedOut, libc::ETIMEDOUT),
            (Error::OwnerDied, libc::EOWNERDEAD),
            (Error::NotRecoverable, libc::ENOTRECOVERABLE),
            (Error::Deadlock, libc::EDEADLK),
            (Error::TooManyLocks { max: 1 }, libc::ENOLCK),
            (Error::Overflow, libc::EOVERFLOW),
            (Error::Broken, libc::EPIPE),
            (Error::Disconnected, libc::EPIPE),
            (Error::WriterDied, libc::EPIPE),
            (Error::Unanswered, libc::ECANCELED),
            (Error::TakenAway, libc::ESTALE),
            (Error::EndInUse { object: name(), end: "sender" }, libc::EBUSY),
            (Error::NoSocket, libc::EOPNOTSUPP),
            (Error::NoUring { source: io::Error::from_raw_os_error(libc::EPERM) }, libc::EPERM),
            (Error::NotInvited, libc::EOPNOTSUPP),
            (Error::ReadOnly, libc::EROFS),
            (Error::OutOfBounds { offset: 1, len: 1, size: 1 }, libc::EINVAL),
            (Error::TooLong { len: 2, max: 1 }, libc::EMSGSIZE),
            (invalid_name("a/b"), libc::EINVAL),
            (invalid_name(&"x".repeat(NAME_MAX + 1)), libc::ENAMETOOLONG),
            (Error::InvalidParameter { what: "capacity", value: 0, reason: "it is zero" }, libc::EINVAL),
            (Error::Exists { name: name() }, libc::EEXIST),
            (Error::NotFound { name: name() }, libc::ENOENT),
            (Error::NoSpace { len: 1 }, libc::ENOSPC),
            (Error::system("shm_open", "/x")(denied), libc::EACCES),
            (Error::system("mmap", "/x")(io::Error::from_raw_os_error(libc::ENOMEM)), libc::ENOMEM),
        ] {
            let shown = format!("{error:?}");
            assert_eq!(error.errno(), Some(errno), "{shown}");
            assert_eq!(io::Error::from(error).raw_os_error(), Some(errno), "{shown}");
        }
        assert_eq!(io::Error::from(Error::Empty).kind(), io::ErrorKind::WouldBlock);
        assert_eq!(io::Error::from(Error::Disconnected).kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn without_an_errno_an_io_error_keeps_kind_and_text() {
        for (error, kind) in [
            (Error::PeerCorrupt { what: "head" }, io::ErrorKind::InvalidData),
            (Error::Lagged(3), io::ErrorKind::InvalidData),
            (Error::refused("/x", Refusal::Foreign), io::ErrorKind::InvalidData),
            (Error::Contended, io::ErrorKind::WouldBlock),
            (Error::Forked, io::ErrorKind::Unsupported),
            (Error::system("mmap", "/x")(io::ErrorKind::OutOfMemory.into()), io::ErrorKind::OutOfMemory),
        ] {
            let text = error.to_string();
            assert_eq!(error.errno(), None, "{text}");
            let error = io::Error::from(error);
            assert_eq!((error.raw_os_error(), error.kind(), error.to_string()), (None, kind, text));
        }
    }

    #[test]
    fn an_error_is_small_enough_to_return() {
        assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
    }
}
