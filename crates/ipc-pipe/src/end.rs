//! What both ends of a pipe share: one descriptor, and calls that wait, that never do, or that give up.
//!
//! O_NONBLOCK belongs to the open file description, which every duplicate of the descriptor shares, in other processes
//! too. So a call that must not wait says so for itself alone (RWF_NOWAIT). Where the kernel has no such flag, for a
//! FIFO and before Linux 6.4, it goes through a second open file description of the same pipe, which is opened when
//! first needed.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;
use std::time::Duration;

use ipc_sys::pipe::Wait;
use ipc_sys::{Deadline, errno, pipe, poll};

use crate::{Error, Result};

/// One end of a pipe.
#[derive(Debug)]
pub(crate) struct End {
    fd: OwnedFd,
    /// The same pipe opened O_NONBLOCK, once RWF_NOWAIT has been refused.
    second: OnceLock<File>,
}

impl End {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd, second: OnceLock::new() }
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    pub(crate) fn try_clone(&self) -> Result<Self> {
        self.fd.try_clone().map(Self::new).map_err(|error| Error::of_pipe("fcntl(F_DUPFD_CLOEXEC)", error))
    }

    #[inline]
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        pipe::read(self.fd.as_fd(), buffer)
    }

    #[inline]
    pub(crate) fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        pipe::read_vectored(self.fd.as_fd(), buffers, Wait::AsOpened)
    }

    #[inline]
    pub(crate) fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        pipe::write_vectored(self.fd.as_fd(), buffers, Wait::AsOpened)
    }

    /// As `read_vectored`; EAGAIN where it would wait.
    pub(crate) fn read_now(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self.second.get() {
            Some(second) => pipe::read_vectored(second.as_fd(), buffers, Wait::AsOpened),
            None => match pipe::read_vectored(self.fd.as_fd(), buffers, Wait::Never) {
                Err(error) if pipe::is_flag_refused(&error) => {
                    pipe::read_vectored(self.second(OpenOptions::new().read(true))?, buffers, Wait::AsOpened)
                }
                done => done,
            },
        }
    }

    /// As `write`; EAGAIN where it would wait.
    pub(crate) fn write_now(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.second.get() {
            Some(second) => pipe::write_vectored(second.as_fd(), buffers, Wait::AsOpened),
            None => match pipe::write_vectored(self.fd.as_fd(), buffers, Wait::Never) {
                Err(error) if pipe::is_flag_refused(&error) => pipe::write_vectored(
                    self.second(OpenOptions::new().write(true))?,
                    buffers,
                    Wait::AsOpened,
                ),
                done => done,
            },
        }
    }

    /// Opens the pipe once more, O_NONBLOCK.
    fn second(&self, options: &mut OpenOptions) -> io::Result<BorrowedFd<'_>> {
        let path = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        let opened = options.custom_flags(libc::O_NONBLOCK).open(path).map_err(|error| {
            // A writer is opened while nobody reads.
            let gone = errno::is(&error, libc::ENXIO);
            if gone { io::Error::from_raw_os_error(libc::EPIPE) } else { error }
        })?;
        Ok(self.second.get_or_init(|| opened).as_fd())
    }

    /// Tries `call`; after EAGAIN waits once for `events`, and tries again, until the time is over: then `Ok(None)`.
    pub(crate) fn until<T>(
        &self,
        events: libc::c_short,
        timeout: Duration,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        let deadline = Deadline::after(timeout);
        loop {
            match call() {
                Err(error) if errno::is(&error, libc::EAGAIN) => {}
                done => return done.map(Some),
            }
            if poll::wait(self, events, deadline)?.is_none() {
                return Ok(None);
            }
        }
    }
}

impl AsFd for End {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
