//! What can go wrong with a stream of frames.

use std::io;

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a frame could not be sent or received.
///
/// `TooLong` and `Truncated` of a receiver are final: where the next frame would begin is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The frame is longer than the cap. Sending: not a byte of it was written. Receiving: the peer announced it, and
    /// nothing was allocated for it.
    #[error("a frame of {len} bytes is longer than the cap of {max}")]
    TooLong {
        /// The length of the frame.
        len: usize,
        /// The cap.
        max: usize,
    },
    /// The stream ended inside a frame: the peer was killed, or is broken. What came of the frame is not data.
    #[error("the stream ended after {got} bytes of a frame of {len}")]
    Truncated {
        /// How much came, the header's four bytes included.
        got: usize,
        /// The length of the whole, as far as it is known: four while the header itself is cut.
        len: usize,
    },
    /// A payload that is no value of the type that was asked for: it is consumed, the next frame can be received. Or a
    /// value that cannot be encoded: nothing was sent. Feature `serde`.
    #[error("a value cannot be encoded or decoded")]
    Encoding {
        /// What the encoding says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The stream below failed. `WouldBlock`, `TimedOut` and `Interrupted` lose nothing: call again.
    #[error("the stream below the frames failed")]
    Io(#[from] io::Error),
}

impl Error {
    /// The errno that says the same, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Io(source) => source.raw_os_error(),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Io(source) => return source,
            Error::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
