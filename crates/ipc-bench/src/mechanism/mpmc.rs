//! `ipc_shm::mpmc`, common memory, with one sender and one receiver each way; by hand: a bounded queue of slots that each
//! tell their turn, whose ends are claimed by compare-and-swap.

use ipc_shm::mpmc;

use crate::cell::{Cell, Cores, Wait};
use crate::end::{End, Side, check};
use crate::mechanism::{Mechanism, SPINS_OR_PARKS};
use crate::meet::Meet;
use crate::raw::queue::Queue;
use crate::raw::shared::{capacity, waits};

pub(crate) struct Mpmc;

impl Mechanism for Mpmc {
    fn name(&self) -> &'static str {
        "mpmc"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        SPINS_OR_PARKS
    }

    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        by_words!(cell.words(), N => ours::<N>(cell, meet))
    }

    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        Queue::duplex(cell, meet)
    }
}

fn ours<const N: usize>(cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
    let mut sender = mpmc::Sender::<[u64; N]>::anonymous(capacity(cell)).unwrap();
    meet.give(b"channel", vec![sender.share().unwrap()]);
    let [channel] = meet.take().1.try_into().unwrap();
    let mut receiver = mpmc::Receiver::<[u64; N]>::from_fd(channel).unwrap();
    sender.set_wait(waits(cell));
    receiver.set_wait(waits(cell));
    meet.together();
    Box::new(Ours { sender, receiver })
}

struct Ours<const N: usize> {
    sender: mpmc::Sender<[u64; N]>,
    receiver: mpmc::Receiver<[u64; N]>,
}

impl<const N: usize> End for Ours<N> {
    fn send(&mut self, turn: u64) {
        self.sender.send(&[turn; N]).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        check(&self.receiver.recv().unwrap(), turn);
    }
}
