//! The ends of a pipe for tokio: by readiness (epoll), without a thread, and without O_NONBLOCK on a description that
//! others may share. Only opening a FIFO for writing needs a thread, as without tokio.
//!
//! Every future here may be dropped at any time: what was not returned is still in the pipe, and what was not counted was
//! not written.
#![expect(unsafe_code, reason = "AsyncFd wants a promise that the descriptor stays open")]

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::sync::oneshot;

use crate::rendezvous::{Arrivals, TIMED_OUT, Waiting};
use crate::{Error, Fifo, PipeReader, PipeWriter, Result};

/// A [`PipeReader`] for tokio: `AsyncRead`.
///
/// # Examples
/// ```
/// use ipc_pipe::{AsyncPipeReader, AsyncPipeWriter, pipe};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
/// let (reader, writer) = pipe()?;
/// let (mut reader, mut writer) = (AsyncPipeReader::new(reader)?, AsyncPipeWriter::new(writer)?);
/// writer.write_all(b"hello").await?;
/// let mut buffer = [0; 5];
/// reader.read_exact(&mut buffer).await?;
/// assert_eq!(&buffer, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncPipeReader(AsyncFd<PipeReader>);

impl AsyncPipeReader {
    /// epoll_ctl(EPOLL_CTL_ADD): has the runtime watch the pipe.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EPERM: a regular file, which cannot be watched | [`Error::PermissionDenied`] |
    /// | ENOSPC: the user's /proc/sys/fs/epoll/max_user_watches | [`Error::System`] |
    ///
    /// # Panics
    /// Outside a tokio runtime, or in one without I/O.
    pub fn new(reader: PipeReader) -> Result<Self> {
        watch(reader, Interest::READABLE).map(Self)
    }

    /// The pipe, watched no more.
    #[must_use]
    pub fn into_inner(self) -> PipeReader {
        self.0.into_inner()
    }
}

impl AsyncRead for AsyncPipeReader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(context))?;
            let space = buffer.initialize_unfilled();
            match ready.try_io(|reader| Ok(reader.get_ref().try_read(space)?)) {
                Ok(Ok(len)) => {
                    buffer.advance(len);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_wait) => {}
            }
        }
    }
}

impl AsFd for AsyncPipeReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A [`PipeWriter`] for tokio: `AsyncWrite`. A write without readers is `BrokenPipe`, never SIGPIPE.
///
/// To close it is to drop it: `shutdown` has nothing to do.
#[derive(Debug)]
pub struct AsyncPipeWriter(AsyncFd<PipeWriter>);

impl AsyncPipeWriter {
    /// epoll_ctl(EPOLL_CTL_ADD): has the runtime watch the pipe.
    ///
    /// # Errors
    /// As [`AsyncPipeReader::new`].
    ///
    /// # Panics
    /// Outside a tokio runtime, or in one without I/O.
    pub fn new(writer: PipeWriter) -> Result<Self> {
        watch(writer, Interest::WRITABLE).map(Self)
    }

    /// As [`PipeWriter::write_atomic`]: at most [`PIPE_BUF`](crate::PIPE_BUF) bytes, all or nothing, dropped or not.
    ///
    /// # Errors
    /// As there.
    pub async fn write_atomic(&self, record: &[u8]) -> Result<()> {
        loop {
            let mut ready = self.0.writable().await.map_err(watched)?;
            match self.0.get_ref().try_write_atomic(record) {
                Err(Error::Full) => ready.clear_ready(),
                done => return done,
            }
        }
    }

    /// The pipe, watched no more.
    #[must_use]
    pub fn into_inner(self) -> PipeWriter {
        self.0.into_inner()
    }
}

