//! What memory shared between processes needs beyond mapping a file: files in memory that can never be executed, a cheap
//! clock, and on which CPU one runs.
#![expect(unsafe_code, reason = "memfd_create, clock_gettime and sched_getcpu are C calls")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::NonNull;

use crate::errno;

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

/// madvise(MADV_DONTFORK): a forked child does not have these pages.
///
/// # Errors
/// EINVAL (not whole pages), ENOMEM (nothing is mapped there).
///
/// # Safety
/// The range is mapped, from a page's beginning, and whoever uses it knows that a child has a hole there.
pub unsafe fn dont_fork(start: NonNull<u8>, len: usize) -> io::Result<()> {
    // SAFETY: the caller's.
    errno::check(unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_DONTFORK) })?;
    Ok(())
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
    if cfg!(miri) {
        // Miri has one CPU and no name for it.
        return 0;
    }
    // SAFETY: no arguments, no memory of ours.
    u32::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
