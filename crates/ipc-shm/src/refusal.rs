//! Why memory was not attached: what was found where a name led, or a descriptor came from.

use crate::Tag;

/// Why memory was not attached. The checks are made in the order of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a regular file: a pipe, a device, a directory, a socket.
    #[error("it is not a regular file")]
    NotRegular,
    /// A file on disk, on a network or of a FUSE server, which could block or kill whoever touches it.
    #[error("it does not live in memory (tmpfs)")]
    NotTmpfs,
    /// It can still shrink, grow or be written by somebody else.
    #[error("it is not sealed as it must be")]
    NotSealed,
    /// Larger than the caller allows.
    #[error("it is {len} bytes long, more than the {max} allowed")]
    TooLong {
        /// How long it is.
        len: u64,
        /// How long it may be.
        max: u64,
    },
    /// Too short to hold its header, or what its header promises.
    #[error("it is only {len} bytes long")]
    TooShort {
        /// How long it is.
        len: u64,
    },
    /// It has holes: whoever touches one would allocate memory, or die of SIGBUS where there is none.
    #[error("it has holes, which would be filled at our cost")]
    Sparse,
    /// No header of this crate: another program's memory.
    #[error("it was not made by this library")]
    Foreign,
    /// Another version of the layout, another word size, another byte order.
    #[error("its layout is of another version or machine")]
    Version,
    /// Its creator has not finished, or never will.
    #[error("it was never finished by its creator")]
    NotReady,
    /// Another protocol: a queue where a lock was wanted.
    #[error("it holds something else: kind {found} where {wanted} was wanted")]
    Kind {
        /// What it holds.
        found: u64,
        /// What was wanted.
        wanted: u64,
    },
    /// Memory or locks where a channel was wanted.
    #[error("it holds no channel")]
    NoChannel,
    /// Another payload type: size, alignment or distance differ.
    #[error("it holds another type")]
    Type,
    /// The same size and alignment, but the user's [`Tag`] differs.
    #[error("it was made with the tag {found} where {wanted} was wanted")]
    Tag {
        /// The one it was made with.
        found: Tag,
        /// The one that was asked for.
        wanted: Tag,
    },
    /// A header whose capacity and length do not fit together, or another capacity than was agreed upon.
    #[error("its capacity does not fit")]
    Capacity,
    /// Not a connected stream socket, or none at all where the channel is pollable.
    #[error("there is no socket to poll with it")]
    NotSocket,
    /// Sealed where trusted was wanted, or the other way round, or the wrong side of a pair.
    #[error("it is of the other mode, sealed or trusted")]
    Mode,
}
