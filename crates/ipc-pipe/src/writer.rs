//! The writing end of a pipe or a FIFO. A write to a pipe without readers is EPIPE and nothing else: SIGPIPE, whose
//! default is death, is not raised, whatever the process has set for it.

use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::Stdio;
use std::time::Duration;

use crate::end::End;
use crate::{Error, Result};

/// The most bytes that the kernel writes in one piece, whoever else writes: `PIPE_BUF`, 4096 on Linux.
pub const PIPE_BUF: usize = libc::PIPE_BUF;

/// The writing end of a pipe.
///
/// [`Write`] is implemented for it and for `&PipeWriter`: pwritev2(2) with RWF_NOSIGNAL, one call a write, as the C
/// loop makes one; before Linux 6.18, where that flag is missing, SIGPIPE is blocked around the call and taken back
/// (two more calls, four on EPIPE). It waits for room; a signal (EINTR) does not show.
///
/// That promise has a price: pwritev2(2) takes its bytes through an iovec, which the kernel copies in first. A write and a
/// read of 64 bytes take 1.2 times as long as with plain write(2), and no longer than those of C that makes the same
/// promise in the same way (`cargo xtask bench --only pipe` in the repository). Asking for the disposition first, or
/// blocking the signal, costs more and knows less. Who is certain that SIGPIPE stays ignored can have plain write(2):
/// `std::fs::File::from(OwnedFd::from(writer))`.
///
/// To close it is to drop it: the last writer's going is the readers' end of file.
///
/// # After a crash
/// The kernel closes a killed writer's descriptors: the readers get what it had written, and then the end of file. A
/// write of more than [`PIPE_BUF`] may have been written in part; frames tell ([`frame`](crate::frame)).
///
/// # Fork
/// A forked child shares the descriptor: the readers see no end of file before it has closed it, too. It may write;
/// what is at most [`PIPE_BUF`] long is not mixed up with the parent's.
#[derive(Debug)]
pub struct PipeWriter(End);

impl PipeWriter {
    /// write of at most [`PIPE_BUF`] bytes: all of them, together, not mixed with what others write.
    ///
    /// # Blocking
    /// Until there is room for all. A signal does not show.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | none: more than PIPE_BUF, nothing was written | [`Error::TooLong`] |
    /// | EPIPE | [`Error::PeerGone`] |
    /// | EAGAIN: the open file description is O_NONBLOCK, and there is no room for all | [`Error::Full`] |
    /// | EBADF (opened for reading) | [`Error::System`] |
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (_reader, writer) = ipc_pipe::pipe()?;
    /// writer.write_atomic(b"a record that nobody tears")?;
    /// assert!(matches!(writer.write_atomic(&[0; 4097]), Err(ipc_pipe::Error::TooLong { max: 4096, .. })));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "PIPE_BUF")]
    pub fn write_atomic(&self, record: &[u8]) -> Result<()> {
        self.atomic(record, || self.0.write(&[IoSlice::new(record)]).map(Some))
    }

    /// As [`PipeWriter::write_atomic`], without waiting for room.
    ///
    /// # Errors
    /// As there; EAGAIN, [`Error::Full`], when there is no room for all: nothing was written.
    pub fn try_write_atomic(&self, record: &[u8]) -> Result<()> {
        self.atomic(record, || self.0.write_now(&[IoSlice::new(record)]).map(Some))
    }

    /// As [`PipeWriter::write_atomic`]; gives up when there was no room for all within `timeout`.
    ///
    /// # Errors
    /// As there; [`Error::TimedOut`]: nothing was written.
    pub fn write_atomic_timeout(&self, record: &[u8], timeout: Duration) -> Result<()> {
        self.atomic(record, || {
            self.0.until(libc::POLLOUT, timeout, || self.0.write_now(&[IoSlice::new(record)]))
        })
    }

    fn atomic(&self, record: &[u8], write: impl FnOnce() -> io::Result<Option<usize>>) -> Result<()> {
        if record.len() > PIPE_BUF {
            return Err(Error::TooLong { len: record.len(), max: PIPE_BUF });
        }
        // Up to PIPE_BUF the kernel writes all or nothing, so the length need not be looked at.
        written("write", write()).map(drop)
    }

    /// write with RWF_NOWAIT: as many bytes as there is room for now, at least one; up to [`PIPE_BUF`] all or none.
    ///
    /// The open file description stays as it is: others that share it are not made non-blocking.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EAGAIN: no room | [`Error::Full`] |
    /// | EPIPE | [`Error::PeerGone`] |
    /// | EACCES: a FIFO that may not be opened again | [`Error::PermissionDenied`] |
    /// | EBADF (opened for reading) | [`Error::System`] |
    pub fn try_write(&self, bytes: &[u8]) -> Result<usize> {
        written("write", self.0.write_now(&[IoSlice::new(bytes)]).map(Some))
    }

    /// write with RWF_NOWAIT, and one ppoll after each EAGAIN: gives up when `timeout` is over and not a byte has been
    /// written.
    ///
    /// # Blocking
    /// At most `timeout`; a signal does not end the wait. Where there is room, it costs one call.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | none: no room in time | [`Error::TimedOut`] |
    /// | EPIPE | [`Error::PeerGone`] |
    /// | EACCES: as [`PipeWriter::try_write`] | [`Error::PermissionDenied`] |
    /// | EBADF | [`Error::System`] |
    pub fn write_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<usize> {
        written("write", self.0.until(libc::POLLOUT, timeout, || self.0.write_now(&[IoSlice::new(bytes)])))
    }

    /// fcntl(F_DUPFD_CLOEXEC): one more descriptor of the same end; the readers' end of file comes when both are
    /// dropped.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EMFILE: RLIMIT_NOFILE is reached | [`Error::System`] |
    pub fn try_clone(&self) -> Result<Self> {
        self.0.try_clone().map(Self)
    }

    pub(crate) fn end(&self) -> &End {
        &self.0
    }
}

pub(crate) fn written(operation: &'static str, result: io::Result<Option<usize>>) -> Result<usize> {
    match result {
        Ok(Some(len)) => Ok(len),
        Ok(None) => Err(Error::TimedOut { operation }),
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Err(Error::Full),
        Err(error) => Err(Error::of_pipe(operation, error)),
    }
}

impl Write for &PipeWriter {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&[IoSlice::new(bytes)])
    }

    #[inline]
    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write(buffers)
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for PipeWriter {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    #[inline]
    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(buffers)
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<OwnedFd> for PipeWriter {
    /// Takes any descriptor: what is no pipe, or the wrong end, is told by the first call.
    fn from(fd: OwnedFd) -> Self {
        Self(End::new(fd))
    }
}

impl From<PipeWriter> for OwnedFd {
    fn from(writer: PipeWriter) -> Self {
        writer.0.into_fd()
    }
}

impl From<PipeWriter> for Stdio {
    fn from(writer: PipeWriter) -> Self {
        OwnedFd::from(writer).into()
    }
}

impl AsFd for PipeWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for PipeWriter {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
