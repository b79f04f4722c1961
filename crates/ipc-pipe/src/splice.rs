//! splice(2) and tee(2): bytes that go from one descriptor to another inside the kernel, as references to its pages,
//! without passing through our memory. One of the two is a pipe.
//!
//! These calls raise SIGPIPE and have no flag against it: it is blocked around each and taken back, which costs two
//! more calls, four on EPIPE; [`copy`] pays once.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use ipc_sys::{Deadline, errno, poll, sigpipe};
use nix::fcntl::SpliceFFlags;

use crate::{Error, PipeEnd, PipeReader, PipeWriter, Result, pipe};

/// How much one call of [`copy`] asks for: what the kernel gives is bounded by the pipe anyway.
const AT_ONCE: usize = 1 << 20;

impl PipeReader {
    /// splice: moves up to `len` bytes from this pipe to `output`: a file, a socket, another pipe. How many; 0 when the
    /// last writer has gone.
    ///
    /// # Blocking
    /// Until there is a byte, and room for it. A signal does not show.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EPIPE: `output` is a pipe or socket that nobody reads | [`Error::PeerGone`] |
    /// | EAGAIN: one of the two is O_NONBLOCK and would wait | [`Error::Full`] |
    /// | EINVAL: the same pipe twice, or `output` is opened O_APPEND or cannot be spliced to | [`Error::System`] |
    /// | EBADF: not open that way | [`Error::System`] |
    ///
    /// # Examples
    /// ```
    /// use ipc_pipe::PipeEnd;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (from, source) = ipc_pipe::pipe()?;
    /// let (sink, to) = ipc_pipe::pipe()?;
    /// source.write_atomic(b"not copied")?;
    /// assert_eq!(from.splice_to(&to, usize::MAX)?, 10);
    /// assert_eq!(sink.readable()?, 10);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "splice")]
    pub fn splice_to(&self, output: impl AsFd, len: usize) -> Result<usize> {
        moved("splice", || splice(self.as_fd(), None, output.as_fd(), None, len, SpliceFFlags::empty()))
    }

    /// As [`PipeReader::splice_to`], into a file at `offset`, whose own position does not move.
    ///
    /// # Errors
    /// As there; ESPIPE, [`Error::System`], when `output` is a pipe or a socket, which has no offsets.
    pub fn splice_to_at(&self, output: impl AsFd, offset: u64, len: usize) -> Result<usize> {
        let offset = to_offset(offset)?;
        moved("splice", || {
            splice(self.as_fd(), None, output.as_fd(), Some(offset), len, SpliceFFlags::empty())
        })
    }

    /// As [`PipeReader::splice_to`], without waiting for this pipe (SPLICE_F_NONBLOCK); `output` waits as it is opened.
    ///
    /// # Errors
    /// As there; EAGAIN, [`Error::Empty`], when there is no byte.
    pub fn try_splice_to(&self, output: impl AsFd, len: usize) -> Result<usize> {
        let now = SpliceFFlags::SPLICE_F_NONBLOCK;
        match moved("splice", || splice(self.as_fd(), None, output.as_fd(), None, len, now)) {
            Err(Error::Full) if self.readable().is_ok_and(|bytes| bytes == 0) => Err(Error::Empty),
            done => done,
        }
    }

    /// tee: duplicates up to `len` bytes into `output`, and leaves them here. How many; 0 when the last writer has gone.
    ///
    /// # Blocking
    /// Until there is a byte, and room for it. A signal does not show.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EPIPE | [`Error::PeerGone`] |
    /// | EAGAIN: one of the two is O_NONBLOCK and would wait | [`Error::Full`] |
    /// | EINVAL: the same pipe twice, or no pipe; EBADF | [`Error::System`] |
    pub fn tee(&self, output: &PipeWriter, len: usize) -> Result<usize> {
        moved("tee", || Ok(nix::fcntl::tee(self, output, len, SpliceFFlags::empty())?))
    }

