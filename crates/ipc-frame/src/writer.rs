//! Frames into a stream, one write each or gathered.

use std::io::{self, IoSlice, Write};
use std::time::{Duration, Instant};

use crate::{Error, HEADER_LEN, Result};

/// Up to here a payload is copied next to its header, so that the frame is one write of any stream, and on a pipe one that
/// the kernel does not mix with other writers'.
const COPIED: usize = 4096 - HEADER_LEN;

/// When frames that were gathered are written: as soon as one of the three holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gather {
    count: usize,
    bytes: usize,
    delay: Duration,
}

impl Gather {
    /// Writes each frame at once.
    pub const NONE: Self = Self { count: 1, bytes: 0, delay: Duration::MAX };

    /// Writes when `count` frames are there, or 64 KiB. No frame is too old, unless [`Gather::delay`] says so: then the
    /// clock is read once a frame.
    #[must_use]
    pub const fn count(count: usize) -> Self {
        Self { count, bytes: 64 * 1024, delay: Duration::MAX }
    }

    /// Writes when so many bytes are there, headers included.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Writes when the first frame is so old: at the next [`FrameWriter::send`] or [`FrameWriter::flush_if_due`];
    /// [`FrameWriter::due`] says when that is, for the caller who waits for other things meanwhile.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// Sends frames into any [`Write`]: a pipe, a socket, a TCP stream, a file.
///
/// A frame is taken whole or not at all. One that was taken is in the stream, or is kept until the next flush: after an
/// error of the stream nothing is sent twice and nothing is torn.
///
/// What is kept when the writer is dropped is written then, if the stream takes it; call [`FrameWriter::flush`] to know.
#[derive(Debug)]
pub struct FrameWriter<W: Write> {
    /// Present until [`FrameWriter::into_inner`].
    stream: Option<W>,
    max: usize,
    gather: Gather,
    /// Frames, and the rest of one that the stream took in part: `buffer[start..end]`. What is behind them is room, zeroed
    /// once when it is made.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    count: usize,
    first: Option<Instant>,
}

impl<W: Write> FrameWriter<W> {
    /// Frames of at most `max` bytes, each written at once.
    #[must_use]
    pub fn new(stream: W, max: usize) -> Self {
        Self::gathering(stream, max, Gather::NONE)
    }

    /// Frames of at most `max` bytes, many in one write.
    #[must_use]
    pub fn gathering(stream: W, max: usize, gather: Gather) -> Self {
        let max = max.min(u32::MAX as usize);
        Self {
            stream: Some(stream),
            max,
            gather,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            count: 0,
            first: None,
        }
    }

    /// Sends one frame, or keeps it until there are enough.
    ///
    /// # Blocking
    /// As the stream does. Where that gives `WouldBlock` or `TimedOut` after the frame was taken, the rest is kept and
    /// this is `Ok`: [`FrameWriter::pending`] tells.
    ///
    /// # Errors
    /// - [`Error::TooLong`]: above the cap; nothing was written
    /// - [`Error::Io`] with `WouldBlock` or `TimedOut`: frames sent earlier are still kept, this one was not taken
    /// - [`Error::Io`] otherwise: the stream has failed for good
    #[inline]
    pub fn send(&mut self, payload: &[u8]) -> Result<()> {
        let header = self.header(payload.len())?;
        if self.is_full() {
            self.flush()?;
        }
        if self.count == 0 && self.gather.count <= 1 && payload.len() > COPIED {
            return self.send_uncopied(header, payload);
        }
        self.keep(header, payload);
        if self.is_full() || self.is_late() { taken(self.flush()) } else { Ok(()) }
    }

    /// Puts a frame behind those that are kept: one look at the room for both parts, one copy of each.
    #[inline]
    fn keep(&mut self, header: [u8; HEADER_LEN], payload: &[u8]) {
        let to = self.end + HEADER_LEN + payload.len();
        if to > self.buffer.len() {
            self.grow(to);
        }
        let room = self.buffer.get_mut(self.end..to).and_then(<[u8]>::split_first_chunk_mut);
        if let Some((head, tail)) = room {
            *head = header;
            tail.copy_from_slice(payload);
        }
        self.end = to;
        self.count += 1;
    }

    #[cold]
    fn grow(&mut self, to: usize) {
        self.buffer.resize(to.max(2 * self.buffer.len()).max(4096), 0);
    }

    /// Writes what is kept, and flushes the stream.
    ///
    /// # Errors
    /// [`Error::Io`]: the stream failed; what it has not taken is still kept.
    pub fn flush(&mut self) -> Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while let Some(rest @ [_, ..]) = self.buffer.get(self.start..self.end) {
            match stream.write(rest) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(len) => self.start += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        (self.start, self.end, self.count, self.first) = (0, 0, 0, None);
        stream.flush()?;
        Ok(())
    }

    /// Writes what is kept, if its time has come.
    ///
    /// # Errors
    /// As [`FrameWriter::flush`].
    pub fn flush_if_due(&mut self) -> Result<()> {
        if self.is_full() || self.is_late() { self.flush() } else { Ok(()) }
    }

    /// When the frames that are kept want to be written, if there are any and [`Gather::delay`] was given: now or earlier
    /// means at once.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.first.and_then(|first| first.checked_add(self.gather.delay))
    }

