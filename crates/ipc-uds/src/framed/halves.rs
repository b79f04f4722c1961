//! The two halves of a framed connection, without their socket: what a partial send has left over; bytes and descriptors
//! that came, and what was announced. Whoever holds them decides how to wait.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_frame::{Decoder, HEADER_LEN};
use ipc_sys::socket;

use super::Message;
use super::budget::{Account, Budget};
use crate::ancillary::{self, Ancillary, Attachments, Received};
use crate::seqpacket::hung_up;
use crate::wait::Wait;
use crate::{Error, PeerCredentials, Result, Socket};

/// The length and the number of descriptors.
const PREFIX: usize = HEADER_LEN + 1;

/// The sending half: what a partial send has left over.
#[derive(Debug)]
pub(crate) struct Outgoing {
    max_bytes: usize,
    rest: Vec<u8>,
}

impl Outgoing {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, rest: Vec::new() }
    }

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
        let too_long = Error::TooLong { len: bytes.len(), max: self.max_bytes };
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
    account: Option<Account>,
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
            account: None,
        })
    }

    /// Holds from now on only what the budget allows.
    pub(crate) fn set_budget(&mut self, budget: &Budget) {
        // The old account gives back its part before the new one asks for one.
        self.account = None;
        self.account = Some(budget.account());
    }

    /// How many bytes came and were not given out.
    fn pending(&self) -> usize {
        match &self.bytes {
            Bytes::Stream(decoder) => decoder.remainder().len(),
            Bytes::Packet { len, .. } => *len,
        }
    }

    /// What is held now is on our account, and on nobody's when there is no budget.
    fn charge(&mut self, new_descriptors: usize) -> Result<()> {
        let pending = self.pending();
        let Some(account) = &mut self.account else { return Ok(()) };
        let waiting: usize = self.batches.iter().map(|(_, batch)| batch.len()).sum();
        account.hold(pending, waiting + new_descriptors)
    }

    /// The message that was given out has been read: how many bytes may come now.
    fn release(&mut self) -> Result<usize> {
        self.charge(0)?;
        match (&self.account, &mut self.bytes) {
            (Some(account), Bytes::Stream(decoder)) => {
                decoder.shrink();
                account.room()
            }
            // A packet comes whole or is lost: it is counted when it is there.
            _ => Ok(usize::MAX),
        }
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
        let most = self.release()?;
        let room = match &mut self.bytes {
            Bytes::Stream(decoder) => decoder.space(),
            Bytes::Packet { buffer, .. } => buffer.as_mut_slice(),
        };
        let most = most.min(room.len());
        let room = room.get_mut(..most).unwrap_or_default();
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
        self.charge(received.descriptors.len())?;
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
        // The bytes stay on our account until the next receive, the descriptors are the caller's.
        match self.next_descriptors().and_then(|found| self.charge(0).map(|()| found)) {
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
                return Err(Error::TooLong { len: announced - 1, max: decoder.max() - 1 });
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
        self.bytes = Bytes::Packet { buffer: Vec::new(), len: 0 };
        self.account = None;
        let _ = socket.shutdown(std::net::Shutdown::Both);
        ancillary::discard(socket);
        error
    }
}

fn frame_failed(error: ipc_frame::Error) -> Error {
    match error {
        ipc_frame::Error::TooLong { len, max } => Error::TooLong { len, max },
        ipc_frame::Error::Truncated { got, len } => Error::Truncated { len, max: got },
        other => Error::of("recvmsg", other.into()),
    }
}
