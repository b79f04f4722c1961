//! send, recv, sendmsg, recvmsg. Never SIGPIPE (MSG_NOSIGNAL), received descriptors CLOEXEC at birth
//! (MSG_CMSG_CLOEXEC). EINTR is retried: the kernel reports it only when nothing was moved.
#![expect(unsafe_code, reason = "msghdr holds pointers")]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd};

use super::address::RawAddress;
use super::control::{Ancillary, Control};
use crate::errno;

/// send(2).
///
/// # Errors
/// EAGAIN, EPIPE, ECONNRESET, EMSGSIZE, ENOTCONN, ENOBUFS.
#[inline]
pub fn send(fd: impl AsFd, bytes: &[u8], flags: libc::c_int) -> io::Result<usize> {
    let (fd, flags) = (fd.as_fd().as_raw_fd(), flags | libc::MSG_NOSIGNAL);
    errno::retry(|| {
        // SAFETY: `bytes` is valid for reads of its length, and borrowed for this call.
        errno::check_len(unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) })
    })
}

/// recv(2). With MSG_TRUNC the result is the length of the message, which may be more than `buffer` holds.
///
/// # Errors
/// EAGAIN, ECONNRESET, ENOTCONN.
#[inline]
pub fn recv(fd: impl AsFd, buffer: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    errno::retry(|| {
        // SAFETY: `buffer` is valid for writes of its length, and borrowed for this call.
        errno::check_len(unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), flags) })
    })
}

/// sendto(2).
///
/// # Errors
/// Those of [`send`], and ECONNREFUSED, ENOENT, EACCES, EPROTOTYPE, EPERM (the receiver is connected to another).
pub fn send_to(fd: impl AsFd, bytes: &[u8], to: &RawAddress, flags: libc::c_int) -> io::Result<usize> {
    let (fd, flags) = (fd.as_fd().as_raw_fd(), flags | libc::MSG_NOSIGNAL);
    let (address, len) = to.as_ptr();
    errno::retry(|| {
        // SAFETY: `bytes` is valid for reads of its length, `address` leads to `len` bytes; both live during the call.
        errno::check_len(unsafe { libc::sendto(fd, bytes.as_ptr().cast(), bytes.len(), flags, address, len) })
    })
}

/// recvfrom(2).
///
/// # Errors
/// Those of [`recv`].
pub fn recv_from(fd: impl AsFd, buffer: &mut [u8], flags: libc::c_int) -> io::Result<(usize, RawAddress)> {
    let fd = fd.as_fd().as_raw_fd();
    let mut received = 0;
    let from = RawAddress::filled(|address, len| {
        received = errno::retry(|| {
            // SAFETY: `buffer` is valid for writes of its length, `address` for `*len` bytes, as `filled` promises.
            errno::check_len(unsafe {
                libc::recvfrom(fd, buffer.as_mut_ptr().cast(), buffer.len(), flags, address, len)
            })
        })?;
        Ok(())
    })?;
    Ok((received, from))
}

/// sendmsg(2).
///
/// # Errors
/// Those of [`send`] and [`send_to`]; ETOOMANYREFS (too many descriptors in flight), EPERM (credentials that are not
/// ours, or a receiver that has SO_PASSRIGHTS off).
#[inline]
pub fn send_message(
    fd: impl AsFd,
    bytes: &[IoSlice<'_>],
    control: &Control,
    to: Option<&RawAddress>,
    flags: libc::c_int,
) -> io::Result<usize> {
    let (fd, flags) = (fd.as_fd().as_raw_fd(), flags | libc::MSG_NOSIGNAL);
    let mut header = empty_header();
    if let Some(to) = to {
        let (address, len) = to.as_ptr();
        header.msg_name = address.cast_mut().cast();
        header.msg_namelen = len;
    }
    // IoSlice is an iovec, as its documentation guarantees, and sendmsg does not write through the pointer.
    header.msg_iov = bytes.as_ptr().cast_mut().cast();
    header.msg_iovlen = bytes.len() as _;
    let (data, len) = control.filled();
    if len > 0 {
        header.msg_control = data.cast_mut().cast();
        header.msg_controllen = len as _;
    }
    errno::retry(|| {
        // SAFETY: every pointer in `header` leads to memory of the stated length that is borrowed for this call.
        errno::check_len(unsafe { libc::sendmsg(fd, &raw const header, flags) })
    })
}

/// What recvmsg gave.
#[derive(Debug)]
pub struct Received {
    /// Bytes moved, or the message's length with MSG_TRUNC among the flags given.
    pub len: usize,
    /// `msg_flags`: MSG_TRUNC, MSG_CTRUNC, MSG_EOR, MSG_OOB.
    pub flags: libc::c_int,
    /// What came with it.
    pub ancillary: Ancillary,
}

/// recvmsg(2) with room for the most that a message can carry; `from` is filled where the sender's name is wanted.
///
/// # Errors
/// EAGAIN, ECONNRESET, ENOTCONN.
#[inline]
pub fn receive_message(
    fd: impl AsFd,
    buffers: &mut [IoSliceMut<'_>],
    from: Option<&mut RawAddress>,
    flags: libc::c_int,
) -> io::Result<Received> {
    let (fd, flags) = (fd.as_fd().as_raw_fd(), flags | libc::MSG_CMSG_CLOEXEC);
    let mut control = Control::new();
    let (data, room) = control.room();
    let mut header = empty_header();
    let mut name_len = None;
    if let Some(from) = from {
        let (address, len) = from.as_mut_parts();
        header.msg_name = address.cast();
        header.msg_namelen = super::socklen(size_of::<libc::sockaddr_un>());
        name_len = Some(len);
    }
    // IoSliceMut is an iovec, as its documentation guarantees.
    header.msg_iov = buffers.as_mut_ptr().cast();
    header.msg_iovlen = buffers.len() as _;
    header.msg_control = data.cast();
    header.msg_controllen = room as _;
    let len = errno::retry(|| {
        // SAFETY: every pointer in `header` leads to memory of the stated length that is borrowed for this call.
        errno::check_len(unsafe { libc::recvmsg(fd, &raw mut header, flags) })
    })?;
    if let Some(name_len) = name_len {
        *name_len = header.msg_namelen;
    }
    #[expect(clippy::unnecessary_cast, reason = "musl's msg_controllen is a socklen_t")]
    let written = header.msg_controllen as usize;
    // SAFETY: the kernel wrote this many bytes of control data from the start.
    unsafe { control.set_len(written) };
    // SAFETY: the content comes from the recvmsg above and is taken here, once.
    let ancillary = unsafe { control.take() };
    Ok(Received { len, flags: header.msg_flags, ancillary })
}

#[inline]
fn empty_header() -> libc::msghdr {
    // SAFETY: msghdr holds integers and pointers, of which zero and null are valid.
    unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() }
}
