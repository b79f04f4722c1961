//! What every connected or bound Unix socket can tell and be told: its addresses, its peer, its buffers, what the kernel
//! adds to each message. Implemented for the sockets of this crate and for those of std.

use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use ipc_sys::{errno, socket};

use crate::{Address, Error, PeerCredentials, Result, peer};

/// Socket options and identity, on our sockets and on std's.
///
/// Bring it into scope (`use ipc_uds::Socket`) to call its methods.
pub trait Socket: AsFd {
    /// getsockname(2): what this socket is called.
    ///
    /// # Errors
    /// None on a Unix socket.
    #[doc(alias = "getsockname")]
    fn local_address(&self) -> Result<Address> {
        let raw = socket::local_address(self).map_err(|source| Error::of("getsockname", source))?;
        Ok(Address::from_raw(&raw))
    }

    /// getpeername(2): what the other end is called; a client that did not bind is unnamed. A path is what the peer wrote:
    /// it says nothing of who the peer is, [`Socket::peer_credentials`] does.
    ///
    /// # Errors
    /// ENOTCONN → [`Error::NotConnected`].
    #[doc(alias = "getpeername")]
    fn peer_address(&self) -> Result<Address> {
        let raw = socket::peer_address(self).map_err(|source| Error::of("getpeername", source))?;
        Ok(Address::from_raw(&raw))
    }

    /// shutdown(2): ends one direction, or both, for every descriptor of this socket. The peer reads what was sent and then
    /// the end; what the peer sends after [`Shutdown::Read`] is EPIPE there.
    ///
    /// # Errors
    /// None on a Unix socket.
    fn shutdown(&self, how: Shutdown) -> Result<()> {
        let how = match how {
            Shutdown::Read => libc::SHUT_RD,
            Shutdown::Write => libc::SHUT_WR,
            Shutdown::Both => libc::SHUT_RDWR,
        };
        socket::shutdown(self, how).map_err(|source| Error::of("shutdown", source))
    }

    /// getsockopt(SO_PEERCRED): process, user and group of the peer at the moment of its connect(2), listen(2) or
    /// socketpair(2), whatever it became since.
    ///
    /// # Errors
    /// No peer → [`Error::NotConnected`].
    #[doc(alias = "SO_PEERCRED")]
    fn peer_credentials(&self) -> Result<PeerCredentials> {
        PeerCredentials::of_peer(self)
    }

    /// getsockopt(SO_PEERGROUPS): the supplementary groups of the peer at that same moment.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | ENODATA | [`Error::NotConnected`] |
    /// | ENOPROTOOPT: before Linux 4.13 | [`Error::Unsupported`] |
    #[doc(alias = "SO_PEERGROUPS")]
    fn peer_groups(&self) -> Result<Vec<u32>> {
        peer::groups(self)
    }

    /// getsockopt(SO_PEERPIDFD): a descriptor of the very process that connected; it stays that process even when its
    /// number has been given to another one. Poll it for POLLIN to learn of its end.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | ENOPROTOOPT: before Linux 6.5 | [`Error::Unsupported`] |
    /// | ESRCH, EINVAL: kernels before 6.16; later ones give a descriptor of the ended process | [`Error::PeerExited`] |
    /// | ENODATA | [`Error::NotConnected`] |
    /// | EMFILE | [`Error::System`] |
    #[doc(alias = "SO_PEERPIDFD")]
    fn peer_pidfd(&self) -> Result<OwnedFd> {
        peer::pidfd(self)
    }

    /// getsockopt(SO_PEERSEC): the label that the security module (SELinux, SMACK, AppArmor) gave the peer.
    ///
    /// # Errors
    /// ENOPROTOOPT → [`Error::Unsupported`]: no module labels sockets here.
    #[doc(alias = "SO_PEERSEC")]
    fn peer_security(&self) -> Result<Vec<u8>> {
        peer::security(self)
    }

    /// getsockopt(SO_SNDBUF): bytes that may be on their way, the kernel's overhead included.
    ///
    /// # Errors
    /// None on a socket.
    fn send_buffer(&self) -> Result<usize> {
        size(self, libc::SO_SNDBUF)
    }

    /// setsockopt(SO_SNDBUF): asks for `bytes`; gives what it became: twice that, at least 4608, at most twice
    /// /proc/sys/net/core/wmem_max.
    ///
    /// # Errors
    /// None on a socket.
    fn set_send_buffer(&self, bytes: usize) -> Result<usize> {
        set_size(self, libc::SO_SNDBUF, bytes)
    }

    /// getsockopt(SO_RCVBUF). A Unix socket does not use it: the sender's buffer counts.
    ///
    /// # Errors
    /// None on a socket.
    fn receive_buffer(&self) -> Result<usize> {
        size(self, libc::SO_RCVBUF)
    }

    /// setsockopt(SO_RCVBUF), as [`Socket::set_send_buffer`].
    ///
    /// # Errors
    /// None on a socket.
    fn set_receive_buffer(&self, bytes: usize) -> Result<usize> {
        set_size(self, libc::SO_RCVBUF, bytes)
    }