    /// As [`PipeReader::tee`], without waiting.
    ///
    /// # Errors
    /// As there; EAGAIN is [`Error::Empty`] when there is nothing to duplicate, else [`Error::Full`].
    pub fn try_tee(&self, output: &PipeWriter, len: usize) -> Result<usize> {
        let now = SpliceFFlags::SPLICE_F_NONBLOCK;
        match moved("tee", || Ok(nix::fcntl::tee(self, output, len, now)?)) {
            Err(Error::Full) if self.readable().is_ok_and(|bytes| bytes == 0) => Err(Error::Empty),
            done => done,
        }
    }
}

impl PipeWriter {
    /// splice: moves up to `len` bytes from `input`, a file, a socket, another pipe, into this pipe. How many; 0 at the
    /// end of `input`.
    ///
    /// A file's pages go into the pipe as they are: what is written to the file before they are read is read.
    ///
    /// # Blocking
    /// Until there is a byte, and room for it. A signal does not show.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EPIPE | [`Error::PeerGone`] |
    /// | EAGAIN: one of the two is O_NONBLOCK and would wait | [`Error::Full`] |
    /// | EINVAL: the same pipe twice, or `input` cannot be spliced from; EBADF, EISDIR | [`Error::System`] |
    #[doc(alias = "splice")]
    pub fn splice_from(&self, input: impl AsFd, len: usize) -> Result<usize> {
        moved("splice", || splice(input.as_fd(), None, self.as_fd(), None, len, SpliceFFlags::empty()))
    }

    /// As [`PipeWriter::splice_from`], from a file at `offset`, whose own position does not move.
    ///
    /// # Errors
    /// As there; ESPIPE, [`Error::System`], when `input` is a pipe or a socket, which has no offsets.
    pub fn splice_from_at(&self, input: impl AsFd, offset: u64, len: usize) -> Result<usize> {
        let offset = to_offset(offset)?;
        moved("splice", || {
            splice(input.as_fd(), Some(offset), self.as_fd(), None, len, SpliceFFlags::empty())
        })
    }

    /// As [`PipeWriter::splice_from`], without waiting for room (SPLICE_F_NONBLOCK); `input` waits as it is opened.
    ///
    /// # Errors
    /// As there; EAGAIN is [`Error::Full`], also where `input` is a pipe without a byte.
    pub fn try_splice_from(&self, input: impl AsFd, len: usize) -> Result<usize> {
        let now = SpliceFFlags::SPLICE_F_NONBLOCK;
        moved("splice", || splice(input.as_fd(), None, self.as_fd(), None, len, now))
    }
}

/// splice until the end of `input`: how many bytes went to `output`.
///
/// Where one of the two is a pipe, they do not pass through our memory; where neither is, they go through a pipe of our
/// own; what cannot be spliced (a terminal, a file opened O_APPEND) is read and written.
///
/// # Blocking
/// Until the end of `input`, O_NONBLOCK or not. A signal does not show.
///
/// # Errors
/// | errno | variant |
/// | --- | --- |
/// | EPIPE | [`Error::PeerGone`] |
/// | EBADF, EISDIR, ENOSPC, EIO, EMFILE | [`Error::System`] |
///
/// How many bytes had gone before is not told: of a pipe they are gone.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (reader, writer) = ipc_pipe::pipe()?;
/// writer.write_atomic(b"to nowhere")?;
/// drop(writer);
/// let null = std::fs::File::options().write(true).open("/dev/null")?;
/// assert_eq!(ipc_pipe::copy(&reader, &null)?, 10);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "sendfile")]
pub fn copy(input: impl AsFd, output: impl AsFd) -> Result<u64> {
    let mut copy = Copy { input: input.as_fd(), output: output.as_fd(), total: 0 };
    let copied = sigpipe::held(|| {
        if copy.directly()? {
            return Ok(());
        }
        let (reader, writer) = pipe().map_err(io::Error::from)?;
        if copy.through(&reader, &writer)? { Ok(()) } else { copy.by_hand() }
    });
    match copied {
        Ok(()) => Ok(copy.total),
        Err(error) => Err(Error::of_pipe("splice", error)),
    }
}

