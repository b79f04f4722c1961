//! eventfd, one each way. None of our crates has a type for it: ours is what a Rust program does, std's `File` over the
//! descriptor.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use crate::cell::{Cell, Cores, Kind, Wait};
use crate::end::{End, Side};
use crate::mechanism::{BLOCKS, Mechanism, pipe};
use crate::meet::Meet;

pub(crate) struct Eventfd;

impl Mechanism for Eventfd {
    fn name(&self) -> &'static str {
        "eventfd"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        BLOCKS
    }

    fn lacks(&self, cell: &Cell) -> Option<&'static str> {
        if cell.payload > 8 {
            return Some("an eventfd carries a number of 8 bytes");
        }
        (cell.kind == Kind::Stream).then_some("an eventfd adds up what is written to it")
    }

    fn ours(&self, _: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [reader, writer] = meet.halves(pair);
        Box::new(Ours { reader: reader.into(), writer: writer.into() })
    }

    fn raw(&self, _: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [reader, writer] = meet.halves(pair);
        Box::new(pipe::Raw { reader, writer, message: vec![0] })
    }
}

fn pair() -> ([OwnedFd; 2], [OwnedFd; 2]) {
    // Blocking ones, which ipc_sys does not make.
    let make = || nix::sys::eventfd::EventFd::from_flags(nix::sys::eventfd::EfdFlags::EFD_CLOEXEC).unwrap();
    let (near, far): (OwnedFd, OwnedFd) = (make().into(), make().into());
    let (to_near, to_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    ([near, to_far], [far, to_near])
}

struct Ours {
    reader: File,
    writer: File,
}

impl End for Ours {
    fn send(&mut self, turn: u64) {
        self.writer.write_all(&turn.to_ne_bytes()).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        let mut bytes = [0; 8];
        self.reader.read_exact(&mut bytes).unwrap();
        assert_eq!(u64::from_ne_bytes(bytes), turn);
    }
}
