//! What travels beside the bytes of a message: descriptors (SCM_RIGHTS), the sender's credentials (SCM_CREDENTIALS), a
//! descriptor of the sender's process (SCM_PIDFD), its security label (SCM_SECURITY).
//!
//! A descriptor in flight belongs to the kernel: it is closed with the message when nobody receives it. Received, it is an
//! [`OwnedFd`], CLOEXEC from birth, or it is closed; there is no third way.

use std::io::{IoSlice, IoSliceMut};
use std::num::NonZeroU32;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use ipc_sys::socket;
use ipc_sys::socket::control::{self, Control};
use ipc_sys::socket::message;

use crate::seqpacket::send_failed;
use crate::{Error, PeerCredentials, Result, Socket, wait::Wait};

/// SCM_MAX_FD: the most descriptors that one message carries.
pub const MAX_DESCRIPTORS: usize = control::MAX_DESCRIPTORS;

/// What to send beside the bytes. An array or slice of borrowed descriptors is one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attachments<'a> {
    descriptors: &'a [BorrowedFd<'a>],
    credentials: Option<PeerCredentials>,
}

impl<'a> Attachments<'a> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { descriptors: &[], credentials: None }
    }

    /// These descriptors; the receiver gets duplicates of them, in this order.
    #[must_use]
    pub const fn descriptors(mut self, descriptors: &'a [BorrowedFd<'a>]) -> Self {
        self.descriptors = descriptors;
        self
    }

    /// These credentials. The kernel checks them: only our own, unless we have the capabilities for others. A receiver that
    /// wants credentials ([`Socket::set_pass_credentials`]) gets ours without this, too.
    #[must_use]
    pub const fn credentials(mut self, credentials: PeerCredentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// The control data of it, into memory that stays where it is: there is a lot of it.
    fn fill(&self, control: &mut Control) -> Result<()> {
        if !control.push_descriptors(self.descriptors) {
            return Err(Error::TooManyDescriptors { count: self.descriptors.len(), max: MAX_DESCRIPTORS });
        }
        if let Some(credentials) = self.credentials {
            let pid = libc::pid_t::try_from(credentials.pid.map_or(0, NonZeroU32::get));
            control.push_credentials(libc::ucred {
                pid: pid.unwrap_or(-1),
                uid: credentials.uid,
                gid: credentials.gid,
            });
        }
        Ok(())
    }
}

impl PeerCredentials {
    /// Who we are now: process, effective user and group.
    #[must_use]
    pub fn own() -> Self {
        Self {
            pid: NonZeroU32::new(std::process::id()),
            uid: socket::effective_uid(),
            gid: socket::effective_gid(),
        }
    }
}

impl<'a> From<&'a [BorrowedFd<'a>]> for Attachments<'a> {
    fn from(descriptors: &'a [BorrowedFd<'a>]) -> Self {
        Self::new().descriptors(descriptors)
    }
}

impl<'a, const N: usize> From<&'a [BorrowedFd<'a>; N]> for Attachments<'a> {
    fn from(descriptors: &'a [BorrowedFd<'a>; N]) -> Self {
        Self::new().descriptors(descriptors)
    }
}

/// What one receive gave.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received {
    /// Bytes in the buffer; 0 is the end of a stream or seqpacket connection.
    pub len: usize,
    /// Descriptors, in the order in which they were sent.
    pub descriptors: Vec<OwnedFd>,
    /// Who sent it, where [`BindOptions::credentials`](crate::BindOptions::credentials) or [`Socket::set_pass_credentials`] is
    /// on. Unlike [`Socket::peer_credentials`] it is of the moment of sending, and of the process that called send(2).
    ///
    /// `None` where it is off, at the end of a stream, and of a message that was sent before it was on. Of these two the
    /// kernel writes process 0, and root or user 65534, who sent nothing. `None`, too, when neither process nor user nor
    /// group of the sender can be seen from our namespaces: the kernel writes the same.
    pub credentials: Option<PeerCredentials>,
    /// The process that sent it, where [`Socket::set_pass_pidfd`] was on when it did, and it had not been reaped.
    pub pidfd: Option<OwnedFd>,
    /// The security label of the sender, where [`Socket::set_pass_security`] is on and a module labels.
    pub security: Option<Vec<u8>>,
}

