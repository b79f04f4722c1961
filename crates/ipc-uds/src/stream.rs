//! SOCK_STREAM: a connection that carries bytes both ways, in order, without boundaries.
//!
//! A client makes it by connect(2), a server takes its end by accept(2), relatives get both ends of a pair. It is gone with
//! its last descriptor; a peer that was killed is an end of file here, or ECONNRESET when it had not read everything.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ipc_sys::Deadline;
use ipc_sys::socket::{self, message};

use crate::name::BoundName;
use crate::{Address, BindOptions, Error, Result, wait::Wait};

/// A connected stream socket.
///
/// [`Read`] and [`Write`] are implemented for it and for a shared reference, each one recv(2) or send(2): a write to a peer
/// that is gone is an error (EPIPE), never SIGPIPE. It is not buffered.
///
/// # After a crash
/// The peer reads what was sent, then the end, or ECONNRESET when something of its own had not been read. A name of one's own
/// ([`Stream::connect_from`]) stays as a path that refuses connections.
///
/// # Fork
/// A forked child has the same connection: its end shows when both have closed it. What the child drops removes no name.
///
/// # Examples
/// ```
/// use ipc_uds::Stream;
/// use std::io::{Read, Write};
///
/// let (mut ours, mut theirs) = Stream::pair()?;
/// ours.write_all(b"hello")?;
/// let mut bytes = [0; 5];
/// theirs.read_exact(&mut bytes)?;
/// assert_eq!(&bytes, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "SOCK_STREAM")]
#[derive(Debug)]
pub struct Stream {
    _name: Option<BoundName>,
    fd: OwnedFd,
}

impl Stream {
    /// socket(2) and connect(2).
    ///
    /// # Blocking
    /// While the server's backlog is full. EINTR is retried.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | ENOENT, ENOTDIR; ENOENT also for a path above 107 bytes where /proc is not mounted | [`Error::NotFound`] |
    /// | ECONNREFUSED: nobody listens, or it is no socket | [`Error::ConnectionRefused`] |
    /// | EPROTOTYPE | [`Error::WrongType`] |
    /// | nothing, or a NUL byte, in the path; above 107 bytes in an abstract name | [`Error::InvalidAddress`] |
    /// | EACCES: no write permission on the socket, no search permission on a directory | [`Error::PermissionDenied`] |
    /// | ELOOP, ENAMETOOLONG, EMFILE, ENFILE | [`Error::System`] |
    ///
    /// # Examples
    /// ```no_run
    /// # use ipc_uds::Stream;
    /// let by_path = Stream::connect("/run/x.socket")?;
    /// let abstract_name = Stream::connect("@x")?;
    /// # Ok::<(), ipc_uds::Error>(())
    /// ```
    pub fn connect(address: impl Into<Address>) -> Result<Self> {
        connect(libc::SOCK_STREAM, &address.into(), Deadline::NEVER).map(Self::from)
    }

    /// As [`Stream::connect`], but a full backlog is waited for no longer than `timeout`; zero does not wait at all.
    ///
    /// # Errors
    /// Those of [`Stream::connect`], and [`Error::TimedOut`].
    pub fn connect_timeout(address: impl Into<Address>, timeout: Duration) -> Result<Self> {
        connect(libc::SOCK_STREAM, &address.into(), Deadline::after(timeout)).map(Self::from)
    }

    /// As [`Stream::connect`], but a full backlog is not waited for.
    ///
    /// # Errors
    /// Those of [`Stream::connect`], and EAGAIN → [`Error::WouldBlock`].
    pub fn try_connect(address: impl Into<Address>) -> Result<Self> {
        Self::connect_timeout(address, Duration::ZERO).map_err(|error| match error {
            Error::TimedOut => Error::WouldBlock,
            other => other,
        })
    }

    /// bind(2) to a name of one's own with mode 0600, then connect(2): for servers that look at what their clients are
    /// called. The name is removed when the stream is dropped; see [`BindOptions::connect`] for other modes.
    ///
    /// # Errors
    /// Those of [`Stream::connect`] and of [`BindOptions::listen`].
    pub fn connect_from(own: impl Into<Address>, address: impl Into<Address>) -> Result<Self> {
        BindOptions::new().connect(own, address)
    }

    /// socketpair(2): both ends, unnamed.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM → [`Error::System`].
    #[doc(alias = "socketpair")]
    pub fn pair() -> Result<(Self, Self)> {
        let (left, right) =
            socket::pair(libc::SOCK_STREAM).map_err(|source| Error::of("socketpair", source))?;
        Ok((left.into(), right.into()))
    }

    /// recv(2) with MSG_DONTWAIT: whatever is there; 0 is the end.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EAGAIN | [`Error::WouldBlock`] |
    /// | ECONNRESET | [`Error::PeerGone`] |
    pub fn try_read(&self, buffer: &mut [u8]) -> Result<usize> {
        message::recv(self, buffer, libc::MSG_DONTWAIT).map_err(|source| Error::of("recv", source))
    }

