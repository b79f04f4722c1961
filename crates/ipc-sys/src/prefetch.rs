//! Asking for a cache line of shared memory before it is read. Worth it only for a line that its writer is done with: asked
//! for earlier, it is taken away from the writer.
#![expect(unsafe_code, reason = "inline assembly")]

use std::sync::atomic::AtomicU64;

/// Fetches the line of `word` into the first-level cache; nothing waits for it.
#[inline(always)]
pub fn line(word: &AtomicU64) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a hint, which reads nothing that the program could see and never faults.
    unsafe {
        std::arch::asm!("prefetcht0 [{}]", in(reg) word.as_ptr(), options(nostack, preserves_flags, readonly));
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) word.as_ptr(), options(nostack, preserves_flags, readonly));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = word;
}
