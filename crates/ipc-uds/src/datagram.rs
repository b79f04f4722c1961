//! SOCK_DGRAM: messages between names, without connections; unlike UDP, none is lost, doubled or out of order.
//!
//! A receiver binds a name; a sender needs none, but cannot be answered then. A full receiver makes its senders wait
//! (/proc/sys/net/unix/max_dgram_qlen messages). An empty message is a message: there is no end of file.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use ipc_sys::socket::{self, message};

use crate::name::BoundName;
use crate::seqpacket::{send_failed, whole};
use crate::{Address, BindOptions, Error, Result, wait::Wait};

/// A datagram socket.
///
/// # After a crash
/// A path that was bound stays and refuses messages ([`Stale::Replace`](crate::Stale::Replace) takes it over); what had arrived
/// and was not received is gone.
///
/// # Fork
/// A forked child has the same socket, and each message goes to one of the two. What the child drops removes no name.
///
/// # Examples
/// ```
/// use ipc_uds::{Address, Datagram, Socket};
///
/// let receiver = Datagram::bind(Address::unnamed())?; // the kernel chooses an abstract name
/// let sender = Datagram::unbound()?;
/// sender.send_to(b"hello", receiver.local_address()?)?;
/// let mut buffer = [0; 16];
/// let (len, from) = receiver.recv_from(&mut buffer)?;
/// assert_eq!((&buffer[..len], from.is_unnamed()), (&b"hello"[..], true));
/// # Ok::<(), ipc_uds::Error>(())
/// ```
#[doc(alias = "SOCK_DGRAM")]
#[derive(Debug)]
pub struct Datagram {
    _name: Option<BoundName>,
    fd: OwnedFd,
}

impl Datagram {
    /// socket(2): a socket without a name, to send with.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM → [`Error::System`].
    pub fn unbound() -> Result<Self> {
        socket::socket(libc::SOCK_DGRAM).map(Self::from).map_err(|source| Error::of("socket", source))
    }

    /// socket(2) and bind(2), mode 0600; see [`BindOptions::datagram`] for more. The name is removed at drop.
    ///
    /// # Errors
    /// Those of [`BindOptions::datagram`].
    pub fn bind(address: impl Into<Address>) -> Result<Self> {
        BindOptions::new().datagram(address)
    }

    /// socketpair(2).
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM → [`Error::System`].
    pub fn pair() -> Result<(Self, Self)> {
        let (left, right) =
            socket::pair(libc::SOCK_DGRAM).map_err(|source| Error::of("socketpair", source))?;
        Ok((left.into(), right.into()))
    }

    /// connect(2): where [`Datagram::send`] sends to from now on, and the only one that is received from. Never blocks.
    ///
    /// # Errors
    /// As [`Stream::connect`](crate::Stream::connect); EPERM (the other one is connected elsewhere)
    /// → [`Error::PermissionDenied`].
    pub fn connect(&self, address: impl Into<Address>) -> Result<()> {
        let address = address.into();
        let reached = address.reach()?;
        socket::connect(self, &reached.raw).map_err(|source| Error::at("connect", &address, source))
    }