    /// recv(2), waiting no longer than `timeout`: one ppoll(2), and only when nothing is there.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | none: nothing came in time | [`Error::TimedOut`] |
    /// | ECONNRESET | [`Error::PeerGone`] |
    pub fn read_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<usize> {
        Wait::at_most(timeout)
            .run(self, libc::POLLIN, |flags| message::recv(self, buffer, flags))
            .map_err(|source| Error::of("recv", source))
    }

    /// send(2) with MSG_DONTWAIT: as much as there is room for.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EAGAIN | [`Error::WouldBlock`] |
    /// | EPIPE, ECONNRESET | [`Error::PeerGone`] |
    pub fn try_write(&self, bytes: &[u8]) -> Result<usize> {
        message::send(self, bytes, libc::MSG_DONTWAIT).map_err(|source| Error::of("send", source))
    }

    /// send(2), waiting for room no longer than `timeout`; it may send a part.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | none: nothing could be sent in time | [`Error::TimedOut`] |
    /// | EPIPE, ECONNRESET | [`Error::PeerGone`] |
    pub fn write_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<usize> {
        Wait::at_most(timeout)
            .run(self, libc::POLLOUT, |flags| message::send(self, bytes, flags))
            .map_err(|source| Error::of("send", source))
    }

    /// setsockopt(SO_RCVTIMEO): how long a read of this socket waits, in whoever's hands it is; it then fails with
    /// `WouldBlock`. `None` is for ever.
    ///
    /// # Errors
    /// None on a socket.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        set_timeout(self, libc::SO_RCVTIMEO, timeout)
    }

    /// setsockopt(SO_SNDTIMEO): as [`Stream::set_read_timeout`], of writes.
    ///
    /// # Errors
    /// None on a socket.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        set_timeout(self, libc::SO_SNDTIMEO, timeout)
    }

    /// dup(2): another descriptor of the same socket. The name, if it was bound to one, stays with this one.
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

pub(crate) fn set_timeout(fd: impl AsFd, option: libc::c_int, timeout: Option<Duration>) -> Result<()> {
    // A zero timeval is for ever, so that the shortest wait is a microsecond.
    let timeout = timeout.map_or(Duration::ZERO, |timeout| timeout.max(Duration::from_micros(1)));
    socket::set_timeout(fd, option, timeout).map_err(|source| Error::of("setsockopt", source))
}

/// socket(2) and connect(2) until a deadline.
pub(crate) fn connect(kind: libc::c_int, address: &Address, deadline: Deadline) -> Result<OwnedFd> {
    let fd = socket::socket(kind).map_err(|source| Error::of("socket", source))?;
    connect_to(&fd, address, deadline)?;
    Ok(fd)
}

/// connect(2) of a socket that nobody else has yet. There is nothing to poll for while a backlog is full, but the kernel
/// waits for it, up to SO_SNDTIMEO.
pub(crate) fn connect_to(fd: &OwnedFd, address: &Address, deadline: Deadline) -> Result<()> {
    let reached = address.reach()?;
    let failed = |source| Error::at("connect", address, source);
    loop {
        let left = deadline.remaining();
        match left {
            None => {}
            Some(Duration::ZERO) => socket::set_nonblocking(fd, true).map_err(failed)?,
            Some(left) => set_timeout(fd, libc::SO_SNDTIMEO, Some(left))?,
        }
        let done = socket::connect(fd, &reached.raw);
        match left {
            None => {}
            Some(Duration::ZERO) => socket::set_nonblocking(fd, false).map_err(failed)?,
            Some(_) => set_timeout(fd, libc::SO_SNDTIMEO, None)?,
        }
        match done {
            Ok(()) => return Ok(()),
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) if left == Some(Duration::ZERO) => return Err(Error::TimedOut),
                // SO_SNDTIMEO counts in ticks: look at the clock once more.
                Some(libc::EAGAIN) if left.is_some() => {}
                _ => return Err(failed(error)),
            },
        }
    }
}

impl Read for Stream {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    #[inline]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Read for &Stream {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        message::recv(self, buffer, 0)
    }

    #[inline]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(message::receive_message(self, buffers, None, 0)?.len)
    }
}

impl Write for Stream {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    #[inline]
    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bytes)
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for &Stream {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        message::send(self, bytes, 0)
    }

    #[inline]
    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        message::send_message(self, bytes, &socket::control::Control::new(), None, 0)
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl From<OwnedFd> for Stream {
    /// Takes over a stream socket, for instance an inherited one; nothing is checked.
    fn from(fd: OwnedFd) -> Self {
        Self::named(fd, None)
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        OwnedFd::from(stream).into()
    }
}

impl From<Stream> for OwnedFd {
    /// The descriptor alone: a name that the stream was bound to is removed.
    fn from(stream: Stream) -> Self {
        stream.fd
    }
}

impl From<Stream> for UnixStream {
    fn from(stream: Stream) -> Self {
        OwnedFd::from(stream).into()
    }
}
