//! The sockets for tokio: by readiness (epoll), without a thread, and without O_NONBLOCK on a connection that others may
//! share.
//!
//! Every future here may be dropped at any time: what was not returned is still in the socket, what was not counted was not
//! sent, and a message that was sent in part is finished by the next send.
#![expect(unsafe_code, reason = "AsyncFd wants a promise that the descriptor stays open")]

mod bytes;
mod framed;
mod server;

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::{UnixDatagram, UnixStream};

pub use self::bytes::ByteStream;
pub use self::framed::AsyncFramed;
pub use self::server::AcceptAsync;
use crate::ancillary;
use crate::socket::Bare;
use crate::wait::Wait;
use crate::{
    Address, Ancillary, Attachments, Connection, Datagram, Error, Listener, Received, Result, SeqPacket,
    Socket, Stream,
};

/// A socket of this crate, or of std, in a tokio runtime.
///
/// Of a [`ByteStream`] it is `AsyncRead` and `AsyncWrite`, the others send, receive and accept; descriptors go through
/// [`AsyncAncillary`].
///
/// # Examples
/// ```
/// use ipc_uds::{Async, Stream};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
/// let (ours, theirs) = Stream::pair()?;
/// let (mut ours, mut theirs) = (Async::new(ours)?, Async::new(theirs)?);
/// ours.write_all(b"hello").await?;
/// let mut buffer = [0; 5];
/// theirs.read_exact(&mut buffer).await?;
/// assert_eq!(&buffer, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct Async<T: AsFd> {
    fd: AsyncFd<Held<T>>,
    /// Whether anything was moved since somebody asked: the idle time of a server.
    active: AtomicBool,
}

/// What AsyncFd holds: a socket that owns its descriptor, and never another one.
#[derive(Debug)]
struct Held<T>(T);

impl<T: AsFd> AsRawFd for Held<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// What [`Async`] takes: [`Stream`], [`SeqPacket`], [`Datagram`], [`Listener`], and std's streams and listeners, Unix and TCP.
/// Nobody else implements it.
pub trait Watched: AsFd + sealed::Sealed {}

impl Watched for Stream {}
impl Watched for SeqPacket {}
impl Watched for Datagram {}
impl<S: Connection> Watched for Listener<S> {}
impl Watched for TcpStream {}
impl Watched for TcpListener {}
impl Watched for net::UnixStream {}
impl Watched for net::UnixListener {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::Stream {}
    impl Sealed for crate::SeqPacket {}
    impl Sealed for crate::Datagram {}
    impl<S> Sealed for crate::Listener<S> {}
    impl Sealed for std::net::TcpStream {}
    impl Sealed for std::net::TcpListener {}
    impl Sealed for std::os::unix::net::UnixStream {}
    impl Sealed for std::os::unix::net::UnixListener {}
    impl<T: std::os::fd::AsFd> Sealed for super::Async<T> {}
    impl Sealed for tokio::net::UnixStream {}
    impl Sealed for tokio::net::UnixDatagram {}
}

impl<T: Watched> Async<T> {
    /// epoll_ctl(EPOLL_CTL_ADD): has the runtime watch the socket.
    ///
    /// # Errors
    /// ENOSPC (the user's /proc/sys/fs/epoll/max_user_watches) → [`Error::System`].
    ///
    /// # Panics
    /// Outside a tokio runtime, or in one without I/O.
    pub fn new(socket: T) -> Result<Self> {
        // SAFETY: `Watched` is implemented for sockets of this crate and of std alone: each owns its descriptor for as long as it
        // lives, which is as long as the AsyncFd does, and always names the same one.
        let fd = unsafe { AsyncFd::register(Held(socket)) };
        let fd = fd.map_err(|error| Error::of("epoll_ctl", error.into()))?;
        Ok(Self { fd, active: AtomicBool::new(true) })
    }

    /// The socket, to ask for its peer and its options.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.fd.get_ref().0
    }

    /// The socket, watched no more.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.fd.into_inner().0
    }

    /// Tries until it would not have to wait.
    async fn run<R>(&self, interest: Interest, mut attempt: impl FnMut(&T) -> Result<R>) -> Result<R> {
        loop {
            let mut ready =
                self.fd.ready(interest).await.map_err(|source| Error::of("epoll_wait", source))?;
            match attempt(self.get_ref()) {
                Err(Error::WouldBlock) => ready.clear_ready(),
                done => {
                    self.active.store(true, Ordering::Relaxed);
                    return done;
                }
            }
        }
    }
}

impl Async<Stream> {
    /// As [`Stream::try_connect`]: a full backlog is [`Error::WouldBlock`], because nothing tells when it has room.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As [`Async::new`].
    pub fn connect(address: impl Into<Address>) -> Result<Self> {
        Self::new(Stream::try_connect(address)?)
    }
}

