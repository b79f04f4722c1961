//! Messages with their length before them, over a pipe, a write each. What gathering them brings is a row of the promises.
#![expect(unsafe_code, reason = "the C that is measured beside ours")]

use std::os::fd::{AsRawFd, OwnedFd};

use ipc_pipe::frame::{FrameReader, FrameWriter};
use ipc_pipe::{PipeReader, PipeWriter};
use zerocopy::IntoBytes;

use crate::cell::{Cell, Cores, Wait};
use crate::end::{End, Side, check, fill};
use crate::mechanism::{BLOCKS, Mechanism, pipe};
use crate::meet::Meet;
use crate::raw;

pub(crate) struct FramedPipe;

impl Mechanism for FramedPipe {
    fn name(&self) -> &'static str {
        "framed-pipe"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        BLOCKS
    }

    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [reader, writer] = meet.halves(pipe::pipes);
        let reader = FrameReader::new(PipeReader::from(reader), cell.payload);
        let writer = FrameWriter::new(PipeWriter::from(writer), cell.payload);
        Box::new(Ours { reader, writer, message: vec![0; cell.words()] })
    }

    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [reader, writer] = meet.halves(pipe::pipes);
        // The length takes the second half of the first word, so that the payload lies well.
        Box::new(Raw { reader, writer, message: vec![0; 1 + cell.words()] })
    }
}

struct Ours {
    reader: FrameReader<PipeReader>,
    writer: FrameWriter<PipeWriter>,
    message: Vec<u64>,
}

impl End for Ours {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        self.writer.send(self.message.as_bytes()).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        let frame = self.reader.recv().unwrap().unwrap();
        self.message.as_mut_bytes().copy_from_slice(frame);
        check(&self.message, turn);
    }
}

struct Raw {
    reader: OwnedFd,
    writer: OwnedFd,
    message: Vec<u64>,
}

/// Where the length lies in the buffer, and how long it is.
const LENGTH: usize = 4;

impl End for Raw {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message[1..], turn);
        let len = u32::try_from((self.message.len() - 1) * 8).unwrap();
        self.message.as_mut_bytes()[LENGTH..2 * LENGTH].copy_from_slice(&len.to_be_bytes());
        raw::all(LENGTH + len as usize, |from, len| {
            let bytes = self.message.as_bytes()[LENGTH + from..].as_ptr();
            // SAFETY: `len` bytes of the message lie from there on.
            unsafe { libc::write(self.writer.as_raw_fd(), bytes.cast(), len) }
        });
    }

    fn receive(&mut self, turn: u64) {
        let len = (self.message.len() - 1) * 8;
        raw::all(LENGTH + len, |from, len| {
            let bytes = self.message.as_mut_bytes()[LENGTH + from..].as_mut_ptr();
            // SAFETY: there is room for `len` bytes from there on.
            unsafe { libc::read(self.reader.as_raw_fd(), bytes.cast(), len) }
        });
        let announced: [u8; LENGTH] = self.message.as_bytes()[LENGTH..2 * LENGTH].try_into().unwrap();
        assert_eq!(u32::from_be_bytes(announced) as usize, len);
        check(&self.message[1..], turn);
    }
}
