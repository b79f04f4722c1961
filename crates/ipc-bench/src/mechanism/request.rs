//! `ipc_shm::request`, sealed: the near side asks, the far one answers with the question. One way is half of a call.

use ipc_shm::{Sealed, request};

use crate::cell::{Cell, Cores, Kind, Wait};
use crate::end::{End, Side, check};
use crate::mechanism::{Mechanism, SPINS_OR_PARKS};
use crate::meet::Meet;
use crate::raw::ring::Ring;
use crate::raw::shared::{capacity, invited, offered, waits};

pub(crate) struct Request;

impl Mechanism for Request {
    fn name(&self) -> &'static str {
        "request"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        SPINS_OR_PARKS
    }

    fn lacks(&self, cell: &Cell) -> Option<&'static str> {
        (cell.kind == Kind::Stream).then_some("an answer belongs to each question")
    }

    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        by_words!(cell.words(), N => ours::<N>(cell, meet))
    }

    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        Ring::duplex(cell, meet)
    }
}

fn ours<const N: usize>(cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
    if meet.is_near() {
        let offer = request::Client::<[u64; N], [u64; N], Sealed>::offer(capacity(cell)).unwrap();
        let mut client: request::Client<[u64; N], [u64; N], Sealed> = offered(meet, offer);
        client.set_wait(waits(cell));
        Box::new(Asks(client))
    } else {
        let mut server: request::Server<[u64; N], [u64; N], Sealed> = invited(meet);
        server.set_wait(waits(cell));
        Box::new(Answers(server))
    }
}

struct Asks<const N: usize>(request::Client<[u64; N], [u64; N], Sealed>);

impl<const N: usize> End for Asks<N> {
    fn send(&mut self, _: u64) {}

    fn receive(&mut self, turn: u64) {
        check(&self.0.call(&[turn; N]).unwrap(), turn);
    }
}

struct Answers<const N: usize>(request::Server<[u64; N], [u64; N], Sealed>);

impl<const N: usize> End for Answers<N> {
    fn receive(&mut self, turn: u64) {
        let request = self.0.recv().unwrap();
        let question = *request.question();
        check(&question, turn);
        request.answer(&question).unwrap();
    }

    fn send(&mut self, _: u64) {}
}
