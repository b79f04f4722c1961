//! Memory as words: all that the protocols know of the place where their bytes live.
//!
//! Every word of a segment is 64 bits wide and reached through an atomic, whoever may write it. The same algorithms run
//! over a mapping, over a vector under Miri, and over loom's memory under `cfg(ipc_loom)`.

use std::sync::atomic::Ordering;

#[cfg(ipc_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, fence};
#[cfg(not(ipc_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, fence};

/// Where the words are.
pub(crate) trait Words {
    /// The word at 8 × `index` bytes.
    ///
    /// # Panics
    /// Beyond the end, which no word that a peer wrote can make an index: positions are masked by our own constant.
    fn word(&self, index: usize) -> &AtomicU64;
}

/// Reads a word that the other process writes, possibly through a read-only mapping: std defines a relaxed load of at
/// most 8 bytes there and nothing else, so the ordering comes from the fence.
#[inline]
pub(crate) fn peer_load(word: &AtomicU64) -> u64 {
    let value = word.load(Ordering::Relaxed);
    fence(Ordering::Acquire);
    value
}
