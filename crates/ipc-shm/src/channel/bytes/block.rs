//! A message as blocks: how many, and which bytes lie in which.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::channel::spsc::ring::{Consumer, Producer};
use crate::words::{Words, peer_load, put_bytes, take_bytes};

/// One cache line. The first of a message begins with the message's length.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(64))]
pub(crate) struct Block([u64; 8]);

/// The bytes of a block.
pub(crate) const BLOCK: usize = size_of::<Block>();
/// The bytes of a message that its first block holds.
const FIRST: usize = BLOCK - 8;

/// How many blocks a message takes; `None` where that overflows.
pub(crate) fn blocks(len: u64) -> Option<u64> {
    Some(len.checked_add(8)?.div_ceil(BLOCK as u64))
}

/// Writes a message into the blocks from `ahead` of the next one on; there must be space.
pub(crate) fn write<W: Words>(ring: &Producer<Block, W>, ahead: u64, message: &[u8]) {
    let (first, rest) = message.split_at(message.len().min(FIRST));
    if let Some((len, words)) = ring.payload(ahead).split_first() {
        put_bytes(std::slice::from_ref(len), &(message.len() as u64).to_ne_bytes());
        put_bytes(words, first);
    }
    for (bytes, further) in rest.chunks(BLOCK).zip(1..) {
        put_bytes(ring.payload(ahead + further), bytes);
    }
}

/// The length that the next message claims, read once.
pub(crate) fn len<W: Words>(ring: &Consumer<Block, W>) -> u64 {
    ring.payload(0).first().map_or(0, peer_load)
}

/// Copies the next message; its blocks must be there.
pub(crate) fn read<W: Words>(ring: &Consumer<Block, W>, message: &mut [u8]) {
    let (first, rest) = message.split_at_mut(message.len().min(FIRST));
    if let Some((_, words)) = ring.payload(0).split_first() {
        take_bytes(words, first);
    }
    for (bytes, further) in rest.chunks_mut(BLOCK).zip(1..) {
        take_bytes(ring.payload(further), bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_takes_its_length_and_eight_bytes() {
        assert_eq!([0, 1, 56, 57, 120, 121].map(blocks), [1, 1, 1, 2, 2, 3].map(Some));
        assert_eq!(blocks(u64::MAX), None);
    }
}
