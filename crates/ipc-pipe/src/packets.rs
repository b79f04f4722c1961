//! A pipe in packet mode (O_DIRECT): one read takes one packet. As any anonymous pipe it is gone with its last
//! descriptor; a packet of a killed writer is there whole or not at all.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::Stdio;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::end::End;
use crate::writer::written;
use crate::{Error, PIPE_BUF, Result};

/// The sending end of a pipe in packet mode.
///
/// It does not implement `Write`: what is longer than [`PIPE_BUF`] would silently become several packets.
///
/// # After a crash
/// As [`PipeWriter`](crate::PipeWriter); a packet was written whole or not at all.
#[derive(Debug)]
pub struct PacketWriter(End);

impl PacketWriter {
    /// The writing end of a pipe that was made O_DIRECT.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(End::new(fd))
    }

    /// write: one packet of 1 to [`PIPE_BUF`] bytes, with the same system call as the C loop and no SIGPIPE.
    ///
    /// # Blocking
    /// Until there is room; a pipe holds as many packets as it has pages, however small they are: 16 by default. A
    /// signal does not show.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | none: more than PIPE_BUF; nothing was written | [`Error::TooLong`] |
    /// | none: no byte, which the kernel would drop | [`Error::EmptyPacket`] |
    /// | EPIPE | [`Error::PeerGone`] |
    /// | EAGAIN: the open file description is O_NONBLOCK, and there is no room | [`Error::Full`] |
    /// | EBADF | [`Error::System`] |
    pub fn send(&self, packet: &[u8]) -> Result<()> {
        check(packet)?;
        written("write", self.0.write(&[IoSlice::new(packet)]).map(Some)).map(drop)
    }

    /// As [`PacketWriter::send`], without waiting for room.
    ///
    /// # Errors
    /// As there; EAGAIN is [`Error::Full`].
    pub fn try_send(&self, packet: &[u8]) -> Result<()> {
        check(packet)?;
        written("write", self.0.write_now(&[IoSlice::new(packet)]).map(Some)).map(drop)
    }

    /// As [`PacketWriter::send`]; gives up when there was no room within `timeout`.
    ///
    /// # Errors
    /// As there; [`Error::TimedOut`]: nothing was written.
    pub fn send_timeout(&self, packet: &[u8], timeout: Duration) -> Result<()> {
        check(packet)?;
        written("write", self.0.until(libc::POLLOUT, timeout, || self.0.write_now(&[IoSlice::new(packet)])))
            .map(drop)
    }
}

fn check(packet: &[u8]) -> Result<()> {
    match packet.len() {
        0 => Err(Error::EmptyPacket),
        len if len > PIPE_BUF => Err(Error::TooLong { len, max: PIPE_BUF }),
        _ => Ok(()),
    }
}

/// The receiving end of a pipe in packet mode.
///
/// It does not implement `Read`, whose helpers read in small pieces: of each packet the kernel drops what the buffer
/// does not hold. Here that is an error.
///
/// # After a crash
/// As [`PipeReader`](crate::PipeReader).
#[derive(Debug)]
pub struct PacketReader(End);

impl PacketReader {
    /// read: one packet; how long it is, or `None` when the last writer has gone and all is drained.
    ///
    /// # Blocking
    /// Until there is a packet. A signal does not show.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | none: the packet was longer than `buffer`, which is filled; the rest is lost | [`Error::Truncated`] |
    /// | EAGAIN: the open file description is O_NONBLOCK, and there is no packet | [`Error::Empty`] |
    /// | EBADF, EISDIR | [`Error::System`] |
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (reader, writer) = ipc_pipe::PipeOptions::new().packets()?;
    /// writer.send(b"one")?;
    /// writer.send(b"another")?;
    /// let mut buffer = [0; ipc_pipe::PIPE_BUF];
    /// assert_eq!(reader.recv(&mut buffer)?, Some(3));
    /// assert_eq!(reader.recv(&mut buffer)?, Some(7));
    /// drop(writer);
    /// assert_eq!(reader.recv(&mut buffer)?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        packet(buffer, |buffers| self.0.read_vectored(buffers).map(Some))
    }

    /// As [`PacketReader::recv`], without waiting for a packet.
    ///
    /// # Errors
    /// As there; EAGAIN is [`Error::Empty`].
    pub fn try_recv(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        packet(buffer, |buffers| self.0.read_now(buffers).map(Some))
    }

    /// As [`PacketReader::recv`]; gives up when there was no packet within `timeout`.
    ///
    /// # Errors
    /// As there; [`Error::TimedOut`].
    pub fn recv_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<Option<usize>> {
        packet(buffer, |buffers| self.0.until(libc::POLLIN, timeout, || self.0.read_now(buffers)))
    }
}

/// Reads into `buffer` and one byte more, which tells that a packet was longer.
fn packet(
    buffer: &mut [u8],
    read: impl FnOnce(&mut [IoSliceMut<'_>]) -> io::Result<Option<usize>>,
) -> Result<Option<usize>> {
    let max = buffer.len();
    let mut more = [0];
    let mut buffers = [IoSliceMut::new(buffer), IoSliceMut::new(&mut more)];
    match read(&mut buffers) {
        Ok(Some(0)) => Ok(None),
        Ok(Some(len)) if len > max => Err(Error::Truncated { max }),
        Ok(Some(len)) => Ok(Some(len)),
        Ok(None) => Err(Error::TimedOut { operation: "read" }),
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Err(Error::Empty),
        Err(error) => Err(Error::of_pipe("read", error)),
    }
}

impl From<OwnedFd> for PacketReader {
    /// Takes the reading end of any pipe: where one packet ends is up to its writers.
    fn from(fd: OwnedFd) -> Self {
        Self(End::new(fd))
    }
}

impl TryFrom<OwnedFd> for PacketWriter {
    type Error = Error;

    /// fcntl(F_SETFL, O_DIRECT): takes the writing end of a pipe or a FIFO and has it write packets, for everybody who
    /// shares the open file description.
    fn try_from(fd: OwnedFd) -> Result<Self> {
        let failed = |errno: nix::errno::Errno| Error::of_pipe("fcntl(F_SETFL)", errno.into());
        let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL).map_err(failed)?);
        if !flags.contains(OFlag::O_DIRECT) {
            fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_DIRECT)).map_err(failed)?;
        }
        Ok(Self(End::new(fd)))
    }
}

impl From<PacketReader> for OwnedFd {
    fn from(reader: PacketReader) -> Self {
        reader.0.into_fd()
    }
}

impl From<PacketWriter> for OwnedFd {
    fn from(writer: PacketWriter) -> Self {
        writer.0.into_fd()
    }
}

impl From<PacketReader> for Stdio {
    fn from(reader: PacketReader) -> Self {
        OwnedFd::from(reader).into()
    }
}

impl From<PacketWriter> for Stdio {
    fn from(writer: PacketWriter) -> Self {
        OwnedFd::from(writer).into()
    }
}

impl AsFd for PacketReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for PacketWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for PacketReader {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsRawFd for PacketWriter {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