/// Sending and receiving with descriptors and credentials, on our sockets and on std's.
///
/// On a *stream*, descriptors travel with the first byte of the send that carried them, and a receive never reaches beyond
/// them: it may begin with bytes sent earlier without descriptors. [`Framed`](crate::Framed) binds them to their message.
///
/// # Examples
/// ```
/// use ipc_uds::{Ancillary, Stream};
/// use std::fs::File;
/// use std::os::fd::AsFd;
///
/// let (ours, theirs) = Stream::pair()?;
/// let null = File::open("/dev/null")?;
/// ours.send_with(b"!", &[null.as_fd()])?;
/// let mut byte = [0];
/// let received = theirs.recv_with(&mut byte, 1)?;
/// assert_eq!((received.len, received.descriptors.len()), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Ancillary: Socket {
    /// sendmsg(2): `bytes` and what goes with them; the number of bytes sent, all of them on a message socket, perhaps
    /// fewer on a stream (what goes with them has gone then).
    ///
    /// # Blocking
    /// While there is no room. EINTR is retried.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | no bytes: a stream would drop the descriptors | [`Error::EmptyMessage`] |
    /// | more than 253 descriptors; nothing was sent | [`Error::TooManyDescriptors`] |
    /// | ETOOMANYREFS | [`Error::TooManyInFlight`] |
    /// | EPERM: the receiver takes no descriptors, or the credentials are not ours | [`Error::PermissionDenied`] |
    /// | EMSGSIZE | [`Error::TooLong`] |
    /// | EPIPE, ECONNRESET | [`Error::PeerGone`] |
    #[doc(alias = "sendmsg")]
    #[doc(alias = "SCM_RIGHTS")]
    fn send_with<'a>(&self, bytes: &[u8], with: impl Into<Attachments<'a>>) -> Result<usize>
    where
        Self: Sized,
    {
        send(self, &[IoSlice::new(bytes)], with.into(), Wait::Block)
    }

    /// As [`Ancillary::send_with`], without waiting.
    ///
    /// # Errors
    /// Those of [`Ancillary::send_with`], and EAGAIN → [`Error::WouldBlock`].
    fn try_send_with<'a>(&self, bytes: &[u8], with: impl Into<Attachments<'a>>) -> Result<usize>
    where
        Self: Sized,
    {
        send(self, &[IoSlice::new(bytes)], with.into(), Wait::Try)
    }

    /// As [`Ancillary::send_with`], waiting no longer than `timeout`.
    ///
    /// # Errors
    /// Those of [`Ancillary::send_with`], and [`Error::TimedOut`].
    fn send_with_timeout<'a>(
        &self,
        bytes: &[u8],
        with: impl Into<Attachments<'a>>,
        timeout: Duration,
    ) -> Result<usize>
    where
        Self: Sized,
    {
        send(self, &[IoSlice::new(bytes)], with.into(), Wait::at_most(timeout))
    }

    /// recvmsg(2): bytes into `buffer`, and at most `max_descriptors` descriptors.
    ///
    /// # Blocking
    /// Until there is something. EINTR is retried.
    ///
    /// # Errors
    /// After each of the first three the bytes are gone from the socket, and every descriptor that came is closed.
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | more descriptors than `max_descriptors` | [`Error::TooManyDescriptors`] |
    /// | MSG_CTRUNC: some were lost because RLIMIT_NOFILE is reached | [`Error::DescriptorsLost`] |
    /// | MSG_TRUNC: a message longer than `buffer` | [`Error::Truncated`] |
    /// | ECONNRESET | [`Error::PeerGone`] |
    #[doc(alias = "recvmsg")]
    fn recv_with(&self, buffer: &mut [u8], max_descriptors: usize) -> Result<Received>
    where
        Self: Sized,
    {
        receive(self, buffer, max_descriptors, Wait::Block)
    }

    /// As [`Ancillary::recv_with`], without waiting.
    ///
    /// # Errors
    /// Those of [`Ancillary::recv_with`], and EAGAIN → [`Error::WouldBlock`].
    fn try_recv_with(&self, buffer: &mut [u8], max_descriptors: usize) -> Result<Received>
    where
        Self: Sized,
    {
        receive(self, buffer, max_descriptors, Wait::Try)
    }

    /// As [`Ancillary::recv_with`], waiting no longer than `timeout`.
    ///
    /// # Errors
    /// Those of [`Ancillary::recv_with`], and [`Error::TimedOut`].
    fn recv_with_timeout(
        &self,
        buffer: &mut [u8],
        max_descriptors: usize,
        timeout: Duration,
    ) -> Result<Received>
    where
        Self: Sized,
    {
        receive(self, buffer, max_descriptors, Wait::at_most(timeout))
    }
}

