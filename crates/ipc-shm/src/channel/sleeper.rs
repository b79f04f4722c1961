//! One side of a channel that can sleep until the other has done something, alone or beside others: the steps between
//! finding nothing and sleeping, in the one order that loses no wake-up.
//!
//! Announce, settle (a fence, or a barrier in the waker's instructions), look again, sleep. What was published before the
//! announcement was seen is found by the look; what comes later finds the announcement.

use crate::channel::doorbell::{Sleep, may_look, settle};
use crate::words::AtomicU64;

/// A side that waits: for a message, or for room.
pub(crate) trait Sleeper {
    /// Whether there is something to do, for all that the words say.
    fn is_ready(&self) -> bool;

    /// Announces that this side sleeps, on its ticket where it has no socket, after publishing whatever it held back, and says
    /// whether [`settle`] must interrupt the waker.
    fn announce(&mut self, on: Sleep) -> bool;

    /// Says that this side is awake.
    fn retract(&mut self);

    /// The word to sleep on, and what it must hold for that.
    fn ticket(&self) -> (&AtomicU64, u32);
}

/// A side that is lent shared, so that what it has given out may be held meanwhile.
pub(crate) trait Shared: Sleeper {
    /// See [`Sleeper::announce`].
    fn announce_shared(&self, on: Sleep) -> bool;

    /// See [`Sleeper::retract`].
    fn retract_shared(&self);
}

/// One of those, as its borrower announces for it.
pub(crate) struct Lent<'s, S>(pub(crate) &'s S);

impl<S: Shared> Sleeper for Lent<'_, S> {
    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    fn announce(&mut self, on: Sleep) -> bool {
        self.0.announce_shared(on)
    }

    fn retract(&mut self) {
        self.0.retract_shared();
    }

    fn ticket(&self) -> (&AtomicU64, u32) {
        self.0.ticket()
    }
}

/// What holds one or more sides.
pub(crate) trait Sleepers {
    /// Each of them.
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper));

    /// Each of them, to be changed.
    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper));
}

/// Announces on every side that we sleep, and looks at each once more: false, and nothing announced, where there is something
/// to do now.
pub(crate) fn announce_on_each<S: Sleepers>(several: &mut [S], on: Sleep) -> bool {
    let mut was_hot = false;
    for one in several.iter_mut() {
        one.each_mut(&mut |side| was_hot |= side.announce(on));
    }
    settle(was_hot);
    let mut ready = false;
    if may_look() {
        for one in several.iter() {
            one.each(&mut |side| ready |= side.is_ready());
        }
    }
    if ready {
        retract_each(several);
    }
    !ready
}

/// Says on every side that we are awake.
pub(crate) fn retract_each<S: Sleepers>(several: &mut [S]) {
    for one in several {
        one.each_mut(&mut |side| side.retract());
    }
}

/// Announces as [`announce_on_each`], and calls `sleep` if there is nothing to do; says what that returned.
pub(crate) fn sleep_on_any<S: Sleepers, R>(
    several: &mut [S],
    on: Sleep,
    sleep: impl FnOnce(&[S]) -> R,
) -> Option<R> {
    if !announce_on_each(several, on) {
        return None;
    }
    let slept = sleep(several);
    retract_each(several);
    Some(slept)
}
