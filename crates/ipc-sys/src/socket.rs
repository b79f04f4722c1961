//! Sockets of AF_UNIX: creating, naming, connecting, options. The calls take a descriptor and give errno; which errno
//! means what to the caller is decided in ipc-uds.
//!
//! - [`address`]: `sockaddr_un`, whose length is part of the name
//! - [`control`]: the control data of sendmsg and recvmsg, built and taken apart
//! - [`inherited`]: sockets that a service manager has opened for us
//! - [`message`]: send, recv, sendmsg, recvmsg
//!
//! The kernel makes a socket and removes it with its last descriptor. A name in the file system outlives it.
#![expect(unsafe_code, reason = "socket calls take pointers and give raw descriptors")]

pub mod address;
pub mod control;
pub mod inherited;
pub mod message;

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::errno;
use address::RawAddress;

/// socket(AF_UNIX, `kind` | SOCK_CLOEXEC): `kind` is SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM.
///
/// # Errors
/// EMFILE, ENFILE, ENOBUFS, ENOMEM.
pub fn socket(kind: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: socket(2) takes no pointers.
    let fd = errno::check(unsafe { libc::socket(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the kernel returned this descriptor just now and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// socketpair(AF_UNIX, `kind` | SOCK_CLOEXEC).
///
/// # Errors
/// EMFILE, ENFILE, ENOBUFS, ENOMEM.
pub fn pair(kind: libc::c_int) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds: [RawFd; 2] = [-1; 2];
    // SAFETY: `fds` has room for the two descriptors that the call writes.
    errno::check(unsafe { libc::socketpair(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr()) })?;
    // SAFETY: the kernel returned this descriptor just now and nobody else owns it.
    let left = unsafe { OwnedFd::from_raw_fd(fds[0]) };
    // SAFETY: as above, the other one.
    let right = unsafe { OwnedFd::from_raw_fd(fds[1]) };
    Ok((left, right))
}

/// bind(2).
///
/// # Errors
/// EADDRINUSE, EINVAL (already bound), ENOENT, ENOTDIR, EACCES, EROFS, ENOSPC.
pub fn bind(fd: impl AsFd, address: &RawAddress) -> io::Result<()> {
    let (pointer, len) = address.as_ptr();
    // SAFETY: `pointer` leads to `len` bytes of a live sockaddr_un.
    errno::check(unsafe { libc::bind(fd.as_fd().as_raw_fd(), pointer, len) }).map(drop)
}

/// listen(2).
///
/// # Errors
/// EINVAL (not bound, or connected).
pub fn listen(fd: impl AsFd, backlog: libc::c_int) -> io::Result<()> {
    // SAFETY: listen(2) takes no pointers.
    errno::check(unsafe { libc::listen(fd.as_fd().as_raw_fd(), backlog) }).map(drop)
}

/// connect(2), once: EINTR is returned, because a stream's connect can simply be called again, and a caller with a
/// deadline wants to look at it first.
///
/// # Errors
/// ECONNREFUSED, EAGAIN (backlog full, with O_NONBLOCK or after SO_SNDTIMEO), ENOENT, EACCES, EPROTOTYPE, EISCONN,
/// EINTR.
pub fn connect(fd: impl AsFd, address: &RawAddress) -> io::Result<()> {
    let (pointer, len) = address.as_ptr();
    // SAFETY: `pointer` leads to `len` bytes of a live sockaddr_un.
    errno::check(unsafe { libc::connect(fd.as_fd().as_raw_fd(), pointer, len) }).map(drop)
}

/// accept4(SOCK_CLOEXEC), EINTR retried. The peer's name is asked for only by who wants it.
///
/// # Errors
/// EAGAIN, EMFILE, ENFILE, ENOBUFS, EINVAL (not listening), ECONNABORTED.
pub fn accept(fd: impl AsFd) -> io::Result<OwnedFd> {
    let listener = fd.as_fd().as_raw_fd();
    let fd = errno::retry(|| {
        // SAFETY: null pointers say that the peer's name is not wanted.
        errno::check(unsafe {
            libc::accept4(listener, std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_CLOEXEC)
        })
    })?;
    // SAFETY: the kernel returned this descriptor just now and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// shutdown(2): SHUT_RD, SHUT_WR or SHUT_RDWR.
///
/// # Errors
/// ENOTCONN.
pub fn shutdown(fd: impl AsFd, how: libc::c_int) -> io::Result<()> {
    // SAFETY: shutdown(2) takes no pointers.
    errno::check(unsafe { libc::shutdown(fd.as_fd().as_raw_fd(), how) }).map(drop)
}

/// getsockname(2).
///
/// # Errors
/// ENOTSOCK.
pub fn local_address(fd: impl AsFd) -> io::Result<RawAddress> {
    RawAddress::filled(|pointer, len| {
        // SAFETY: `pointer` has room for `*len` bytes, as `filled` promises.
        errno::check(unsafe { libc::getsockname(fd.as_fd().as_raw_fd(), pointer, len) }).map(drop)
    })
}

/// getpeername(2).
///
/// # Errors
/// ENOTCONN.
pub fn peer_address(fd: impl AsFd) -> io::Result<RawAddress> {
    RawAddress::filled(|pointer, len| {
        // SAFETY: `pointer` has room for `*len` bytes, as `filled` promises.
        errno::check(unsafe { libc::getpeername(fd.as_fd().as_raw_fd(), pointer, len) }).map(drop)
    })
}

/// getsockopt(SOL_SOCKET) of an `int`.
///
/// # Errors
/// ENOPROTOOPT where the kernel or the address family does not know the option.
pub fn option(fd: impl AsFd, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    // SAFETY: any bit pattern is an int.
    unsafe { get(fd, name, &raw mut value) }?;
    Ok(value)
}

/// setsockopt(SOL_SOCKET) of an `int`.
///
/// # Errors
/// ENOPROTOOPT, EINVAL, EPERM, EOPNOTSUPP.
pub fn set_option(fd: impl AsFd, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    set(fd, name, &value)
}

/// setsockopt(SO_RCVTIMEO or SO_SNDTIMEO); zero is no timeout.
///
/// # Errors
/// EDOM never arises: the microseconds are in range.
pub fn set_timeout(fd: impl AsFd, name: libc::c_int, timeout: Duration) -> io::Result<()> {
    let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
    set(fd, name, &libc::timeval { tv_sec: seconds, tv_usec: i64::from(timeout.subsec_micros()) })
}

/// getsockopt(SO_PEERCRED): who called connect, or listen on the side that connected, or socketpair.
///
/// # Errors
/// ENOPROTOOPT. A socket without a peer has pid 0 and uid and gid -1.
pub fn peer_credentials(fd: impl AsFd) -> io::Result<libc::ucred> {
    let mut found = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
    // SAFETY: any bit pattern is a ucred.
    unsafe { get(fd, libc::SO_PEERCRED, &raw mut found) }?;
    Ok(found)
}

/// getsockopt(SO_PEERPIDFD), Linux 6.5.
///
/// # Errors
/// ENOPROTOOPT (older kernel), ENODATA (no peer), ESRCH or EINVAL (the peer has been reaped), EMFILE.
pub fn peer_pidfd(fd: impl AsFd) -> io::Result<OwnedFd> {
    const SO_PEERPIDFD: libc::c_int = 77;
    let pidfd = option(fd, SO_PEERPIDFD)?;
    // SAFETY: the kernel returned this descriptor just now and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd) })
}

/// getsockopt(SO_PEERGROUPS): the supplementary groups of the peer.
///
/// # Errors
/// ENOPROTOOPT, ENODATA (no peer).
pub fn peer_groups(fd: impl AsFd) -> io::Result<Vec<libc::gid_t>> {
    let mut groups: Vec<libc::gid_t> = Vec::new();
    growing(fd, libc::SO_PEERGROUPS, &mut groups, 32)?;
    Ok(groups)
}

/// getsockopt(SO_PEERSEC): the peer's label of the security module, without a final NUL.
///
/// # Errors
/// ENOPROTOOPT where no module labels sockets.
pub fn peer_security(fd: impl AsFd) -> io::Result<Vec<u8>> {
    let mut label: Vec<u8> = Vec::new();
    growing(fd, libc::SO_PEERSEC, &mut label, 256)?;
    if label.last() == Some(&0) {
        label.pop();
    }
    Ok(label)
}

/// The permission bits that bind(2) will give the name, less the umask: fchmod of the socket before it has one.
///
/// # Errors
/// EINVAL never arises for mode bits.
pub fn set_mode(fd: impl AsFd, mode: libc::mode_t) -> io::Result<()> {
    // SAFETY: fchmod(2) takes no pointers.
    errno::check(unsafe { libc::fchmod(fd.as_fd().as_raw_fd(), mode) }).map(drop)
}

/// O_NONBLOCK of the open file description, which every duplicate shares.
///
/// # Errors
/// None for a socket.
pub fn set_nonblocking(fd: impl AsFd, nonblocking: bool) -> io::Result<()> {
    let mut value = libc::c_int::from(nonblocking);
    // SAFETY: FIONBIO reads one int, which lives during the call.
    errno::check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FIONBIO, &raw mut value) }).map(drop)
}

/// ioctl(SIOCINQ): bytes that wait to be received; for message sockets the length of the next message.
///
/// # Errors
/// EINVAL on a listening socket.
pub fn readable(fd: impl AsFd) -> io::Result<usize> {
    let mut len: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, which lives during the call.
    errno::check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut len) })?;
    Ok(usize::try_from(len).unwrap_or(0))
}

