//! The ring of `ipc_shm::spsc` by hand, as it lies in memory: slots that each tell their turn up to 56 bytes, packed ones
//! and a count of them above, space given back by quarters. Without a doorbell, which nobody here sleeps for, and without
//! any check. What ours takes more is the doorbell's price, and the checks'.
#![expect(unsafe_code, reason = "slots are used by turns, as in C")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::limit::shared;
use super::pair;
use crate::end::{check, fill};
use crate::raw::memory::place;

/// As ours beside it.
const CAPACITY: u64 = super::spsc::CAPACITY as u64;
/// Where the count of what was written, the receiver's position and the slots lie, in words.
const WRITTEN: usize = 0;
const READ: usize = 32;
const SLOTS: usize = 512;

/// How the slots lie: the words before the payload, and from one slot to the next.
const fn layout(words: usize) -> (usize, usize) {
    match words {
        1 => (1, 2),
        2..=3 => (1, 4),
        4..=7 => (1, 8),
        _ => (0, words),
    }
}

fn until(word: &AtomicU64, done: impl Fn(u64) -> bool) -> u64 {
    loop {
        let value = word.load(Ordering::Acquire);
        if done(value) {
            return value;
        }
        std::hint::spin_loop();
    }
}

/// One message after another from one process to the other, both polling.
pub(super) fn stream<const N: usize>() -> f64 {
    const COUNT: u64 = 500_000;
    let (before, stride) = const { layout(N) };
    let memory = shared((SLOTS + stride * CAPACITY as usize) * 8);
    let slot = |position: u64| SLOTS + (position % CAPACITY) as usize * stride;
    // SAFETY: between the other side's hand-over of this slot and ours nobody else uses it.
    let payload = |position: u64| unsafe { place(&memory[slot(position) + before..][..N]) };
    pair::run(
        1,
        COUNT,
        || {
            let mut read = 0;
            for position in 0..COUNT + 1000 {
                if position - read == CAPACITY {
                    read = until(&memory[READ], |read| position - read < CAPACITY);
                }
                fill(payload(position), position);
                let word = if before == 1 { slot(position) } else { WRITTEN };
                memory[word].store(position + 1, Ordering::Release);
            }
        },
        || {
            let (mut start, mut written) = (Instant::now(), 0);
            for position in 0..COUNT + 1000 {
                if position == 1000 {
                    start = Instant::now();
                }
                if before == 1 {
                    until(&memory[slot(position)], |turn| turn == position + 1);
                } else if written == position {
                    written = until(&memory[WRITTEN], |written| written != position);
                }
                check(payload(position), position);
                if (position + 1).is_multiple_of(CAPACITY / 4) {
                    memory[READ].store(position + 1, Ordering::Release);
                }
            }
            start
        },
    )
}
