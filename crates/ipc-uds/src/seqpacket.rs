//! SOCK_SEQPACKET: a connection that carries messages both ways, in order, each whole.
//!
//! Made and ended as a stream is. The kernel says the end of the connection and an empty message in the same way, so that
//! this crate sends no empty one; see [`SeqPacket::recv`] for one of a foreign peer.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use ipc_sys::socket::{self, message};
use ipc_sys::{Deadline, errno, poll};

use crate::name::BoundName;
use crate::stream::connect;
use crate::{Address, BindOptions, Error, Result, wait::Wait};

/// A connected seqpacket socket.
///
/// # After a crash
/// The peer reads what was sent, then the end, or ECONNRESET when something of its own had not been read. A name of one's own
/// ([`SeqPacket::connect_from`]) stays as a path that refuses connections.
///
/// # Fork
/// A forked child has the same connection: its end shows when both have closed it. What the child drops removes no name.
///
/// # Examples
/// ```
/// use ipc_uds::SeqPacket;
///
/// let (ours, theirs) = SeqPacket::pair()?;
/// ours.send(b"one")?;
/// ours.send(b"two")?;
/// let mut buffer = [0; 16];
/// assert_eq!(theirs.recv(&mut buffer)?, 3);
/// assert_eq!(&buffer[..3], b"one");
/// # Ok::<(), ipc_uds::Error>(())
/// ```
#[doc(alias = "SOCK_SEQPACKET")]
#[derive(Debug)]
pub struct SeqPacket {
    _name: Option<BoundName>,
    fd: OwnedFd,
}

impl SeqPacket {
    /// socket(2) and connect(2), as [`Stream::connect`](crate::Stream::connect).
    ///
    /// # Errors
    /// As there.
    pub fn connect(address: impl Into<Address>) -> Result<Self> {
        connect(libc::SOCK_SEQPACKET, &address.into(), Deadline::NEVER).map(Self::from)
    }

    /// As [`Stream::connect_timeout`](crate::Stream::connect_timeout).
    ///
    /// # Errors
    /// As there.
    pub fn connect_timeout(address: impl Into<Address>, timeout: Duration) -> Result<Self> {
        connect(libc::SOCK_SEQPACKET, &address.into(), Deadline::after(timeout)).map(Self::from)
    }

    /// As [`Stream::connect_from`](crate::Stream::connect_from).
    ///
    /// # Errors
    /// As there.
    pub fn connect_from(own: impl Into<Address>, address: impl Into<Address>) -> Result<Self> {
        BindOptions::new().connect(own, address)
    }

    /// socketpair(2).
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM → [`Error::System`].
    pub fn pair() -> Result<(Self, Self)> {
        let (left, right) =
            socket::pair(libc::SOCK_SEQPACKET).map_err(|source| Error::of("socketpair", source))?;
        Ok((left.into(), right.into()))
    }

