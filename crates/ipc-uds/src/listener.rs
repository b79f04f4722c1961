//! A socket that listens: bind(2), listen(2), accept(2). Its name is made by bind and removed when the listener is dropped;
//! after a crash it stays, and [`Stale::Replace`] takes it over.

use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipc_sys::{Deadline, errno, poll, socket};

use crate::name::{BoundName, Stale};
use crate::socket::Bare;
use crate::stream::connect_to;
use crate::{Address, Datagram, Error, PeerCredentials, Policy, Result, SeqPacket, Socket, Stream, wait};

/// How a name is bound: permission bits, what to do about a dead socket's name, the backlog, who may connect, what comes
/// with each message.
///
/// # Examples
/// ```
/// use ipc_uds::{BindOptions, Listener, Stale, Stream};
///
/// let path = std::env::temp_dir().join(format!("ipc-uds-doc-{}", std::process::id()));
/// let listener: Listener<Stream> = BindOptions::new().mode(0o660).stale(Stale::Replace).listen(&path)?;
/// assert!(path.exists());
/// drop(listener);
/// assert!(!path.exists());
/// # Ok::<(), ipc_uds::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BindOptions {
    mode: u32,
    stale: Stale,
    backlog: u32,
    policy: Option<Policy>,
    descriptors: bool,
    credentials: bool,
    pidfd: bool,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl BindOptions {
    /// Mode 0600, [`Stale::Fail`], a backlog of 128, no policy, descriptors taken, messages without credentials and pidfds.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            mode: 0o600,
            stale: Stale::Fail,
            backlog: 128,
            policy: None,
            descriptors: true,
            credentials: false,
            pidfd: false,
        }
    }

    /// The permission bits of a path, exactly, whatever the umask; who may write may connect. No instant of more: the bits
    /// are set before the name exists. An abstract name has none.
    #[must_use]
    #[doc(alias = "umask")]
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// What to do with the name that a dead socket has left behind.
    #[must_use]
    pub const fn stale(mut self, stale: Stale) -> Self {
        self.stale = stale;
        self
    }

    /// How many connections wait to be accepted, at most /proc/sys/net/core/somaxconn; more of them wait in connect(2).
    #[must_use]
    pub const fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Who is accepted; without one, whoever the permission bits let through.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Whether descriptors may be sent to us. `false` is SO_PASSRIGHTS off on what is accepted (or on the datagram socket):
    /// a sender gets EPERM. Kernels before 6.16 do not know it and take them until they are received, and closed.
    #[must_use]
    pub const fn descriptors(mut self, pass: bool) -> Self {
        self.descriptors = pass;
        self
    }

    /// Whether each message tells the credentials of its sender. `true` is SO_PASSCRED on the socket before it has a name, and
    /// what is accepted from a listener inherits it: no message comes too early to be told of, as it does when
    /// [`Socket::set_pass_credentials`] is called after accept.
    ///
    /// # Examples
    /// ```
    /// use ipc_uds::{Ancillary, BindOptions, Listener, Stream};
    /// use std::io::Write;
    ///
    /// let listener: Listener<Stream> = BindOptions::new().credentials(true).listen("@ipc-uds-doc-credentials")?;
    /// Stream::connect("@ipc-uds-doc-credentials")?.write_all(b"first")?;
    /// let received = listener.accept()?.recv_with(&mut [0; 16], 0)?;
    /// let sender = received.credentials.ok_or("nobody is named")?;
    /// assert_eq!(sender.pid.map(u32::from), Some(std::process::id()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[doc(alias = "SO_PASSCRED")]
    pub const fn credentials(mut self, pass: bool) -> Self {
        self.credentials = pass;
        self
    }

    /// Whether each message brings a descriptor of the process that sent it: SO_PASSPIDFD, as [`BindOptions::credentials`].
    /// Kernels before 6.5 do not know it: [`Error::Unsupported`] from whatever binds.
    #[must_use]
    #[doc(alias = "SO_PASSPIDFD")]
    pub const fn pidfd(mut self, pass: bool) -> Self {
        self.pidfd = pass;
        self
    }

    /// socket(2), fchmod(2), bind(2), listen(2).
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EADDRINUSE, and a live socket is there, or its lock file is held | [`Error::AddressInUse`] |
    /// | EADDRINUSE, and a dead socket is there; with [`Stale::Replace`] it is replaced | [`Error::Stale`] |
    /// | a dead socket, or a lock file, of another user | [`Error::ForeignOwner`] |
    /// | something that is no socket, a path that ends in `/`, `.` or `..` | [`Error::NotASocket`] |
    /// | ENOENT, ENOTDIR: a directory on the way is not there; /proc, which paths above 107 bytes and a mode that the umask would cut go through | [`Error::NotFound`] |
    /// | nothing, or a NUL byte, in the path; above 107 bytes in an abstract name | [`Error::InvalidAddress`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EROFS, ENOSPC, ENAMETOOLONG, ELOOP, EMFILE | [`Error::System`] |
    ///
    /// # After a crash
    /// The path stays and refuses connections; `NAME.lock` stays and locks nobody out.
    pub fn listen<S: Connection>(&self, address: impl Into<Address>) -> Result<Listener<S>> {
        let address = address.into();
        let (fd, name) = self.bind(S::KIND, &address)?;
        let backlog = libc::c_int::try_from(self.backlog).unwrap_or(libc::c_int::MAX);
        socket::listen(&fd, backlog).map_err(|source| Error::at("listen", &address, source))?;
        Ok(Listener { policy: self.policy.clone(), ..Listener::new(fd, name) })
    }

    /// socket(2), fchmod(2), bind(2) of a datagram socket.
    ///
    /// # Errors
    /// As [`BindOptions::listen`].
    pub fn datagram(&self, address: impl Into<Address>) -> Result<Datagram> {
        let (fd, name) = self.bind(libc::SOCK_DGRAM, &address.into())?;
        Ok(Datagram::named(fd, name))
    }

    /// bind(2) to a name of one's own, then connect(2).
    ///
    /// # Errors
    /// As [`BindOptions::listen`] of `own`, as [`Stream::connect`] of `address`; the own name is removed again then.
    pub fn connect<S: Connection>(&self, own: impl Into<Address>, address: impl Into<Address>) -> Result<S> {
        let (fd, name) = self.bind(S::KIND, &own.into())?;
        connect_to(&fd, &address.into(), Deadline::NEVER)?;
        Ok(S::with_name(fd, Name(name)))
    }

    fn bind(&self, kind: libc::c_int, address: &Address) -> Result<(OwnedFd, Option<BoundName>)> {
        address.check()?;
        let fd = socket::socket(kind).map_err(|source| Error::of("socket", source))?;
        if !self.descriptors {
            match Bare(fd.as_fd()).set_pass_descriptors(false) {
                Ok(()) | Err(Error::Unsupported { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if self.credentials {
            Bare(fd.as_fd()).set_pass_credentials(true)?;
        }
        if self.pidfd {
            Bare(fd.as_fd()).set_pass_pidfd(true)?;
        }
        let name = match address.as_path() {
            Some(path) => Some(BoundName::bind(&fd, address, path, self.mode, self.stale)?),
            None => {
                let reached = address.reach()?;
                socket::bind(&fd, &reached.raw).map_err(|source| Error::at("bind", address, source))?;
                None
            }
        };
        Ok((fd, name))
    }
}

/// A type of connection that is listened for: [`Stream`] or [`SeqPacket`]. Nobody else implements it.
pub trait Connection: crate::Socket + From<OwnedFd> + sealed::Sealed {
    #[doc(hidden)]
    const KIND: libc::c_int;
    #[doc(hidden)]
    fn with_name(fd: OwnedFd, name: Name) -> Self;
}

/// A name that goes with a connection.
#[doc(hidden)]
#[derive(Debug)]
pub struct Name(Option<BoundName>);

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::Stream {}
    impl Sealed for crate::SeqPacket {}
}

impl Connection for Stream {
    const KIND: libc::c_int = libc::SOCK_STREAM;

    fn with_name(fd: OwnedFd, name: Name) -> Self {
        Self::named(fd, name.0)
    }
}

impl Connection for SeqPacket {
    const KIND: libc::c_int = libc::SOCK_SEQPACKET;

    fn with_name(fd: OwnedFd, name: Name) -> Self {
        Self::named(fd, name.0)
    }
}

/// A listening socket that gives connections of type `S`.
///
/// Dropping it removes its path, if that is still the same inode and this still the process that made it.
///
/// # After a crash
/// A path stays and refuses connections; [`Stale::Replace`] takes it over. `NAME.lock` stays and locks nobody out.
///
/// # Fork
/// A forked child has the same listener, and each connection goes to one of the two. What the child drops removes no name.
///
/// # Examples
/// ```
/// use ipc_uds::{Listener, Socket, Stream};
///
/// let listener: Listener = Listener::bind("@ipc-uds-doc")?;
/// let client = Stream::connect("@ipc-uds-doc")?;
/// let server = listener.accept()?;
/// assert_eq!(server.peer_credentials()?.pid.map(u32::from), Some(std::process::id()));
/// # drop(client);
/// # Ok::<(), ipc_uds::Error>(())
/// ```
#[derive(Debug)]
pub struct Listener<S = Stream> {
    // The name goes before the socket: a dead socket's name is never seen.
    _name: Option<BoundName>,
    fd: OwnedFd,
    policy: Option<Policy>,
    /// Whether O_NONBLOCK has been set, by the first call that must not block.
    nonblocking: AtomicBool,
    connection: PhantomData<fn() -> S>,
}

impl<S: Connection> Listener<S> {
    /// socket(2), bind(2) with mode 0600 and listen(2); see [`BindOptions`] for more.
    ///
    /// # Errors
    /// Those of [`BindOptions::listen`].
    pub fn bind(address: impl Into<Address>) -> Result<Self> {
        BindOptions::new().listen(address)
    }

    /// The same listener, with a policy of who is accepted.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// accept4(2): the next connection.
    ///
    /// # Blocking
    /// Until somebody connects. EINTR is retried.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | none: the policy does not admit the peer, whose connection is closed unread | [`Error::Denied`] |
    /// | EMFILE, ENFILE, ENOBUFS, ENOMEM: the connection stays in the backlog | [`Error::System`] |
    #[doc(alias = "accept4")]
    pub fn accept(&self) -> Result<S> {
        let accepted = match socket::accept(self) {
            Err(error) if errno::is(&error, libc::EAGAIN) => self.accept_until(Deadline::NEVER),
            accepted => accepted.map_err(|source| Error::of("accept", source)),
        };
        self.admit(accepted?)
    }

    /// As [`Listener::accept`], without waiting.
    ///
    /// The first call of this or of [`Listener::accept_timeout`] sets O_NONBLOCK on the listening socket, because accept(2) has
    /// no flag for it, and a connection that poll(2) saw may be another acceptor's by the time of the call.
    ///
    /// # Errors
    /// Those of [`Listener::accept`], and EAGAIN → [`Error::WouldBlock`].
    pub fn try_accept(&self) -> Result<S> {
        self.never_block()?;
        let accepted = socket::accept(self).map_err(|source| Error::of("accept", source));
        self.admit(accepted?)
    }

    /// As [`Listener::accept`], waiting no longer than `timeout`.
    ///
    /// # Errors
    /// Those of [`Listener::accept`], and [`Error::TimedOut`].
    pub fn accept_timeout(&self, timeout: Duration) -> Result<S> {
        self.never_block()?;
        let accepted = self.accept_until(Deadline::after(timeout));
        self.admit(accepted?)
    }

    fn accept_until(&self, deadline: Deadline) -> Result<OwnedFd> {
        wait::until(self, libc::POLLIN, deadline, || socket::accept(self))
            .map_err(|source| Error::of("accept", source))
    }

    fn never_block(&self) -> Result<()> {
        if !self.nonblocking.load(Ordering::Acquire) {
            socket::set_nonblocking(self, true).map_err(|source| Error::of("FIONBIO", source))?;
            self.nonblocking.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn admit(&self, fd: OwnedFd) -> Result<S> {
        if let Some(policy) = &self.policy {
            let peer = PeerCredentials::of_peer(&fd)?;
            if !policy.admits(&peer) {
                return Err(Error::Denied(peer));
            }
        }
        Ok(S::from(fd))
    }
}

impl<S> Listener<S> {
    fn new(fd: OwnedFd, name: Option<BoundName>) -> Self {
        let nonblocking = AtomicBool::new(false);
        Self { _name: name, fd, policy: None, nonblocking, connection: PhantomData }
    }

    /// getsockname(2): the name that clients connect to. A path above 107 bytes shows as the one under /proc/self/fd through
    /// which it was bound.
    ///
    /// # Errors
    /// None on a Unix socket.
    #[doc(alias = "getsockname")]
    pub fn local_address(&self) -> Result<Address> {
        let raw = socket::local_address(self).map_err(|source| Error::of("getsockname", source))?;
        Ok(Address::from_raw(&raw))
    }

    /// setsockopt(SO_PASSCRED): each message of whoever connects from now on tells the credentials of its sender. For a
    /// listener that was inherited; one's own is made so by [`BindOptions::credentials`]. Who has connected before and waits to
    /// be accepted may be left out (Linux 6.16).
    ///
    /// # Errors
    /// None on a Unix socket.
    #[doc(alias = "SO_PASSCRED")]
    pub fn set_pass_credentials(&self, pass: bool) -> Result<()> {
        Bare(self.as_fd()).set_pass_credentials(pass)
    }

    /// setsockopt(SO_PASSPIDFD), as [`Listener::set_pass_credentials`].
    ///
    /// # Errors
    /// ENOPROTOOPT → [`Error::Unsupported`] (before Linux 6.5).
    #[doc(alias = "SO_PASSPIDFD")]
    pub fn set_pass_pidfd(&self, pass: bool) -> Result<()> {
        Bare(self.as_fd()).set_pass_pidfd(pass)
    }

    /// Waits until a connection is there; false when the time has passed.
    ///
    /// # Errors
    /// ENOMEM → [`Error::System`].
    pub fn wait(&self, timeout: Duration) -> Result<bool> {
        poll::wait(self, libc::POLLIN, Deadline::after(timeout))
            .map(|events| events.is_some())
            .map_err(|source| Error::of("ppoll", source))
    }
}

impl<S> AsFd for Listener<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<S> AsRawFd for Listener<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl<S> From<OwnedFd> for Listener<S> {
    /// Takes over a listening socket, for instance an inherited one; nothing is checked, and its name is left to whoever
    /// made it.
    fn from(fd: OwnedFd) -> Self {
        Self::new(fd, None)
    }
}

impl From<UnixListener> for Listener<Stream> {
    fn from(listener: UnixListener) -> Self {
        OwnedFd::from(listener).into()
    }
}

impl<S> From<Listener<S>> for OwnedFd {
    /// The descriptor alone: the name that the listener made is removed.
    fn from(listener: Listener<S>) -> Self {
        listener.fd
    }
}
