//! Who is at the other end, as the kernel knows it and the peer cannot forge: SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD,
//! SO_PEERSEC.
//!
//! All of it was written down when the connection was made: of a client when it called connect(2), of a server when it
//! called listen(2), of both ends of a pair (and of whoever inherits one) when socketpair(2) was called. What the peer does
//! later (setuid, exec, handing the socket to another process) changes nothing of it.

use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use ipc_sys::socket;

use crate::{Error, Result};

/// `struct ucred`: a process, its effective user and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerCredentials {
    /// The process id as *our* pid namespace sees it; `None` when it cannot be seen from here. It may have ended since and
    /// its number be another's: use a pidfd to act on it.
    pub pid: Option<NonZeroU32>,
    /// The effective user id, 65534 when our user namespace does not map it.
    pub uid: u32,
    /// The effective group id.
    pub gid: u32,
}

impl PeerCredentials {
    pub(crate) fn new(raw: socket::control::Credentials) -> Self {
        Self { pid: u32::try_from(raw.pid).ok().and_then(NonZeroU32::new), uid: raw.uid, gid: raw.gid }
    }

    /// Of a message of this many bytes. `None` where the kernel knows no sender and writes some numbers all the same, as which
    /// an unknown one would be admitted where that user is: the overflow ids for a message that was sent without credentials,
    /// and root for the end of a stream.
    pub(crate) fn of_message(raw: socket::control::Credentials, len: usize) -> Option<Self> {
        let ids = (raw.uid, raw.gid);
        let unknown = raw.pid == 0 && (ids == overflow_ids() || (len == 0 && ids == (0, 0)));
        (!unknown).then(|| Self::new(raw))
    }

    pub(crate) fn of_peer(fd: impl AsFd) -> Result<Self> {
        let raw = socket::peer_credentials(fd).map_err(|source| Error::of("SO_PEERCRED", source))?;
        if raw.pid == 0 && raw.uid == u32::MAX {
            let source = std::io::Error::from_raw_os_error(libc::ENOTCONN);
            return Err(Error::NotConnected { operation: "SO_PEERCRED", source });
        }
        Ok(Self::new(socket::control::Credentials { pid: raw.pid, uid: raw.uid, gid: raw.gid }))
    }
}

/// What the kernel shows instead of a user and a group that it cannot show.
fn overflow_ids() -> (u32, u32) {
    static IDS: OnceLock<(u32, u32)> = OnceLock::new();
    let read = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse().ok();
    let id = |path: &str| read(path).unwrap_or(65534);
    *IDS.get_or_init(|| (id("/proc/sys/kernel/overflowuid"), id("/proc/sys/kernel/overflowgid")))
}

pub(crate) fn groups(fd: impl AsFd) -> Result<Vec<u32>> {
    socket::peer_groups(fd).map_err(|source| option_failed("SO_PEERGROUPS", source))
}

pub(crate) fn pidfd(fd: impl AsFd) -> Result<OwnedFd> {
    socket::peer_pidfd(fd).map_err(|source| match source.raw_os_error() {
        Some(libc::ESRCH | libc::EINVAL) => Error::PeerExited { source },
        _ => option_failed("SO_PEERPIDFD", source),
    })
}

pub(crate) fn security(fd: impl AsFd) -> Result<Vec<u8>> {
    socket::peer_security(fd).map_err(|source| option_failed("SO_PEERSEC", source))
}

/// An option that the kernel may not know.
pub(crate) fn option_failed(what: &'static str, source: std::io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP) => Error::Unsupported { what, source },
        _ => Error::of(what, source),
    }
}

/// Who may come in, by the effective user and group that [`PeerCredentials`] tells.
///
/// A fresh policy lets nobody in; each call adds somebody. Root is somebody like others.
///
/// # Examples
/// ```
/// use ipc_uds::{Policy, Socket, Stream};
///
/// let (ours, _theirs) = Stream::pair()?;
/// let credentials = ours.peer_credentials()?;
/// assert!(Policy::nobody().own_user().admits(&credentials));
/// assert!(!Policy::nobody().admits(&credentials));
/// # Ok::<(), ipc_uds::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    users: Vec<u32>,
    groups: Vec<u32>,
}

impl Policy {
    /// Nobody.
    #[must_use]
    pub const fn nobody() -> Self {
        Self { users: Vec::new(), groups: Vec::new() }
    }

    /// And this user.
    #[must_use]
    pub fn user(mut self, uid: u32) -> Self {
        self.users.push(uid);
        self
    }

    /// And the user that this process is now.
    #[must_use]
    pub fn own_user(self) -> Self {
        self.user(socket::effective_uid())
    }

    /// And whoever has this as effective group. Supplementary groups do not count: ask
    /// [`Socket::peer_groups`](crate::Socket::peer_groups) for them.
    #[must_use]
    pub fn group(mut self, gid: u32) -> Self {
        self.groups.push(gid);
        self
    }

    /// Whether a peer with these credentials is let in.
    #[must_use]
    pub fn admits(&self, peer: &PeerCredentials) -> bool {
        self.users.contains(&peer.uid) || self.groups.contains(&peer.gid)
    }
}
