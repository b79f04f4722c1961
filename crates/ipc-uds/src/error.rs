//! Every way in which a call of this crate fails, as the decision that its caller takes.

use std::io;
use std::path::PathBuf;

use crate::{Address, PeerCredentials};

/// What went wrong, and on which socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing to do now (EAGAIN): an empty or full socket, a full backlog; or the receive timeout of the socket passed.
    #[error("the call would have to wait")]
    WouldBlock,
    /// The time given has passed.
    #[error("the time given has passed")]
    TimedOut,
    /// The text or bytes cannot name a socket; nothing was asked of the kernel.
    #[error("{:?} cannot name a socket: {reason}", address.to_string())]
    InvalidAddress {
        /// What was given.
        address: Address,
        /// Why not.
        reason: &'static str,
    },
    /// Nothing has this name, or a directory on the way to it is missing (ENOENT, ENOTDIR).
    #[error("{operation} {address}")]
    NotFound {
        /// The call.
        operation: &'static str,
        /// The name.
        address: Address,
        /// errno.
        source: io::Error,
    },
    /// Nobody listens there (ECONNREFUSED): the server died and left its name behind, or is about to listen, or the name
    /// is no socket.
    #[error("nobody listens at {address}")]
    ConnectionRefused {
        /// The name.
        address: Address,
        /// errno.
        source: io::Error,
    },
    /// A live socket has the name, or a starting server holds its lock file (EADDRINUSE).
    #[error("{address} is in use by a live socket")]
    AddressInUse {
        /// The name.
        address: Address,
    },
    /// The name is that of a dead socket (EADDRINUSE): bind with [`Stale::Replace`](crate::Stale::Replace), or remove it.
    #[error("{} was left behind by a server that has ended; replace it with Stale::Replace or remove it", path.display())]
    Stale {
        /// The name.
        path: PathBuf,
    },
    /// What stands there is a file, a directory, a symbolic link: left untouched.
    #[error("{} is there and is no socket; it was left untouched", path.display())]
    NotASocket {
        /// The name.
        path: PathBuf,
    },
    /// A dead socket or a lock file of another user stands there: left untouched.
    #[error("{} belongs to user {uid}; it was left untouched", path.display())]
    ForeignOwner {
        /// The name.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// The socket there is of another type (EPROTOTYPE): a datagram socket was called as a stream, or the like.
    #[error("{address} is a socket of another type")]
    WrongType {
        /// The name.
        address: Address,
        /// errno.
        source: io::Error,
    },
    /// The other side has closed, or was killed, before it read what was sent (EPIPE, ECONNRESET).
    #[error("{operation}: the peer is gone")]
    PeerGone {
        /// The call.
        operation: &'static str,
        /// errno.
        source: io::Error,
    },
    /// A message longer than the socket or the frame may carry (EMSGSIZE); nothing was sent.
    #[error("a message of {len} bytes is longer than the {max} that may be sent")]
    TooLong {
        /// Its length.
        len: usize,
        /// The cap of the frames; of a message socket what SO_SNDBUF leaves.
        max: usize,
    },
    /// An empty message cannot be told from the end of a connection by the one who receives it: none was sent.
    #[error("an empty message looks like the end of the connection; put at least one byte in it")]
    EmptyMessage,
    /// A message was longer than the buffer (MSG_TRUNC). It is gone, except what the buffer holds.
    #[error("a message of {len} bytes was cut to the {max} of the buffer")]
    Truncated {
        /// Its length.
        len: usize,
        /// The buffer's.
        max: usize,
    },
    /// More descriptors than one message may carry, refused before sending; or more than were allowed, received and closed.
    #[error("{count} descriptors are more than the {max} allowed")]
    TooManyDescriptors {
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The peer broke the rules of framed messages; the connection was shut down.
    #[error("the peer broke the protocol: {reason}")]
    Malformed {
        /// Which rule.
        reason: &'static str,
    },
    /// All clients together would have more in flight than their [`Budget`](crate::Budget) allows: the connection of the one
    /// that needed more was shut down, what it had sent is gone.
    #[error("the clients would have more than {max_bytes} bytes or {max_descriptors} descriptors in flight")]
    OverBudget {
        /// The budget's bytes.
        max_bytes: usize,
        /// The budget's descriptors.
        max_descriptors: usize,
    },
    /// A value could not be encoded, or what came is none of the type asked for; the connection is still good.
    #[cfg(feature = "serde")]
    #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
    #[error("a message does not hold the value that it should")]
    Encoding {
        /// What the encoding says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Descriptors were lost on the way in (MSG_CTRUNC): this process is at its RLIMIT_NOFILE. Those that arrived were
    /// closed; the bytes of the message were taken from the socket.
    #[error(
        "descriptors of a message were lost and the {closed} that arrived were closed: too many are open here"
    )]
    DescriptorsLost {
        /// How many had arrived.
        closed: usize,
    },
    /// The user has more descriptors in flight, sent and not yet received, than RLIMIT_NOFILE (ETOOMANYREFS).
    #[error("too many descriptors of this user are in flight")]
    TooManyInFlight {
        /// errno.
        source: io::Error,
    },
    /// Permissions do not allow it: EACCES of a path; EPERM of a message with credentials that are not ours, or with
    /// descriptors for a socket that takes none (SO_PASSRIGHTS).
    #[error("{operation}{} is not permitted", on(object.as_ref()))]
    PermissionDenied {
        /// The call.
        operation: &'static str,
        /// The name, where there is one.
        object: Option<Address>,
        /// errno.
        source: io::Error,
    },
    /// The peer's user or group may not come in; its connection was closed before anything was read.
    #[error("user {} of group {} may not connect here", .0.uid, .0.gid)]
    Denied(PeerCredentials),
    /// The kernel is too old for it, or was built without it.
    #[error("this kernel has no {what}")]
    Unsupported {
        /// The socket option.
        what: &'static str,
        /// errno.
        source: io::Error,
    },
    /// What the service manager has handed over is not what was asked for.
    #[error("socket activation: {reason}")]
    Activation {
        /// What is wrong.
        reason: &'static str,
    },
    /// The peer has ended and been reaped: there is no process to hold on to.
    #[error("the peer's process has ended")]
    PeerExited {
        /// errno.
        source: io::Error,
    },
    /// The socket has no peer yet (ENOTCONN, ENODATA).
    #[error("{operation}: the socket is not connected")]
    NotConnected {
        /// The call.
        operation: &'static str,
        /// errno.
        source: io::Error,
    },
    /// Any other errno.
    #[error("{operation}{}", on(object.as_ref()))]
    System {
        /// The call.
        operation: &'static str,
        /// The name, where there is one.
        object: Option<Address>,
        /// errno.
        source: io::Error,
    },
}