    /// How many bytes are kept, headers included.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.end - self.start
    }

    /// The stream below.
    ///
    /// # Panics
    /// Never: the stream is only taken by [`FrameWriter::into_parts`], which consumes the writer.
    pub fn get_ref(&self) -> &W {
        #[expect(clippy::expect_used, reason = "into_parts, which takes it, consumes the writer")]
        self.stream.as_ref().expect("taken by into_parts only")
    }

    /// The stream, and what is kept and was not written.
    ///
    /// # Panics
    /// Never: as [`FrameWriter::get_ref`].
    pub fn into_parts(mut self) -> (W, Vec<u8>) {
        let kept = self.buffer.get(self.start..self.end).unwrap_or_default().to_vec();
        #[expect(clippy::expect_used, reason = "nothing else takes it, and the writer is consumed here")]
        (self.stream.take().expect("taken here only"), kept)
    }

    #[inline]
    fn header(&self, len: usize) -> Result<[u8; HEADER_LEN]> {
        match u32::try_from(len) {
            Ok(short) if len <= self.max => Ok(short.to_be_bytes()),
            _ => Err(Error::TooLong { len, max: self.max }),
        }
    }

    /// Whether what is kept must be written before more is.
    #[inline]
    fn is_full(&self) -> bool {
        self.count > 0 && (self.count >= self.gather.count || self.pending() >= self.gather.bytes)
    }

    /// Whether the first frame that is kept is too old.
    #[inline]
    fn is_late(&mut self) -> bool {
        if self.count == 0 || self.gather.delay == Duration::MAX {
            return false;
        }
        let now = Instant::now();
        let first = *self.first.get_or_insert(now);
        now.duration_since(first) >= self.gather.delay
    }

    /// Writes header and payload from where they lie; keeps what the stream does not take at once.
    fn send_uncopied(&mut self, header: [u8; HEADER_LEN], payload: &[u8]) -> Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let mut gone = loop {
            match stream.write_vectored(&[IoSlice::new(&header), IoSlice::new(payload)]) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(len) => break len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        };
        while let Some(rest @ [_, ..]) = gone.checked_sub(HEADER_LEN).and_then(|at| payload.get(at..)) {
            match stream.write(rest) {
                Ok(len) if len > 0 => gone += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // flush, below, meets whatever stands in the way again.
                _ => break,
            }
        }
        if gone < HEADER_LEN + payload.len() {
            self.keep(header, payload);
            self.start = gone;
        }
        taken(self.flush())
    }
}

/// The outcome for a frame that is kept: that the rest of it has to wait is no failure.
fn taken(flushed: Result<()>) -> Result<()> {
    match flushed {
        Err(Error::Io(error))
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
        {
            Ok(())
        }
        done => done,
    }
}

impl<W: Write> Drop for FrameWriter<W> {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FrameReader;

    /// Takes so many bytes a call, and every other time none.
    #[derive(Debug, Default)]
    struct Slow {
        taken: Vec<u8>,
        a_call: usize,
        calls: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls % 2 == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let len = bytes.len().min(self.a_call);
            self.taken.extend_from_slice(&bytes[..len]);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_frame_is_one_write_and_sixty_four_are_one_too() {
        let mut calls = FrameWriter::new(Slow { a_call: usize::MAX, ..Slow::default() }, 1024);
        calls.send(b"one").unwrap();
        assert_eq!((calls.get_ref().calls, calls.get_ref().taken.len()), (1, 7));
        let slow = Slow { a_call: usize::MAX, ..Slow::default() };
        let mut calls = FrameWriter::gathering(slow, 1024, Gather::count(64).delay(Duration::MAX));
        for _ in 0..64 {
            assert_eq!(calls.get_ref().calls, 0);
            calls.send(&[7; 64]).unwrap();
        }
        assert_eq!((calls.get_ref().calls, calls.pending()), (1, 0));
    }

    #[test]
    fn gathered_frames_go_by_bytes_and_by_age() {
        let mut by_bytes = FrameWriter::gathering(Vec::new(), 1024, Gather::count(1000).bytes(100));
        by_bytes.send(&[0; 50]).unwrap();
        by_bytes.send(&[0; 50]).unwrap();
        assert_eq!(by_bytes.get_ref().len(), 108);
        let mut by_age = FrameWriter::gathering(Vec::new(), 1024, Gather::count(1000).delay(Duration::ZERO));
        by_age.send(b"old at once").unwrap();
        assert_eq!(by_age.pending(), 0);
        let later = Gather::count(1000).delay(Duration::from_secs(3600));
        let mut later = FrameWriter::gathering(Vec::new(), 1024, later);
        later.send(b"young").unwrap();
        later.flush_if_due().unwrap();
        assert!(later.due().unwrap() > Instant::now() && later.pending() == 9);
        let (stream, kept) = later.into_parts();
        assert_eq!((stream.len(), kept.len()), (0, 9));
    }

    #[test]
    fn a_stream_that_takes_little_gets_every_frame_once() {
        for (len, gather) in [(10, Gather::NONE), (9000, Gather::NONE), (300, Gather::count(5))] {
            let mut writer = FrameWriter::gathering(Slow { a_call: 7, ..Slow::default() }, 10_000, gather);
            let mut sent = 0;
            let mut refused = 0;
            while sent < 12 {
                match writer.send(&vec![sent; len]) {
                    Ok(()) => sent += 1,
                    Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => refused += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            while writer.flush().is_err() {}
            assert!(refused > 0 && writer.pending() == 0);
            let mut reader = FrameReader::new(writer.get_ref().taken.as_slice(), 10_000);
            for expected in 0..12 {
                assert_eq!(reader.recv().unwrap().unwrap(), vec![expected; len]);
            }
            assert!(reader.recv().unwrap().is_none());
        }
    }

    #[test]
    fn above_the_cap_nothing_is_written() {
        let mut writer = FrameWriter::new(Vec::new(), 4);
        writer.send(b"four").unwrap();
        assert!(matches!(writer.send(b"fives"), Err(Error::TooLong { len: 5, max: 4 })));
        assert_eq!(writer.get_ref().len(), 8);
    }
}