    /// ioctl(FIONREAD): bytes that wait to be received; of a message socket, the length of the next message.
    ///
    /// # Errors
    /// EINVAL on a listening socket → [`Error::System`].
    fn bytes_readable(&self) -> Result<usize> {
        socket::readable(self).map_err(|source| Error::of("FIONREAD", source))
    }

    /// ioctl(FIONBIO), O_NONBLOCK: of the open file description, hence of every descriptor of this socket in every process.
    /// The `try_` and `_timeout` calls do not need it.
    ///
    /// # Errors
    /// None on a socket.
    fn set_nonblocking(&self, nonblocking: bool) -> Result<()> {
        socket::set_nonblocking(self, nonblocking).map_err(|source| Error::of("FIONBIO", source))
    }

    /// setsockopt(SO_PASSCRED): each message that is sent from now on tells the credentials of its sender, who cannot forge
    /// them, [`Received::credentials`](crate::Received::credentials).
    ///
    /// A message that was sent before names nobody, and its credentials are `None`: after accept or connect this call comes
    /// too late for a peer that speaks at once. [`BindOptions`](crate::BindOptions::credentials) turns it on before anybody
    /// can send: for what a listener accepts, for a datagram socket, and for
    /// [a client](crate::BindOptions::connect).
    ///
    /// # Errors
    /// None on a Unix socket.
    #[doc(alias = "SO_PASSCRED")]
    fn set_pass_credentials(&self, pass: bool) -> Result<()> {
        set_flag(self, libc::SO_PASSCRED, "SO_PASSCRED", pass)
    }

    /// setsockopt(SO_PASSPIDFD): each message that is sent from now on brings a descriptor of the process that sent it; one
    /// that was sent before brings none, as with [`Socket::set_pass_credentials`].
    ///
    /// # Errors
    /// ENOPROTOOPT → [`Error::Unsupported`] (before Linux 6.5).
    #[doc(alias = "SO_PASSPIDFD")]
    fn set_pass_pidfd(&self, pass: bool) -> Result<()> {
        const SO_PASSPIDFD: libc::c_int = 76;
        set_flag(self, SO_PASSPIDFD, "SO_PASSPIDFD", pass)
    }

    /// setsockopt(SO_PASSRIGHTS), on unless it is turned off: with `false` a peer that sends descriptors gets EPERM, and
    /// none can be parked in this socket. A listener hands it on to what it accepts.
    ///
    /// # Errors
    /// ENOPROTOOPT → [`Error::Unsupported`] (before Linux 6.16).
    #[doc(alias = "SO_PASSRIGHTS")]
    fn set_pass_descriptors(&self, pass: bool) -> Result<()> {
        const SO_PASSRIGHTS: libc::c_int = 83;
        set_flag(self, SO_PASSRIGHTS, "SO_PASSRIGHTS", pass)
    }

    /// setsockopt(SO_PASSSEC): from now on each received message brings the security label of its sender.
    ///
    /// # Errors
    /// ENOPROTOOPT → [`Error::Unsupported`].
    #[doc(alias = "SO_PASSSEC")]
    fn set_pass_security(&self, pass: bool) -> Result<()> {
        set_flag(self, libc::SO_PASSSEC, "SO_PASSSEC", pass)
    }

    /// getsockopt(SO_ERROR): takes the error that waits on the socket, such as the ECONNRESET of a peer that closed with
    /// unread data.
    ///
    /// # Errors
    /// None on a socket.
    fn take_error(&self) -> Result<Option<std::io::Error>> {
        let number = socket::option(self, libc::SO_ERROR).map_err(|source| Error::of("SO_ERROR", source))?;
        Ok((number != 0).then(|| std::io::Error::from_raw_os_error(number)))
    }
}

impl Socket for crate::Stream {}
impl Socket for crate::SeqPacket {}
impl Socket for crate::Datagram {}
impl Socket for UnixStream {}
impl Socket for UnixDatagram {}

impl<T: Socket + ?Sized> Socket for &T {}

/// Any socket, by its descriptor.
pub(crate) struct Bare<'a>(pub(crate) BorrowedFd<'a>);

impl AsFd for Bare<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0
    }
}

impl Socket for Bare<'_> {}

fn size(fd: impl AsFd, name: libc::c_int) -> Result<usize> {
    let size = socket::option(fd, name).map_err(|source| Error::of("getsockopt", source))?;
    Ok(usize::try_from(size).unwrap_or(0))
}

fn set_size(fd: impl AsFd, name: libc::c_int, bytes: usize) -> Result<usize> {
    // The kernel doubles the value in an int: more than a quarter of the range is as good as for ever.
    let asked = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX).min(libc::c_int::MAX / 4);
    socket::set_option(&fd, name, asked).map_err(|source| Error::of("setsockopt", source))?;
    size(fd, name)
}

fn set_flag(fd: impl AsFd, name: libc::c_int, what: &'static str, on: bool) -> Result<()> {
    socket::set_option(fd, name, libc::c_int::from(on)).map_err(|source| match source.raw_os_error() {
        Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP) => Error::Unsupported { what, source },
        _ if errno::is(&source, libc::EINVAL) => Error::Unsupported { what, source },
        _ => Error::of(what, source),
    })
}
