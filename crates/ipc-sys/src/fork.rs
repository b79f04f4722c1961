//! A page that a forked child finds empty (MADV_WIPEONFORK): how a child without exec knows that it is one, without a
//! system call. It lives as long as the process.
#![expect(unsafe_code, reason = "mmap")]

use std::io;
use std::ptr;
use std::sync::atomic::AtomicU64;

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
