//! A message as blocks: how many, and which bytes lie in which.
//!
//! The blocks of a message lie in a row, so that it can be written and read in place: one that does not fit before the
//! ring's end begins at its beginning, and a block that says so stands where it would have begun.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::channel::spsc::ring::{Consumer, Producer};
use crate::words::{Words, peer_load, put_bytes, take_bytes};

/// One cache line. The first of a message begins with the message's length.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(64))]
pub(crate) struct Block([u64; 8]);

/// The bytes of a block.
pub(crate) const BLOCK: usize = size_of::<Block>();
/// Where in its first block a message begins.
pub(crate) const HEAD: usize = 8;
/// The length that no message has: the rest of the ring is passed over.
const PAD: u64 = u64::MAX;

/// How many blocks a message takes; `None` where that overflows.
pub(crate) fn blocks(len: u64) -> Option<u64> {
    Some(len.checked_add(HEAD as u64)?.div_ceil(BLOCK as u64))
}

/// How many blocks lie before the ring's end, `ahead` of the next one, that `wanted` in a row do not fit in.
pub(crate) fn pad<W: Words>(ring: &Producer<Block, W>, ahead: u64, wanted: u64) -> u64 {
    let left = ring.to_end(ahead);
    if wanted <= left { 0 } else { left }
}

/// Writes a message into the blocks from `ahead` of the next one on; there must be space, in a row.
pub(crate) fn write<W: Words>(ring: &Producer<Block, W>, ahead: u64, blocks: u64, message: &[u8]) {
    if let Some((len, words)) = ring.row(ahead, blocks).split_first() {
        put_bytes(std::slice::from_ref(len), &(message.len() as u64).to_ne_bytes());
        put_bytes(words, message);
    }
}

/// Gives the blocks from `ahead` on the length of the message that was written in place.
pub(crate) fn write_len<W: Words>(ring: &Producer<Block, W>, ahead: u64, len: u64) {
    put_bytes(ring.row(ahead, 1), &len.to_ne_bytes());
}

/// Says that the rest of the ring, from `ahead` on, is passed over.
pub(crate) fn write_pad<W: Words>(ring: &Producer<Block, W>, ahead: u64) {
    write_len(ring, ahead, PAD);
}

/// What the next blocks claim to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A message of `len` bytes in `blocks` blocks in a row.
    Message { len: usize, blocks: u64 },
    /// The rest of the ring, so many blocks.
    Pad { blocks: u64 },
    /// What no sender of ours writes.
    Nonsense,
}

/// Reads the head of the next message, once. `left` blocks lie before the ring's end, of `capacity`.
pub(crate) fn claim<W: Words>(ring: &Consumer<Block, W>, left: u64, capacity: u64) -> Claim {
    claim_of(ring.row(0, 1).first().map_or(0, peer_load), left, capacity)
}

fn claim_of(head: u64, left: u64, capacity: u64) -> Claim {
    // At the ring's beginning everything fits that can be sent.
    if head == PAD && left < capacity {
        return Claim::Pad { blocks: left };
    }
    match (blocks(head).filter(|blocks| *blocks <= left), usize::try_from(head)) {
        (Some(blocks), Ok(len)) => Claim::Message { len, blocks },
        _ => Claim::Nonsense,
    }
}

/// Copies the next message; its blocks must be there.
pub(crate) fn read<W: Words>(ring: &Consumer<Block, W>, blocks: u64, message: &mut [u8]) {
    if let Some((_, words)) = ring.row(0, blocks).split_first() {
        take_bytes(words, message);
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

    #[test]
    fn only_what_lies_in_a_row_is_a_message() {
        assert_eq!(claim_of(56, 1, 16), Claim::Message { len: 56, blocks: 1 });
        assert_eq!(claim_of(57, 1, 16), Claim::Nonsense);
        assert_eq!(claim_of(1016, 16, 16), Claim::Message { len: 1016, blocks: 16 });
        assert_eq!(claim_of(1017, 16, 16), Claim::Nonsense);
        assert_eq!(claim_of(PAD, 15, 16), Claim::Pad { blocks: 15 });
        // For ever, if it were believed.
        assert_eq!(claim_of(PAD, 16, 16), Claim::Nonsense);
        assert_eq!(claim_of(PAD - 7, 15, 16), Claim::Nonsense);
    }
}
