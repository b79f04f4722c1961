//! Pipes and FIFOs: read and write with per-call flags, so that neither O_NONBLOCK of a shared open file description
//! nor the process's disposition of SIGPIPE has to be touched.
#![expect(unsafe_code, reason = "preadv2 and pwritev2 take iovecs, ioctl takes a pointer")]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::errno;
use crate::sigpipe;

/// `RWF_NOSIGNAL` of Linux 6.18, which libc lacks: EPIPE without SIGPIPE.
pub const RWF_NOSIGNAL: libc::c_int = 0x100;

/// Whether pwritev2 has refused RWF_NOSIGNAL once: from then on SIGPIPE is held back by hand.
static NO_SIGNAL_FLAG: AtomicBool = AtomicBool::new(true);

/// Whether a call waits for the other end, or comes back with EAGAIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// As the open file description says: it waits unless that is O_NONBLOCK.
    AsOpened,
    /// It never waits, whatever the open file description says (RWF_NOWAIT). EOPNOTSUPP for a FIFO, and for any pipe
    /// before Linux 6.4.
    Never,
}

impl Wait {
    #[inline]
    fn flags(self) -> libc::c_int {
        match self {
            Self::AsOpened => 0,
            Self::Never => libc::RWF_NOWAIT,
        }
    }
}

/// read(2); EINTR is retried.
///
/// # Errors
/// Those of read(2) other than EINTR.
#[inline]
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    errno::retry(|| {
        // SAFETY: `buffer` is valid for `len` writes: it is borrowed mutably for this call.
        errno::check_len(unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) })
    })
}

/// readv(2), or preadv2(2) at the stream's position where it is not to wait; EINTR is retried.
///
/// # Errors
/// Those of readv(2) other than EINTR; EAGAIN and EOPNOTSUPP with [`Wait::Never`].
#[inline]
pub fn read_vectored(fd: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>], wait: Wait) -> io::Result<usize> {
    let count = iov_count(buffers.len());
    errno::retry(|| {
        if wait == Wait::AsOpened {
            // SAFETY: IoSliceMut has the layout of iovec, and each of the `count` buffers is borrowed mutably for this
            // call.
            return errno::check_len(unsafe {
                libc::readv(fd.as_raw_fd(), buffers.as_mut_ptr().cast(), count)
            });
        }
        // SAFETY: as above.
        errno::check_len(unsafe {
            libc::preadv2(fd.as_raw_fd(), buffers.as_mut_ptr().cast(), count, -1, wait.flags())
        })
    })
}

/// pwritev2(2) at the stream's position, without SIGPIPE: EPIPE is all that tells of a reader that has gone.
///
/// Before Linux 6.18 the signal is blocked around the call and taken back, which costs two to four more calls. EINTR
/// is retried; where bytes had been written before the signal, the kernel has returned their number.
///
/// # Errors
/// Those of writev(2) other than EINTR; EAGAIN and EOPNOTSUPP with [`Wait::Never`].
#[inline]
pub fn write_vectored(fd: BorrowedFd<'_>, buffers: &[IoSlice<'_>], wait: Wait) -> io::Result<usize> {
    if NO_SIGNAL_FLAG.load(Ordering::Relaxed) {
        match pwritev2(fd, buffers, wait.flags() | RWF_NOSIGNAL) {
            Err(error) if is_flag_refused(&error) => {}
            done => return done,
        }
    }
    write_held(fd, buffers, wait)
}

/// As [`write_vectored`] of one buffer.
///
/// # Errors
/// As there.
#[inline]
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8], wait: Wait) -> io::Result<usize> {
    write_vectored(fd, &[IoSlice::new(bytes)], wait)
}

/// Where the kernel cannot be asked for no signal.
#[cold]
fn write_held(fd: BorrowedFd<'_>, buffers: &[IoSlice<'_>], wait: Wait) -> io::Result<usize> {
    let written = sigpipe::held(|| match wait {
        Wait::AsOpened => writev(fd, buffers),
        Wait::Never => pwritev2(fd, buffers, wait.flags()),
    });
    // EOPNOTSUPP again: it was RWF_NOWAIT that was refused, which says nothing of the other flag.
    if !matches!(&written, Err(error) if is_flag_refused(error)) {
        NO_SIGNAL_FLAG.store(false, Ordering::Relaxed);
    }
    written
}

#[inline]
fn pwritev2(fd: BorrowedFd<'_>, buffers: &[IoSlice<'_>], flags: libc::c_int) -> io::Result<usize> {
    let count = iov_count(buffers.len());
    errno::retry(|| {
        // SAFETY: IoSlice has the layout of iovec, and each of the `count` buffers is borrowed for this call.
        let written = unsafe { libc::pwritev2(fd.as_raw_fd(), buffers.as_ptr().cast(), count, -1, flags) };
        errno::check_len(written)
    })
}

fn writev(fd: BorrowedFd<'_>, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    let count = iov_count(buffers.len());
    errno::retry(|| {
        // SAFETY: as in `pwritev2`.
        let written = unsafe { libc::writev(fd.as_raw_fd(), buffers.as_ptr().cast(), count) };
        errno::check_len(written)
    })
}

/// Whether a call was refused for its flags: the kernel or the file does not know one, or a sandbox does not know the call.
#[must_use]
pub fn is_flag_refused(error: &io::Error) -> bool {
    [libc::EOPNOTSUPP, libc::ENOSYS].iter().any(|errno| errno::is(error, *errno))
}

/// The length of an iovec array as C wants it: beyond IOV_MAX the rest is left for the next call.
#[inline]
fn iov_count(len: usize) -> libc::c_int {
    libc::c_int::try_from(len.min(1024)).unwrap_or(1024)
}

/// ioctl(FIONREAD): how many bytes wait in the pipe.
///
/// # Errors
/// ENOTTY or EINVAL where `fd` is nothing that counts bytes.
pub fn readable(fd: impl AsFd) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD stores one int at the pointer, which is `bytes`, alive during the call.
    errno::check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}
