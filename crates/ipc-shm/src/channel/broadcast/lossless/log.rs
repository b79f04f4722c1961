//! One writer, up to [`PLACES`](super::cursor::PLACES) readers, of which it waits for the slowest: the algorithm, over any
//! [`Words`].
//!
//! Messages lie in a row, without marks of their own: `written` says how many there are. The writer keeps a *limit*, up to
//! which it knows everything to be read. When it has come there it looks where all readers are, behind a full fence; no
//! other message costs one. The limit is never more than a capacity beyond where the writer was when it looked, so a
//! reader that joins unseen, and begins where the writer is by then, has a whole capacity before it is in the way.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use zerocopy::{Immutable, IntoBytes};

use crate::Result;
use crate::channel::LastWords;
use crate::channel::area::producer;
use crate::channel::broadcast::lossless::cursor::{self, Reach, Seen};
use crate::channel::broadcast::lossless::room::Room;
use crate::channel::call::{self, Fences};
use crate::channel::doorbell::Sleep;
use crate::channel::sleeper::Sleeper;
use crate::words::{AtomicU64, Words, fence, is_left_out, publish, put, words_of};

/// How a log lies in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    capacity: u64,
    start: u64,
}

impl Shape {
    /// `capacity` is a power of two.
    pub(crate) const fn new(capacity: u64, start: u64) -> Self {
        Self { capacity, start }
    }

    /// The words from one message to the next.
    pub(crate) const fn stride<T>() -> usize {
        words_of::<T>()
    }

    /// The bytes of header page, cursors and messages; `None` where that does not fit.
    pub(crate) fn len<T>(self) -> Option<u64> {
        let messages = (Self::stride::<T>() as u64).checked_mul(8)?.checked_mul(self.capacity)?;
        messages.checked_add(cursor::END as u64 * 8)
    }

    /// Where message `pos` lies, in words.
    #[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
    pub(crate) fn message<T>(self, pos: u64) -> usize {
        cursor::END + (pos & (self.capacity - 1)) as usize * Self::stride::<T>()
    }

    /// The words of message `pos`.
    pub(crate) fn words<T, W: Words>(self, memory: &W, pos: u64) -> &[AtomicU64] {
        memory.words(self.message::<T>(pos), Self::stride::<T>())
    }

    /// Whether so many messages can be there.
    #[inline]
    pub(crate) fn may_be(self, count: u64) -> bool {
        count <= self.capacity
    }

    /// Nothing is written, and nobody reads.
    pub(crate) fn init<W: Words>(self, memory: &W) {
        memory.word(producer::WRITTEN).store(self.start, Ordering::Relaxed);
    }
}

/// How far the writer may go, and who keeps it from going further.
#[derive(Debug, Clone, Copy)]
struct Survey {
    limit: u64,
    slowest: Option<Seen>,
}

/// The side that writes.
#[derive(Debug)]
pub(crate) struct Log<T, W> {
    pub(crate) memory: W,
    shape: Shape,
    pos: u64,
    known: Survey,
    pub(crate) room: Room,
    /// Whether we have said whom we wait for.
    announced: bool,
    payload: PhantomData<fn(T)>,
}

impl<T, W: Words> Log<T, W> {
    /// Goes on behind the last message; nothing is known of the readers.
    pub(crate) fn resume(memory: W, shape: Shape, fences: Fences) -> Self {
        let pos = memory.word(producer::WRITTEN).load(Ordering::Relaxed);
        let room = Room::new(&memory, fences);
        let known = Survey { limit: pos, slowest: None };
        Self { memory, shape, pos, known, room, announced: false, payload: PhantomData }
    }

    /// For how many messages there is room, of `wanted` if it must be looked for.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`](crate::Error::PeerCorrupt).
    #[inline]
    pub(crate) fn space(&mut self, wanted: u64) -> Result<u64> {
        if self.known_space() < wanted {
            self.look_for_space()?;
        }
        Ok(self.known_space())
    }

    fn known_space(&self) -> u64 {
        self.known.limit.wrapping_sub(self.pos)
    }

