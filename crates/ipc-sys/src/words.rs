//! Bytes in and out of memory that other processes write: through relaxed atomics of 64 bits, so that nothing they do
//! is undefined here, and what fits an aligned word is never torn.

use std::sync::atomic::{AtomicU64, Ordering};

const WORD: usize = size_of::<u64>();

/// Copies the bytes from `offset` on into `bytes`. What lies beyond the last word stays as it is.
pub fn copy_out(words: &[AtomicU64], offset: usize, bytes: &mut [u8]) {
    let (skip, mut words) = from(words, offset);
    let (head, rest) = bytes.split_at_mut(bytes.len().min((WORD - skip) % WORD));
    if !head.is_empty() {
        if let Some(word) = words.next() {
            let found = word.load(Ordering::Relaxed).to_ne_bytes();
            head.iter_mut().zip(found.iter().skip(skip)).for_each(|(byte, found)| *byte = *found);
        }
    }
    for (chunk, word) in rest.chunks_mut(WORD).zip(words) {
        let found = word.load(Ordering::Relaxed).to_ne_bytes();
        chunk.iter_mut().zip(found).for_each(|(byte, found)| *byte = found);
    }
}

/// Copies `bytes` to `offset`; their neighbours in the first and the last word keep what they hold. What lies beyond
/// the last word is not written.
pub fn copy_in(words: &[AtomicU64], offset: usize, bytes: &[u8]) {
    let (skip, mut words) = from(words, offset);
    let (head, rest) = bytes.split_at(bytes.len().min((WORD - skip) % WORD));
    if !head.is_empty() {
        if let Some(word) = words.next() {
            merge(word, skip, head);
        }
    }
    for (chunk, word) in rest.chunks(WORD).zip(words) {
        match chunk.try_into() {
            Ok(whole) => word.store(u64::from_ne_bytes(whole), Ordering::Relaxed),
            Err(_) => merge(word, 0, chunk),
        }
    }
}

/// The bytes to skip, and the words from the one that holds `offset`.
fn from(words: &[AtomicU64], offset: usize) -> (usize, std::slice::Iter<'_, AtomicU64>) {
    (offset % WORD, words.get(offset / WORD..).unwrap_or_default().iter())
}

/// Replaces some bytes of a word and leaves the others to whoever changes them meanwhile.
fn merge(word: &AtomicU64, skip: usize, bytes: &[u8]) {
    let replaced = |now: u64| {
        let mut now = now.to_ne_bytes();
        now.iter_mut().skip(skip).zip(bytes).for_each(|(byte, new)| *byte = *new);
        Some(u64::from_ne_bytes(now))
    };
    let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, replaced);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_and_length_of_three_words() {
        for offset in 0..24 {
            for len in 0..=24 - offset {
                let words = [const { AtomicU64::new(0) }; 3];
                copy_in(&words, 0, &[0xee; 24]);
                let bytes: Vec<u8> = (1..).take(len).collect();
                copy_in(&words, offset, &bytes);
                let mut expected = [0xee; 24];
                expected[offset..offset + len].copy_from_slice(&bytes);
                let mut all = [0; 24];
                copy_out(&words, 0, &mut all);
                assert_eq!(all, expected);
                let mut part = vec![0; len];
                copy_out(&words, offset, &mut part);
                assert_eq!(part, bytes);
            }
        }
    }

    #[test]
    fn beyond_the_end_is_nothing() {
        let words = [AtomicU64::new(7)];
        let mut bytes = [9; 4];
        copy_out(&words, 8, &mut bytes);
        copy_in(&words, 8, &bytes);
        copy_in(&words, 4000, &bytes);
        assert_eq!((bytes, words[0].load(Ordering::Relaxed)), ([9; 4], 7));
    }
}