    /// send(2): one message, whole or not at all.
    ///
    /// # Blocking
    /// While the send buffer is full. EINTR is retried.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | none: no bytes | [`Error::EmptyMessage`] |
    /// | EMSGSIZE: more than the send buffer holds | [`Error::TooLong`] |
    /// | EPIPE, ECONNRESET | [`Error::PeerGone`] |
    #[inline]
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        let sent = message::send(self, not_empty(bytes)?, 0);
        sent.map(drop).map_err(|source| send_failed(self, "send", bytes.len(), source))
    }

    /// As [`SeqPacket::send`], without waiting.
    ///
    /// # Errors
    /// Those of [`SeqPacket::send`], and EAGAIN → [`Error::WouldBlock`].
    pub fn try_send(&self, bytes: &[u8]) -> Result<()> {
        let sent = message::send(self, not_empty(bytes)?, libc::MSG_DONTWAIT);
        sent.map(drop).map_err(|source| send_failed(self, "send", bytes.len(), source))
    }

    /// As [`SeqPacket::send`], waiting no longer than `timeout`.
    ///
    /// # Errors
    /// Those of [`SeqPacket::send`], and [`Error::TimedOut`].
    pub fn send_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<()> {
        let bytes = not_empty(bytes)?;
        Wait::at_most(timeout)
            .run(self, libc::POLLOUT, |flags| message::send(self, bytes, flags))
            .map(drop)
            .map_err(|source| send_failed(self, "send", bytes.len(), source))
    }

    /// recv(2): the next message; 0 is the end of the connection.
    ///
    /// # Blocking
    /// Until there is a message. EINTR is retried.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | none: a message longer than `buffer`, whose rest is gone | [`Error::Truncated`] |
    /// | none: an empty message of a peer that is not made with this crate, on a connection that has not ended | [`Error::EmptyMessage`] |
    /// | ECONNRESET | [`Error::PeerGone`] |
    #[inline]
    pub fn recv(&self, buffer: &mut [u8]) -> Result<usize> {
        let received = message::recv(self, buffer, libc::MSG_TRUNC);
        self.received(received, buffer.len())
    }

    /// As [`SeqPacket::recv`], without waiting.
    ///
    /// # Errors
    /// Those of [`SeqPacket::recv`], and EAGAIN → [`Error::WouldBlock`].
    pub fn try_recv(&self, buffer: &mut [u8]) -> Result<usize> {
        let received = message::recv(self, buffer, libc::MSG_TRUNC | libc::MSG_DONTWAIT);
        self.received(received, buffer.len())
    }

    /// As [`SeqPacket::recv`], waiting no longer than `timeout`.
    ///
    /// # Errors
    /// Those of [`SeqPacket::recv`], and [`Error::TimedOut`].
    pub fn recv_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<usize> {
        let received = Wait::at_most(timeout)
            .run(self, libc::POLLIN, |flags| message::recv(self, buffer, libc::MSG_TRUNC | flags));
        self.received(received, buffer.len())
    }

    #[inline]
    fn received(&self, received: io::Result<usize>, room: usize) -> Result<usize> {
        match received {
            Ok(0) if !hung_up(self)? => Err(Error::EmptyMessage),
            received => whole(received, room),
        }
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

/// Whether the peer will send no more. Asked only after 0 bytes: an end of file, unless this is false.
pub(crate) fn hung_up(fd: impl AsFd) -> Result<bool> {
    let events = poll::wait(fd, libc::POLLRDHUP, Deadline::after(Duration::ZERO))
        .map_err(|source| Error::of("ppoll", source))?;
    Ok(events.is_some())
}

#[inline]
fn not_empty(bytes: &[u8]) -> Result<&[u8]> {
    if bytes.is_empty() { Err(Error::EmptyMessage) } else { Ok(bytes) }
}

/// The result of a receive that was asked for the message's true length.
#[inline]
pub(crate) fn whole(received: io::Result<usize>, room: usize) -> Result<usize> {
    let len = received.map_err(|source| Error::of("recv", source))?;
    if len > room { Err(Error::Truncated { len, max: room }) } else { Ok(len) }
}

#[cold]
pub(crate) fn send_failed(fd: impl AsFd, operation: &'static str, len: usize, source: io::Error) -> Error {
    if errno::is(&source, libc::EMSGSIZE) {
        // What the kernel compares the length with, net/unix/af_unix.c.
        let buffer = socket::option(fd, libc::SO_SNDBUF).unwrap_or(0);
        return Error::TooLong { len, max: usize::try_from(buffer).unwrap_or(0).saturating_sub(32) };
    }
    Error::of(operation, source)
}

impl AsFd for SeqPacket {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for SeqPacket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl From<OwnedFd> for SeqPacket {
    /// Takes over a seqpacket socket, for instance an inherited one; nothing is checked.
    fn from(fd: OwnedFd) -> Self {
        Self::named(fd, None)
    }
}

impl From<SeqPacket> for OwnedFd {
    /// The descriptor alone: a name that the socket was bound to is removed.
    fn from(socket: SeqPacket) -> Self {
        socket.fd
    }
}
