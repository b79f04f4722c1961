//! Bytes in and out of memory that other processes write: through relaxed atomics of 64 bits, so that nothing they do
//! is undefined here, and what fits an aligned word is never torn.

use std::sync::atomic::{AtomicU64, Ordering};

const WORD: usize = size_of::<u64>();

/// Words that are copied in one turn of a loop.
const ROW: usize = 8;

/// Copies the bytes from `offset` on into `bytes`. What lies beyond the last word stays as it is.
pub fn copy_out(words: &[AtomicU64], offset: usize, bytes: &mut [u8]) {
    let (skip, mut words) = from(words, offset);
    let (head, rest) = bytes.split_at_mut(bytes.len().min((WORD - skip) % WORD));
    if let (false, Some((word, others))) = (head.is_empty(), words.split_first()) {
        load_part(word, skip, head);
        words = others;
    }
    let whole = words.len().min(rest.len() / WORD);
    let (words, beyond) = words.split_at(whole);
    let (bytes, tail) = rest.split_at_mut(whole * WORD);
    let mut rows = words.chunks_exact(ROW);
    let mut blocks = bytes.chunks_exact_mut(ROW * WORD);
    for (row, block) in rows.by_ref().zip(blocks.by_ref()) {
        load_each(row, block);
    }
    load_each(rows.remainder(), blocks.into_remainder());
    if let (false, Some(word)) = (tail.is_empty(), beyond.first()) {
        load_part(word, 0, tail);
    }
}

/// Copies `bytes` to `offset`; their neighbours in the first and the last word keep what they hold. What lies beyond
/// the last word is not written.
pub fn copy_in(words: &[AtomicU64], offset: usize, bytes: &[u8]) {
    let (skip, mut words) = from(words, offset);
    let (head, rest) = bytes.split_at(bytes.len().min((WORD - skip) % WORD));
    if let (false, Some((word, others))) = (head.is_empty(), words.split_first()) {
        merge(word, skip, head);
        words = others;
    }
    let whole = words.len().min(rest.len() / WORD);
    let (words, beyond) = words.split_at(whole);
    let (bytes, tail) = rest.split_at(whole * WORD);
    let (rows, blocks) = (words.chunks_exact(ROW), bytes.chunks_exact(ROW * WORD));
    let (last_words, last_bytes) = (rows.remainder(), blocks.remainder());
    for (row, block) in rows.zip(blocks) {
        store_each(row, block);
    }
    store_each(last_words, last_bytes);
    if let (false, Some(word)) = (tail.is_empty(), beyond.first()) {
        merge(word, 0, tail);
    }
}

/// The bytes to skip, and the words from the one that holds `offset`.
fn from(words: &[AtomicU64], offset: usize) -> (usize, &[AtomicU64]) {
    (offset % WORD, words.get(offset / WORD..).unwrap_or_default())
}

/// Loads as many words as fill `bytes`.
#[inline(always)]
fn load_each(words: &[AtomicU64], bytes: &mut [u8]) {
    for (word, bytes) in words.iter().zip(bytes.chunks_exact_mut(WORD)) {
        bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
    }
}

/// Stores as many words as `bytes` fill.
#[inline(always)]
fn store_each(words: &[AtomicU64], bytes: &[u8]) {
    for (word, bytes) in words.iter().zip(bytes.chunks_exact(WORD)) {
        word.store(bytes.try_into().map_or(0, u64::from_ne_bytes), Ordering::Relaxed);
    }
}

/// Loads some bytes of a word.
fn load_part(word: &AtomicU64, skip: usize, bytes: &mut [u8]) {
    let found = word.load(Ordering::Relaxed).to_ne_bytes();
    bytes.iter_mut().zip(found.iter().skip(skip)).for_each(|(byte, found)| *byte = *found);
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
    fn every_offset_and_length_around_one_and_two_rows() {
        const LEN: usize = (2 * ROW + 4) * WORD;
        let lens = (0..=3 * WORD).chain((ROW - 2) * WORD..=(ROW + 2) * WORD).chain(2 * ROW * WORD..=LEN);
        for (offset, len) in
            (0..2 * WORD).step_by(3).flat_map(|offset| lens.clone().map(move |len| (offset, len)))
        {
            let len = len.min(LEN - offset);
            let words = [const { AtomicU64::new(0) }; LEN / WORD];
            copy_in(&words, 0, &[0xee; LEN]);
            let bytes: Vec<u8> = (1..).take(len).collect();
            copy_in(&words, offset, &bytes);
            let mut expected = [0xee; LEN];
            expected[offset..offset + len].copy_from_slice(&bytes);
            let mut all = [0; LEN];
            copy_out(&words, 0, &mut all);
            assert_eq!(all, expected);
            let mut part = vec![0; len];
            copy_out(&words, offset, &mut part);
            assert_eq!(part, bytes);
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
        let mut more = [9; 20];
        copy_out(&words, 4, &mut more);
        assert_eq!(more[4..], [9; 16]);
        copy_in(&words, 4, &[1; 20]);
        assert_eq!(words[0].load(Ordering::Relaxed).to_ne_bytes()[4..], [1; 4]);
    }
}
