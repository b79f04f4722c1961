//! `ipc_shm::latest`, one cell each way; by hand: one place and a flag. In the open loop a value that was replaced before it
//! was read counts as read with the one that replaced it.

use ipc_shm::latest;

use crate::cell::{Cell, Cores, Kind, Wait};
use crate::end::{End, Side, check};
use crate::limit::Limit;
use crate::mechanism::Mechanism;
use crate::meet::Meet;
use crate::raw::shared::waits;

pub(crate) struct Latest;

impl Mechanism for Latest {
    fn name(&self) -> &'static str {
        "latest"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        &[(Cores::Two, Wait::Spin)]
    }

    fn lacks(&self, cell: &Cell) -> Option<&'static str> {
        (cell.kind == Kind::Stream).then_some("only the newest value is kept")
    }

    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        by_words!(cell.words(), N => ours::<N>(cell, meet))
    }

    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        Limit::TwoFlags.side(cell, meet)
    }
}

fn ours<const N: usize>(cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
    let [near] = meet.numbers(|| [std::process::id().into()]);
    let (to, back) = (format!("/ipc-bench-{near}-to"), format!("/ipc-bench-{near}-back"));
    let (own, other) = if meet.is_near() { (to, back) } else { (back, to) };
    let writer = latest::Writer::create(own).unwrap();
    meet.together();
    let mut reader = latest::Reader::open(other).unwrap();
    reader.set_wait(waits(cell));
    meet.together();
    Box::new(Ours::<N> { writer, reader, next: 1 })
}

struct Ours<const N: usize> {
    writer: latest::Writer<[u64; N]>,
    reader: latest::Reader<[u64; N]>,
    /// The first turn whose value was neither read nor replaced.
    next: u64,
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
            match self.reader.read_newer().unwrap() {
                Some(value) => {
                    assert!(value[0] >= turn, "value {} came after {}", value[0], turn - 1);
                    check(&value, value[0]);
                    self.next = value[0] + 1;
                }
                None => std::hint::spin_loop(),
            }
        }
    }
}
