//! Opening a FIFO with a deadline. open(2) itself waits for the other side without one.
//!
//! The reader opens O_NONBLOCK, which always succeeds and releases a writer that waits, and then learns from inotify
//! that somebody has opened the FIFO, and from tee(2), which takes nothing out, whether that was a writer.
//!
//! The writer's O_NONBLOCK open meets a reader that waits in open, but nothing tells when one begins to wait there. So
//! a thread waits in the blocking open, and an instant open of the reading end lets it go at the deadline.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use ipc_sys::{Deadline, errno, poll};
use nix::errno::Errno;
use nix::fcntl::{OFlag, SpliceFFlags, tee};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::{Error, Fifo, PipeReader, PipeWriter, Result};

pub(crate) const TIMED_OUT: Error = Error::TimedOut { operation: "open" };

/// open(O_RDONLY) until `timeout` is over.
pub(crate) fn reader(fifo: &Fifo, timeout: Duration) -> Result<PipeReader> {
    let deadline = Deadline::after(timeout);
    let arrivals = Arrivals::watch(fifo)?;
    let reader = fifo.try_reader()?;
    loop {
        if arrivals.is_met(fifo, &reader)? {
            return Ok(reader);
        }
        let ready = poll::wait_any([reader.as_fd(), arrivals.events.as_fd()], libc::POLLIN, deadline)
            .map_err(|error| fifo.failed("ppoll", error))?;
        if !ready {
            // One last look: a writer may have come since, and would not get another reader.
            return if arrivals.is_met(fifo, &reader)? { Ok(reader) } else { Err(TIMED_OUT) };
        }
    }
}

/// Tells of everybody who opens the FIFO.
pub(crate) struct Arrivals {
    events: Inotify,
    /// Where tee copies to.
    scratch: (OwnedFd, OwnedFd),
}

impl Arrivals {
    pub(crate) fn watch(fifo: &Fifo) -> Result<Self> {
        let failed = |errno: Errno| fifo.failed("inotify_add_watch", errno.into());
        let events = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .map_err(|errno| fifo.failed("inotify_init1", errno.into()))?;
        events.add_watch(&fifo.node_path(), AddWatchFlags::IN_OPEN).map_err(failed)?;
        let scratch =
            nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| fifo.failed("pipe2", errno.into()))?;
        Ok(Self { events, scratch })
    }

    /// Readable when somebody has opened the FIFO.
    #[cfg(feature = "tokio")]
    pub(crate) fn events(&self) -> std::os::fd::BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// Whether a writer has come, even if it has gone again.
    pub(crate) fn is_met(&self, fifo: &Fifo, reader: &PipeReader) -> Result<bool> {
        while self.events.read_events().is_ok() {}
        let now = Deadline::after(Duration::ZERO);
        // Bytes, or POLLHUP of a writer that left none.
        if poll::wait(reader, libc::POLLIN, now).map_err(|error| fifo.failed("ppoll", error))?.is_some() {
            return Ok(true);
        }
        loop {
            return match tee(reader, &self.scratch.1, 1, SpliceFFlags::SPLICE_F_NONBLOCK) {
                // Nobody to wait for.
                Ok(0) => Ok(false),
                // It would wait for a byte: there is a writer.
                Ok(_) | Err(Errno::EAGAIN) => Ok(true),
                // Though it never sleeps here, a pending signal ends it.
                Err(Errno::EINTR) => continue,
                Err(errno) => Err(fifo.failed("tee", errno.into())),
            };
        }
    }
}

/// open(O_WRONLY) until `timeout` is over.
pub(crate) fn writer(fifo: &Fifo, timeout: Duration) -> Result<PipeWriter> {
    let deadline = Deadline::after(timeout);
    match fifo.try_writer() {
        Err(Error::NoReader { .. }) if deadline.has_passed() => return Err(TIMED_OUT),
        Err(Error::NoReader { .. }) => {}
        done => return done,
    }
    let (opened, result) = channel();
    let waiting = Waiting::start(fifo, move |writer| {
        let _ = opened.send(writer);
    })?;
    let writer = match deadline.remaining() {
        Some(left) => result.recv_timeout(left),
        None => result.recv().map_err(RecvTimeoutError::from),
    };
    let writer = match writer {
        Ok(writer) => writer,
        Err(_) if waiting.release() => result.recv().map_err(|_| TIMED_OUT)?,
        Err(_) => return Err(TIMED_OUT),
    };
    match writer {
        Ok(writer) => Ok(writer.into()),
        Err(error) if errno::is(&error, libc::ETIMEDOUT) => Err(TIMED_OUT),
        Err(error) => Err(fifo.failed("open", error)),
    }
}

/// A thread that waits in open(O_WRONLY).
pub(crate) struct Waiting {
    node: OwnedFd,
    /// The reading end that lets the thread go; the thread closes it when it has come out of its open, which it may
    /// not even have begun.
    released: Arc<Mutex<Option<File>>>,
}

impl Waiting {
    /// Hands the writing end to `done`, on that thread; ETIMEDOUT when only [`Waiting::release`] had ended the wait.
    pub(crate) fn start(
        fifo: &Fifo,
        done: impl FnOnce(io::Result<OwnedFd>) + Send + 'static,
    ) -> Result<Self> {
        fifo.check_readable()?;
        let node = fifo.clone_node()?;
        let mine = node.try_clone().map_err(|error| fifo.failed("fcntl(F_DUPFD_CLOEXEC)", error))?;
        let released = Arc::new(Mutex::new(None));
        let theirs = Arc::clone(&released);
        let wait = move || {
            let opened = errno::retry(|| open_again(&mine, OpenOptions::new().write(true)));
            let was_released = lock(&theirs).take().is_some();
            done(opened.and_then(|writer| {
                let is_met = !was_released || has_reader(&writer)?;
                if is_met { Ok(writer.into()) } else { Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)) }
            }));
        };
        Builder::new()
            .name("fifo-open".to_owned())
            .spawn(wait)
            .map_err(|error| fifo.failed("pthread_create", error))?;
        Ok(Self { node, released })
    }

    /// Lets the thread go: whether that was possible. It is not when the descriptors are used up (EMFILE): then the
    /// thread ends when a reader comes.
    pub(crate) fn release(&self) -> bool {
        let mut released = lock(&self.released);
        *released = open_again(&self.node, OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK)).ok();
        released.is_some()
    }
}

fn lock(released: &Mutex<Option<File>>) -> MutexGuard<'_, Option<File>> {
    released.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_again(node: &OwnedFd, options: &OpenOptions) -> io::Result<File> {
    options.open(format!("/proc/self/fd/{}", node.as_raw_fd()))
}

/// POLLERR is how a pipe without readers looks to its writer.
fn has_reader(writer: &File) -> io::Result<bool> {
    let found = poll::wait(writer, libc::POLLOUT, Deadline::after(Duration::ZERO))?;
    Ok(found.is_none_or(|events| events & libc::POLLERR == 0))
}
