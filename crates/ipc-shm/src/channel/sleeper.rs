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

    /// Announces that this side sleeps, after publishing whatever it held back, and says whether [`settle`] must interrupt
    /// the waker.
    fn announce(&mut self, on: Sleep) -> bool;

    /// Says that this side is awake.
    fn retract(&mut self);

    /// The word to sleep on, and what it must hold for that.
    fn ticket(&self) -> (&AtomicU64, u32);

    /// Announces that this side polls its socket: false, and nothing announced, where there is something to do now.
    fn arm(&mut self) -> bool {
        let was_hot = self.announce(Sleep::Socket);
        settle(was_hot);
        let may_sleep = !(may_look() && self.is_ready());
        if !may_sleep {
            self.retract();
        }
        may_sleep
    }
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

/// Announces on every side that we sleep, looks at each once more, and calls `sleep` if there is nothing to do; says what
/// that returned.
pub(crate) fn sleep_on_any<S: Sleepers, R>(
    several: &mut [S],
    on: Sleep,
    sleep: impl FnOnce(&[S]) -> R,
) -> Option<R> {
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
    let slept = if ready { None } else { Some(sleep(several)) };
    for one in several {
        one.each_mut(&mut |side| side.retract());
    }
    slept
}
