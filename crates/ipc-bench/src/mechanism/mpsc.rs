//! `ipc_shm::mpsc`, sealed, with one lane that has a sender and one that is idle, each way.

use ipc_shm::{Sealed, mpsc, spsc};

use crate::cell::{Cell, Cores, Wait};
use crate::end::{End, Side, check};
use crate::mechanism::spsc::ends;
use crate::mechanism::{Mechanism, SPINS_OR_PARKS};
use crate::meet::Meet;
use crate::raw::ring::Ring;
use crate::raw::shared::waits;

pub(crate) struct Mpsc;

impl Mechanism for Mpsc {
    fn name(&self) -> &'static str {
        "mpsc"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        SPINS_OR_PARKS
    }

    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        by_words!(cell.words(), N => ours::<N>(cell, meet))
    }

    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        Ring::duplex(cell, meet)
    }
}

fn ours<const N: usize>(cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
    let ((mut sender, busy), (idle, lane)) = (ends::<N>(cell, meet), ends::<N>(cell, meet));
    sender.set_wait(waits(cell));
    let mut receiver = mpsc::Receiver::new();
    receiver.admit(busy).unwrap();
    receiver.admit(lane).unwrap();
    receiver.set_wait(waits(cell));
    Box::new(Ours { sender, receiver, _idle: idle })
}

struct Ours<const N: usize> {
    sender: spsc::Sender<[u64; N], Sealed>,
    receiver: mpsc::Receiver<[u64; N], Sealed>,
    _idle: spsc::Sender<[u64; N], Sealed>,
}

impl<const N: usize> End for Ours<N> {
    fn send(&mut self, turn: u64) {
        self.sender.send(&[turn; N]).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        check(&self.receiver.recv().unwrap(), turn);
    }
}
