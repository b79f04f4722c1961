//! Unix sockets: bytes and descriptors, ours against the bare calls.
#![expect(unsafe_code, reason = "the C that is measured beside ours")]

use std::fs::File;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use ipc_uds::{Ancillary, Stream};

use super::Bound::Parity;
use super::{Promised, pair};

pub(crate) const PROMISES: &[Promised] = &[
    Promised::ratio("uds send and recv 64 B, ours to libc", Parity, bytes, bytes_libc),
    Promised::ratio("uds send and recv a descriptor, ours to libc", Parity, descriptor, descriptor_libc),
];

const ROUNDS: u64 = 1000;

fn bytes() -> f64 {
    let (left, right) = Stream::pair().unwrap();
    let mut bytes = [7; 64];
    pair::time(ROUNDS, || {
        assert_eq!((&left).write(&bytes).unwrap(), 64);
        assert_eq!((&right).read(&mut bytes).unwrap(), 64);
    })
}

fn bytes_libc() -> f64 {
    let (left, right) = Stream::pair().unwrap();
    let (left, right) = (left.as_fd().as_raw_fd(), right.as_fd().as_raw_fd());
    let mut bytes = [7_u8; 64];
    pair::time(ROUNDS, || {
        // SAFETY: 64 bytes to read from.
        assert_eq!(unsafe { libc::send(left, bytes.as_ptr().cast(), 64, libc::MSG_NOSIGNAL) }, 64);
        // SAFETY: room for 64 bytes.
        assert_eq!(unsafe { libc::recv(right, bytes.as_mut_ptr().cast(), 64, 0) }, 64);
    })
}

/// Sent, received and closed.
fn descriptor() -> f64 {
    let (left, right) = Stream::pair().unwrap();
    let null = File::open("/dev/null").unwrap();
    pair::time(ROUNDS, || {
        assert_eq!(left.send_with(b"!", &[null.as_fd()]).unwrap(), 1);
        let received = right.recv_with(&mut [0], 1).unwrap();
        assert_eq!((received.len, received.descriptors.len()), (1, 1));
    })
}

fn descriptor_libc() -> f64 {
    let (left, right) = Stream::pair().unwrap();
    let null = File::open("/dev/null").unwrap();
    pair::time(ROUNDS, || {
        send_raw(left.as_fd().as_raw_fd(), null.as_raw_fd());
        let received = receive_raw(right.as_fd().as_raw_fd());
        // SAFETY: just received, and nobody else's.
        assert_eq!(unsafe { libc::close(received) }, 0);
    })
}

/// Room for one descriptor: CMSG_SPACE(sizeof(int)).
type Control = [u64; 3];

fn header(iov: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: integers and pointers, of which zero and null are valid.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_iov = iov;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of::<Control>() as _;
    header
}

fn send_raw(socket: RawFd, descriptor: RawFd) {
    let (mut byte, mut control) = (b'!', [0; 3]);
    let mut iov = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let header = header(&mut iov, &mut control);
    // SAFETY: the control data is long enough for a header.
    let first = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    // SAFETY: CMSG_LEN is arithmetic.
    let len = unsafe { libc::CMSG_LEN(4) };
    // SAFETY: `first` leads into the zeroed, aligned control data.
    let row = unsafe { &mut *first };
    (row.cmsg_level, row.cmsg_type, row.cmsg_len) = (libc::SOL_SOCKET, libc::SCM_RIGHTS, len as _);
    // SAFETY: behind the header of `first`.
    let data = unsafe { libc::CMSG_DATA(first) };
    // SAFETY: the control data has room for one int there.
    unsafe { data.cast::<RawFd>().write_unaligned(descriptor) };
    // SAFETY: every pointer in `header` leads to a local of the stated length.
    assert_eq!(unsafe { libc::sendmsg(socket, &raw const header, libc::MSG_NOSIGNAL) }, 1);
}

fn receive_raw(socket: RawFd) -> RawFd {
    let (mut byte, mut control) = (0_u8, [0; 3]);
    let mut iov = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut header = header(&mut iov, &mut control);
    // SAFETY: every pointer in `header` leads to a local of the stated length.
    assert_eq!(unsafe { libc::recvmsg(socket, &raw mut header, libc::MSG_CMSG_CLOEXEC) }, 1);
    assert_eq!(header.msg_flags & libc::MSG_CTRUNC, 0);
    // SAFETY: filled by the call.
    let first = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    assert!(!first.is_null());
    // SAFETY: behind the header of `first`, which is there.
    let data = unsafe { libc::CMSG_DATA(first) };
    // SAFETY: the only thing that this socket carries is one descriptor.
    unsafe { data.cast::<RawFd>().read_unaligned() }
}
