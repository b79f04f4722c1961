//! How every call of this crate waits: the call itself first, one ppoll(2) only after EAGAIN. MSG_DONTWAIT instead of
//! O_NONBLOCK, which belongs to the open file description that others share.

use std::io;
use std::os::fd::AsFd;

use ipc_sys::{Deadline, errno, poll};

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
        if poll::wait(&fd, events, deadline)?.is_none() {
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
    }
}
