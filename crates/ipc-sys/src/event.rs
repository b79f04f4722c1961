//! eventfd(2), and the writes that wake somebody from inside a signal handler.
#![expect(unsafe_code, reason = "eventfd, write and send take pointers or return descriptors")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::errno;

/// eventfd(2): a counter of 0, CLOEXEC, non-blocking; readable while it is above 0.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: takes two numbers.
    let fd = errno::check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: the kernel returned this descriptor just now and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// write(2), once, whatever comes of it: a full pipe or counter wakes its reader already. Async-signal-safe.
pub fn write(fd: impl AsFd, bytes: &[u8]) {
    // SAFETY: `bytes` is valid for its length, for this call.
    unsafe { libc::write(fd.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
}

/// send(2) with MSG_DONTWAIT and MSG_NOSIGNAL, as write. Async-signal-safe.
pub fn send(fd: impl AsFd, bytes: &[u8]) {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `bytes` is valid for its length, for this call.
    unsafe { libc::send(fd.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
}

/// Sets an eventfd's counter back to 0.
pub fn drain(fd: impl AsFd) {
    let mut counter = [0_u8; 8];
    // SAFETY: `counter` is valid for 8 bytes of writing, for this call.
    unsafe { libc::read(fd.as_fd().as_raw_fd(), counter.as_mut_ptr().cast(), counter.len()) };
}

/// Whether the open file description has O_NONBLOCK.
///
/// # Errors
/// EBADF.
pub fn is_nonblocking(fd: impl AsFd) -> io::Result<bool> {
    // SAFETY: F_GETFL takes no argument.
    let flags = errno::check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFL) })?;
    Ok(flags & libc::O_NONBLOCK != 0)
}
