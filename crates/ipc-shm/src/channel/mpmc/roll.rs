//! Who is there: a byte that each participant has locked, by its place, and a bit that says that it has taken leave.
//!
//! The kernel drops the lock of who dies. Who leaves says so before its lock goes, so that the others can be woken for it.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use crate::Result;
use crate::channel::Presence;
use crate::channel::area::{consumer, producer};
use crate::channel::mpmc::bell::{Bell, MESSAGES, ROOM};
use crate::memory::lock;
use crate::words::Words;

/// What a participant does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::channel) enum Role {
    Sends,
    Receives,
}

impl Role {
    pub(super) fn places(self) -> RangeInclusive<u8> {
        match self {
            Self::Sends => 1..=127,
            Self::Receives => 128..=255,
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Sends => Self::Receives,
            Self::Receives => Self::Sends,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sends => "every place to send from",
            Self::Receives => "every place to receive at",
        }
    }

    /// What it waits for.
    pub(super) fn bell(self) -> Bell {
        match self {
            Self::Sends => ROOM,
            Self::Receives => MESSAGES,
        }
    }

    /// The word that counts those of this role that ever came.
    fn came(self) -> usize {
        match self {
            Self::Sends => producer::STATE,
            Self::Receives => consumer::STATE,
        }
    }

    /// The word that holds the bit of a place, and the bit.
    fn left(self, place: u8) -> (usize, u64) {
        let index = usize::from(place - self.places().start());
        (self.other().bell().departures + 1 + index / 64, 1 << (index % 64))
    }
}

/// The byte that who has this place holds for writing.
pub(super) fn byte(place: u8) -> libc::off_t {
    lock::PLACES + libc::off_t::from(place)
}

/// Counts one more, who holds the byte of its place.
pub(super) fn enter<W: Words>(memory: &W, role: Role, place: u8) {
    let (word, bit) = role.left(place);
    memory.word(word).fetch_and(!bit, Ordering::AcqRel);
    memory.word(role.came()).fetch_add(1, Ordering::AcqRel);
}

/// Says that who has this place is gone, and wakes those who may have waited for it.
pub(super) fn leave<W: Words>(memory: &W, role: Role, place: u8) {
    let (word, bit) = role.left(place);
    memory.word(word).fetch_or(bit, Ordering::AcqRel);
    role.other().bell().leave(memory);
}

/// Whether any of this role ever came.
pub(super) fn came(role: Role, load: impl Fn(usize) -> u64) -> bool {
    load(role.came()) != 0
}

/// Whether any of this role is there; `held` says whether any of so many bytes is.
pub(super) fn is_anybody(
    role: Role,
    load: impl Fn(usize) -> u64,
    held: impl Fn(libc::off_t, usize) -> Result<bool>,
) -> Result<bool> {
    let stays = |place: &u8| {
        let (word, bit) = role.left(*place);
        load(word) & bit == 0
    };
    let mut places = role.places();
    while let Some(first) = places.find(stays) {
        // As far as nobody has left: one question for all of them.
        let run = 1 + places.clone().take_while(stays).count();
        if held(byte(first), run)? {
            return Ok(true);
        }
        places.by_ref().take(run - 1).for_each(drop);
    }
    Ok(false)
}

/// How many of this role are there, and what became of the others where there is none.
pub(in crate::channel) fn presence(
    role: Role,
    load: impl Fn(usize) -> u64,
    held: impl Fn(libc::off_t, usize) -> Result<bool>,
) -> Result<(Presence, u32)> {
    let mut count = 0;
    for place in role.places() {
        let (word, bit) = role.left(place);
        count += u32::from(load(word) & bit == 0 && held(byte(place), 1)?);
    }
    let came = load(role.came());
    let presence = match (came, count) {
        (0, 0) => Presence::Absent,
        (_, 1..) => Presence::Alive,
        _ if came == load(role.other().bell().departures) => Presence::Left,
        _ => Presence::Dead,
    };
    Ok((presence, count))
}
