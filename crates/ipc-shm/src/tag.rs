//! What tells two types of the same size and alignment apart: a number of the user's own, in the header of the memory.

use std::fmt;

/// A number that both sides must name, because they cannot compare their types: the program, the type and its version, as a
/// number or as text. 0 is the tag of what was made without one.
///
/// # Examples
/// ```
/// use ipc_shm::Tag;
///
/// const POSITION: Tag = Tag::of("robot/Position/2");
/// assert_ne!(POSITION, Tag::of("robot/Velocity/2"));
/// assert_eq!(Tag::from("robot/Position/2"), POSITION);
/// assert_eq!(Tag::default(), Tag::from(0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Tag(u64);

impl Tag {
    /// The tag of a text: its FNV-1a hash, the same in every program and on every machine.
    #[must_use]
    pub const fn of(text: &str) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325;
        let mut rest = text.as_bytes();
        while let [byte, tail @ ..] = rest {
            hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
            rest = tail;
        }
        Self(hash)
    }

    /// The number that stands in the header.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl From<u64> for Tag {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl From<&str> for Tag {
    fn from(text: &str) -> Self {
        Self::of(text)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        for (text, hash) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            assert_eq!(Tag::of(text).number(), hash, "{text:?}");
        }
    }
}