/// flock(LOCK_EX | LOCK_NB): false when another open file description holds the lock.
///
/// # Errors
/// ENOLCK.
pub fn try_lock(file: impl AsFd) -> io::Result<bool> {
    // SAFETY: flock(2) takes no pointers.
    match errno::check(unsafe { libc::flock(file.as_fd().as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(_) => Ok(true),
        Err(error) if errno::is(&error, libc::EWOULDBLOCK) => Ok(false),
        Err(error) => Err(error),
    }
}

/// geteuid(2).
#[must_use]
pub fn effective_uid() -> libc::uid_t {
    // SAFETY: geteuid(2) always succeeds and takes nothing.
    unsafe { libc::geteuid() }
}

/// getegid(2).
#[must_use]
pub fn effective_gid() -> libc::gid_t {
    // SAFETY: getegid(2) always succeeds and takes nothing.
    unsafe { libc::getegid() }
}

/// # Safety
/// Any bit pattern must be a `T`.
unsafe fn get<T>(fd: impl AsFd, name: libc::c_int, value: *mut T) -> io::Result<()> {
    let mut len = socklen(size_of::<T>());
    // SAFETY: `value` has room for `len` bytes, of which any may be written.
    errno::check(unsafe {
        libc::getsockopt(fd.as_fd().as_raw_fd(), libc::SOL_SOCKET, name, value.cast(), &raw mut len)
    })
    .map(drop)
}

fn set<T>(fd: impl AsFd, name: libc::c_int, value: &T) -> io::Result<()> {
    let pointer = std::ptr::from_ref(value).cast();
    // SAFETY: `pointer` leads to a live T of the length given.
    errno::check(unsafe {
        libc::setsockopt(fd.as_fd().as_raw_fd(), libc::SOL_SOCKET, name, pointer, socklen(size_of::<T>()))
    })
    .map(drop)
}

/// An option of any length: the kernel says ERANGE, and how much it needs, when `first` elements do not do.
fn growing<T: Copy>(fd: impl AsFd, name: libc::c_int, out: &mut Vec<T>, first: usize) -> io::Result<()> {
    let mut room = first;
    loop {
        out.clear();
        out.reserve(room);
        let spare: &mut [MaybeUninit<T>] = out.spare_capacity_mut();
        let mut len = socklen(std::mem::size_of_val(spare));
        let pointer = spare.as_mut_ptr().cast();
        // SAFETY: `pointer` has room for `len` bytes: it is the vector's spare capacity.
        let result = errno::check(unsafe {
            libc::getsockopt(fd.as_fd().as_raw_fd(), libc::SOL_SOCKET, name, pointer, &raw mut len)
        });
        let count = usize::try_from(len).unwrap_or(0) / size_of::<T>();
        match result {
            Ok(_) => {
                // SAFETY: the kernel wrote `len` bytes, at most the capacity, and T is an integer: any bits are one.
                unsafe { out.set_len(count.min(out.capacity())) };
                return Ok(());
            }
            Err(error) if errno::is(&error, libc::ERANGE) && count > room => room = count,
            Err(error) => return Err(error),
        }
    }
}

fn socklen(len: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(len).unwrap_or(libc::socklen_t::MAX)
}
