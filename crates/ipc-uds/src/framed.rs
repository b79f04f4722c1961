//! Messages over a stream or seqpacket connection, each with its descriptors.
//!
//! A message is a frame of [`ipc_frame`] (four bytes of length, big-endian) whose payload begins with one byte: how many
//! descriptors belong to it. They travel with the frame's first byte. So a message is never empty for the kernel, the end of the
//! connection is never one, and descriptors that nobody announced, or that were announced and did not come, are found out.
//!
//! A peer that breaks these rules is cut off: the connection is shut down, every descriptor that came is closed.

mod budget;
mod halves;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub use self::budget::Budget;
pub(crate) use self::halves::{Incoming, Outgoing};
use crate::ancillary::Ancillary;
use crate::wait::Wait;
use crate::{Error, MAX_DESCRIPTORS, PeerCredentials, Result};

/// Sends and receives messages with a cap on their bytes and descriptors.
///
/// Both sides must use this type, or speak its bytes: length + 1 as a big-endian `u32`, the number of descriptors as one
/// byte, the bytes.
///
/// # After a crash
/// A peer that has received part of a message gets [`Error::Truncated`](crate::Error::Truncated), never the part; its
/// descriptors are closed.
///
/// # Examples
/// ```
/// use ipc_uds::{Framed, Stream};
/// use std::fs::File;
///
/// let (ours, theirs) = Stream::pair()?;
/// let (mut ours, mut theirs) = (Framed::new(ours, 1024, 1)?, Framed::new(theirs, 1024, 1)?);
/// ours.send(b"an open file follows")?;
/// ours.send_with(b"/dev/null", vec![File::open("/dev/null")?.into()])?;
///
/// let first = theirs.recv()?.ok_or("the end")?;
/// assert_eq!((first.bytes, first.descriptors.len()), (&b"an open file follows"[..], 0));
/// let second = theirs.recv()?.ok_or("the end")?;
/// assert_eq!((second.bytes, second.descriptors.len()), (&b"/dev/null"[..], 1));
/// drop(ours);
/// assert!(theirs.recv()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Framed<T> {
    pub(crate) socket: T,
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
    pub(crate) max_descriptors: usize,
}

/// One message.
#[derive(Debug)]
#[non_exhaustive]
pub struct Message<'a> {
    /// Its bytes; there may be none.
    pub bytes: &'a [u8],
    /// Its descriptors, in the order in which they were sent.
    pub descriptors: Vec<OwnedFd>,
    /// Who sent it, as [`Received::credentials`](crate::Received::credentials) of the receive that brought its end.
    pub credentials: Option<PeerCredentials>,
}

impl Message<'_> {
    /// The descriptors as what they are: an invitation to a shared memory, for instance.
    ///
    /// # Errors
    /// What the conversion says: too many, too few, of the wrong kind.
    pub fn into_descriptors<V: TryFrom<Vec<OwnedFd>>>(self) -> Result<V, V::Error> {
        V::try_from(self.descriptors)
    }
}