impl AsyncWrite for AsyncPipeWriter {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(context))?;
            if let Ok(done) = ready.try_io(|writer| writer.get_ref().end().write_now(buffers)) {
                return Poll::Ready(done);
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsFd for AsyncPipeWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Fifo {
    /// open(O_RDONLY) for tokio: waits until somebody has it open for writing, or waits to. No thread is started.
    ///
    /// Dropped before, it leaves nothing; `tokio::time::timeout` gives it a deadline.
    ///
    /// # Errors
    /// As [`Fifo::reader_timeout`], without `TimedOut`, and as [`AsyncPipeReader::new`].
    ///
    /// # Panics
    /// Outside a tokio runtime, or in one without I/O.
    pub async fn async_reader(&self) -> Result<AsyncPipeReader> {
        let arrivals = Arrivals::watch(self)?;
        let reader = AsyncPipeReader::new(self.try_reader()?)?;
        let events = watch(arrivals.events(), Interest::READABLE)?;
        poll_fn(|context| {
            loop {
                if arrivals.is_met(self, reader.0.get_ref())? {
                    return Poll::Ready(Ok(()));
                }
                let mut again = false;
                if let Poll::Ready(ready) = events.poll_read_ready(context) {
                    ready.map_err(watched)?.clear_ready();
                    again = true;
                }
                if let Poll::Ready(ready) = reader.0.poll_read_ready(context) {
                    let mut ready = ready.map_err(watched)?;
                    // The readiness of a reader that is given out must stay: its bytes are announced once.
                    if arrivals.is_met(self, reader.0.get_ref())? {
                        return Poll::Ready(Ok(()));
                    }
                    ready.clear_ready();
                    again = true;
                }
                if !again {
                    return Poll::Pending;
                }
            }
        })
        .await
        .map(|()| reader)
    }

    /// open(O_WRONLY) for tokio: waits until somebody has it open for reading, or waits to; where nobody reads yet, in a
    /// thread (see [`Fifo::writer_timeout`], with what it says of other writers that wait).
    ///
    /// Dropped before, it lets the thread go; `tokio::time::timeout` gives it a deadline.
    ///
    /// # Errors
    /// As [`Fifo::writer_timeout`], without `TimedOut`, and as [`AsyncPipeReader::new`].
    ///
    /// # Panics
    /// Outside a tokio runtime, or in one without I/O.
    pub async fn async_writer(&self) -> Result<AsyncPipeWriter> {
        match self.try_writer() {
            Err(Error::NoReader { .. }) => {}
            done => return AsyncPipeWriter::new(done?),
        }
        let (opened, result) = oneshot::channel();
        let mut waiting = ReleasedOnDrop { waiting: self.wait_for_reader(opened)?, is_over: false };
        let writer = result.await;
        waiting.is_over = true;
        match writer {
            Ok(Ok(writer)) => AsyncPipeWriter::new(writer.into()),
            Ok(Err(error)) => Err(self.failed("open", error)),
            // The thread has gone without a word; it never does.
            Err(_) => Err(TIMED_OUT),
        }
    }

    fn wait_for_reader(&self, opened: oneshot::Sender<io::Result<OwnedFd>>) -> Result<Waiting> {
        Waiting::start(self, move |writer| {
            let _ = opened.send(writer);
        })
    }
}

/// Lets the thread go when the future that waits for it is dropped.
struct ReleasedOnDrop {
    waiting: Waiting,
    is_over: bool,
}

impl Drop for ReleasedOnDrop {
    fn drop(&mut self) {
        if !self.is_over {
            self.waiting.release();
        }
    }
}

/// Registers an end of ours, or a descriptor that is borrowed.
fn watch<T: AsRawFd>(end: T, interest: Interest) -> Result<AsyncFd<T>> {
    // SAFETY: this file passes a PipeReader, a PipeWriter or a BorrowedFd: each is open for as long as it lives, which is
    // as long as the AsyncFd does, and always names the same descriptor.
    let registered = unsafe { AsyncFd::register_with_interest(end, interest) };
    registered.map_err(|error| watched(error.into()))
}

fn watched(error: io::Error) -> Error {
    Error::of_pipe("epoll_ctl", error)
}
