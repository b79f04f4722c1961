//! Who may write a segment: the one type parameter of this crate.

/// One writer: the process that made the memory. The seals of the memfd keep every other process, whoever holds a
/// descriptor of it, from writing, truncating or growing it; a reader copies what it reads and checks it.
#[derive(Debug, Clone, Copy)]
pub enum Sealed {}

/// Common memory: whoever has it attached may write all of it. What is read by value is memory-safe whatever the others
/// write, but they can stall, forge and, where the memory has a name, truncate it, which kills with SIGBUS.
#[derive(Debug, Clone, Copy)]
pub enum Trusted {}

/// Common memory whose writers the caller has vouched for, in an `unsafe` call: references into it are allowed.
#[derive(Debug, Clone, Copy)]
pub enum Vouched {}

/// [`Sealed`], [`Trusted`] or [`Vouched`].
pub trait Mode: private::Mode {}

/// A mode in which this process may write the memory that others write: [`Trusted`] or [`Vouched`].
pub trait Common: Mode {}

impl Mode for Sealed {}
impl Mode for Trusted {}
impl Mode for Vouched {}
impl Common for Trusted {}
impl Common for Vouched {}

pub(crate) mod private {
    /// What a mode is called in the header of a segment.
    pub trait Mode: Send + Sync + 'static {
        /// For a segment as a whole, or for the part of a pair that the sender writes.
        const WORD: u64;
    }
    impl Mode for super::Sealed {
        const WORD: u64 = super::SEALED;
    }
    impl Mode for super::Trusted {
        const WORD: u64 = super::TRUSTED;
    }
    impl Mode for super::Vouched {
        const WORD: u64 = super::TRUSTED;
    }
}

/// The header's word for memory that one process writes.
pub(crate) const SEALED: u64 = 1;
/// The same, of the part of a pair that the receiver writes.
pub(crate) const SEALED_RECEIVER: u64 = 2;
/// The header's word for common memory.
pub(crate) const TRUSTED: u64 = 3;