impl<T: Ancillary> Framed<T> {
    /// Messages of at most `max_bytes` bytes and `max_descriptors` descriptors, both ways. With no descriptors,
    /// SO_PASSRIGHTS is turned off where the kernel knows it.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EPROTOTYPE: a datagram socket, on which there is no connection to frame | [`Error::System`] |
    /// | none: more than [`MAX_DESCRIPTORS`] | [`Error::TooManyDescriptors`] |
    pub fn new(socket: T, max_bytes: usize, max_descriptors: usize) -> Result<Self> {
        if max_descriptors > MAX_DESCRIPTORS {
            return Err(Error::TooManyDescriptors { count: max_descriptors, max: MAX_DESCRIPTORS });
        }
        if max_descriptors == 0 {
            match socket.set_pass_descriptors(false) {
                Ok(()) | Err(Error::Unsupported { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        // A frame's length, with the number of descriptors, is a u32.
        let max_bytes = max_bytes.min(u32::MAX as usize - 1);
        Ok(Self {
            incoming: Incoming::new(&socket, max_bytes, max_descriptors)?,
            outgoing: Outgoing::new(max_bytes),
            socket,
            max_descriptors,
        })
    }

    /// Counts what is received on a budget that other connections share.
    #[must_use]
    pub fn within(mut self, budget: &Budget) -> Self {
        self.incoming.set_budget(budget);
        self
    }

    /// Sends one message without descriptors.
    ///
    /// # Blocking
    /// While there is no room. EINTR is retried.
    ///
    /// # Errors
    /// As [`Framed::send_with`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.send_waiting(bytes, &[], Wait::Block)
    }

    /// As [`Framed::send`], waiting no longer than `timeout`. A message of which a part has gone is sent: its rest goes out
    /// with the next one, or with [`Framed::flush`].
    ///
    /// # Errors
    /// As [`Framed::send_with`], and [`Error::TimedOut`]: this message was not sent.
    pub fn send_timeout(&mut self, bytes: &[u8], timeout: Duration) -> Result<()> {
        self.send_waiting(bytes, &[], Wait::at_most(timeout))
    }

    /// As [`Framed::send_timeout`], without waiting.
    ///
    /// # Errors
    /// As [`Framed::send_with`], and [`Error::WouldBlock`]: this message was not sent.
    pub fn try_send(&mut self, bytes: &[u8]) -> Result<()> {
        self.send_waiting(bytes, &[], Wait::Try)
    }

    /// Sends one message with descriptors, which are closed here when it has gone.
    ///
    /// # Blocking
    /// While there is no room. EINTR is retried.
    ///
    /// # Errors
    /// After the first two nothing was sent.
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | more bytes than the cap, or than a packet may have (EMSGSIZE) | [`Error::TooLong`] |
    /// | more descriptors than the cap | [`Error::TooManyDescriptors`] |
    /// | ETOOMANYREFS | [`Error::TooManyInFlight`] |
    /// | EPERM: the peer takes none | [`Error::PermissionDenied`] |
    /// | EPIPE, ECONNRESET | [`Error::PeerGone`] |
    pub fn send_with(&mut self, bytes: &[u8], descriptors: impl Into<Vec<OwnedFd>>) -> Result<()> {
        let descriptors = descriptors.into();
        let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        self.send_waiting(bytes, &borrowed, Wait::Block)
    }

    /// As [`Framed::send_with`], of descriptors that the caller keeps.
    ///
    /// # Errors
    /// As [`Framed::send_with`].
    pub fn send_borrowed(&mut self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        self.send_waiting(bytes, descriptors, Wait::Block)
    }

    fn send_waiting(&mut self, bytes: &[u8], descriptors: &[BorrowedFd<'_>], wait: Wait) -> Result<()> {
        if descriptors.len() > self.max_descriptors {
            return Err(Error::TooManyDescriptors { count: descriptors.len(), max: self.max_descriptors });
        }
        self.outgoing.flush(&self.socket, wait)?;
        self.outgoing.send(&self.socket, bytes, descriptors, wait)
    }

    /// Sends the rest of a message of which a `_timeout` or `try_` call could send only a part.
    ///
    /// # Errors
    /// EPIPE, ECONNRESET → [`Error::PeerGone`].
    pub fn flush(&mut self) -> Result<()> {
        self.outgoing.flush(&self.socket, Wait::Block)
    }

    /// The next message; `None` is the end of the connection.
    ///
    /// # Blocking
    /// Until it is there. EINTR is retried.
    ///
    /// # Errors
    /// After each of these but the last the connection is shut down, what came is closed, and every later call is
    /// [`Error::Malformed`].
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | more bytes than the cap | [`Error::TooLong`], of a packet [`Error::Truncated`] |
    /// | more descriptors than the cap | [`Error::TooManyDescriptors`] |
    /// | other descriptors than announced; a frame that is none | [`Error::Malformed`] |
    /// | an end within a message | [`Error::Truncated`] |
    /// | more in flight than the [`Budget`] that it shares has left | [`Error::OverBudget`] |
    /// | MSG_CTRUNC: RLIMIT_NOFILE is reached here | [`Error::DescriptorsLost`] |
    /// | ECONNRESET | [`Error::PeerGone`] |
    /// | EAGAIN: the socket has O_NONBLOCK, or its timeout passed | [`Error::WouldBlock`] |
    pub fn recv(&mut self) -> Result<Option<Message<'_>>> {
        self.recv_waiting(Wait::Block)
    }

    /// As [`Framed::recv`], waiting no longer than `timeout`; what has come of a message is kept.
    ///
    /// # Errors
    /// Those of [`Framed::recv`], and [`Error::TimedOut`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Message<'_>>> {
        self.recv_waiting(Wait::at_most(timeout))
    }

    /// As [`Framed::recv`], without waiting; what has come of a message is kept.
    ///
    /// # Errors
    /// Those of [`Framed::recv`], and [`Error::WouldBlock`].
    pub fn try_recv(&mut self) -> Result<Option<Message<'_>>> {
        self.recv_waiting(Wait::Try)
    }

    fn recv_waiting(&mut self, wait: Wait) -> Result<Option<Message<'_>>> {
        while !self.incoming.is_ready() {
            match self.incoming.fill(&self.socket, wait) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => return Err(self.incoming.judge(&self.socket, error)),
            }
        }
        self.incoming.pop(&self.socket).map(Some)
    }

    /// The socket, to ask for its peer.
    pub fn socket(&self) -> &T {
        &self.socket
    }
}

impl<T: AsFd> AsFd for Framed<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
