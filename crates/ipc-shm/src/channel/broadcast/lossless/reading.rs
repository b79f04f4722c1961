//! A reader's side of the algorithm of [`log`](super::log), over any [`Words`].
//!
//! It joins before it looks where the writer is, moves its cursor behind each message that it has copied, and only then says
//! what it has got, if the place is still its own: a copy of a message that the writer went over, because this reader
//! looked dead, is never given out.

use std::marker::PhantomData;

use zerocopy::{FromBytes, IntoBytes};

use crate::channel::area::producer;
use crate::channel::broadcast::lossless::cursor::Cursor;
use crate::channel::broadcast::lossless::log::Shape;
use crate::channel::broadcast::lossless::room;
use crate::channel::call::Fences;
use crate::words::{Words, is_left_out, peer_load, take};
use crate::{Error, Result};

/// A side that reads.
#[derive(Debug)]
pub(crate) struct Reading<T, W> {
    pub(crate) memory: W,
    shape: Shape,
    fences: Fences,
    pub(crate) cursor: Cursor,
    pos: u64,
    /// How many messages there are, as far as we know.
    written: u64,
    payload: PhantomData<fn() -> T>,
}

impl<T, W: Words> Reading<T, W> {
    /// Joins; the first message is the next one that will be written.
    pub(crate) fn join(memory: W, shape: Shape, fences: Fences, cursor: Cursor) -> Self {
        let too_early = peer_load(memory.word(producer::WRITTEN));
        cursor.announce(&memory);
        let pos = peer_load(memory.word(producer::WRITTEN));
        let pos = if is_left_out("look again") { too_early } else { pos };
        cursor.go_live(&memory, pos);
        room::tell(&memory, fences, cursor.place);
        Self { memory, shape, fences, cursor, pos, written: pos, payload: PhantomData }
    }

    /// How many messages are there, as far as a look that finds `wanted` need go.
    ///
    /// # Errors
    /// [`Error::TakenAway`], [`Error::PeerCorrupt`].
    pub(crate) fn available(&mut self, wanted: u64) -> Result<u64> {
        if !self.cursor.is_ours(&self.memory) {
            return Err(Error::TakenAway);
        }
        if self.written.wrapping_sub(self.pos) < wanted {
            let written = peer_load(self.memory.word(producer::WRITTEN));
            if !self.shape.may_be(written.wrapping_sub(self.pos)) {
                return Err(Error::PeerCorrupt { what: "the number of messages written" });
            }
            self.written = written;
        }
        Ok(self.written.wrapping_sub(self.pos))
    }

    /// Gives `count` messages back that were read, or says that this came too late: the place had been taken away.
    ///
    /// # Errors
    /// [`Error::TakenAway`].
    #[inline]
    pub(crate) fn advance(&mut self, count: u64) -> Result<()> {
        if !self.cursor.is_ours(&self.memory) {
            return Err(Error::TakenAway);
        }
        self.pos = self.pos.wrapping_add(count);
        self.cursor.advance(&self.memory, self.pos);
        room::tell(&self.memory, self.fences, self.cursor.place);
        Ok(())
    }

    /// Whether [`Reading::available`] would say anything but 0.
    pub(crate) fn is_ready(&self) -> bool {
        self.written != self.pos || peer_load(self.memory.word(producer::WRITTEN)) != self.pos
    }

    /// Where the next message lies, in bytes.
    pub(crate) fn offset(&self) -> usize {
        self.shape.message::<T>(self.pos) * 8
    }

    /// Says that nobody reads here any more.
    pub(crate) fn leave(&self) {
        if self.cursor.is_ours(&self.memory) {
            self.cursor.leave(&self.memory);
            room::tell(&self.memory, self.fences, self.cursor.place);
        }
    }
}

impl<T: FromBytes + IntoBytes, W: Words> Reading<T, W> {
    /// The next message, if it is there by the cheapest look; [`Reading::available`] says why it is not.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<T> {
        if self.written == self.pos {
            let written = peer_load(self.memory.word(producer::WRITTEN));
            if written == self.pos || !self.shape.may_be(written.wrapping_sub(self.pos)) {
                return None;
            }
            self.written = written;
        }
        let message = self.read(0);
        self.advance(1).ok().map(|()| message)
    }

    /// Copies the message `ahead` of the next one, which is there. Whether it was whole, [`Reading::advance`] says.
    #[inline]
    pub(crate) fn read(&self, ahead: u64) -> T {
        take(self.shape.words::<T, W>(&self.memory, self.pos.wrapping_add(ahead)))
    }
}
