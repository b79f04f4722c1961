//! Whatever is sent comes out, however the stream cuts it; whatever else comes in is an error and costs no more memory
//! than has really come.
#![expect(clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

use std::io::{self, Read};

use ipc_frame::{Decoder, Error, FrameReader, FrameWriter, Gather, HEADER_LEN};
use proptest::collection::vec;
use proptest::prelude::*;

/// A stream that gives its bytes in pieces of these lengths, and between two of them says WouldBlock or Interrupted.
struct Pieces<'a> {
    bytes: &'a [u8],
    lengths: std::iter::Cycle<std::slice::Iter<'a, usize>>,
    call: usize,
}

impl<'a> Pieces<'a> {
    fn new(bytes: &'a [u8], lengths: &'a [usize]) -> Self {
        Self { bytes, lengths: lengths.iter().cycle(), call: 0 }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.call += 1;
        match self.call % 5 {
            1 => return Err(io::ErrorKind::WouldBlock.into()),
            3 => return Err(io::ErrorKind::Interrupted.into()),
            _ => {}
        }
        let len = self.lengths.next().map_or(1, |len| *len).min(buffer.len());
        self.bytes.read(&mut buffer[..len])
    }
}

/// All frames, and how it ended.
fn receive(bytes: &[u8], lengths: &[usize], max: usize) -> (Vec<Vec<u8>>, Result<(), Error>) {
    let mut reader = FrameReader::new(Pieces::new(bytes, lengths), max);
    let mut frames = Vec::new();
    loop {
        match reader.recv() {
            Ok(Some(frame)) => frames.push(frame.to_vec()),
            Ok(None) => return (frames, Ok(())),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return (frames, Err(error)),
        }
    }
}

#[test]
fn a_decoder_that_is_not_emptied_has_no_room_and_then_has_it_again() {
    let mut decoder = Decoder::new(8);
    let mut frames = 0;
    while !decoder.space().is_empty() {
        let room = decoder.space();
        let len = room.len();
        room.fill(0); // the header of an empty frame, again and again
        decoder.filled(len);
    }
    assert!(decoder.is_ready());
    while decoder.pop().unwrap().is_some() {
        frames += 1;
    }
    assert_eq!(frames, (16 * 1024 + HEADER_LEN) / HEADER_LEN);
    assert!(!decoder.space().is_empty());
}

proptest! {
    #[test]
    fn what_was_sent_is_received(
        frames in vec(vec(any::<u8>(), 0..600), 0..40),
        lengths in vec(1_usize..5000, 1..8),
        count in 1_usize..20,
        bytes in 1_usize..3000,
    ) {
        let mut writer = FrameWriter::gathering(Vec::new(), 600, Gather::count(count).bytes(bytes));
        for frame in &frames {
            writer.send(frame).unwrap();
        }
        writer.flush().unwrap();
        let (received, end) = receive(writer.get_ref(), &lengths, 600);
        prop_assert_eq!(received, frames);
        prop_assert!(end.is_ok());
    }

    #[test]
    fn a_stream_cut_anywhere_gives_whole_frames_and_says_that_it_was_cut(
        frames in vec(vec(any::<u8>(), 0..100), 1..10),
        cut in any::<prop::sample::Index>(),
        lengths in vec(1_usize..50, 1..8),
    ) {
        let mut stream = Vec::new();
        let mut writer = FrameWriter::new(&mut stream, 100);
        frames.iter().for_each(|frame| writer.send(frame).unwrap());
        drop(writer);
        let cut = cut.index(stream.len() + 1);
        let (received, end) = receive(&stream[..cut], &lengths, 100);
        let mut at = 0;
        let whole = frames.iter().take_while(|frame| {
            at += HEADER_LEN + frame.len();
            at <= cut
        });
        prop_assert!(received.iter().eq(whole));
        let between: usize = received.iter().map(|frame| HEADER_LEN + frame.len()).sum();
        match end {
            Ok(()) => prop_assert_eq!(between, cut),
            Err(Error::Truncated { got, len }) => prop_assert!(got == cut - between && got < len.max(HEADER_LEN)),
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn garbage_neither_panics_nor_allocates(bytes in vec(any::<u8>(), 0..3000), max in 0_usize..10_000) {
        let mut decoder = Decoder::new(max);
        let mut rest = bytes.as_slice();
        let mut refused = false;
        while !rest.is_empty() {
            let space = decoder.space();
            prop_assert!(!space.is_empty() && space.len() <= (2 * bytes.len()).max(16 * 1024));
            let len = space.len().min(rest.len()).min(97);
            space[..len].copy_from_slice(&rest[..len]);
            decoder.filled(len);
            rest = &rest[len..];
            while let Some(frame) = match decoder.pop() {
                Ok(frame) => frame,
                Err(Error::TooLong { len, max: cap }) => {
                    prop_assert!(len > max && cap == max);
                    refused = true;
                    None
                }
                Err(other) => return Err(TestCaseError::fail(format!("{other:?}"))),
            } {
                prop_assert!(frame.len() <= max && !refused);
            }
            if refused {
                prop_assert!(decoder.pop().is_err() && decoder.finish().is_err());
                break;
            }
        }
    }
}

#[test]
fn lengths_of_a_liar_cost_nothing() {
    for header in [u32::MAX, 1 << 31, 1025] {
        let bytes = [&header.to_be_bytes()[..], &[0; 2000]].concat();
        let mut reader = FrameReader::new(bytes.as_slice(), 1024);
        for _ in 0..2 {
            assert!(matches!(reader.recv(), Err(Error::TooLong { max: 1024, .. })), "{header:#x}");
        }
    }
    // Within the cap, but it never comes: what is allocated follows what has come.
    let mut decoder = Decoder::new(1 << 30);
    decoder.space()[..4].copy_from_slice(&(1_u32 << 30).to_be_bytes());
    decoder.filled(4);
    assert!(decoder.space().len() < 64 * 1024);
    assert!(
        matches!(decoder.finish(), Err(Error::Truncated { got: 4, len }) if len == HEADER_LEN + (1 << 30))
    );
}

#[test]
fn no_cap_is_what_a_header_can_say() {
    let mut reader = FrameReader::new(&b"\0\0\0\x05hello\xff\xff\xff\xff"[..], usize::MAX);
    assert_eq!(reader.recv().unwrap(), Some(&b"hello"[..]));
    assert!(matches!(reader.recv(), Err(Error::Truncated { got: 4, .. })));
}

#[test]
fn what_a_long_frame_needed_is_given_back() {
    let mut long = Decoder::new(1 << 21);
    let frame = [&(1_u32 << 20).to_be_bytes()[..], &vec![7; 1 << 20], b"\0\0\0\x03end\0"].concat();
    let mut rest = frame.as_slice();
    while !rest.is_empty() {
        long.shrink();
        let len = long.space().len().min(rest.len());
        long.space()[..len].copy_from_slice(&rest[..len]);
        long.filled(len);
        rest = &rest[len..];
    }
    assert_eq!(long.pop().unwrap().map(<[u8]>::len), Some(1 << 20));
    long.shrink();
    assert!(long.space().len() <= 16 * 1024);
    // What stands behind it is kept.
    assert_eq!(long.pop().unwrap(), Some(&b"end"[..]));
    assert_eq!(long.remainder(), b"\0");
}
