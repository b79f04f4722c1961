//! Sixteen bytes at a time in and out of memory that other processes write, by one instruction that the compiler does not
//! look into: a word that changes meanwhile is no undefined behaviour here, as with relaxed atomics.
//!
//! Half as many loads and stores matter: each store waits in the store buffer until the other CPU has given up its cache
//! line, and how many lines can be asked for at once is how many messages fit there. Each aligned word of eight bytes is
//! whole, the pair need not be. The order is that of relaxed atomics: a fence, or a later store with Release, orders them all.
#![expect(unsafe_code, reason = "inline assembly")]

use std::sync::atomic::AtomicU64;

/// The bytes of a pair.
const PAIR: usize = 16;

/// Stores as many whole pairs as both hold, and gives back what is left of each.
#[inline(always)]
pub fn store<'w, 'b>(words: &'w [AtomicU64], bytes: &'b [u8]) -> (&'w [AtomicU64], &'b [u8]) {
    let count = if WIDE { (words.len() / 2).min(bytes.len() / PAIR) } else { 0 };
    let (pairs, words) = words.split_at(count * 2);
    let (chunks, bytes) = bytes.split_at(count * PAIR);
    for (pair, chunk) in pairs.chunks_exact(2).zip(chunks.chunks_exact(PAIR)) {
        if let (Ok(pair), Ok(chunk)) = (pair.try_into(), chunk.try_into()) {
            store_one(pair, chunk);
        }
    }
    (words, bytes)
}

/// Loads as many whole pairs as both hold, and gives back what is left of each.
#[inline(always)]
pub fn load<'w, 'b>(words: &'w [AtomicU64], bytes: &'b mut [u8]) -> (&'w [AtomicU64], &'b mut [u8]) {
    let count = if WIDE { (words.len() / 2).min(bytes.len() / PAIR) } else { 0 };
    let (pairs, words) = words.split_at(count * 2);
    let (chunks, bytes) = bytes.split_at_mut(count * PAIR);
    for (pair, chunk) in pairs.chunks_exact(2).zip(chunks.chunks_exact_mut(PAIR)) {
        if let (Ok(pair), Ok(chunk)) = (pair.try_into(), chunk.try_into()) {
            load_one(pair, chunk);
        }
    }
    (words, bytes)
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod instruction {
    use std::arch::asm;
    use std::arch::x86_64::__m128i;
    use std::sync::atomic::AtomicU64;

    pub(super) const WIDE: bool = true;

    #[inline(always)]
    pub(super) fn store_one(pair: &[AtomicU64; 2], chunk: &[u8; 16]) {
        // SAFETY: pointer - 16 bytes that the caller lends; every bit pattern is a vector.
        let value = unsafe { chunk.as_ptr().cast::<__m128i>().read_unaligned() };
        // SAFETY: shared memory - two words, borrowed, which may be written through a shared reference as they are atomics.
        unsafe {
            asm!("movups [{}], {}", in(reg) pair.as_ptr(), in(xmm_reg) value, options(nostack, preserves_flags));
        }
    }

    #[inline(always)]
    pub(super) fn load_one(pair: &[AtomicU64; 2], chunk: &mut [u8; 16]) {
        let value: __m128i;
        // SAFETY: shared memory - two words, borrowed; whatever another process writes there meanwhile is a vector.
        unsafe {
            asm!("movups {}, [{}]", out(xmm_reg) value, in(reg) pair.as_ptr(), options(nostack, preserves_flags, readonly));
        }
        // SAFETY: pointer - 16 bytes that the caller lends for writing.
        unsafe { chunk.as_mut_ptr().cast::<__m128i>().write_unaligned(value) };
    }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
mod instruction {
    use std::arch::aarch64::uint8x16_t;
    use std::arch::asm;
    use std::sync::atomic::AtomicU64;

    pub(super) const WIDE: bool = true;

    #[inline(always)]
    pub(super) fn store_one(pair: &[AtomicU64; 2], chunk: &[u8; 16]) {
        // SAFETY: pointer - 16 bytes that the caller lends; every bit pattern is a vector.
        let value = unsafe { chunk.as_ptr().cast::<uint8x16_t>().read_unaligned() };
        // SAFETY: shared memory - two words, borrowed, which may be written through a shared reference as they are atomics.
        unsafe {
            asm!("str {:q}, [{}]", in(vreg) value, in(reg) pair.as_ptr(), options(nostack, preserves_flags));
        }
    }

    #[inline(always)]
    pub(super) fn load_one(pair: &[AtomicU64; 2], chunk: &mut [u8; 16]) {
        let value: uint8x16_t;
        // SAFETY: shared memory - two words, borrowed; whatever another process writes there meanwhile is a vector.
        unsafe {
            asm!("ldr {:q}, [{}]", out(vreg) value, in(reg) pair.as_ptr(), options(nostack, preserves_flags, readonly));
        }
        // SAFETY: pointer - 16 bytes that the caller lends for writing.
        unsafe { chunk.as_mut_ptr().cast::<uint8x16_t>().write_unaligned(value) };
    }
}

/// Miri does not run assembly: everything is left to the atomics.
#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod instruction {
    use std::sync::atomic::AtomicU64;

    pub(super) const WIDE: bool = false;

    pub(super) fn store_one(_: &[AtomicU64; 2], _: &[u8; 16]) {}

    pub(super) fn load_one(_: &[AtomicU64; 2], _: &mut [u8; 16]) {}
}

use instruction::{WIDE, load_one, store_one};

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn whole_pairs_go_and_come_back_and_the_rest_is_named() {
        let words = [const { AtomicU64::new(0xeeee) }; 5];
        let bytes: Vec<u8> = (1..=45).collect();
        let (words_left, bytes_left) = store(&words, &bytes);
        let moved = bytes.len() - bytes_left.len();
        assert_eq!(moved % PAIR, 0);
        assert_eq!(words_left.len(), words.len() - moved / 8);
        for (word, chunk) in words.iter().zip(bytes[..moved].chunks_exact(8)) {
            assert_eq!(word.load(Ordering::Relaxed).to_ne_bytes(), chunk);
        }
        assert!(words_left.iter().all(|word| word.load(Ordering::Relaxed) == 0xeeee));
        let mut back = [0; 45];
        assert_eq!(load(&words, &mut back).1.len(), bytes_left.len());
        assert_eq!(back[..moved], bytes[..moved]);
        assert!(back[moved..].iter().all(|byte| *byte == 0));
    }
}
