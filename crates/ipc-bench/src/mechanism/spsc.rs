//! `ipc_shm::spsc`, sealed, one channel each way; by hand: a ring of slots that each tell their turn, in memory that both map.

use ipc_shm::{Sealed, spsc};

use crate::cell::{Cell, Cores, Wait};
use crate::end::{End, Side, check};
use crate::mechanism::{Mechanism, SPINS_OR_PARKS};
use crate::meet::Meet;
use crate::raw::ring::Ring;
use crate::raw::shared::{capacity, invited, offered, waits};

pub(crate) struct Spsc;

impl Mechanism for Spsc {
    fn name(&self) -> &'static str {
        "spsc"
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
    let (mut sender, mut receiver) = ends::<N>(cell, meet);
    sender.set_wait(waits(cell));
    receiver.set_wait(waits(cell));
    Box::new(Ours { sender, receiver })
}

type Ends<const N: usize> = (spsc::Sender<[u64; N], Sealed>, spsc::Receiver<[u64; N], Sealed>);

/// Each side offers the memory that it sends through.
pub(crate) fn ends<const N: usize>(cell: &Cell, meet: &mut Meet) -> Ends<N> {
    let offer = || spsc::Sender::<[u64; N], Sealed>::offer(capacity(cell)).unwrap();
    if meet.is_near() {
        let sender = offered(meet, offer());
        (sender, invited(meet))
    } else {
        let receiver = invited(meet);
        (offered(meet, offer()), receiver)
    }
}

struct Ours<const N: usize> {
    sender: spsc::Sender<[u64; N], Sealed>,
    receiver: spsc::Receiver<[u64; N], Sealed>,
}

impl<const N: usize> End for Ours<N> {
    fn send(&mut self, turn: u64) {
        self.sender.send(&[turn; N]).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        check(&self.receiver.recv().unwrap(), turn);
    }
}
