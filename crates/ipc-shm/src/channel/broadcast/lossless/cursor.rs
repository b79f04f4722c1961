//! How far each reader is: a place for each, two lines apart, and one word that says which places are taken.
//!
//! | the place's state | who writes it | what the writer makes of it |
//! | --- | --- | --- |
//! | free | who leaves; the writer, of a dead one | nothing: nobody is there |
//! | joining | who joins, before it looks where the writer is | it does not go on beyond what it had already seen to be free |
//! | live | who joins, its position stored before | it does not go a capacity beyond that position |
//!
//! The state also counts who has had the place: a reader that was taken for dead finds out by it.
//!
//! After a crash: a reader killed at any step leaves its place as it is, and its lock free. Whoever takes the lock sweeps the
//! place or joins at it.

use std::sync::atomic::Ordering;

use crate::channel::area::{FIRST, consumer};
use crate::words::{AtomicU64, Words, fence, is_left_out, peer_load, publish};
use crate::{Error, Result};

/// How many readers there can be at once.
pub(crate) const PLACES: usize = if cfg!(ipc_loom) { 2 } else { 64 };

/// The words from one place to the next.
const APART: usize = if cfg!(ipc_loom) { 2 } else { 16 };

/// Where the places end, and messages begin.
pub(crate) const END: usize = FIRST + PLACES * APART;

/// The bits of a state beside the count.
const KIND: u64 = 3;
const FREE: u64 = 0;
const JOINING: u64 = 1;
const LIVE: u64 = 2;
/// One more who has had the place.
const NEXT: u64 = 4;

/// What the writer saw at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) place: usize,
    state: u64,
    pos: u64,
}

/// How far a reader lets the writer go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nobody is there.
    Anywhere,
    /// No further than it knows already.
    AsKnown,
    /// A capacity beyond this position.
    From(u64),
}

fn state<W: Words>(memory: &W, place: usize) -> &AtomicU64 {
    memory.word(FIRST + place * APART)
}

fn position<W: Words>(memory: &W, place: usize) -> &AtomicU64 {
    memory.word(FIRST + place * APART + 1)
}

/// Which places are taken, a bit for each.
pub(crate) fn members<W: Words>(memory: &W) -> u64 {
    memory.word(consumer::MEMBERS).load(Ordering::Acquire)
}

/// The places whose bit is set.
pub(crate) fn places(members: u64) -> impl Iterator<Item = usize> {
    (0..PLACES).filter(move |place| members & bit(*place) != 0)
}

fn bit(place: usize) -> u64 {
    1 << place
}

impl Seen {
    /// Looks at a place whose bit is set.
    pub(crate) fn at<W: Words>(memory: &W, place: usize) -> Self {
        // In this order: who sees a reader live sees the position that it became live with.
        let state = peer_load(state(memory, place));
        Self { place, state, pos: peer_load(position(memory, place)) }
    }

    /// Whether it is still so.
    pub(crate) fn is_still_so<W: Words>(&self, memory: &W) -> bool {
        members(memory) & bit(self.place) != 0 && Self::at(memory, self.place) == *self
    }

    /// Whether a reader is there, and not only about to be.
    pub(crate) fn is_live(&self) -> bool {
        self.state & KIND == LIVE
    }

    /// How far the writer may go from `pos`, where `capacity` messages fit.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`].
    pub(crate) fn reach(&self, pos: u64, capacity: u64) -> Result<Reach> {
        match self.state & KIND {
            FREE => Ok(Reach::Anywhere),
            JOINING if is_left_out("hold") => Ok(Reach::Anywhere),
            JOINING => Ok(Reach::AsKnown),
            LIVE if pos.wrapping_sub(self.pos) <= capacity => Ok(Reach::From(self.pos)),
            _ => Err(Error::PeerCorrupt { what: "a reader's cursor" }),
        }
    }
}

