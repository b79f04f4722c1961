//! Where the ends of a lossless broadcast lie in a segment, and who holds which place: a byte that each reader has locked,
//! which the kernel drops when it dies.

use crate::channel::broadcast::lossless::cursor::{self, PLACES};
use crate::channel::broadcast::lossless::log::Shape;
use crate::channel::inlet::with_fences;
use crate::channel::link::{Plan, Side};
use crate::channel::slots::{self, Slots};
use crate::channel::{ChannelOptions, Payload};
use crate::memory::header::Kind;
use crate::memory::lock;
use crate::memory::mapping::Mapping;
use crate::memory::segment::Segment;
use crate::memory::view::View;
use crate::{Error, Result};

impl<T: Payload> Slots<T> for Shape {
    const KIND: Kind = Kind::Lossless;
    const STRIDE: usize = Self::stride::<T>();

    fn new(capacity: u64, start: u64) -> Self {
        Self::new(capacity, start)
    }

    fn bytes(&self) -> Option<u64> {
        self.len::<T>()
    }

    fn init(&self, mapping: &Mapping, side: Side) {
        if side == Side::Producer {
            Self::init(*self, mapping);
        }
    }
}

/// A plan for a new channel.
pub(in crate::channel) fn plan<T: Payload>(options: &ChannelOptions) -> Result<Plan> {
    with_fences(slots::plan::<T, Shape>(options)?).without_sockets(
        "a lossless broadcast",
        "pollable: nothing carries a socket to each reader, and polling needs none",
    )
}

/// What to expect of a channel that somebody else made.
pub(in crate::channel) fn any_plan<T: Payload>(tag: u64) -> Plan {
    slots::any_plan::<T, Shape>().tagged(tag)
}

/// The byte that the reader at this place holds for writing.
fn byte(place: usize) -> libc::off_t {
    lock::PLACES + libc::off_t::try_from(place).unwrap_or(libc::off_t::MAX)
}

/// Locks a place: a free one, or one that a reader has died at.
///
/// # Errors
/// [`Error::EndInUse`] where 64 readers are alive.
pub(super) fn take(segment: &Segment) -> Result<usize> {
    let taken = cursor::members(segment.mapping());
    for place in cursor::places(!taken).chain(cursor::places(taken)) {
        if segment.try_take(byte(place), lock::Kind::Write)? {
            return Ok(place);
        }
    }
    Err(Error::EndInUse { object: "the channel".to_owned(), end: "every place to read at" })
}

/// Lets our place go, for the next one to take. The last close would, too; but a process that another thread has just
/// forked, and that has not come to its exec yet, holds every descriptor of ours until then.
pub(super) fn leave(segment: &Segment, place: usize) {
    let _ = segment.give_back(byte(place));
}

/// Whether the reader at this place lives.
pub(super) fn is_held(view: &View, place: usize) -> Result<bool> {
    view.segment().is_held(byte(place))
}

/// Frees a place if its reader is dead, and says whether it was.
pub(super) fn sweep(view: &View, place: usize) -> Result<bool> {
    let segment = view.segment();
    // With its lock in hand: who joins there meanwhile would be swept in the place of the dead one.
    if place >= PLACES || !segment.try_take(byte(place), lock::Kind::Write)? {
        return Ok(false);
    }
    cursor::sweep(view, place);
    segment.give_back(byte(place))?;
    Ok(true)
}