impl Async<SeqPacket> {
    /// As [`SeqPacket::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&self, bytes: &[u8]) -> Result<()> {
        self.run(Interest::WRITABLE, |socket| socket.try_send(bytes)).await
    }

    /// As [`SeqPacket::recv`].
    ///
    /// # Errors
    /// As there.
    pub async fn recv(&self, buffer: &mut [u8]) -> Result<usize> {
        self.run(Interest::READABLE, |socket| socket.try_recv(buffer)).await
    }
}

impl Async<Datagram> {
    /// As [`Datagram::send`], to the socket that this one is connected to.
    ///
    /// # Errors
    /// As there.
    pub async fn send(&self, bytes: &[u8]) -> Result<()> {
        self.run(Interest::WRITABLE, |socket| socket.try_send(bytes)).await
    }

    /// As [`Datagram::recv`].
    ///
    /// # Errors
    /// As there.
    pub async fn recv(&self, buffer: &mut [u8]) -> Result<usize> {
        self.run(Interest::READABLE, |socket| socket.try_recv(buffer)).await
    }

    /// As [`Datagram::recv_from`].
    ///
    /// # Errors
    /// As there.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, Address)> {
        self.run(Interest::READABLE, |socket| socket.try_recv_from(buffer)).await
    }
}

impl<S: Connection> Async<Listener<S>> {
    /// As [`Listener::accept`]; wrap what it gives in [`Async::new`].
    ///
    /// # Errors
    /// As there.
    pub async fn accept(&self) -> Result<S> {
        self.run(Interest::READABLE, Listener::try_accept).await
    }
}

impl<T: AsFd> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.get_ref().0.as_fd()
    }
}

impl Socket for UnixStream {}
impl Socket for UnixDatagram {}

/// As [`Ancillary`], for [`Async`] sockets and for tokio's own.
///
/// # Examples
/// ```
/// use ipc_uds::AsyncAncillary;
/// use std::os::fd::AsFd;
/// use tokio::net::UnixStream;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
/// let (ours, theirs) = UnixStream::pair()?;
/// let null = std::fs::File::open("/dev/null")?;
/// ours.send_with(b"!", &[null.as_fd()]).await?;
/// let received = theirs.recv_with(&mut [0; 8], 1).await?;
/// assert_eq!((received.len, received.descriptors.len()), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })
/// # }
/// ```
pub trait AsyncAncillary: sealed::Sealed + AsFd + Sync {
    /// As [`Ancillary::send_with`].
    ///
    /// # Errors
    /// As there.
    fn send_with<'a>(
        &self,
        bytes: &[u8],
        with: impl Into<Attachments<'a>> + Send,
    ) -> impl Future<Output = Result<usize>> + Send {
        let with = with.into();
        self.ready_io(Interest::WRITABLE, move |socket| {
            ancillary::send(&Bare(socket), &[IoSlice::new(bytes)], with, Wait::Try)
        })
    }

    /// As [`Ancillary::recv_with`].
    ///
    /// # Errors
    /// As there.
    fn recv_with(
        &self,
        buffer: &mut [u8],
        max_descriptors: usize,
    ) -> impl Future<Output = Result<Received>> + Send {
        self.ready_io(Interest::READABLE, move |socket| {
            ancillary::receive(&Bare(socket), buffer, max_descriptors, Wait::Try)
        })
    }

    #[doc(hidden)]
    fn ready_io<R: Send>(
        &self,
        interest: Interest,
        attempt: impl FnMut(BorrowedFd<'_>) -> Result<R> + Send,
    ) -> impl Future<Output = Result<R>> + Send;
}

impl<T: Watched + Ancillary + Send + Sync> AsyncAncillary for Async<T> {
    async fn ready_io<R: Send>(
        &self,
        interest: Interest,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> Result<R> + Send,
    ) -> Result<R> {
        self.run(interest, |socket| attempt(socket.as_fd())).await
    }
}

impl AsyncAncillary for UnixStream {
    async fn ready_io<R: Send>(
        &self,
        interest: Interest,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> Result<R> + Send,
    ) -> Result<R> {
        flat(self.async_io(interest, || waiting(attempt(self.as_fd()))).await)
    }
}

impl AsyncAncillary for UnixDatagram {
    async fn ready_io<R: Send>(
        &self,
        interest: Interest,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> Result<R> + Send,
    ) -> Result<R> {
        flat(self.async_io(interest, || waiting(attempt(self.as_fd()))).await)
    }
}

/// What tokio must see is that an attempt would have to wait; our own errors pass beside it.
fn waiting<R>(result: Result<R>) -> io::Result<Result<R>> {
    match result {
        Err(Error::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        done => Ok(done),
    }
}

fn flat<R>(result: io::Result<Result<R>>) -> Result<R> {
    result.map_err(|source| Error::of("epoll_wait", source))?
}
