//! What memory shared between processes needs beyond mapping a file: to know that one has been forked, files in memory
//! that can never be executed, huge pages, and on which CPU one runs.
//!
//! A [`ForkMark`] rests on one private page per process that the kernel empties in every child (MADV_WIPEONFORK). It
//! sees what getpid would cost a system call for, and what pthread_atfork misses: a raw clone.
#![expect(unsafe_code, reason = "mmap, madvise, memfd_create and sched_getcpu are C calls")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::errno;

/// The process that made a handle, told from every child that it forks.
#[derive(Debug, Clone, Copy)]
pub struct ForkMark {
    page: &'static AtomicU64,
    generation: u64,
}

impl ForkMark {
    /// Marks this process.
    ///
    /// # Errors
    /// ENOMEM; EINVAL before Linux 4.14.
    pub fn new() -> io::Result<Self> {
        static PAGE: OnceLock<&'static AtomicU64> = OnceLock::new();
        /// Copied into each child by fork, so a child draws a number that no ancestor of it has used.
        static LAST: AtomicU64 = AtomicU64::new(0);

        let page = match PAGE.get() {
            Some(page) => *page,
            None => {
                let page = wiped_page()?;
                // A thread that lost this race leaves one page mapped and unused.
                PAGE.get_or_init(|| page)
            }
        };
        let mut generation = page.load(Ordering::Relaxed);
        if generation == 0 {
            let fresh = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            generation = match page.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => fresh,
                Err(other_thread) => other_thread,
            };
        }
        Ok(Self { page, generation })
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
        self.page.load(Ordering::Relaxed) == self.generation
    }
}

/// A page that reads as zero in every child.
fn wiped_page() -> io::Result<&'static AtomicU64> {
    const LEN: usize = 4096;
    // SAFETY: a fresh private mapping at an address of the kernel's choice touches nothing that exists.
    let page = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        libc::mmap(ptr::null_mut(), LEN, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    };
    if page == libc::MAP_FAILED {
        return Err(errno::last());
    }
    // SAFETY: the range is the mapping just made, and its contents are zero as they would be in a child.
    if let Err(error) = errno::check(unsafe { libc::madvise(page, LEN, libc::MADV_WIPEONFORK) }) {
        // SAFETY: the mapping was made above and nobody else knows of it.
        unsafe { libc::munmap(page, LEN) };
        return Err(error);
    }
    // SAFETY: the page is mapped, zeroed, aligned, and never unmapped from here on.
    Ok(unsafe { &*page.cast::<AtomicU64>() })
}

/// memfd_create: a file in memory, CLOEXEC, that can be sealed and never executed (MFD_NOEXEC_SEAL, where the kernel
/// knows it, since 6.3).
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM, EINVAL (a name over 249 bytes), ENOSYS.
pub fn memory_file(name: &CStr) -> io::Result<OwnedFd> {
    const MFD_NOEXEC_SEAL: libc::c_uint = 8;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is NUL-terminated and alive.
    let create = |flags| errno::check(unsafe { libc::memfd_create(name.as_ptr(), flags) });
    let fd = match create(flags | MFD_NOEXEC_SEAL) {
        Err(error) if errno::is(&error, libc::EINVAL) => create(flags)?,
        made => made?,
    };
    // SAFETY: the kernel returned this descriptor just now and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// CLOCK_MONOTONIC_COARSE in milliseconds: as exact as the kernel's tick, a few nanoseconds to read.
#[must_use]
pub fn coarse_millis() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a live timespec; Linux has had this clock since 2.6.32.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// sched_getcpu: the CPU that this thread runs on, about 2 ns.
#[must_use]
pub fn cpu() -> u32 {
    // SAFETY: no arguments, no memory of ours.
    u32::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_own_mark() {
        let (first, second) = (ForkMark::new().unwrap(), ForkMark::new().unwrap());
        assert!(first.is_ours() && second.is_ours());
        assert_eq!(first.generation, second.generation);
    }

    #[test]
    fn a_memory_file_has_no_execute_bit_to_gain() {
        let file = std::fs::File::from(memory_file(c"test").unwrap());
        assert_eq!(file.metadata().unwrap().len(), 0);
        assert_eq!(
            memory_file(&std::ffi::CString::new([b'x'; 250]).unwrap()).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
