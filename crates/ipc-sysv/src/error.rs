//! What can go wrong, by what the caller does about it.

use std::io;
use std::path::PathBuf;

use crate::key::Key;
use crate::object::{Identity, Object};

/// The result of the fallible functions of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on a System V object failed: a variant is a decision of the caller's, the fields say on what and in
/// which operation, and the errno is kept.
///
/// Nothing here allocates, except [`Error::KeyFile`] and [`Error::KeyCollision`], which name a path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// EAGAIN, ENOMSG: not now. Only from `try_…` calls and operations that carry their own no-wait flag.
    #[error("{operation} on {object} would have to wait")]
    WouldBlock {
        /// On what.
        object: Object,
        /// In which call.
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The time of a `…_timeout` call has passed (the kernel says EAGAIN, we say ETIMEDOUT).
    #[error("{operation} on {object} did not happen in time")]
    TimedOut {
        /// On what.
        object: Object,
        /// In which call.
        operation: &'static str,
    },
    /// EINTR: a signal came. Only from `…_interruptible` calls.
    #[error("{operation} on {object} was interrupted by a signal")]
    Interrupted {
        /// On what.
        object: Object,
        /// In which call.
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// EIDRM, or EINVAL and a look that confirms it: the object is gone, before the call or during it.
    #[error("{operation}: {object} was removed")]
    Removed {
        /// What is gone.
        object: Object,
        /// In which call.
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Another object has the id by now; the one that the handle was opened for is gone.
    #[error("{operation}: {object} was removed, and its id belongs to another object now")]
    Replaced {
        /// What the handle stands for.
        object: Object,
        /// In which call.
        operation: &'static str,
        /// What has its id.
        found: Identity,
    },
    /// E2BIG, or EINVAL of a length over a limit: a body, an array of operations, a set or a segment is too long.
    #[error("{operation} on {object}: {} is over the limit of {max}", length(*len))]
    TooLong {
        /// On what.
        object: Object,
        /// In which call.
        operation: &'static str,
        /// How long it is; the kernel does not tell the length of a message that it does not hand out.
        len: Option<usize>,
        /// How long it may be.
        max: usize,
        /// What the kernel said, or would have said.
        source: io::Error,
    },
    /// EEXIST: `create` found the key in use.
    #[error("{object} exists already")]
    Exists {
        /// Which.
        object: Object,
        /// What the kernel said.
        source: io::Error,
    },
    /// ENOENT: `open` found nothing under the key.
    #[error("there is no {object}")]
    NotFound {
        /// Which.
        object: Object,
        /// What the kernel said.
        source: io::Error,
    },
    /// EACCES, EPERM: the mode does not allow it, or only owner, creator and root may.
    #[error("{operation} on {object} is not permitted")]
    PermissionDenied {
        /// On what.
        object: Object,
        /// In which call.
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// ERANGE, EFBIG, EINVAL: a value, an index, an offset or a length that the object does not allow.
    #[error("{operation} on {object}: {what} is out of range")]
    OutOfRange {
        /// On what.
        object: Object,
        /// In which call.
        operation: &'static str,
        /// Which argument.
        what: &'static str,
        /// What the kernel said, or would have said.
        source: io::Error,
    },
    /// ENOSPC, ENOMEM, ENFILE: the system has no more.
    #[error("{operation} on {object} reached the limit on {which}")]
    LimitReached {
        /// On what.
        object: Object,
        /// In which call.
        operation: &'static str,
        /// Which limit.
        which: Limit,
        /// What the kernel said.
        source: io::Error,
    },
    /// EINVAL: the key belongs to a set or a segment that is smaller than what was asked for.
    #[error("{object} has a size of {found}, not {wanted}")]
    WrongSize {
        /// Which.
        object: Object,
        /// Semaphores or bytes that were asked for.
        wanted: usize,
        /// Semaphores or bytes that it has.
        found: usize,
        /// What the kernel said, or would have said.
        source: io::Error,
    },
    /// Two files have the same key: what is there belongs to another file. Choose another file or project number.
    #[error("{} and another file have the same key {key}; choose another project number", path.display())]
    KeyCollision {
        /// The key.
        key: Key,
        /// Our file.
        path: PathBuf,
    },
    /// The segment is attached by somebody, or somebody is just making it.
    #[error("{object} is in use, attached {attached} times")]
    InUse {
        /// Which.
        object: Object,
        /// How many times it was attached, before we attached it to look.
        attached: u64,
    },
    /// Another program's segment has the key: it has not our magic number.
    #[error("{object} belongs to another program; choose another project number")]
    Foreign {
        /// Which.
        object: Object,
    },
    /// Another user's segment has the key.
    #[error("{object} belongs to another user; choose another project number")]
    ForeignOwner {
        /// Which.
        object: Object,
        /// Its owner or creator, where we may know.
        uid: Option<u32>,
    },
    /// The object was created and never initialized: its creator died, or, for a set, does not follow the convention that
    /// the first semop ends the initialization. Opening a set with initial values, recovering a segment, or removing it,
    /// heals that.
    #[error("{object} was never initialized; open it with initial values, recover or remove it")]
    Uninitialized {
        /// Which.
        object: Object,
    },
    /// The file that a key is made of cannot be looked at.
    #[error("no key from {}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Anything else, such as ENOSYS for what this kernel was built without.
    #[error("{operation} on {object} failed")]
    System {
        /// On what.
        object: Object,
        /// In which call.
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What there is no more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// SEMMNI: sets in this IPC namespace.
    SemaphoreSets,
    /// SEMMNS: semaphores in all sets of this IPC namespace.
    Semaphores,
    /// MSGMNI: queues in this IPC namespace.
    MessageQueues,
    /// SHMMNI: segments in this IPC namespace.
    Segments,
    /// SHMALL: pages of all segments in this IPC namespace.
    Pages,
    /// RLIMIT_MEMLOCK: bytes that this user may lock.
    LockedMemory,
    /// Memory of the kernel, address space, or huge pages.
    Memory,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::SemaphoreSets => "semaphore sets (SEMMNI)",
            Self::Semaphores => "semaphores (SEMMNS)",
            Self::MessageQueues => "message queues (MSGMNI)",
            Self::Segments => "segments (SHMMNI)",
            Self::Pages => "shared memory (SHMALL)",
            Self::LockedMemory => "locked memory (RLIMIT_MEMLOCK)",
            Self::Memory => "memory",
        })
    }
}

fn length(len: Option<usize>) -> String {
    len.map_or_else(|| "its length".to_owned(), |len| len.to_string())
}

impl Error {
    /// The errno of the call that failed; `None` for what the kernel knows nothing of: [`Error::Replaced`],
    /// [`Error::KeyCollision`], [`Error::InUse`], [`Error::Foreign`], [`Error::ForeignOwner`], [`Error::Uninitialized`].
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::WouldBlock { source, .. }
            | Self::Interrupted { source, .. }
            | Self::Removed { source, .. }
            | Self::TooLong { source, .. }
            | Self::Exists { source, .. }
            | Self::NotFound { source, .. }
            | Self::PermissionDenied { source, .. }
            | Self::OutOfRange { source, .. }
            | Self::LimitReached { source, .. }
            | Self::WrongSize { source, .. }
            | Self::KeyFile { source, .. }
            | Self::System { source, .. } => source.raw_os_error(),
            Self::TimedOut { .. } => Some(libc::ETIMEDOUT),
            Self::Replaced { .. }
            | Self::KeyCollision { .. }
            | Self::InUse { .. }
            | Self::Foreign { .. }
            | Self::ForeignOwner { .. }
            | Self::Uninitialized { .. } => None,
        }
    }

    /// Whether a `try_…` call found that it would have to wait.
    #[must_use]
    pub fn is_would_block(&self) -> bool {
        matches!(self, Self::WouldBlock { .. })
    }

    /// Whether the time of a `…_timeout` call has passed.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }

    /// Whether the object is gone: [`Error::Removed`] or [`Error::Replaced`].
    #[must_use]
    pub fn is_removed(&self) -> bool {
        matches!(self, Self::Removed { .. } | Self::Replaced { .. })
    }
}