/// The result of a call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn on(object: Option<&Address>) -> String {
    object.map_or_else(String::new, |address| format!(" {address}"))
}

impl Error {
    /// The error of a call that was given an address.
    pub(crate) fn at(operation: &'static str, address: &Address, source: io::Error) -> Self {
        let address = address.clone();
        match source.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => Self::NotFound { operation, address, source },
            Some(libc::ECONNREFUSED) => Self::ConnectionRefused { address, source },
            Some(libc::EADDRINUSE) => Self::AddressInUse { address },
            Some(libc::EPROTOTYPE) => Self::WrongType { address, source },
            _ => match Self::of(operation, source) {
                Self::System { operation, source, .. } => {
                    Self::System { operation, object: Some(address), source }
                }
                other => other,
            },
        }
    }

    /// The error of a call on a socket alone.
    pub(crate) fn of(operation: &'static str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EAGAIN) => Self::WouldBlock,
            Some(libc::ETIMEDOUT) => Self::TimedOut,
            Some(libc::EPIPE | libc::ECONNRESET) => Self::PeerGone { operation, source },
            Some(libc::ETOOMANYREFS) => Self::TooManyInFlight { source },
            Some(libc::EACCES | libc::EPERM) => Self::PermissionDenied { operation, object: None, source },
            Some(libc::ENOTCONN | libc::ENODATA) => Self::NotConnected { operation, source },
            _ => Self::System { operation, object: None, source },
        }
    }

    /// The errno behind it, of the call that failed or the one that C programs would see.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::WouldBlock => Some(libc::EAGAIN),
            Self::TimedOut => Some(libc::ETIMEDOUT),
            Self::AddressInUse { .. } | Self::Stale { .. } => Some(libc::EADDRINUSE),
            Self::NotASocket { .. } => Some(libc::ENOTSOCK),
            Self::TooLong { .. } => Some(libc::EMSGSIZE),
            _ => self.system()?.raw_os_error(),
        }
    }

    /// The error of the call that failed, where it is kept.
    fn system(&self) -> Option<&io::Error> {
        match self {
            Self::NotFound { source, .. }
            | Self::ConnectionRefused { source, .. }
            | Self::WrongType { source, .. }
            | Self::PeerGone { source, .. }
            | Self::TooManyInFlight { source }
            | Self::PermissionDenied { source, .. }
            | Self::Unsupported { source, .. }
            | Self::PeerExited { source }
            | Self::NotConnected { source, .. }
            | Self::System { source, .. } => Some(source),
            _ => None,
        }
    }

    /// The kind of an error, for where there is no errno that says it.
    fn kind(&self) -> io::ErrorKind {
        match self {
            Self::InvalidAddress { .. } | Self::EmptyMessage | Self::TooManyDescriptors { .. } => {
                io::ErrorKind::InvalidInput
            }
            Self::Truncated { .. }
            | Self::DescriptorsLost { .. }
            | Self::Malformed { .. }
            | Self::Activation { .. } => io::ErrorKind::InvalidData,
            #[cfg(feature = "serde")]
            Self::Encoding { .. } => io::ErrorKind::InvalidData,
            Self::OverBudget { .. } => io::ErrorKind::QuotaExceeded,
            Self::ForeignOwner { .. } | Self::Denied(_) => io::ErrorKind::PermissionDenied,
            _ => self.system().map_or(io::ErrorKind::Other, io::Error::kind),
        }
    }
}

impl From<Error> for io::Error {
    /// Keeps the errno and the kind that goes with it; where there is no errno, the kind and the whole error.
    fn from(error: Error) -> Self {
        match error.errno() {
            Some(errno) => Self::from_raw_os_error(errno),
            None => Self::new(error.kind(), error),
        }
    }
}