/// A copy on its way, with SIGPIPE held back; each way returns false when the kernel refuses it (EINVAL).
struct Copy<'a> {
    input: BorrowedFd<'a>,
    output: BorrowedFd<'a>,
    total: u64,
}

impl Copy<'_> {
    fn directly(&mut self) -> io::Result<bool> {
        loop {
            match step(self.input, self.output, AT_ONCE) {
                Ok(0) => return Ok(true),
                Ok(len) => self.total += len as u64,
                Err(error) if errno::is(&error, libc::EINVAL) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    fn through(&mut self, reader: &PipeReader, writer: &PipeWriter) -> io::Result<bool> {
        loop {
            let mut left = match step(self.input, writer.as_fd(), AT_ONCE) {
                Ok(0) => return Ok(true),
                Ok(len) => len,
                Err(error) if errno::is(&error, libc::EINVAL) => return Ok(false),
                Err(error) => return Err(error),
            };
            while left > 0 {
                match step(reader.as_fd(), self.output, left) {
                    Ok(len) => {
                        left -= len;
                        self.total += len as u64;
                    }
                    Err(error) if errno::is(&error, libc::EINVAL) => {
                        // What is in our pipe already must not be lost.
                        let mut rest = vec![0; left];
                        io::Read::read_exact(&mut &*reader, &mut rest)?;
                        self.write(&rest)?;
                        return Ok(false);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    fn by_hand(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match ipc_sys::pipe::read(self.input, &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(len) => self.write(buffer.get(..len).unwrap_or_default())?,
                Err(error) if errno::is(&error, libc::EAGAIN) => {
                    poll::wait(self.input, libc::POLLIN, Deadline::NEVER)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match errno::retry(|| Ok(nix::unistd::write(self.output, bytes)?)) {
                Ok(len) => {
                    bytes = bytes.get(len..).unwrap_or_default();
                    self.total += len as u64;
                }
                Err(error) if errno::is(&error, libc::EAGAIN) => {
                    poll::wait(self.output, libc::POLLOUT, Deadline::NEVER)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// One splice; where it is not to wait, waits until both sides are ready.
fn step(input: BorrowedFd<'_>, output: BorrowedFd<'_>, len: usize) -> io::Result<usize> {
    loop {
        match splice(input, None, output, None, len, SpliceFFlags::empty()) {
            Err(error) if errno::is(&error, libc::EAGAIN) => {
                poll::wait(input, libc::POLLIN, Deadline::NEVER)?;
                poll::wait(output, libc::POLLOUT, Deadline::NEVER)?;
            }
            done => return done,
        }
    }
}

fn splice(
    input: BorrowedFd<'_>,
    mut from: Option<i64>,
    output: BorrowedFd<'_>,
    mut to: Option<i64>,
    len: usize,
    flags: SpliceFFlags,
) -> io::Result<usize> {
    errno::retry(|| Ok(nix::fcntl::splice(input, from.as_mut(), output, to.as_mut(), len, flags)?))
}

/// Without SIGPIPE.
fn moved(operation: &'static str, mut call: impl FnMut() -> io::Result<usize>) -> Result<usize> {
    sigpipe::held(|| errno::retry(&mut call)).map_err(|error| match error.raw_os_error() {
        Some(libc::EAGAIN) => Error::Full,
        _ => Error::of_pipe(operation, error),
    })
}

fn to_offset(offset: u64) -> Result<i64> {
    let invalid = || Error::of_pipe("splice", io::Error::from_raw_os_error(libc::EINVAL));
    i64::try_from(offset).map_err(|_| invalid())
}
