//! What a client keeps of its calls in flight: which places are held, what it waits for, and until when.

use std::time::Duration;

use ipc_sys::Deadline;
use ipc_sys::deadline::monotonic_now;

use crate::channel::Payload;
use crate::channel::attached::Attached;
use crate::channel::doorbell::poll_for;
use crate::channel::request::exchange::{Answer, Asking, NO_DEADLINE};
use crate::memory::view::View;
use crate::{Error, Result};

/// A client's end, and what it keeps of its calls in flight.
#[derive(Debug)]
pub(super) struct Caller<Q, A> {
    pub(super) end: Attached<Asking<Q, A, View>>,
    /// For each place, whether a [`PendingCall`] has it.
    held: Vec<bool>,
    /// Whether the next question is being written in its place.
    pub(super) lent: bool,
    /// Whether the last question found no place.
    refused: bool,
    /// What the next wait of a task is for.
    pub(super) awaited: Option<Awaited>,
}

/// What a task waits for, where it waits for one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "only tasks wait so"))]
pub(super) enum Awaited {
    /// A place to ask in.
    Place,
    /// The answer to this question.
    Answer(u64),
}

/// When a call ends: nanoseconds of CLOCK_MONOTONIC, as the server sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Until(pub(super) u64);

impl Until {
    pub(crate) const NEVER: Self = Self(NO_DEADLINE);

    pub(super) fn after(timeout: Duration) -> Self {
        let at = monotonic_now().checked_add(timeout).and_then(|at| u64::try_from(at.as_nanos()).ok());
        at.map_or(Self::NEVER, Self)
    }

    pub(super) fn deadline(self) -> Deadline {
        if self == Self::NEVER {
            return Deadline::NEVER;
        }
        Deadline::after(Duration::from_nanos(self.0).saturating_sub(monotonic_now()))
    }
}

impl<Q: Payload, A: Payload> Caller<Q, A> {
    pub(super) fn new(end: Attached<Asking<Q, A, View>>, capacity: usize) -> Self {
        Self { end, held: vec![false; capacity], lent: false, refused: false, awaited: None }
    }

    /// Whether a question can be asked now.
    ///
    /// # Errors
    /// [`Error::Full`], where waiting would not help: we hold the place ourselves.
    #[inline]
    pub(super) fn has_place(&mut self) -> Result<bool> {
        self.end.check()?;
        if self.has_next() {
            self.refused = true;
            return Err(Error::Full);
        }
        let has_room = self.end.ring.has_room().map_err(|error| self.end.condemn(error))?;
        self.refused = !has_room;
        Ok(has_room)
    }

    /// Asks, in a place that is held from now on.
    pub(super) fn ask(&mut self, question: &Q, until: Until) -> u64 {
        let pos = self.end.ring.pos();
        self.end.ring.ask(until.0, question);
        self.hold(pos, true);
        pos
    }

    /// Whether there is what this side waits for: the answer to a question in hand, or a place, where the last question found
    /// none.
    pub(super) fn is_ready(&self) -> bool {
        match self.awaited {
            Some(Awaited::Place) => self.may_ask(),
            Some(Awaited::Answer(pos)) => self.is_answered(pos),
            None => {
                let oldest = self.end.ring.oldest();
                let mut held = self.held.iter().filter(|held| **held).count();
                let mut flying = (0..).map(|ahead: u64| oldest.wrapping_add(ahead));
                (self.refused && self.may_ask())
                    || std::iter::from_fn(|| {
                        held = held.checked_sub(1)?;
                        flying.find(|pos| self.is_held(*pos))
                    })
                    .any(|pos| self.is_answered(pos))
            }
        }
    }

    fn may_ask(&self) -> bool {
        !self.has_next() && self.end.ring.has_room().unwrap_or(true)
    }

    /// Whether the answer stands; one that cannot be is for the next call to find.
    pub(super) fn is_answered(&self, pos: u64) -> bool {
        self.end.ring.stands(pos).unwrap_or(true)
    }

    /// Whether we have the place of the next question ourselves: a call in flight, or a loan.
    pub(super) fn has_next(&self) -> bool {
        self.lent || self.is_held(self.end.ring.pos())
    }

    fn is_held(&self, pos: u64) -> bool {
        self.held.get(self.index(pos)) == Some(&true)
    }

    #[cold]
    pub(super) fn wait_for_place(&mut self, until: Until) -> Result<()> {
        let oldest = self.end.ring.oldest();
        self.wait(oldest, until.deadline())
    }

    #[inline]
    pub(super) fn answer(&mut self, pos: u64, deadline: impl FnOnce() -> Deadline) -> Result<A> {
        match poll_for(self.end.wait, || self.next(pos)) {
            Some(answer) => Ok(answer),
            None => self.answer_within(pos, deadline),
        }
    }

    /// The answer to `pos`, if this end may be used and it was there by the cheapest look.
    #[inline(always)]
    fn next(&mut self, pos: u64) -> Option<A> {
        let answer = if self.end.is_usable() { self.end.ring.next(pos)? } else { return None };
        self.end.ring.count(|| self.end.link.may_be_hot());
        Some(answer)
    }

    #[inline(never)]
    fn answer_within(&mut self, pos: u64, deadline: impl FnOnce() -> Deadline) -> Result<A> {
        self.end.check()?;
        if !self.stands(pos)? {
            self.wait(pos, deadline())?;
        }
        self.take(pos)
    }

    pub(super) fn answer_now(&mut self, pos: u64) -> Result<A> {
        self.end.check()?;
        if !self.stands(pos)? {
            let gone = self.end.link.look();
            // What the server answered before it left is there now, if it ever was.
            if !self.stands(pos)? {
                gone?;
                return Err(Error::Empty);
            }
        }
        self.take(pos)
    }

    #[inline]
    fn stands(&mut self, pos: u64) -> Result<bool> {
        self.end.ring.stands(pos).map_err(|error| self.end.condemn(error))
    }

    #[inline(never)]
    fn wait(&mut self, pos: u64, deadline: Deadline) -> Result<()> {
        let (wait, link) = (self.end.wait, &mut self.end.link);
        let waited = self.end.ring.wait(pos, wait, deadline, || link.look());
        self.end.note(waited)
    }

    #[inline]
    fn take(&mut self, pos: u64) -> Result<A> {
        self.end.ring.count(|| self.end.link.may_be_hot());
        match self.end.ring.answer(pos).map_err(|error| self.end.condemn(error))? {
            Answer::Answered(answer) => Ok(answer),
            Answer::Unanswered => Err(Error::Unanswered),
            Answer::Expired => Err(Error::TimedOut),
            Answer::Pending => Err(self.end.condemn(Error::PeerCorrupt { what: "an answer taken back" })),
        }
    }

    pub(super) fn hold(&mut self, pos: u64, held: bool) {
        let index = self.index(pos);
        if let Some(place) = self.held.get_mut(index) {
            *place = held;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
    fn index(&self, pos: u64) -> usize {
        pos as usize & (self.held.len() - 1)
    }
}
