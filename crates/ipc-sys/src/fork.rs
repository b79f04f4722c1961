//! A page that a forked child finds empty (MADV_WIPEONFORK): how a child without exec knows that it is one. It sees what
//! getpid would cost a system call for, and what pthread_atfork misses: a raw clone. It lives as long as the process.
//!
//! [`ForkMark`] is all that a handle needs; [`words`] is for who keeps more that fork must wipe.
#![expect(unsafe_code, reason = "mmap")]

use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::errno;

/// What the page holds, all zero at first and again in every forked child.
pub type Words = [AtomicU64; 512];

/// Maps such a page, for good.
///
/// # Errors
/// ENOMEM; EINVAL on kernels before 4.14.
pub fn words() -> io::Result<&'static Words> {
    let len = size_of::<Words>();
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory of ours.
    let page = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(errno::last());
    }
    // SAFETY: the mapping is the one just made, of this length.
    let wiped = errno::check(unsafe { libc::madvise(page, len, libc::MADV_WIPEONFORK) });
    if let Err(error) = wiped {
        // SAFETY: the mapping is the one just made, of this length, and nobody has seen it.
        unsafe { libc::munmap(page, len) };
        return Err(error);
    }
    // SAFETY: page-aligned, zeroed, readable and writable, as long as the array, never unmapped; atomics may be shared.
    Ok(unsafe { &*page.cast::<Words>() })
}

/// The process that made a handle, told from every child that it forks.
#[derive(Debug, Clone, Copy)]
pub struct ForkMark {
    word: &'static AtomicU64,
    generation: u64,
}

impl ForkMark {
    /// A mark that is no process's.
    #[must_use]
    pub const fn nobody() -> Self {
        static NEVER: AtomicU64 = AtomicU64::new(0);
        Self { word: &NEVER, generation: u64::MAX }
    }

    /// Marks this process.
    ///
    /// # Errors
    /// ENOMEM; EINVAL before Linux 4.14.
    pub fn new() -> io::Result<Self> {
        static PAGE: OnceLock<&'static Words> = OnceLock::new();
        /// Copied into each child by fork, so a child draws a number that no ancestor of it has used.
        static LAST: AtomicU64 = AtomicU64::new(0);

        let [word, ..] = match PAGE.get() {
            Some(page) => page,
            None => {
                let page = words()?;
                // A thread that lost this race leaves one page mapped and unused.
                PAGE.get_or_init(|| page)
            }
        };
        let mut generation = word.load(Ordering::Relaxed);
        if generation == 0 {
            let fresh = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            generation = match word.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => fresh,
                Err(other_thread) => other_thread,
            };
        }
        Ok(Self { word, generation })
    }

    /// A mark that is no process's: for a handle that is never to be used again.
    #[must_use]
    pub fn void(self) -> Self {
        Self { generation: u64::MAX, ..self }
    }

    /// Whether this is still the process that made the mark: one load of a cached line.
    #[inline]
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.word.load(Ordering::Relaxed) == self.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_own_mark() {
        let (first, second) = (ForkMark::new().unwrap(), ForkMark::new().unwrap());
        assert!(first.is_ours() && second.is_ours());
        assert_eq!(first.generation, second.generation);
        assert!(!first.void().is_ours() && !ForkMark::nobody().is_ours());
    }
}
