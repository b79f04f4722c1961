//! Huge pages under a memory file: mmap where one fits, and madvise(MADV_COLLAPSE), which makes them whatever
//! /sys/kernel/mm/transparent_hugepage/shmem_enabled says.
//!
//! Nothing is left to remove: a mapping goes with its owner, and a huge page with its file. Where the kernel cannot or will
//! not (before Linux 6.1, no huge page free, a limit on the address space), the memory is the same in small pages.
#![expect(unsafe_code, reason = "mmap, munmap, madvise, ftruncate and fallocate are C calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

use crate::errno;

/// What one huge page holds, and how it is aligned, where pages have 4 KiB.
pub const HUGE: usize = 2 << 20;

const PAGE: usize = 4096;

/// <asm-generic/mman-common.h>, since Linux 6.1; libc lacks it for musl.
const MADV_COLLAPSE: libc::c_int = 25;

/// A file, mapped shared at an address where huge pages fit.
#[derive(Debug)]
pub struct AlignedMap {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to the process; this is its address and its end, which any thread may ask for.
unsafe impl Send for AlignedMap {}
// SAFETY: as above.
unsafe impl Sync for AlignedMap {}

impl AlignedMap {
    /// mmap(MAP_SHARED | MAP_POPULATE) of the first `len` bytes: within 2 MiB more that are reserved first, and given back
    /// around it.
    ///
    /// # Errors
    /// EINVAL (no bytes, or pages of another size), ENOMEM, EACCES, EPERM.
    pub fn new(file: BorrowedFd<'_>, len: usize, writable: bool) -> io::Result<Self> {
        Self::with(file, len, writable, libc::MAP_POPULATE)
    }

    /// Where it begins.
    #[must_use]
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    fn with(file: BorrowedFd<'_>, len: usize, writable: bool, flags: libc::c_int) -> io::Result<Self> {
        // SAFETY: no memory of ours.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let whole = len
            .checked_next_multiple_of(PAGE)
            .filter(|whole| *whole > 0 && usize::try_from(page) == Ok(PAGE));
        let (whole, room) = whole
            .and_then(|whole| Some((whole, whole.checked_add(HUGE)?)))
            .ok_or(io::ErrorKind::InvalidInput)?;

        let nothing = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice, of pages that nobody can touch.
        let reserved = mapped(unsafe { libc::mmap(ptr::null_mut(), room, libc::PROT_NONE, nothing, -1, 0) })?;
        let before = reserved.addr().get().next_multiple_of(HUGE) - reserved.addr().get();
        // SAFETY: less than a huge page on, and one more was reserved.
        let start = unsafe { reserved.add(before) };

        let access = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        let flags = libc::MAP_SHARED | libc::MAP_FIXED | flags;
        // SAFETY: what it replaces are pages of the reservation, which is ours and of which nobody knows.
        let result = unsafe { libc::mmap(start.as_ptr().cast(), len, access, flags, file.as_raw_fd(), 0) };
        let result = mapped(result);

        // What was reserved around it. Where mmap failed, what is between belongs to nobody or to another thread by now.
        for (first, len) in [(0, before), (before + whole, HUGE - before)] {
            if len > 0 {
                // SAFETY: within the reservation.
                let first = unsafe { reserved.add(first) };
                // SAFETY: whole pages of the reservation, to which nothing leads.
                let _ = unsafe { libc::munmap(first.as_ptr().cast(), len) };
            }
        }
        Ok(Self { start: result?, len })
    }
}

impl Drop for AlignedMap {
    fn drop(&mut self) {
        // SAFETY: mapped in `with`, and given to nobody who may use it longer than this lives.
        let _ = unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

fn mapped(address: *mut libc::c_void) -> io::Result<NonNull<u8>> {
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(address.cast()).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// ftruncate of a new file to `len` bytes, and a huge page for each whole 2 MiB of it: fallocate of one page of each, from
/// which MADV_COLLAPSE makes all of them. The rest of the file is holes still, and so is all of it where that failed.
pub fn back_by_huge_pages(file: BorrowedFd<'_>, len: usize) {
    let huge = len - len % HUGE;
    // What fails here is tried again by who fills the holes, and told by it.
    let _ = (|| {
        // SAFETY: no memory of ours.
        errno::check(unsafe { libc::ftruncate(file.as_raw_fd(), offset(len)) })?;
        for first in (0..huge).step_by(HUGE) {
            // SAFETY: no memory of ours.
            errno::check(unsafe { libc::fallocate(file.as_raw_fd(), 0, offset(first), offset(PAGE)) })?;
        }
        let map = AlignedMap::with(file, huge, true, 0)?;
        // SAFETY: the range is that of a mapping which lives, and what it holds stays the same.
        errno::check(unsafe { libc::madvise(map.start.as_ptr().cast(), huge, MADV_COLLAPSE) })
    })();
}

fn offset(bytes: usize) -> libc::off_t {
    libc::off_t::try_from(bytes).unwrap_or(libc::off_t::MAX)
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::memory::memory_file;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_file_is_mapped_at_a_whole_huge_page_and_unmapped_with_its_owner() {
        let file = std::fs::File::from(memory_file(c"test").unwrap());
        let maps = || std::fs::read_to_string("/proc/self/maps").unwrap();
        let inode = std::os::unix::fs::MetadataExt::ino(&file.metadata().unwrap());
        let is_mapped =
            || maps().lines().any(|line| line.split_whitespace().nth(4) == Some(&inode.to_string()));
        for len in [1, PAGE, HUGE - 1, HUGE, 2 * HUGE + 5] {
            file.set_len(len as u64).unwrap();
            file.write_all_at(&[7], len as u64 - 1).unwrap();
            for writable in [false, true] {
                let map = AlignedMap::new(file.as_fd(), len, writable).unwrap();
                assert_eq!(map.start().addr().get() % HUGE, 0);
                // SAFETY: the last byte that is mapped.
                assert_eq!(unsafe { map.start().as_ptr().wrapping_add(len - 1).read_volatile() }, 7);
                assert!(is_mapped());
                drop(map);
                assert!(!is_mapped());
            }
        }
        for len in [0, usize::MAX, usize::MAX - PAGE, usize::MAX / 2] {
            assert!(AlignedMap::new(file.as_fd(), len, true).is_err(), "{len}");
        }
    }

    #[test]
    fn a_file_has_its_length_and_zeros_whether_huge_pages_could_be_had_or_not() {
        for len in [HUGE, HUGE + 1, 3 * HUGE - 1] {
            let file = std::fs::File::from(memory_file(c"test").unwrap());
            back_by_huge_pages(file.as_fd(), len);
            assert_eq!(file.metadata().unwrap().len(), len as u64);
            let mut bytes = vec![1; len];
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert!(bytes.iter().all(|byte| *byte == 0));
        }
    }
}
