//! Memory as words: all that the protocols know of the place where their bytes live.
//!
//! Every word of a segment is 64 bits wide and reached through an atomic, whoever may write it. The same algorithms run
//! over a mapping, over a vector under Miri, and over loom's memory under `cfg(ipc_loom)`.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ipc_sys::Deadline;
use ipc_sys::futex::Wait;
#[cfg(not(ipc_loom))]
use ipc_sys::pairs;
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[cfg(ipc_loom)]
pub(crate) use loom::sync::atomic::AtomicU64;
#[cfg(not(ipc_loom))]
pub(crate) use std::sync::atomic::AtomicU64;

/// Where the words are.
pub(crate) trait Words {
    /// `count` words from the one at 8 × `first` bytes.
    ///
    /// # Panics
    /// Beyond the end, which no word that a peer wrote can make an index: positions are masked by our own constant.
    fn words(&self, first: usize, count: usize) -> &[AtomicU64];

    /// The word at 8 × `index` bytes.
    #[inline]
    fn word(&self, index: usize) -> &AtomicU64 {
        match self.words(index, 1) {
            [word, ..] => word,
            [] => unreachable!(),
        }
    }

    /// The same, of a word of the header page.
    #[inline]
    fn header(&self, index: usize) -> &AtomicU64 {
        self.word(index)
    }

    /// Sleeps while the low half of a word is `expected` (FUTEX_WAIT).
    fn wait(&self, index: usize, expected: u32, deadline: Deadline) -> io::Result<Wait>;

    /// The same for so long from now, which takes no look at the clock.
    fn wait_for(&self, index: usize, expected: u32, timeout: Duration) -> io::Result<Wait> {
        self.wait(index, expected, Deadline::after(timeout))
    }

    /// Wakes at most `count` sleepers of a word (FUTEX_WAKE).
    fn wake(&self, index: usize, count: i32);

    /// Whether our side of this memory came with a socket.
    fn has_socket(&self) -> bool {
        false
    }

    /// Makes the other side's descriptor readable; false where that failed and is worth another try. Only memory that
    /// came with a socket has one.
    fn signal(&self) -> bool {
        true
    }

    /// Takes away what made our descriptor readable.
    fn drain(&self) {}

    /// Sleeps until our descriptor is readable or its other end is gone (poll).
    ///
    /// # Errors
    /// EOPNOTSUPP where this memory came without a socket.
    fn poll(&self, _: Deadline) -> io::Result<Wait> {
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }
}

/// Reads a word that the other process writes, possibly through a read-only mapping: std defines a relaxed load of at
/// most 8 bytes there and nothing else, so the ordering comes from the fence.
#[inline]
pub(crate) fn peer_load(word: &AtomicU64) -> u64 {
    let value = word.load(Ordering::Relaxed);
    fence("peer_load", Ordering::Acquire);
    value
}

/// Reads a word that nobody but us writes.
#[inline]
pub(crate) fn own_load(word: &AtomicU64) -> u64 {
    #[cfg(not(ipc_loom))]
    return word.load(Ordering::Relaxed);
    #[cfg(ipc_loom)]
    crate::models::own_load(word)
}

/// Stores a word that the other process reads by [`peer_load`]: whoever sees it sees what was written before.
#[inline]
pub(crate) fn publish(word: &AtomicU64, value: u64) {
    #[cfg(not(ipc_loom))]
    word.store(value, Ordering::Release);
    #[cfg(ipc_loom)]
    crate::models::publish(word, value);
}

/// A fence with a name, by which the models leave it out to see that it matters.
#[cfg(not(ipc_loom))]
#[inline(always)]
pub(crate) fn fence(_: &'static str, ordering: Ordering) {
    std::sync::atomic::fence(ordering);
}

/// A fence with a name, by which the models leave it out to see that it matters.
#[cfg(ipc_loom)]
pub(crate) fn fence(name: &'static str, ordering: Ordering) {
    if !crate::models::is_left_out(name) {
        loom::sync::atomic::fence(ordering);
    }
}

/// The ordering of a load that sees what was written before the value it sees; with a name, as [`fence`] has one.
#[inline(always)]
pub(crate) fn acquire(name: &'static str) -> Ordering {
    if is_left_out(name) { Ordering::Relaxed } else { Ordering::Acquire }
}

/// Whether a model leaves this step of an algorithm out, to see that it matters; never in what ships.
#[cfg(not(ipc_loom))]
#[inline(always)]
pub(crate) const fn is_left_out(_: &'static str) -> bool {
    false
}

#[cfg(ipc_loom)]
pub(crate) use crate::models::is_left_out;

/// How many words a `T` fills.
pub(crate) const fn words_of<T>() -> usize {
    size_of::<T>().div_ceil(8)
}

/// Stores a value, a word at a time, relaxed: what a reader makes of it meanwhile is its protocol's business.
#[inline]
pub(crate) fn put<T: IntoBytes + Immutable>(words: &[AtomicU64], value: &T) {
    put_words(words, value.as_bytes());
}

/// As [`put`], by pairs of words: for a value among many.
#[inline]
pub(crate) fn put_pairs<T: IntoBytes + Immutable>(words: &[AtomicU64], value: &T) {
    put_bytes(words, value.as_bytes());
}

/// Loads a value, by relaxed words and pairs of them: memory-safe whatever is written meanwhile, as every bit pattern is a `T`.
#[inline]
pub(crate) fn take<T: FromBytes + IntoBytes>(words: &[AtomicU64]) -> T {
    let mut value = T::new_zeroed();
    take_bytes(words, value.as_mut_bytes());
    value
}

/// Asks for the line of a word that is read soon, and that nobody writes any more.
#[inline(always)]
pub(crate) fn prefetch(word: &AtomicU64) {
    #[cfg(not(ipc_loom))]
    ipc_sys::prefetch::line(word);
    #[cfg(ipc_loom)]
    let _ = word;
}

/// As [`put_pairs`], of bytes; what is left of the last word becomes zero.
#[inline]
pub(crate) fn put_bytes(words: &[AtomicU64], bytes: &[u8]) {
    #[cfg(not(ipc_loom))]
    let (words, bytes) = pairs::store(words, bytes);
    put_words(words, bytes);
}

#[inline]
fn put_words(words: &[AtomicU64], bytes: &[u8]) {
    let mut words = words.iter();
    let chunks = bytes.chunks_exact(8);
    let rest = chunks.remainder();
    for (chunk, word) in chunks.zip(&mut words) {
        word.store(chunk.try_into().map_or(0, u64::from_ne_bytes), Ordering::Relaxed);
    }
    if let (false, Some(word)) = (rest.is_empty(), words.next()) {
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        word.store(u64::from_ne_bytes(last), Ordering::Relaxed);
    }
}

/// As [`take`], into bytes.
#[inline]
pub(crate) fn take_bytes(words: &[AtomicU64], bytes: &mut [u8]) {
    #[cfg(not(ipc_loom))]
    let (words, bytes) = pairs::load(words, bytes);
    let mut words = words.iter();
    let mut chunks = bytes.chunks_exact_mut(8);
    for (chunk, word) in chunks.by_ref().zip(&mut words) {
        chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
    }
    let rest = chunks.into_remainder();
    if let (false, Some(word)) = (rest.is_empty(), words.next()) {
        for (to, from) in rest.iter_mut().zip(word.load(Ordering::Relaxed).to_ne_bytes()) {
            *to = from;
        }
    }
}
