//! Bare shared memory, and the two things that one does with a word of it: poll it, or sleep on it.
#![expect(unsafe_code, reason = "what is measured is raw memory that two processes share")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use ipc_sys::{Deadline, futex};

use crate::cell::Wait;
use crate::meet::Meet;

/// Zeroed memory that both processes map, for ever.
pub(crate) fn shared(meet: &mut Meet, words: usize) -> &'static [AtomicU64] {
    let [file] = meet.both(|| [memory_file(words * 8)]);
    map(&file, words)
}

fn memory_file(len: usize) -> OwnedFd {
    let file = ipc_sys::memory::memory_file(c"ipc-bench").unwrap();
    nix::unistd::ftruncate(&file, i64::try_from(len).unwrap()).unwrap();
    file
}

/// The same by shm_open, as C does it; the creator removes the name.
pub(crate) fn map_name(name: &CStr, words: usize, create: bool) -> &'static [AtomicU64] {
    let flags = libc::O_RDWR | libc::O_CLOEXEC | if create { libc::O_CREAT | libc::O_EXCL } else { 0 };
    // SAFETY: a C string.
    let file = unsafe { libc::shm_open(name.as_ptr(), flags, 0o600) };
    assert!(file >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: just opened, and nobody else's.
    let file = unsafe { OwnedFd::from_raw_fd(file) };
    if create {
        nix::unistd::ftruncate(&file, i64::try_from(words * 8).unwrap()).unwrap();
    }
    map(&file, words)
}

fn map(file: &OwnedFd, words: usize) -> &'static [AtomicU64] {
    // SAFETY: a fresh mapping at an address of the kernel's choice.
    let base = unsafe {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
        libc::mmap(std::ptr::null_mut(), words * 8, access, flags, file.as_raw_fd(), 0)
    };
    assert!(base != libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
    // SAFETY: mapped, zeroed, aligned, never unmapped; the other process uses atomics, too, or takes its turn.
    unsafe { std::slice::from_raw_parts(base.cast::<AtomicU64>(), words) }
}

/// A word that one side changes and the other waits for, and whether that one sleeps.
#[derive(Clone, Copy)]
pub(crate) struct Word {
    value: &'static AtomicU64,
    asleep: &'static AtomicU64,
}

impl Word {
    /// At the head of `memory`: two pairs of lines.
    pub(crate) fn at(memory: &'static [AtomicU64]) -> Self {
        Self { value: &memory[0], asleep: &memory[16] }
    }

    #[inline]
    pub(crate) fn store(self, value: u64) {
        self.value.store(value, Ordering::Release);
    }

    /// Stores `value` and wakes who sleeps.
    #[inline]
    pub(crate) fn change(self, wait: Wait, value: u64) {
        self.store(value);
        self.ring(wait);
    }

    /// Wakes who sleeps.
    #[inline]
    pub(crate) fn ring(self, wait: Wait) {
        if wait != Wait::Spin {
            fence(Ordering::SeqCst);
            if self.asleep.load(Ordering::Relaxed) != 0 && self.asleep.swap(0, Ordering::Relaxed) != 0 {
                futex::wake_low(self.asleep, 1).unwrap();
            }
        }
    }

    /// Waits until `done` holds.
    #[inline]
    pub(crate) fn until(self, wait: Wait, done: impl Fn(u64) -> bool) -> u64 {
        loop {
            let value = self.value.load(Ordering::Acquire);
            if done(value) {
                return value;
            }
            if wait == Wait::Spin {
                std::hint::spin_loop();
            } else {
                self.sleep(&done);
            }
        }
    }

    /// The word that says that somebody sleeps is what he sleeps on: who wakes him has cleared it before.
    fn sleep(self, done: &impl Fn(u64) -> bool) {
        self.asleep.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !done(self.value.load(Ordering::Acquire)) {
            futex::wait_low(self.asleep, 1, Deadline::NEVER).unwrap();
        }
    }
}

/// Bytes that one side writes while the other does not look: a slot of a ring, by turns.
///
/// # Safety
/// Until the turn is handed over nobody else reads or writes these words.
#[expect(clippy::mut_from_ref, reason = "the words are atomics, and their turns are the caller's to keep")]
pub(crate) unsafe fn place(words: &[AtomicU64]) -> &mut [u64] {
    // SAFETY: an AtomicU64 has the layout of a u64 and may be changed through a shared reference; nobody else does now.
    unsafe { std::slice::from_raw_parts_mut(words.as_ptr().cast_mut().cast::<u64>(), words.len()) }
}
