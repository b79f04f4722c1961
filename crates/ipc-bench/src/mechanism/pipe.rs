//! Anonymous pipes, one each way.
#![expect(unsafe_code, reason = "the C that is measured beside ours")]

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use ipc_pipe::{PipeReader, PipeWriter};
use zerocopy::IntoBytes;

use crate::cell::{Cell, Cores, Wait};
use crate::end::{End, Side, check, fill};
use crate::mechanism::{BLOCKS, Mechanism};
use crate::meet::Meet;
use crate::raw;

pub(crate) struct Pipe;

impl Mechanism for Pipe {
    fn name(&self) -> &'static str {
        "pipe"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        BLOCKS
    }

    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [reader, writer] = meet.halves(pipes);
        Box::new(Ours { reader: reader.into(), writer: writer.into(), message: vec![0; cell.words()] })
    }

    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [reader, writer] = meet.halves(pipes);
        Box::new(Raw { reader, writer, message: vec![0; cell.words()] })
    }
}

/// A reader and a writer for each side.
pub(super) fn pipes() -> ([OwnedFd; 2], [OwnedFd; 2]) {
    let ((near, to_near), (far, to_far)) = (ipc_pipe::pipe().unwrap(), ipc_pipe::pipe().unwrap());
    ([near.into(), to_far.into()], [far.into(), to_near.into()])
}

pub(super) struct Ours {
    pub(super) reader: PipeReader,
    pub(super) writer: PipeWriter,
    pub(super) message: Vec<u64>,
}

impl End for Ours {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        self.writer.write_all(self.message.as_bytes()).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        self.reader.read_exact(self.message.as_mut_bytes()).unwrap();
        check(&self.message, turn);
    }
}

/// write and read until all of it has gone or come; for FIFOs, too.
pub(crate) struct Raw {
    pub(crate) reader: OwnedFd,
    pub(crate) writer: OwnedFd,
    pub(crate) message: Vec<u64>,
}

impl End for Raw {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        raw::all(self.message.as_bytes().len(), |from, len| {
            let bytes = self.message.as_bytes()[from..].as_ptr();
            // SAFETY: `len` bytes of the message lie from there on.
            unsafe { libc::write(self.writer.as_raw_fd(), bytes.cast(), len) }
        });
    }

    fn receive(&mut self, turn: u64) {
        raw::all(self.message.as_bytes().len(), |from, len| {
            let bytes = self.message.as_mut_bytes()[from..].as_mut_ptr();
            // SAFETY: there is room for `len` bytes from there on.
            unsafe { libc::read(self.reader.as_raw_fd(), bytes.cast(), len) }
        });
        check(&self.message, turn);
    }
}
