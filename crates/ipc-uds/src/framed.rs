//! Messages over a stream or seqpacket connection, each with its descriptors.
//!
//! A message is a frame of [`ipc_frame`] (four bytes of length, big-endian) whose payload begins with one byte: how many
//! descriptors belong to it. They travel with the frame's first byte. So a message is never empty for the kernel, the end of the
//! connection is never one, and descriptors that nobody announced, or that were announced and did not come, are found out.
//!
//! A peer that breaks these rules is cut off: the connection is shut down, every descriptor that came is closed.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ipc_frame::{Decoder, HEADER_LEN};
use ipc_sys::socket;

use crate::ancillary::{self, Ancillary, Attachments, Received};
use crate::seqpacket::hung_up;
use crate::wait::Wait;
use crate::{Error, MAX_DESCRIPTORS, PeerCredentials, Result, Socket};

/// The length and the number of descriptors.
const PREFIX: usize = HEADER_LEN + 1;

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
    /// Who sent it, where [`Socket::set_pass_credentials`] is on: of the receive that brought its end.
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
    /// A datagram socket, on which there is no connection to frame → [`Error::System`] with EPROTOTYPE; more than
    /// [`MAX_DESCRIPTORS`] → [`Error::TooManyDescriptors`].
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
            outgoing: Outgoing { max_bytes, rest: Vec::new() },
            socket,
            max_descriptors,
        })
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

/// The sending half: what a partial send has left over.
#[derive(Debug)]
pub(crate) struct Outgoing {
    max_bytes: usize,
    rest: Vec<u8>,
}

impl Outgoing {
    #[cfg(feature = "tokio")]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn flush(&mut self, socket: &impl Ancillary, wait: Wait) -> Result<()> {
        while !self.rest.is_empty() {
            let sent = ancillary::send(socket, &[IoSlice::new(&self.rest)], Attachments::new(), wait)?;
            self.rest.drain(..sent);
        }
        Ok(())
    }

    /// Sends a message; once a part of it has gone, a deadline that passes is no error and the rest is kept.
    pub(crate) fn send(
        &mut self,
        socket: &impl Ancillary,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
        wait: Wait,
    ) -> Result<()> {
        let too_long = Error::TooLong { len: bytes.len(), max: Some(self.max_bytes) };
        let Ok(len) = u32::try_from(bytes.len() + 1) else { return Err(too_long) };
        if bytes.len() > self.max_bytes {
            return Err(too_long);
        }
        let [a, b, c, d] = len.to_be_bytes();
        let count = u8::try_from(descriptors.len()).unwrap_or(u8::MAX);
        let prefix = [a, b, c, d, count];
        let parts = [IoSlice::new(&prefix), IoSlice::new(bytes)];
        let sent = ancillary::send(socket, &parts, descriptors.into(), wait)?;
        if sent < PREFIX + bytes.len() {
            self.rest.extend_from_slice(prefix.get(sent..).unwrap_or_default());
            self.rest.extend_from_slice(bytes.get(sent.saturating_sub(PREFIX)..).unwrap_or_default());
            match self.flush(socket, wait) {
                Err(Error::TimedOut | Error::WouldBlock) => {}
                flushed => return flushed,
            }
        }
        Ok(())
    }
}

/// The receiving half: bytes that came, the descriptors that came with them, and what was announced.
#[derive(Debug)]
pub(crate) struct Incoming {
    bytes: Bytes,
    /// Descriptors that wait for their message, with the stretch of the stream that they came with.
    batches: VecDeque<(Range<u64>, Vec<OwnedFd>)>,
    /// Where in the stream the next message begins, and where what was received ends.
    next: u64,
    end: u64,
    max_descriptors: usize,
    credentials: Option<PeerCredentials>,
    broken: bool,
}

#[derive(Debug)]
enum Bytes {
    Stream(Decoder),
    /// One packet: whole, or nothing.
    Packet {
        buffer: Vec<u8>,
        len: usize,
    },
}

impl Incoming {
    pub(crate) fn new(fd: &impl AsFd, max_bytes: usize, max_descriptors: usize) -> Result<Self> {
        let failed = |source| Error::of("SO_TYPE", source);
        let bytes = match socket::option(fd, libc::SO_TYPE).map_err(failed)? {
            libc::SOCK_STREAM => Bytes::Stream(Decoder::new(max_bytes + 1)),
            libc::SOCK_SEQPACKET => Bytes::Packet { buffer: vec![0; PREFIX + max_bytes], len: 0 },
            _ => return Err(failed(io::Error::from_raw_os_error(libc::EPROTOTYPE))),
        };
        Ok(Self {
            bytes,
            batches: VecDeque::new(),
            next: 0,
            end: 0,
            max_descriptors,
            credentials: None,
            broken: false,
        })
    }

    pub(crate) fn is_ready(&self) -> bool {
        match &self.bytes {
            _ if self.broken => true,
            Bytes::Stream(decoder) => decoder.is_ready(),
            Bytes::Packet { len, .. } => *len > 0,
        }
    }

