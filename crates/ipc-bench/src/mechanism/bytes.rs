//! `ipc_shm::bytes`, sealed, messages of any length, one channel each way.

use ipc_shm::{Sealed, bytes};
use zerocopy::IntoBytes;

use crate::cell::{Cell, Cores, Wait};
use crate::end::{End, Side, fill};
use crate::mechanism::{Mechanism, SPINS_OR_PARKS};
use crate::meet::Meet;
use crate::raw::ring::Ring;
use crate::raw::shared::{invited, offered, waits};

pub(crate) struct Bytes;

impl Mechanism for Bytes {
    fn name(&self) -> &'static str {
        "bytes"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        SPINS_OR_PARKS
    }

    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        // A MiB, or 16 messages with their headers.
        let capacity = (32 * cell.payload).max(1 << 20);
        let offer = || bytes::Sender::<Sealed>::offer(capacity).unwrap();
        let (mut sender, mut receiver) = if meet.is_near() {
            let sender: bytes::Sender<Sealed> = offered(meet, offer());
            (sender, invited::<bytes::Receiver<Sealed>>(meet))
        } else {
            let receiver = invited(meet);
            (offered(meet, offer()), receiver)
        };
        sender.set_wait(waits(cell));
        receiver.set_wait(waits(cell));
        Box::new(Ours { sender, receiver, message: vec![0; cell.words()], received: Vec::new() })
    }

    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        Ring::duplex(cell, meet)
    }
}

struct Ours {
    sender: bytes::Sender<Sealed>,
    receiver: bytes::Receiver<Sealed>,
    message: Vec<u64>,
    received: Vec<u8>,
}

impl End for Ours {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        self.sender.send(self.message.as_bytes()).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        self.receiver.recv(&mut self.received).unwrap();
        assert_eq!(self.received.len(), self.message.len() * 8);
        let words = self.received.as_chunks::<8>().0;
        let sum = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)));
        assert_eq!(
            sum,
            turn.wrapping_mul(words.len() as u64),
            "message {turn} is not whole or not in its place"
        );
    }
}
