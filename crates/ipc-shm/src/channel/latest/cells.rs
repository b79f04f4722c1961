//! The newest value: the algorithm, over any [`Words`].
//!
//! Four cells and a version; version `v` is in cell `v & 3`. The writer fills the next cell and then publishes its
//! version. A reader copies the cell of the version that it saw and looks again: only when the writer has gone on by
//! three can it have begun to write the same cell. Version 0 says that nothing has been written; after 2^64 - 1 comes 4,
//! whose cell is the same as 0's.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::channel::area::{FIRST, producer};
use crate::channel::call::Bell;
use crate::words::{Words, fence, peer_load, publish, put, take, words_of};
use crate::{Error, Result};

const CELLS: u64 = 4;
/// How many times a reader tries before it says that the writer is too fast for it.
const TRIES: u32 = 64;

/// The words from one cell to the next: whole pairs of cache lines.
pub(crate) const fn stride<T>() -> usize {
    words_of::<T>().next_multiple_of(if cfg!(ipc_loom) { 1 } else { 16 })
}

/// The bytes of header page and cells; `None` where that does not fit.
pub(crate) fn len<T>() -> Option<u64> {
    (stride::<T>() as u64).checked_mul(8 * CELLS)?.checked_add(4096)
}

fn cell<T>(version: u64) -> usize {
    FIRST + (version % CELLS) as usize * stride::<T>()
}

/// The side that writes.
#[derive(Debug)]
pub(crate) struct Cells<T, W> {
    pub(crate) memory: W,
    /// The readers that sleep on bells of their own.
    pub(crate) bells: Vec<Bell<W>>,
    version: u64,
    payload: PhantomData<fn(T)>,
}

impl<T: IntoBytes + Immutable, W: Words> Cells<T, W> {
    /// Goes on behind the last whole value.
    pub(crate) fn resume(memory: W) -> Self {
        let version = memory.word(producer::WRITTEN).load(Ordering::Relaxed);
        Self { memory, bells: Vec::new(), version, payload: PhantomData }
    }

    /// Replaces the value.
    #[inline]
    pub(crate) fn write(&mut self, value: &T) {
        let next = self.version.checked_add(1).unwrap_or(CELLS);
        // Who sees a word of this cell also sees the versions before: its second look tells it to reject.
        fence("cell", Ordering::Release);
        put(self.memory.words(cell::<T>(next), words_of::<T>()), value);
        publish(self.memory.header(producer::WRITTEN), next);
        self.version = next;
    }
}

/// The newest value and its version, if there is one yet.
///
/// # Errors
/// [`Error::Contended`].
#[cold]
pub(crate) fn read<T: FromBytes + IntoBytes, W: Words>(memory: &W) -> Result<Option<(u64, T)>> {
    for _ in 0..TRIES {
        if version(memory) == 0 {
            return Ok(None);
        }
        if let Some(read) = read_now(memory) {
            return Ok(Some(read));
        }
    }
    Err(Error::Contended)
}

/// The same, if there is one and the writer is not faster than the copy.
#[inline]
pub(crate) fn read_now<T: FromBytes + IntoBytes, W: Words>(memory: &W) -> Option<(u64, T)> {
    let seen = version(memory);
    let value = take(memory.words(cell::<T>(seen), words_of::<T>()));
    fence("reader", Ordering::Acquire);
    let now = memory.header(producer::WRITTEN).load(Ordering::Relaxed);
    (now.wrapping_sub(seen) <= slack() && seen != 0).then_some((seen, value))
}

/// The version of the newest value.
#[inline]
pub(crate) fn version<W: Words>(memory: &W) -> u64 {
    peer_load(memory.header(producer::WRITTEN))
}

/// By how much the writer may have gone on: at three it may be writing our cell.
fn slack() -> u64 {
    #[cfg(ipc_loom)]
    if crate::models::is_left_out("slack") {
        return 3;
    }
    2
}