impl Ancillary for crate::Stream {}
impl Ancillary for crate::SeqPacket {}
impl Ancillary for crate::Datagram {}
impl Ancillary for UnixStream {}
impl Ancillary for UnixDatagram {}
impl<T: Ancillary> Ancillary for &T {}

/// One sendmsg.
pub(crate) fn send(
    fd: &impl Socket,
    bytes: &[IoSlice<'_>],
    with: Attachments<'_>,
    wait: Wait,
) -> Result<usize> {
    let len = bytes.iter().map(|slice| slice.len()).sum();
    if len == 0 {
        return Err(Error::EmptyMessage);
    }
    let mut control = Control::new();
    with.fill(&mut control)?;
    let sent = wait.run(fd, libc::POLLOUT, |flags| message::send_message(fd, bytes, &control, None, flags));
    sent.map_err(|source| send_failed(fd, "sendmsg", len, source))
}

/// One recvmsg, judged. MSG_TRUNC asks for a message's true length; a stream has none and does not look at it.
pub(crate) fn receive(
    fd: &impl Socket,
    buffer: &mut [u8],
    max_descriptors: usize,
    wait: Wait,
) -> Result<Received> {
    let room = buffer.len();
    let received = wait.run(fd, libc::POLLIN, |flags| {
        message::receive_message(fd, &mut [IoSliceMut::new(buffer)], None, flags | libc::MSG_TRUNC)
    });
    let received = received.map_err(|source| Error::of("recvmsg", source))?;
    let found = received.ancillary;
    let count = found.descriptors.len();
    // `found` owns every descriptor that was delivered: each return below closes them.
    if received.flags & libc::MSG_CTRUNC != 0 {
        return Err(Error::DescriptorsLost { closed: count });
    }
    if count > max_descriptors {
        return Err(Error::TooManyDescriptors { count, max: max_descriptors });
    }
    if received.flags & libc::MSG_TRUNC != 0 {
        return Err(Error::Truncated { len: received.len, max: room });
    }
    Ok(Received {
        len: received.len,
        descriptors: found.descriptors,
        credentials: found.credentials.and_then(|raw| PeerCredentials::of_message(raw, received.len)),
        pidfd: found.pidfd,
        security: found.security,
    })
}

/// Receives and closes whatever waits in a connection that was shut down, to which no more can come.
pub(crate) fn discard(fd: &impl Socket) {
    let mut bytes = [0; 4096];
    let mut next =
        || message::receive_message(fd, &mut [IoSliceMut::new(&mut bytes)], None, libc::MSG_DONTWAIT);
    while next().is_ok_and(|received| received.len > 0) {}
}
