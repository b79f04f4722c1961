//! The queue behind [`crate::Ring`]: handlers push to it, a thread pops. `push` and `store` run inside a handler.
//!
//! A ring and its registration share it; the last of them drops it. It belongs to its process: in a forked child no
//! handler of the parent's pushes.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use ipc_sys::event;

use crate::SignalInfo;

/// A bounded queue that handlers on any number of threads push to, each cell with a turn number of its own that says
/// whose it is; what does not fit is counted.
#[derive(Debug)]
pub(crate) struct Buffer {
    cells: Box<[Cell]>,
    /// The next turn to push, and to pop.
    tail: AtomicUsize,
    head: AtomicUsize,
    pub(crate) overflow: AtomicU64,
    pub(crate) closed: AtomicBool,
    pub(crate) event: OwnedFd,
}

/// `turn` is its index when empty, index + 1 when filled, and grows by the number of cells with each round.
#[derive(Debug)]
struct Cell {
    turn: AtomicUsize,
    words: [AtomicU64; 6],
}

impl Buffer {
    /// `capacity` is rounded up to a power of two, and to at least 2; `None` when there is not so much memory.
    pub(crate) fn new(capacity: usize, event: OwnedFd) -> Option<Self> {
        // With one cell "filled in this round" and "empty in the next" would be the same turn.
        let len = capacity.max(2).checked_next_power_of_two()?;
        let cell = |at| Cell { turn: AtomicUsize::new(at), words: [const { AtomicU64::new(0) }; 6] };
        let mut cells = Vec::new();
        cells.try_reserve_exact(len).ok()?;
        cells.extend((0..len).map(cell));
        Some(Self {
            cells: cells.into_boxed_slice(),
            tail: AtomicUsize::new(0),
            head: AtomicUsize::new(0),
            overflow: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            event,
        })
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.cells.len()
    }

    /// Async-signal-safe, and lock-free: a push that another one interrupts holds nobody up but the reader.
    pub(super) fn push(&self, info: &SignalInfo) {
        if self.store(info.words()) {
            event::write(&self.event, &1_u64.to_ne_bytes());
        } else {
            self.overflow.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn store(&self, words: [u64; 6]) -> bool {
        let mut turn = self.tail.load(Ordering::Relaxed);
        loop {
            let Some(cell) = self.cells.get(turn & (self.cells.len() - 1)) else { return false };
            // Acquire pairs with the Release of `pop`: the cell's words have been read before we write them.
            let seen = cell.turn.load(Ordering::Acquire);
            if seen == turn {
                let next = turn.wrapping_add(1);
                match self.tail.compare_exchange_weak(turn, next, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => {
                        for (to, from) in cell.words.iter().zip(words) {
                            to.store(from, Ordering::Relaxed);
                        }
                        // Release: whoever sees the turn sees the words.
                        cell.turn.store(next, Ordering::Release);
                        return true;
                    }
                    Err(now) => turn = now,
                }
            } else if is_before(seen, turn) {
                return false;
            } else {
                turn = self.tail.load(Ordering::Relaxed);
            }
        }
    }

    /// The oldest; `None` when empty, or while the push of the oldest has been interrupted in the middle.
    pub(crate) fn pop(&self) -> Option<SignalInfo> {
        let mut turn = self.head.load(Ordering::Relaxed);
        loop {
            let cell = self.cells.get(turn & (self.cells.len() - 1))?;
            // Acquire pairs with the Release of `store`.
            let seen = cell.turn.load(Ordering::Acquire);
            let next = turn.wrapping_add(1);
            if seen == next {
                match self.head.compare_exchange_weak(turn, next, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => {
                        let words = cell.words.each_ref().map(|word| word.load(Ordering::Relaxed));
                        // Release: the words have been read before the cell is empty.
                        cell.turn.store(turn.wrapping_add(self.cells.len()), Ordering::Release);
                        return Some(SignalInfo::from_words(words));
                    }
                    Err(now) => turn = now,
                }
            } else if is_before(seen, next) {
                return None;
            } else {
                turn = self.head.load(Ordering::Relaxed);
            }
        }
    }
}

/// Whether turn `a` comes before turn `b`, across the wrap.
const fn is_before(a: usize, b: usize) -> bool {
    a.wrapping_sub(b) > usize::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn info(value: u64) -> SignalInfo {
        SignalInfo::from_words([34, u64::from(u32::MAX), 1, value, 0, 0])
    }

    #[test]
    fn a_buffer_gives_back_in_order_and_counts_what_did_not_fit() {
        let buffer = Buffer::new(3, event::eventfd().unwrap()).unwrap();
        assert_eq!(buffer.capacity(), 4);
        for round in 0..5 {
            for value in 0..6 {
                buffer.push(&info(round * 10 + value));
            }
            for value in 0..4 {
                let popped = buffer.pop().and_then(|info| info.value()).map(Value::as_u64);
                assert_eq!(popped, Some(round * 10 + value));
            }
            assert!(buffer.pop().is_none());
        }
        assert_eq!(buffer.overflow.load(Ordering::SeqCst), 10);
    }

    #[test]
    fn the_smallest_buffer_holds_as_many_as_it_says() {
        for capacity in [0, 1, 2] {
            let buffer = Buffer::new(capacity, event::eventfd().unwrap()).unwrap();
            for value in 0..4 {
                buffer.push(&info(value));
            }
            assert_eq!((buffer.capacity(), buffer.overflow.load(Ordering::SeqCst)), (2, 2));
            let popped = std::iter::from_fn(|| buffer.pop()).map(|info| info.value().map(Value::as_u64));
            assert_eq!(popped.collect::<Vec<_>>(), [Some(0), Some(1)], "{capacity}");
        }
    }

    #[test]
    fn pushes_from_several_threads_lose_and_double_nothing() {
        const EACH: u64 = 5_000;
        let buffer = Buffer::new(16, event::eventfd().unwrap()).unwrap();
        let mut seen = vec![0_u32; 3 * 5_000];
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let buffer = &buffer;
                scope.spawn(move || {
                    for value in 0..EACH {
                        while !buffer.store(info(thread * EACH + value).words()) {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            for _ in 0..3 * EACH {
                let popped = loop {
                    match buffer.pop() {
                        Some(info) => break info,
                        None => std::thread::yield_now(),
                    }
                };
                seen[usize::try_from(popped.value().unwrap().as_u64()).unwrap()] += 1;
            }
        });
        assert!(seen.iter().all(|count| *count == 1));
    }
}