/// How many readers the words show, and how far the slowest of them is behind `written`: for those who look on.
#[cfg(not(ipc_loom))]
pub(in crate::channel) fn slowest(written: u64, load: impl Fn(usize) -> u64) -> (u32, u64) {
    let (mut count, mut most) = (0, 0);
    for place in places(load(consumer::MEMBERS)) {
        let state = FIRST + place * APART;
        if load(state) & KIND == LIVE {
            count += 1;
            most = written.wrapping_sub(load(state + 1)).max(most);
        }
    }
    (count, most)
}

/// A reader's own place.
#[derive(Debug)]
pub(crate) struct Cursor {
    pub(crate) place: usize,
    /// What the state holds while the place is ours.
    ours: u64,
    /// After how many steps a model kills this reader.
    #[cfg(any(ipc_loom, test))]
    pub(crate) steps: std::cell::Cell<u32>,
}

impl Cursor {
    /// The place for a reader that has taken its lock.
    pub(crate) fn at<W: Words>(memory: &W, place: usize) -> Self {
        let before = state(memory, place).load(Ordering::Relaxed);
        Self {
            place,
            ours: (before & !KIND).wrapping_add(NEXT) | LIVE,
            #[cfg(any(ipc_loom, test))]
            steps: std::cell::Cell::new(u32::MAX),
        }
    }

    /// Announces that somebody joins; [`Cursor::go_live`] comes next.
    pub(crate) fn announce<W: Words>(&self, memory: &W) {
        self.step();
        state(memory, self.place).store(self.ours & !KIND | JOINING, Ordering::Relaxed);
        self.step();
        memory.word(consumer::MEMBERS).fetch_or(bit(self.place), Ordering::AcqRel);
        self.step();
        // Pairs with the fence in `Log::survey`: either the writer sees us, or we see all that it had written before it
        // looked, and it goes no more than a capacity beyond that before it looks again.
        fence("join", Ordering::SeqCst);
    }

    /// Becomes a reader that the writer waits for, from `pos` on, which was looked up after the announcement.
    pub(crate) fn go_live<W: Words>(&self, memory: &W, pos: u64) {
        position(memory, self.place).store(pos, Ordering::Relaxed);
        self.step();
        let ordering = if is_left_out("live") { Ordering::Relaxed } else { Ordering::Release };
        state(memory, self.place).store(self.ours, ordering);
        self.step();
    }

    /// Gives back everything before `pos`.
    #[inline]
    pub(crate) fn advance<W: Words>(&self, memory: &W, pos: u64) {
        publish(position(memory, self.place), pos);
        self.step();
    }

    /// Whether nobody has taken us for dead, by now: what was read before is whole.
    #[inline]
    pub(crate) fn is_ours<W: Words>(&self, memory: &W) -> bool {
        // Pairs with the fence in `Log::survey`: who has read a word that was written after a sweep sees the sweep.
        fence("reader", Ordering::Acquire);
        is_left_out("ours") || state(memory, self.place).load(Ordering::Relaxed) == self.ours
    }

    /// Frees the place.
    pub(crate) fn leave<W: Words>(&self, memory: &W) {
        state(memory, self.place).store(self.ours & !KIND | FREE, Ordering::Release);
        self.step();
        memory.word(consumer::MEMBERS).fetch_and(!bit(self.place), Ordering::AcqRel);
        self.step();
    }

    /// A step that may be the last.
    #[inline]
    fn step(&self) {
        #[cfg(any(ipc_loom, test))]
        crate::models::step(&self.steps);
    }
}

/// Frees a place whose reader is dead; the caller holds its lock, so that nobody joins there meanwhile.
pub(crate) fn sweep<W: Words>(memory: &W, place: usize) {
    if is_left_out("sweep") {
        return;
    }
    let state = state(memory, place);
    let free = state.load(Ordering::Relaxed) & !KIND | FREE;
    state.store(free, Ordering::Relaxed);
    // Before anything is written over what it had not read, comes a look at all readers, behind a fence.
    memory.word(consumer::MEMBERS).fetch_and(!bit(place), Ordering::AcqRel);
}
