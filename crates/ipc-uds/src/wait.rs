//! How every call of this crate waits: the call itself first, one ppoll(2) only after EAGAIN. MSG_DONTWAIT instead of
//! O_NONBLOCK, which belongs to the open file description that others share.

use std::io;
use std::os::fd::AsFd;

use ipc_sys::{Deadline, errno, poll};

/// How long a call waits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait {
    /// As the socket does: for ever, or not at all where it has O_NONBLOCK, or up to its own timeout.
    Block,
    /// Not at all.
    Try,
    /// Until then.
    Until(Deadline),
}

impl Wait {
    pub(crate) fn at_most(timeout: std::time::Duration) -> Self {
        Self::Until(Deadline::after(timeout))
    }

    /// Calls `attempt` with MSG_DONTWAIT or without, as often as this says.
    #[inline]
    pub(crate) fn run<T>(
        self,
        fd: impl AsFd,
        events: libc::c_short,
        mut attempt: impl FnMut(libc::c_int) -> io::Result<T>,
    ) -> io::Result<T> {
        let flags = if matches!(self, Self::Block) { 0 } else { libc::MSG_DONTWAIT };
        loop {
            match (attempt(flags), self) {
                (Err(error), Self::Until(deadline)) if errno::is(&error, libc::EAGAIN) => {
                    ready(&fd, events, deadline)?;
                }
                (done, _) => return done,
            }
        }
    }
}

/// Calls `attempt`, which must not block, until it does not say EAGAIN or the deadline has passed (ETIMEDOUT).
pub(crate) fn until<T>(
    fd: impl AsFd,
    events: libc::c_short,
    deadline: Deadline,
    mut attempt: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if errno::is(&error, libc::EAGAIN) => {}
            done => return done,
        }
        ready(&fd, events, deadline)?;
    }
}

/// One ppoll(2); ETIMEDOUT when the deadline came first.
#[cold]
fn ready(fd: impl AsFd, events: libc::c_short, deadline: Deadline) -> io::Result<()> {
    match poll::wait(fd, events, deadline)? {
        Some(_) => Ok(()),
        None => Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
    }
}
