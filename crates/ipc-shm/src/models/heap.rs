//! A segment in memory of loom's, or a vector, and what the kernel would do there: sleepers, and a socket's bytes.
//!
//! A model makes it and shares it among its threads; it goes with the last of them, but after a deadlock, when loom cannot
//! drop its objects any more.
#![cfg_attr(not(test), expect(dead_code, reason = "the models are tests"))]
#![expect(
    unsafe_code,
    reason = "what loom cannot drop after a deadlock is left; a load that it does not count"
)]

use std::io;
use std::mem::ManuallyDrop;
use std::sync::atomic::Ordering;
#[cfg(not(ipc_loom))]
use std::sync::{Arc, Condvar, Mutex};

use ipc_sys::Deadline;
use ipc_sys::futex::Wait;
#[cfg(ipc_loom)]
use loom::sync::{Arc, Condvar, Mutex};

#[cfg(ipc_loom)]
use super::is_left_out;
use crate::words::{AtomicU64, Words};

/// A segment in memory of loom's, or a vector: words, and a kernel's queue of sleepers.
#[derive(Debug, Clone)]
pub(crate) struct Heap {
    words: Kept<Vec<AtomicU64>>,
    queue: Kept<(Mutex<()>, Condvar)>,
    /// The bytes in the socket of the one side that polls.
    socket: Kept<(Mutex<u32>, Condvar)>,
}

/// What a model has in common. When loom has found a deadlock it cannot drop its objects any more: they are left.
#[derive(Debug)]
struct Kept<T> {
    value: ManuallyDrop<Arc<T>>,
}

impl<T> Kept<T> {
    fn new(value: T) -> Self {
        Self { value: ManuallyDrop::new(Arc::new(value)) }
    }
}

impl<T> std::ops::Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone() }
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: dropped here and nowhere else, and not used again.
            unsafe { ManuallyDrop::drop(&mut self.value) }
        }
    }
}

impl Heap {
    pub(crate) fn new(words: usize) -> Self {
        let words = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self {
            words: Kept::new(words),
            queue: Kept::new((Mutex::new(()), Condvar::new())),
            socket: Kept::new((Mutex::new(0), Condvar::new())),
        }
    }

    /// Another segment whose sleepers are the same: who waits for both, waits once.
    #[cfg(test)]
    pub(super) fn beside(&self, words: usize) -> Self {
        let words = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self { words: Kept::new(words), queue: self.queue.clone(), socket: self.socket.clone() }
    }

    /// futex_waitv: sleeps while each word holds what is expected.
    #[cfg(test)]
    #[expect(clippy::cast_possible_truncation, reason = "the low half")]
    pub(super) fn wait_any(&self, words: &[(&AtomicU64, u32)]) {
        let sleepers = self.queue.0.lock().unwrap();
        if words.iter().all(|(word, expected)| word.load(Ordering::SeqCst) as u32 == *expected) {
            drop(self.queue.1.wait(sleepers).unwrap());
        }
    }
}

impl Words for Heap {
    #[expect(clippy::indexing_slicing, reason = "a model that looks beyond its memory has failed")]
    fn words(&self, first: usize, count: usize) -> &[AtomicU64] {
        &self.words[first..first + count]
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::unwrap_used,
        reason = "the low half; a poisoned lock is a failed model"
    )]
    fn wait(&self, index: usize, expected: u32, _: Deadline) -> io::Result<Wait> {
        let sleepers = self.queue.0.lock().unwrap();
        // The kernel's look at the word happens under its own lock, which orders it after any wake before.
        if self.word(index).load(Ordering::SeqCst) as u32 != expected {
            return Ok(Wait::Changed);
        }
        drop(self.queue.1.wait(sleepers).unwrap());
        Ok(Wait::Woken)
    }

    #[expect(clippy::unwrap_used, reason = "a poisoned lock is a failed model")]
    fn wake(&self, _: usize, _: i32) {
        let sleepers = self.queue.0.lock().unwrap();
        self.queue.1.notify_all();
        drop(sleepers);
    }

    fn has_socket(&self) -> bool {
        true
    }

    #[expect(clippy::unwrap_used, reason = "a poisoned lock is a failed model")]
    fn signal(&self) -> bool {
        let mut bytes = self.socket.0.lock().unwrap();
        *bytes += 1;
        self.socket.1.notify_all();
        true
    }

    #[expect(clippy::unwrap_used, reason = "a poisoned lock is a failed model")]
    fn drain(&self) {
        *self.socket.0.lock().unwrap() = 0;
    }

    #[expect(clippy::unwrap_used, reason = "a poisoned lock is a failed model")]
    fn poll(&self, _: Deadline) -> io::Result<Wait> {
        #[cfg(ipc_loom)]
        if is_left_out("drain before the look") {
            self.drain();
        }
        let mut bytes = self.socket.0.lock().unwrap();
        while *bytes == 0 {
            bytes = self.socket.1.wait(bytes).unwrap();
        }
        Ok(Wait::Changed)
    }
}

/// The load of [`crate::words::own_load`], which loom does not count as an access: it remembers of each word the last one
/// only, and a store right after our own would be tried at no other moment of those who read the word before.
#[cfg(ipc_loom)]
pub(crate) fn own_load(word: &AtomicU64) -> u64 {
    // SAFETY: no other thread writes it, which loom checks.
    unsafe { word.unsync_load() }
}
