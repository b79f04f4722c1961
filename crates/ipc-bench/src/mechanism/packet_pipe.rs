//! Pipes in packet mode: one write, one read.

use std::os::fd::OwnedFd;

use ipc_pipe::{PIPE_BUF, PacketReader, PacketWriter, PipeOptions};
use zerocopy::IntoBytes;

use crate::cell::{Cell, Cores, Wait};
use crate::end::{End, Side, check, fill};
use crate::mechanism::pipe::Raw;
use crate::mechanism::{BLOCKS, Mechanism};
use crate::meet::Meet;

pub(crate) struct PacketPipe;

impl Mechanism for PacketPipe {
    fn name(&self) -> &'static str {
        "packet-pipe"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        BLOCKS
    }

    fn lacks(&self, cell: &Cell) -> Option<&'static str> {
        (cell.payload > PIPE_BUF).then_some("PIPE_BUF: the most bytes of a packet")
    }

    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [reader, writer] = meet.halves(pipes);
        let (reader, writer) = (PacketReader::from(reader), PacketWriter::try_from(writer).unwrap());
        Box::new(Ours { reader, writer, message: vec![0; cell.words()] })
    }

    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [reader, writer] = meet.halves(pipes);
        Box::new(Raw { reader, writer, message: vec![0; cell.words()] })
    }
}

fn pipes() -> ([OwnedFd; 2], [OwnedFd; 2]) {
    let pipe = || PipeOptions::new().packets().unwrap();
    let ((near, to_near), (far, to_far)) = (pipe(), pipe());
    ([near.into(), to_far.into()], [far.into(), to_near.into()])
}

struct Ours {
    reader: PacketReader,
    writer: PacketWriter,
    message: Vec<u64>,
}

impl End for Ours {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        self.writer.send(self.message.as_bytes()).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        assert_eq!(self.reader.recv(self.message.as_mut_bytes()).unwrap(), Some(self.message.len() * 8));
        check(&self.message, turn);
    }
}
