//! Bytes in, frames out, without a stream: what a reader of any kind stands on. It never makes room for a length that
//! it has not checked against the cap, nor for more than twice what has really come.

use crate::{Error, HEADER_LEN, Result};

/// How much room a decoder starts with, and offers at least.
const CHUNK: usize = 16 * 1024;

/// Takes a stream of bytes apart into frames.
///
/// Bytes are stored into [`Decoder::space`], counted by [`Decoder::filled`], and come out of [`Decoder::pop`].
///
/// # Examples
/// ```
/// use ipc_frame::Decoder;
///
/// # fn main() -> ipc_frame::Result<()> {
/// let mut decoder = Decoder::new(1024);
/// let bytes = b"\0\0\0\x05hello\0\0";
/// decoder.space()[..bytes.len()].copy_from_slice(bytes);
/// decoder.filled(bytes.len());
/// assert_eq!(decoder.pop()?, Some(&b"hello"[..]));
/// assert_eq!(decoder.pop()?, None, "half a header");
/// assert!(decoder.finish().is_err(), "and no stream may end there");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Decoder {
    max: usize,
    buffer: Vec<u8>,
    /// What has come and was not given out: `buffer[start..end]`.
    start: usize,
    end: usize,
}

impl Decoder {
    /// A decoder that refuses frames of more than `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, buffer: Vec::new(), start: 0, end: 0 }
    }

    /// The cap.
    #[must_use]
    pub fn max(&self) -> usize {
        self.max
    }

    /// The next whole frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`Error::TooLong`], now and from then on: the peer announced more than the cap.
    pub fn pop(&mut self) -> Result<Option<&[u8]>> {
        let Some(len) = self.announced()? else { return Ok(None) };
        let (from, to) = (self.start + HEADER_LEN, self.start + HEADER_LEN + len);
        if to > self.end {
            return Ok(None);
        }
        self.start = to;
        Ok(self.buffer.get(from..to))
    }

    /// Whether [`Decoder::pop`] would give a frame, or an error.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self.announced() {
            Ok(Some(len)) => self.pending() >= HEADER_LEN + len,
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Room for the next bytes; what is stored there counts when [`Decoder::filled`] says so.
    ///
    /// Take out what is there first: as long as [`Decoder::pop`] has frames to give there may be no room at all, and a read
    /// into none looks like the end of the stream. When it has none there always is some.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let wanted = match self.announced() {
            Ok(Some(len)) => HEADER_LEN + len,
            _ => HEADER_LEN,
        };
        let is_short = self.start + wanted > self.buffer.len() || self.end == self.buffer.len();
        if self.start > 0 && is_short {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            // All of it is one frame's beginning: twice of what has come is what a peer can make us allocate.
            let room = (2 * self.end).clamp(CHUNK, HEADER_LEN.saturating_add(self.max.max(CHUNK)));
            self.buffer.resize(room, 0);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// The first `len` bytes of [`Decoder::space`] have been stored.
    ///
    /// # Panics
    /// When that is more than there was room for.
    pub fn filled(&mut self, len: usize) {
        assert!(len <= self.buffer.len() - self.end, "{len} bytes stored where there was no room for them");
        self.end += len;
    }

    /// Frees the room in which nothing lies, but for twice what has come and 16 KiB.
    pub fn shrink(&mut self) {
        let room = (2 * self.pending()).max(CHUNK);
        if self.buffer.len() > room {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.pending());
            self.buffer.truncate(room);
            self.buffer.shrink_to_fit();
        }
    }

    /// The bytes that have come and belong to no frame that was given out.
    #[must_use]
    pub fn remainder(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The stream has ended: is this a place where it may?
    ///
    /// # Errors
    /// [`Error::Truncated`] inside a frame; [`Error::TooLong`] after one that was refused.
    pub fn finish(&self) -> Result<()> {
        let len = self.announced()?;
        match self.pending() {
            0 => Ok(()),
            got => Err(Error::Truncated { got, len: HEADER_LEN + len.unwrap_or(0) }),
        }
    }

    fn pending(&self) -> usize {
        self.end - self.start
    }

    /// The length in the header of the next frame, if the header has come.
    fn announced(&self) -> Result<Option<usize>> {
        let Some(header) = self.remainder().first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let len = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
        if len > self.max { Err(Error::TooLong { len, max: self.max }) } else { Ok(Some(len)) }
    }
}