    /// One receive; false is the end.
    pub(crate) fn fill(&mut self, socket: &impl Ancillary, wait: Wait) -> Result<bool> {
        let room = match &mut self.bytes {
            Bytes::Stream(decoder) => decoder.space(),
            Bytes::Packet { buffer, .. } => buffer.as_mut_slice(),
        };
        let received = ancillary::receive(socket, room, self.max_descriptors, wait)?;
        self.filled(socket, received)
    }

    fn filled(&mut self, socket: &impl Ancillary, received: Received) -> Result<bool> {
        if received.len == 0 {
            return self.ended(socket);
        }
        let start = self.end;
        self.end += received.len as u64;
        self.credentials = received.credentials;
        match &mut self.bytes {
            Bytes::Stream(decoder) => decoder.filled(received.len),
            Bytes::Packet { len, .. } => *len = received.len,
        }
        if !received.descriptors.is_empty() {
            // Descriptors come with the first byte of their message. One that had begun before must be complete by now,
            // so that they can belong to the next one; else they belong to nothing, and a peer could pile them up.
            if self.next < start && !self.is_ready() {
                return Err(Error::Malformed { reason: "descriptors came in the middle of a message" });
            }
            self.batches.push_back((start..self.end, received.descriptors));
        }
        Ok(true)
    }

    fn ended(&mut self, socket: &impl Ancillary) -> Result<bool> {
        match &self.bytes {
            Bytes::Stream(decoder) => decoder.finish().map_err(frame_failed)?,
            Bytes::Packet { .. } if !hung_up(socket)? => {
                return Err(Error::Malformed { reason: "an empty packet" });
            }
            Bytes::Packet { .. } => {}
        }
        self.batches.clear();
        Ok(false)
    }

    /// The message that is ready.
    pub(crate) fn pop(&mut self, socket: &impl Socket) -> Result<Message<'_>> {
        match self.next_descriptors() {
            Ok(descriptors) => {
                let credentials = self.credentials;
                let payload = match &mut self.bytes {
                    Bytes::Stream(decoder) => decoder.pop().map_err(frame_failed)?.unwrap_or_default(),
                    Bytes::Packet { buffer, len } => {
                        let packet = buffer.get(HEADER_LEN..*len).unwrap_or_default();
                        *len = 0;
                        packet
                    }
                };
                self.next += (HEADER_LEN + payload.len()) as u64;
                Ok(Message { bytes: payload.get(1..).unwrap_or_default(), descriptors, credentials })
            }
            Err(error) => Err(self.judge(socket, error)),
        }
    }

    /// Checks the header of the message that is ready, and finds its descriptors.
    fn next_descriptors(&mut self) -> Result<Vec<OwnedFd>> {
        if self.broken {
            return Err(Error::Malformed { reason: "the connection was given up before" });
        }
        let held = match &self.bytes {
            Bytes::Stream(decoder) => decoder.remainder(),
            Bytes::Packet { buffer, len } => buffer.get(..*len).unwrap_or_default(),
        };
        let announced = held.first_chunk().map_or(0, |header| u32::from_be_bytes(*header)) as usize;
        if announced == 0 {
            return Err(Error::Malformed { reason: "a frame without the number of its descriptors" });
        }
        if let Bytes::Stream(decoder) = &self.bytes {
            if announced > decoder.max() {
                return Err(Error::TooLong { len: announced - 1, max: Some(decoder.max() - 1) });
            }
        } else if HEADER_LEN + announced != held.len() {
            return Err(Error::Malformed { reason: "a packet of another length than it says" });
        }
        let count = usize::from(held.get(HEADER_LEN).copied().unwrap_or(0));
        let mine = self.next..self.next + (HEADER_LEN + announced) as u64;
        let found = match self.batches.front() {
            Some((range, found)) if count > 0 && range.contains(&mine.start) && found.len() == count => {
                self.batches.pop_front().map(|(_, found)| found).unwrap_or_default()
            }
            _ if count > 0 => return Err(Error::Malformed { reason: "other descriptors than announced" }),
            _ => Vec::new(),
        };
        // What came with bytes of this message, and with none of the next, belongs to nothing.
        if self.batches.front().is_some_and(|(range, _)| range.end <= mine.end) {
            return Err(Error::Malformed { reason: "descriptors that no message announced" });
        }
        Ok(found)
    }

    /// Waiting loses nothing; anything else is the end of this connection.
    pub(crate) fn judge(&mut self, socket: &impl Socket, error: Error) -> Error {
        if matches!(error, Error::WouldBlock | Error::TimedOut) {
            return error;
        }
        self.broken = true;
        self.batches.clear();
        let _ = socket.shutdown(std::net::Shutdown::Both);
        ancillary::discard(socket);
        error
    }
}

fn frame_failed(error: ipc_frame::Error) -> Error {
    match error {
        ipc_frame::Error::TooLong { len, max } => Error::TooLong { len, max: Some(max) },
        ipc_frame::Error::Truncated { got, len } => Error::Truncated { len, max: got },
        other => Error::of("recvmsg", other.into()),
    }
}