impl From<Error> for io::Error {
    /// Keeps kind and errno; what has no errno keeps its text, under the kind that comes nearest.
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Replaced { .. } => io::ErrorKind::NotFound,
            Error::KeyCollision { .. } | Error::Foreign { .. } => io::ErrorKind::AlreadyExists,
            Error::InUse { .. } => io::ErrorKind::ResourceBusy,
            Error::ForeignOwner { .. } => io::ErrorKind::PermissionDenied,
            Error::Uninitialized { .. } => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        match error.errno() {
            Some(errno) => Self::from_raw_os_error(errno),
            None => Self::new(kind, error),
        }
    }
}

/// The object and the operation that an errno is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) object: Object,
    pub(crate) operation: &'static str,
}

impl Call {
    /// The errors that mean the same in every call. EINVAL is not among them.
    pub(crate) fn failed(self, source: io::Error) -> Error {
        let Self { object, operation } = self;
        match source.raw_os_error() {
            Some(libc::EAGAIN | libc::ENOMSG) => Error::WouldBlock { object, operation, source },
            Some(libc::EINTR) => Error::Interrupted { object, operation, source },
            Some(libc::EIDRM) => Error::Removed { object, operation, source },
            Some(libc::EEXIST) => Error::Exists { object, source },
            Some(libc::ENOENT) => Error::NotFound { object, source },
            Some(libc::EACCES | libc::EPERM) => Error::PermissionDenied { object, operation, source },
            Some(libc::ENOMEM | libc::ENFILE) => {
                Error::LimitReached { object, operation, which: Limit::Memory, source }
            }
            _ => Error::System { object, operation, source },
        }
    }

    /// EINVAL of a call on an id: one look tells whether the object is gone or `what` was wrong.
    pub(crate) fn invalid(self, source: io::Error, exists: bool, what: &'static str) -> Error {
        let Self { object, operation } = self;
        if exists {
            Error::OutOfRange { object, operation, what, source }
        } else {
            Error::Removed { object, operation, source }
        }
    }

    pub(crate) fn out_of_range(self, what: &'static str, errno: i32) -> Error {
        let Self { object, operation } = self;
        Error::OutOfRange { object, operation, what, source: io::Error::from_raw_os_error(errno) }
    }
}
