//! Frames from a stream.

use std::io::{self, Read};

use crate::{Decoder, Result};

/// Receives frames from any [`Read`]: a pipe, a socket, a TCP stream, a file.
///
/// It reads ahead: one read of the stream brings as many frames as have come.
#[derive(Debug)]
pub struct FrameReader<R> {
    stream: R,
    decoder: Decoder,
}

impl<R: Read> FrameReader<R> {
    /// Frames of at most `max` bytes: the most memory that the other side can make us allocate.
    #[must_use]
    pub fn new(stream: R, max: usize) -> Self {
        Self { stream, decoder: Decoder::new(max) }
    }

    /// The next frame; `None` when the stream has ended between two frames.
    ///
    /// # Blocking
    /// As the stream does. `Interrupted` is retried.
    ///
    /// # Errors
    /// - [`Error::Truncated`](crate::Error::Truncated): the stream ended inside a frame
    /// - [`Error::TooLong`](crate::Error::TooLong): the peer announced more than the cap; so does every later call
    /// - [`Error::Io`](crate::Error::Io): the stream failed; after `WouldBlock` or `TimedOut` nothing is lost, call again
    pub fn recv(&mut self) -> Result<Option<&[u8]>> {
        while !self.decoder.is_ready() {
            match self.stream.read(self.decoder.space()) {
                Ok(0) => return self.decoder.finish().map(|()| None),
                Ok(len) => self.decoder.filled(len),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.decoder.pop()
    }

    /// The stream below.
    pub fn get_ref(&self) -> &R {
        &self.stream
    }

    /// The stream below: to set a timeout, not to read from.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The stream, and the bytes that were read ahead of the last frame given out.
    pub fn into_parts(self) -> (R, Vec<u8>) {
        let ahead = self.decoder.remainder().to_vec();
        (self.stream, ahead)
    }
}
