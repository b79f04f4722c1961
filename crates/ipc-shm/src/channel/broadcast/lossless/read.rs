//! What a reader does: it receives, and waits for a message.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::channel::attached::Patience;
use crate::channel::broadcast::lossless::Reader;
use crate::channel::broadcast::lossless::reader::Seat;
use crate::channel::inlet::{Inlet, Reads};
use crate::channel::select::private as select;
use crate::channel::sleeper::{Sleeper, Sleepers};
use crate::channel::{Payload, Pollable, Source};
use crate::memory::Common;
use crate::{Error, Result};

impl<T: Payload, M: Common> Reader<T, M> {
    /// Copies the next message, waiting for it.
    ///
    /// # Blocking
    /// Until there is one or the writer is gone; a signal does not end it.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EPIPE | [`Error::Disconnected`]: the writer is gone, and everything that it wrote has been received |
    /// | ESTALE | [`Error::TakenAway`]: we looked dead, and the writer went on without us; attach anew |
    /// | | [`Error::PeerCorrupt`], [`Error::Forked`] |
    #[inline]
    pub fn recv(&mut self) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.recv_within(Patience::ENDLESS),
        }
    }

    /// As [`Reader::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Reader::recv`].
    #[inline]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.recv_within(Patience::For(timeout)),
        }
    }

    /// Copies the next message, if it is there.
    ///
    /// # Errors
    /// [`Error::Empty`], and as [`Reader::recv`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.recv_within(Patience::None),
        }
    }

    /// Copies what is there, as much as `buffer` holds, and says how many. After an error the buffer holds anything.
    ///
    /// # Errors
    /// As [`Reader::try_recv`]; [`Error::Empty`] where there was nothing.
    pub fn try_recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.recv_batch_within(buffer, Patience::None)
    }

    /// As [`Reader::try_recv_batch`], waiting for the first message.
    ///
    /// # Blocking
    /// As [`Reader::recv`].
    ///
    /// # Errors
    /// As [`Reader::recv`].
    pub fn recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.recv_batch_within(buffer, Patience::ENDLESS)
    }

    /// As [`Reader::recv_batch`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Reader::recv_timeout`].
    pub fn recv_batch_timeout(&mut self, buffer: &mut [T], timeout: Duration) -> Result<usize> {
        self.recv_batch_within(buffer, Patience::For(timeout))
    }

    /// The next message, if this handle is ours and it was there by the cheapest look.
    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        if self.mark.is_ours() { self.seat.reading.next() } else { None }
    }

    #[inline(never)]
    fn recv_within(&mut self, patience: Patience) -> Result<T> {
        self.message(1, patience)?;
        let message = self.seat.reading.read(0);
        self.seat.reading.advance(1)?;
        Ok(message)
    }

    fn recv_batch_within(&mut self, buffer: &mut [T], patience: Patience) -> Result<usize> {
        self.check()?;
        if buffer.is_empty() {
            return Ok(0);
        }
        let available = self.message(buffer.len() as u64, patience)?;
        let mut count = 0;
        for (ahead, to) in (0..available).zip(buffer) {
            *to = self.seat.reading.read(ahead);
            count += 1;
        }
        self.seat.reading.advance(count as u64)?;
        Ok(count)
    }

    /// How many messages are there, one at least, of `wanted` as far as they are there.
    ///
    /// # Errors
    /// [`Error::Empty`] without patience, [`Error::TimedOut`], and as [`Reader::recv`].
    pub(super) fn message(&mut self, wanted: u64, patience: Patience) -> Result<u64> {
        self.check()?;
        let mut deadline = None;
        loop {
            let found = self.available(wanted)?;
            if found != 0 {
                return Ok(found);
            }
            let Seat { reading, inlet } = &mut self.seat;
            deadline = deadline.or_else(|| patience.deadline());
            let waited = match deadline {
                Some(deadline) => inlet.wait(deadline, || Ok(reading.is_ready())),
                None => inlet.look().and(Err(Error::Empty)),
            };
            // What was written before the writer went is there now, if it ever was.
            let found = self.available(wanted)?;
            if found != 0 {
                return Ok(found);
            }
            waited?;
        }
    }

    #[inline]
    pub(super) fn check(&self) -> Result<()> {
        match self.corrupt {
            _ if self.mark.is_ours() => Ok(()),
            None => Err(Error::Forked),
            Some(what) => Err(Error::PeerCorrupt { what }),
        }
    }

    fn available(&mut self, wanted: u64) -> Result<u64> {
        let found = self.seat.reading.available(wanted);
        if let Err(Error::PeerCorrupt { what }) = found {
            self.corrupt = Some(what);
            self.mark = self.mark.void();
        }
        found
    }
}

impl<T: Payload, M: Common> Source for Reader<T, M> {}
impl<T: Payload, M: Common> Pollable for Reader<T, M> {}

impl<T: Payload, M: Common> Reads for Reader<T, M> {
    fn inlet(&self) -> &Inlet {
        &self.seat.inlet
    }

    fn inlet_mut(&mut self) -> &mut Inlet {
        &mut self.seat.inlet
    }

    fn has_news(&self) -> bool {
        self.seat.reading.is_ready()
    }
}

impl<T: Payload, M: Common> Sleepers for Reader<T, M> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        visit(self);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        visit(self);
    }
}

impl<T: Payload, M: Common> select::Source for Reader<T, M> {
    fn check(&self) -> Result<()> {
        self.check()
    }

    fn look(&mut self) -> Result<bool> {
        self.seat.inlet.look()?;
        Ok(self.has_news())
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        self.seat.inlet.descriptors(visit);
    }
}