    /// send(2): one message to the socket connected to.
    ///
    /// # Blocking
    /// While the send buffer or the receiver is full. EINTR is retried.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EMSGSIZE | [`Error::TooLong`] |
    /// | ENOTCONN | [`Error::NotConnected`] |
    /// | ECONNREFUSED (it is gone), ECONNRESET, EPIPE | [`Error::PeerGone`] |
    #[inline]
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        message::send(self, bytes, 0).map(drop).map_err(|source| to_peer_failed(self, bytes.len(), source))
    }

    /// As [`Datagram::send`], without waiting.
    ///
    /// # Errors
    /// Those of [`Datagram::send`], and EAGAIN → [`Error::WouldBlock`].
    pub fn try_send(&self, bytes: &[u8]) -> Result<()> {
        let sent = message::send(self, bytes, libc::MSG_DONTWAIT);
        sent.map(drop).map_err(|source| to_peer_failed(self, bytes.len(), source))
    }

    /// As [`Datagram::send`], waiting no longer than `timeout`.
    ///
    /// # Errors
    /// Those of [`Datagram::send`], and [`Error::TimedOut`].
    pub fn send_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<()> {
        Wait::at_most(timeout)
            .run(self, libc::POLLOUT, |flags| message::send(self, bytes, flags))
            .map(drop)
            .map_err(|source| to_peer_failed(self, bytes.len(), source))
    }

    /// sendto(2): one message to this address. There is no form with a timeout: the kernel tells nobody when a receiver that
    /// one is not connected to has room again; connect, then [`Datagram::send_timeout`].
    ///
    /// # Blocking
    /// While the send buffer or the receiver is full. EINTR is retried.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EMSGSIZE | [`Error::TooLong`] |
    /// | ENOENT | [`Error::NotFound`] |
    /// | ECONNREFUSED | [`Error::ConnectionRefused`] |
    /// | EPROTOTYPE | [`Error::WrongType`] |
    /// | EACCES, EPERM (it is connected to another) | [`Error::PermissionDenied`] |
    #[doc(alias = "sendto")]
    pub fn send_to(&self, bytes: &[u8], address: impl Into<Address>) -> Result<()> {
        self.send_to_flags(bytes, &address.into(), 0)
    }

    /// As [`Datagram::send_to`], without waiting.
    ///
    /// # Errors
    /// Those of [`Datagram::send_to`], and EAGAIN → [`Error::WouldBlock`].
    pub fn try_send_to(&self, bytes: &[u8], address: impl Into<Address>) -> Result<()> {
        self.send_to_flags(bytes, &address.into(), libc::MSG_DONTWAIT)
    }

    fn send_to_flags(&self, bytes: &[u8], address: &Address, flags: libc::c_int) -> Result<()> {
        let reached = address.reach()?;
        message::send_to(self, bytes, &reached.raw, flags).map(drop).map_err(|source| {
            match send_failed(self, "sendto", bytes.len(), source) {
                Error::System { source, .. } | Error::PermissionDenied { source, .. } => {
                    Error::at("sendto", address, source)
                }
                other => other,
            }
        })
    }

    /// recv(2): the next message, its length; 0 is an empty message.
    ///
    /// # Blocking
    /// Until there is a message. EINTR is retried.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | none: a message longer than `buffer`, whose rest is gone | [`Error::Truncated`] |
    /// | ECONNRESET | [`Error::PeerGone`] |
    #[inline]
    pub fn recv(&self, buffer: &mut [u8]) -> Result<usize> {
        whole(message::recv(self, buffer, libc::MSG_TRUNC), buffer.len())
    }

    /// As [`Datagram::recv`], without waiting.
    ///
    /// # Errors
    /// Those of [`Datagram::recv`], and EAGAIN → [`Error::WouldBlock`].
    pub fn try_recv(&self, buffer: &mut [u8]) -> Result<usize> {
        whole(message::recv(self, buffer, libc::MSG_TRUNC | libc::MSG_DONTWAIT), buffer.len())
    }

    /// As [`Datagram::recv`], waiting no longer than `timeout`.
    ///
    /// # Errors
    /// Those of [`Datagram::recv`], and [`Error::TimedOut`].
    pub fn recv_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<usize> {
        let received = Wait::at_most(timeout)
            .run(self, libc::POLLIN, |flags| message::recv(self, buffer, libc::MSG_TRUNC | flags));
        whole(received, buffer.len())
    }

    /// recvfrom(2): the next message and the name of its sender.
    ///
    /// # Blocking
    /// Until there is one. EINTR is retried.
    ///
    /// # Errors
    /// Those of [`Datagram::recv`].
    #[doc(alias = "recvfrom")]
    pub fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, Address)> {
        self.recv_from_waiting(buffer, Wait::Block)
    }

    /// As [`Datagram::recv_from`], without waiting.
    ///
    /// # Errors
    /// Those of [`Datagram::try_recv`].
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> Result<(usize, Address)> {
        self.recv_from_waiting(buffer, Wait::Try)
    }

    /// As [`Datagram::recv_from`], waiting no longer than `timeout`.
    ///
    /// # Errors
    /// Those of [`Datagram::recv_timeout`].
    pub fn recv_from_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<(usize, Address)> {
        self.recv_from_waiting(buffer, Wait::at_most(timeout))
    }

    fn recv_from_waiting(&self, buffer: &mut [u8], wait: Wait) -> Result<(usize, Address)> {
        let (len, from) = wait
            .run(self, libc::POLLIN, |flags| message::recv_from(self, buffer, libc::MSG_TRUNC | flags))
            .map_err(|source| Error::of("recvfrom", source))?;
        Ok((whole(Ok(len), buffer.len())?, Address::from_raw(&from)))
    }

    /// dup(2). The name, if it was bound to one, stays with this one.
    ///
    /// # Errors
    /// EMFILE → [`Error::System`].
    pub fn try_clone(&self) -> Result<Self> {
        let fd = self.fd.try_clone().map_err(|source| Error::of("dup", source))?;
        Ok(fd.into())
    }

    pub(crate) fn named(fd: OwnedFd, name: Option<BoundName>) -> Self {
        Self { _name: name, fd }
    }
}

/// A connected datagram socket hears ECONNREFUSED when the other one is gone.
fn to_peer_failed(socket: &Datagram, len: usize, source: std::io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::ECONNREFUSED) => Error::PeerGone { operation: "send", source },
        _ => send_failed(socket, "send", len, source),
    }
}

impl AsFd for Datagram {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Datagram {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl From<OwnedFd> for Datagram {
    /// Takes over a datagram socket, for instance an inherited one; nothing is checked.
    fn from(fd: OwnedFd) -> Self {
        Self::named(fd, None)
    }
}

impl From<UnixDatagram> for Datagram {
    fn from(socket: UnixDatagram) -> Self {
        OwnedFd::from(socket).into()
    }
}

impl From<Datagram> for OwnedFd {
    /// The descriptor alone: a name that the socket was bound to is removed.
    fn from(socket: Datagram) -> Self {
        socket.fd
    }
}

impl From<Datagram> for UnixDatagram {
    fn from(socket: Datagram) -> Self {
        OwnedFd::from(socket).into()
    }
}
