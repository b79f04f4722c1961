//! `ipc_shm::broadcast` with one reader, one channel each way. The writer never waits: in a stream a reader that was lapped
//! is told how many it has missed, and those count as carried.

use ipc_shm::{Error, broadcast};

use crate::cell::{Cell, Cores, Wait};
use crate::end::{End, Side, check};
use crate::mechanism::{Mechanism, SPINS_OR_PARKS};
use crate::meet::Meet;
use crate::raw::ring::Ring;
use crate::raw::shared::{capacity, waits};

pub(crate) struct Broadcast;

impl Mechanism for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
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
    let [near] = meet.numbers(|| [std::process::id().into()]);
    let (to, back) = (format!("/ipc-bench-{near}-to"), format!("/ipc-bench-{near}-back"));
    let (own, other) = if meet.is_near() { (to, back) } else { (back, to) };
    let writer = broadcast::Writer::create(own, capacity(cell)).unwrap();
    meet.together();
    let mut reader = broadcast::Reader::open(other).unwrap();
    reader.set_wait(waits(cell));
    meet.together();
    Box::new(Ours::<N> { writer, reader, next: 0, wait: cell.wait })
}

struct Ours<const N: usize> {
    writer: broadcast::Writer<[u64; N]>,
    reader: broadcast::Reader<[u64; N]>,
    /// The first turn that was neither received nor missed.
    next: u64,
    wait: Wait,
}

impl<const N: usize> End for Ours<N> {
    fn send(&mut self, turn: u64) {
        self.writer.write(&[turn; N]).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        if turn == 1 {
            self.next = 1;
        }
        while self.next <= turn {
            let found = if self.wait == Wait::Spin { self.reader.try_recv() } else { self.reader.recv() };
            match found {
                Ok(message) => {
                    let came = message[0];
                    assert!(came >= self.next, "message {came} came after {}", self.next - 1);
                    check(&message, came);
                    self.next = came + 1;
                }
                Err(Error::Empty) => std::hint::spin_loop(),
                Err(Error::Lagged(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}
