//! The one word that a semaphore, an event or a condition variable is: 64 bits, of which the low half is a futex.
//!
//! Nobody removes it and nothing of it is left in the kernel: a waiter that is killed leaves the queue of its futex. A
//! process killed between changing the word and waking, or between being woken and doing what it was woken for, is
//! nobody's to report; so each waiter looks again every [`LOOK_AGAIN`], and that is the most such a death costs the others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipc_sys::Deadline;
use ipc_sys::futex;

use crate::{Error, Result};

/// How long a waiter sleeps before it looks again whether somebody died on the way to wake it.
const LOOK_AGAIN: Duration = Duration::from_millis(70);

/// What the algorithms need of their word; loom has a second implementation.
pub(crate) trait Word {
    /// As [`AtomicU64::load`].
    fn load(&self, order: Ordering) -> u64;

    /// As [`AtomicU64::compare_exchange`], failing with `Relaxed`.
    fn replace(&self, current: u64, new: u64, success: Ordering) -> Result<u64, u64>;

    /// Sleeps while the low half is `expected`, until somebody wakes, or for no reason. False when the deadline has
    /// passed.
    fn sleep(&self, expected: u32, deadline: Deadline) -> Result<bool>;

    /// Wakes at most `count` that sleep, and says how many it were.
    fn wake(&self, count: i32) -> Result<usize>;
}

impl Word for AtomicU64 {
    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        Self::load(self, order)
    }

    #[inline]
    fn replace(&self, current: u64, new: u64, success: Ordering) -> Result<u64, u64> {
        self.compare_exchange(current, new, success, Ordering::Relaxed)
    }

    fn sleep(&self, expected: u32, deadline: Deadline) -> Result<bool> {
        if deadline.has_passed() {
            return Ok(false);
        }
        let turn = next_look(deadline);
        futex::wait_low(self, expected, turn).map_err(Error::system("futex(FUTEX_WAIT)", "a word"))?;
        Ok(true)
    }

    fn wake(&self, count: i32) -> Result<usize> {
        futex::wake_low(self, count).map_err(Error::system("futex(FUTEX_WAKE)", "a word"))
    }
}

/// The next look, or the deadline if that comes first.
pub(super) fn next_look(deadline: Deadline) -> Deadline {
    deadline.or_after(LOOK_AGAIN)
}

/// The half that the kernel compares.
#[expect(clippy::cast_possible_truncation, reason = "it is the half that is wanted")]
pub(crate) fn low(word: u64) -> u32 {
    word as u32
}
