//! The reading end of a pipe or a FIFO. The kernel removes an anonymous pipe when its last descriptor is closed; a
//! FIFO keeps its name, but loses its bytes then.

use std::io::{self, IoSliceMut, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::Stdio;
use std::time::Duration;

use crate::end::End;
use crate::{Error, Result};

/// The reading end of a pipe.
///
/// [`Read`] is implemented for it and for `&PipeReader`: read(2), which waits for a byte, and gives 0 when the last
/// writer has gone and all is drained. A signal (EINTR) does not show.
///
/// To close it is to drop it: the next write of the other side is then [`Error::PeerGone`]. All descriptors are
/// CLOEXEC; hand it to a child through [`Stdio`].
///
/// # After a crash
/// Bytes that were read are gone; what was not read is there for the next reader, as long as somebody holds the pipe.
///
/// # Fork
/// A forked child shares the descriptor: what it reads, the parent does not get. Closing it in the child harms nobody.
#[derive(Debug)]
pub struct PipeReader(End);

impl PipeReader {
    /// read with RWF_NOWAIT: what is there now; 0 when the last writer has gone.
    ///
    /// The open file description stays as it is: others that share it are not made non-blocking.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EAGAIN: writers, but no bytes | [`Error::Empty`] |
    /// | EACCES: a FIFO that may not be opened again | [`Error::PermissionDenied`] |
    /// | EBADF (opened for writing), EISDIR | [`Error::System`] |
    pub fn try_read(&self, buffer: &mut [u8]) -> Result<usize> {
        self.0.read_now(&mut [IoSliceMut::new(buffer)]).map_err(|error| match error.raw_os_error() {
            Some(libc::EAGAIN) => Error::Empty,
            _ => Error::of_pipe("read", error),
        })
    }

    /// read with RWF_NOWAIT, and one ppoll after each EAGAIN: gives up when `timeout` is over.
    ///
    /// # Blocking
    /// At most `timeout`; a signal does not end the wait. Where bytes are there, it costs one call.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | none: writers, but no byte in time | [`Error::TimedOut`] |
    /// | EACCES: as [`PipeReader::try_read`] | [`Error::PermissionDenied`] |
    /// | EBADF, EISDIR | [`Error::System`] |
    pub fn read_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<usize> {
        match self.0.until(libc::POLLIN, timeout, || self.0.read_now(&mut [IoSliceMut::new(buffer)])) {
            Ok(Some(len)) => Ok(len),
            Ok(None) => Err(Error::TimedOut { operation: "read" }),
            Err(error) => Err(Error::of_pipe("read", error)),
        }
    }

    /// fcntl(F_DUPFD_CLOEXEC): one more descriptor of the same end, which then ends when both are dropped.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EMFILE: RLIMIT_NOFILE is reached | [`Error::System`] |
    pub fn try_clone(&self) -> Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl Read for &PipeReader {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    #[inline]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.read_vectored(buffers)
    }
}

impl Read for PipeReader {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    #[inline]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl From<OwnedFd> for PipeReader {
    /// Takes any descriptor: what is no pipe, or the wrong end, is told by the first call.
    fn from(fd: OwnedFd) -> Self {
        Self(End::new(fd))
    }
}

impl From<PipeReader> for OwnedFd {
    fn from(reader: PipeReader) -> Self {
        reader.0.into_fd()
    }
}

impl From<PipeReader> for Stdio {
    fn from(reader: PipeReader) -> Self {
        OwnedFd::from(reader).into()
    }
}

impl AsFd for PipeReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for PipeReader {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
