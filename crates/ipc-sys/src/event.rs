//! eventfd(2) and epoll(7), and the writes that wake somebody from inside a signal handler.
#![expect(unsafe_code, reason = "these calls take pointers or return descriptors")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::deadline::Deadline;
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

/// epoll_create1(2), CLOEXEC.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: takes a number.
    let fd = errno::check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the kernel returned this descriptor just now and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// epoll_ctl(2): tells `tag` when `fd` is readable.
///
/// # Errors
/// EEXIST, ENOMEM, ENOSPC, EPERM for what cannot be polled.
pub fn epoll_add(epoll: impl AsFd, fd: impl AsFd, tag: u64) -> io::Result<()> {
    const READABLE: u32 = 1; // EPOLLIN, an int in libc
    let mut event = libc::epoll_event { events: READABLE, u64: tag };
    let (epoll, fd) = (epoll.as_fd().as_raw_fd(), fd.as_fd().as_raw_fd());
    // SAFETY: `event` lives for the call.
    errno::check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) }).map(drop)
}

/// epoll_ctl(2): no longer tells of `fd`; closing it would not do while a forked child has a copy.
///
/// # Errors
/// ENOENT, EBADF.
pub fn epoll_remove(epoll: impl AsFd, fd: impl AsFd) -> io::Result<()> {
    let (epoll, fd) = (epoll.as_fd().as_raw_fd(), fd.as_fd().as_raw_fd());
    // SAFETY: EPOLL_CTL_DEL looks at no event.
    errno::check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) }).map(drop)
}

/// epoll_wait(2): the tags of up to 64 descriptors that are readable, none when the time is over.
///
/// # Errors
/// ENOMEM of ppoll(2), in which the waiting is done.
pub fn epoll_wait(epoll: impl AsFd, deadline: Deadline) -> io::Result<Vec<u64>> {
    if crate::poll::wait(&epoll, libc::POLLIN, deadline)?.is_none() {
        return Ok(Vec::new());
    }
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
    let len = errno::retry(|| {
        // SAFETY: `events` has room for 64, for this call.
        errno::check(unsafe { libc::epoll_wait(epoll.as_fd().as_raw_fd(), events.as_mut_ptr(), 64, 0) })
    })?;
    Ok(events.iter().take(usize::try_from(len).unwrap_or(0)).map(|event| event.u64).collect())
}
