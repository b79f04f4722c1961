//! The writer's wait for the slowest reader, and what wakes it.
//!
//! Two words: *awaited*, by which the writer says whom it waits for before it sleeps, and the *ticket*, the futex word,
//! which that reader moves. The others leave it asleep: room comes from the slowest alone. As in
//! [`call`](crate::channel::call), the sleeper pays for both, by a barrier in the readers' instructions (membarrier), unless
//! barriers are forbidden or missing.
//!
//! After a crash: a writer killed asleep costs one wake too many; a reader killed between its store and its wake is found
//! by the writer's look, every 60 ms, and so is one that is killed while it is waited for.

use std::sync::atomic::Ordering;

use ipc_sys::Deadline;

use crate::channel::area::{consumer, producer};
use crate::channel::broadcast::lossless::cursor::Seen;
use crate::channel::call::Fences;
use crate::channel::counters::{self, Counter};
use crate::channel::doorbell::{POLLS, Sleep, Wait, as_announced, low, may_look, pause, settle, soonest};
use crate::channel::sleeper::Sleeper;
use crate::words::{AtomicU64, Words, peer_load};
use crate::{Error, Result};

const AWAITED: usize = producer::BELL;
const TICKET: usize = consumer::TICKET;

const NOBODY: u64 = 0;
const ANYBODY: u64 = u64::MAX;

/// What `awaited` holds while this reader is waited for.
fn sign(place: usize) -> u64 {
    place as u64 + 1
}

/// Wakes the writer if it waits for this reader; the reader calls it after it has moved its cursor, joined or left.
#[inline]
pub(crate) fn tell<W: Words>(memory: &W, fences: Fences, place: usize) {
    fences.before_look();
    if memory.word(AWAITED).load(Ordering::Relaxed) != NOBODY {
        wake(memory, place);
    }
}

#[cold]
fn wake<W: Words>(memory: &W, place: usize) {
    let awaited = memory.word(AWAITED);
    let named = awaited.load(Ordering::Relaxed);
    if named != ANYBODY && named != sign(place) {
        return;
    }
    // Cleared before the ticket moves: what the writer sets after that it sets for a ticket that it has seen.
    awaited.store(NOBODY, Ordering::Relaxed);
    memory.word(TICKET).fetch_add(1, Ordering::Release);
    memory.wake(TICKET, i32::MAX);
    counters::add_together(memory, consumer::COUNTERS, Counter::Woken, 1);
}

/// The writer's side.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) fences: Fences,
    /// What the ticket held when we last announced that we sleep on it.
    expected: u32,
}

impl Room {
    /// Takes back what a predecessor may have left.
    pub(crate) fn new<W: Words>(memory: &W, fences: Fences) -> Self {
        let room = Self { fences, expected: 0 };
        room.retract(memory);
        room
    }

    /// Announces that the writer sleeps until this reader wakes it, or any; says whether [`settle`] must interrupt the
    /// readers.
    pub(crate) fn announce<W: Words>(&mut self, memory: &W, awaited: Option<Seen>) -> bool {
        self.expected = low(peer_load(memory.word(TICKET)));
        let sign = awaited.map_or(ANYBODY, |seen| sign(seen.place));
        memory.word(AWAITED).store(sign, Ordering::Relaxed);
        counters::add(memory, producer::COUNTERS, Counter::Parked, 1);
        self.fences == Fences::Asymmetric
    }

    pub(crate) fn retract<W: Words>(&self, memory: &W) {
        memory.word(AWAITED).store(NOBODY, Ordering::Relaxed);
    }

    /// The word to sleep on, and what it must hold for that.
    pub(crate) fn ticket<'w, W: Words>(&self, memory: &'w W) -> (&'w AtomicU64, u32) {
        let ticket = memory.word(TICKET);
        (ticket, as_announced(ticket, self.expected))
    }
}

/// Polls and then sleeps, as `how` says, until `side` is ready; `look` is asked at every turn, at least every 60 ms.
///
/// # Errors
/// [`Error::TimedOut`], [`Error::NoSocket`], and what `look` says.
pub(crate) fn wait<S: Sleeper, W: Words>(
    side: &mut S,
    memory: &W,
    how: Wait,
    deadline: Deadline,
    mut look: impl FnMut(&mut S) -> Result<()>,
) -> Result<()> {
    let mut polls = if matches!(how, Wait::Park | Wait::Poll) { 0 } else { POLLS };
    loop {
        for _ in 0..polls {
            if side.is_ready() {
                return Ok(());
            }
            pause();
        }
        look(side)?;
        if side.is_ready() {
            return Ok(());
        }
        if deadline.has_passed() {
            return Err(Error::TimedOut);
        }
        match how {
            Wait::Spin => continue,
            Wait::Poll => return Err(Error::NoSocket),
            Wait::SpinThenPark | Wait::Park => polls = 0,
        }
        let was_hot = side.announce(Sleep::Ticket);
        settle(was_hot);
        let slept = if may_look() && side.is_ready() {
            Ok(())
        } else {
            memory.wait(TICKET, side.ticket().1, soonest(deadline)).map(drop)
        };
        side.retract();
        slept.map_err(Error::system("futex(FUTEX_WAIT)", "the channel"))?;
    }
}
