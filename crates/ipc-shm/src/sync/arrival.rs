//! How parties meet on one word: the algorithm of the barrier, over any [`Word`].
//!
//! The low half is the generation, on which they sleep, and whether it is broken; the high half has a bit for each party
//! that has arrived. Whoever completes it begins the next generation with one store. Who has arrived and died counts as
//! arrived; who finds a missing one dead breaks it, unless anybody has come or gone since the look.

use std::sync::atomic::Ordering;

use ipc_sys::Deadline;

use super::word::{Word, low};
use crate::{Error, Result};

/// The bit of the lower half that says that it will never be complete.
pub(super) const BROKEN: u32 = 1;
/// The rest of the lower half counts generations.
const GENERATION: u32 = 2;

/// Arrives and waits for all. True for the one that came last. `dead` says whether one that is missing in a state is gone.
pub(super) fn meet(
    word: &impl Word,
    bit: u64,
    all: u64,
    deadline: Deadline,
    mut dead: impl FnMut(u64) -> Result<bool>,
) -> Result<bool> {
    let Some(generation) = arrive(word, bit, all)? else { return Ok(true) };
    loop {
        let in_time = word.sleep(generation, deadline)?;
        let now = word.load(Ordering::Acquire);
        if low(now) / GENERATION != generation / GENERATION {
            return Ok(false);
        }
        if low(now) & BROKEN != 0 {
            return Err(Error::Broken);
        }
        if !in_time {
            return if withdraw(word, bit, generation) { Err(Error::TimedOut) } else { Ok(false) };
        }
        // Only as it was when we looked: who was missing may have arrived before it died.
        if dead(now)? && word.replace(now, now | u64::from(BROKEN), Ordering::Relaxed).is_ok() {
            word.wake(i32::MAX)?;
        }
    }
}

/// Adds us to those who have arrived. `None` when all have: the generation is over and all are woken; else what to sleep on.
fn arrive(word: &impl Word, bit: u64, all: u64) -> Result<Option<u32>> {
    let mut now = word.load(Ordering::Relaxed);
    loop {
        let half = low(now);
        if half & BROKEN != 0 {
            return Err(Error::Broken);
        }
        let arrived = now >> 32 | bit;
        let complete = arrived & all == all;
        let next =
            if complete { u64::from(half.wrapping_add(GENERATION)) } else { arrived << 32 | u64::from(half) };
        match word.replace(now, next, Ordering::AcqRel) {
            Ok(_) if complete => return word.wake(i32::MAX).map(|_| None),
            Ok(_) => return Ok(Some(half)),
            Err(changed) => now = changed,
        }
    }
}

/// Takes our arrival back; false when the generation is over and it counted.
fn withdraw(word: &impl Word, bit: u64, generation: u32) -> bool {
    let mut now = word.load(Ordering::Acquire);
    while low(now) / GENERATION == generation / GENERATION {
        match word.replace(now, now & !(bit << 32), Ordering::Acquire) {
            Ok(_) => return true,
            Err(_) => now = word.load(Ordering::Acquire),
        }
    }
    false
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn the_generation_wraps_and_a_withdrawal_is_as_if_nobody_had_come() {
        let word = AtomicU64::new(u64::from(!BROKEN));
        let generation = arrive(&word, 1, 3).unwrap().unwrap();
        assert!(withdraw(&word, 1, generation));
        assert_eq!(arrive(&word, 2, 3).unwrap(), Some(generation));
        assert_eq!(arrive(&word, 1, 3).unwrap(), None);
        assert_eq!(word.load(Ordering::Relaxed), 0);
        assert!(!withdraw(&word, 2, generation), "it counted");
    }

    #[test]
    fn a_look_that_an_arrival_overtakes_breaks_nothing() {
        let word = AtomicU64::new(0);
        let mut others = [2, 4].into_iter();
        // Each look finds the next one missing, which arrives, and may die, before the look's answer is used.
        let overtaken = |_| {
            arrive(&word, others.next().unwrap(), 7)?;
            Ok(true)
        };
        assert!(!meet(&word, 1, 7, Deadline::NEVER, overtaken).unwrap(), "it came first");
        assert_eq!(word.load(Ordering::Relaxed), u64::from(GENERATION));
    }
}