    #[cold]
    fn look_for_space(&mut self) -> Result<()> {
        if !self.is_still_held() {
            self.known = self.survey()?;
        }
        Ok(())
    }

    /// Whether whoever kept us from going further when we last looked does so still.
    fn is_still_held(&self) -> bool {
        self.known_space() == 0 && self.known.slowest.is_some_and(|seen| seen.is_still_so(&self.memory))
    }

    /// Looks where all readers are.
    fn survey(&self) -> Result<Survey> {
        // Pairs with the fence in `Cursor::announce`.
        fence("survey", Ordering::SeqCst);
        let ahead = |limit: u64| limit.wrapping_sub(self.pos);
        let mut found = Survey { limit: self.pos.wrapping_add(self.shape.capacity), slowest: None };
        for place in cursor::places(cursor::members(&self.memory)) {
            let seen = Seen::at(&self.memory, place);
            let limit = match seen.reach(self.pos, self.shape.capacity)? {
                Reach::Anywhere => continue,
                Reach::AsKnown => self.known.limit,
                Reach::From(pos) => pos.wrapping_add(self.shape.capacity),
            };
            if found.slowest.is_none() || ahead(limit) < ahead(found.limit) {
                found = Survey { limit, slowest: Some(seen) };
            }
        }
        Ok(found)
    }

    /// The places of the readers, dead ones that nobody has swept among them.
    pub(crate) fn readers(&self) -> impl Iterator<Item = usize> {
        let taken = cursor::places(cursor::members(&self.memory));
        taken.filter(|place| Seen::at(&self.memory, *place).is_live())
    }

    /// Who keeps us from going further, as far as we know.
    pub(crate) fn slowest(&self) -> Option<usize> {
        self.known.slowest.map(|seen| seen.place)
    }

    /// Counts `count` messages as written: readers see all of them at once.
    #[inline]
    fn publish(&mut self, count: u64) {
        self.pos = self.pos.wrapping_add(count);
        publish(self.memory.word(producer::WRITTEN), self.pos);
        call::call(&self.memory, self.room.fences);
    }
}

impl<T: IntoBytes + Immutable, W: Words> Log<T, W> {
    /// Writes one message, if there is room for all that is known.
    #[inline]
    pub(crate) fn write(&mut self, message: &T) -> bool {
        if self.known_space() == 0 {
            return false;
        }
        put(self.shape.words::<T, W>(&self.memory, self.pos), message);
        self.publish(1);
        true
    }

    /// Writes as many of the messages as there is known to be room for, seen all at once, and says how many.
    pub(crate) fn write_batch(&mut self, messages: &[T]) -> usize {
        let mut count = 0;
        for (ahead, message) in (0..self.known_space()).zip(messages) {
            put(self.shape.words::<T, W>(&self.memory, self.pos.wrapping_add(ahead)), message);
            count += 1;
        }
        self.publish(count as u64);
        count
    }
}

impl<T, W: Words> Sleeper for Log<T, W> {
    fn is_ready(&self) -> bool {
        if self.known_space() != 0 {
            return true;
        }
        if self.is_still_held() {
            return false;
        }
        if self.announced && !is_left_out("named") {
            // Whoever is the slowest by now has not been told that it is waited for.
            return true;
        }
        self.survey().map_or(true, |found| found.limit != self.pos)
    }

    fn announce(&mut self, _: Sleep) -> bool {
        // What is wrong with the readers is for the next look to say.
        if let Ok(found) = self.survey() {
            self.known = found;
        }
        self.announced = true;
        self.room.announce(&self.memory, self.known.slowest)
    }

    fn retract(&mut self) {
        self.announced = false;
        self.room.retract(&self.memory);
    }

    fn ticket(&self) -> (&AtomicU64, u32) {
        self.room.ticket(&self.memory)
    }
}

impl<T, W: Words> LastWords for Log<T, W> {
    fn release(&mut self) {}

    fn wake(&mut self) {
        // Dearer than asking how this channel is fenced, and right either way.
        call::call(&self.memory, Fences::Both);
    }
}
