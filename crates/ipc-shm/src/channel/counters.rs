//! What each side counts for those who look on: a line of its own in the header page, beside the words that it writes.
//!
//! How many messages have passed is said by the positions, which stand there anyway; only `bytes`, whose positions count
//! blocks, counts them here. The others move where a system call is made or messages are lost, never on the way of a
//! message. Nobody but an onlooker reads them, and nothing is decided by them; whoever may write the memory may forge
//! them. A successor goes on from what its predecessor counted.

use std::sync::atomic::Ordering;

use crate::channel::area::{consumer, producer};
use crate::words::Words;

/// Which counter of a line.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Counter {
    /// Messages sent or received, where no position says it.
    Messages = 0,
    /// How often it woke the other side.
    Woken = 1,
    /// How often it went to sleep.
    Parked = 2,
    /// Messages that were overwritten before they were read.
    Lagged = 3,
}

/// The counters of the side whose ticket this is.
pub(crate) const fn beside_ticket(ticket: usize) -> usize {
    ticket + (producer::COUNTERS - producer::TICKET)
}

/// The counters of the side whose bell this is.
pub(crate) const fn beside_bell(bell: usize) -> usize {
    bell + (producer::COUNTERS - producer::BELL)
}

#[cfg(not(ipc_loom))]
const _: () = assert!(
    beside_ticket(consumer::TICKET) == consumer::COUNTERS
        && beside_bell(consumer::BELL) == consumer::COUNTERS
);

/// Counts in a line that only we write. The models leave it out: no decision depends on it.
#[inline]
pub(crate) fn add<W: Words>(memory: &W, line: usize, counter: Counter, count: u64) {
    if cfg!(not(ipc_loom)) {
        let word = memory.word(line + counter as usize);
        word.store(word.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }
}

/// Counts in a line that several write, as the readers of common memory do.
#[cold]
pub(crate) fn add_together<W: Words>(memory: &W, line: usize, counter: Counter, count: u64) {
    if cfg!(not(ipc_loom)) {
        memory.word(line + counter as usize).fetch_add(count, Ordering::Relaxed);
    }
}
