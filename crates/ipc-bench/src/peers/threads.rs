//! Rings and channels between two threads of one process, a ceiling for what two processes can reach; and shmem-ipc's ring
//! between two processes.
#![expect(unsafe_code, reason = "shmem-ipc gives a pointer into memory that the other process writes")]

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use ipc_uds::Stream;
use shmem_ipc::sharedring;

use crate::cell::{Cell, Cores, Kind, Wait};
use crate::end::{End, Side, check};
use crate::meet::{Meet, Place};
use crate::peers::Peer;
use crate::raw::shared::capacity;
use crate::side::{obey, pin};

/// What sends whole messages.
trait Sends<M> {
    fn try_send(&mut self, message: M) -> bool;

    fn send(&mut self, message: M);
}

/// What receives them.
trait Receives<M> {
    fn try_recv(&mut self) -> Option<M>;

    fn recv(&mut self) -> M;
}

/// One side's ends of two channels.
struct Ends<S, R, const N: usize> {
    sender: S,
    receiver: R,
    spin: bool,
}

impl<S: Sends<[u64; N]>, R: Receives<[u64; N]>, const N: usize> End for Ends<S, R, N> {
    fn send(&mut self, turn: u64) {
        if !self.spin {
            return self.sender.send([turn; N]);
        }
        while !self.sender.try_send([turn; N]) {
            std::hint::spin_loop();
        }
    }

    fn receive(&mut self, turn: u64) {
        if !self.spin {
            return check(&self.receiver.recv(), turn);
        }
        loop {
            match self.receiver.try_recv() {
                Some(message) => return check(&message, turn),
                None => std::hint::spin_loop(),
            }
        }
    }
}

/// A channel each way. The near process's second thread does what the far process would, which waits for the end.
fn with_thread<S, R, const N: usize>(
    cell: &Cell,
    meet: &mut Meet,
    cpus: [usize; 2],
    channel: impl Fn() -> (S, R),
) -> Box<dyn Side>
where
    S: Sends<[u64; N]> + Send + 'static,
    R: Receives<[u64; N]> + Send + 'static,
{
    let (link, of_thread) = Stream::pair().unwrap();
    if !meet.is_near() {
        // The end of the near process is the far one's.
        while meet.hear().is_some() {}
        std::process::exit(0);
    }
    let (((to, from_us), (back, from_them)), spin) = ((channel(), channel()), cell.wait == Wait::Spin);
    let near = Ends { sender: to, receiver: from_them, spin };
    let mut far = Ends { sender: back, receiver: from_us, spin };
    let mut there = Meet::new(Place::Far, of_thread);
    let cpu = if cell.cores == Cores::One { cpus[0] } else { cpus[1] };
    thread::spawn(move || {
        pin(cpu);
        there.together();
        obey(&mut far, &mut there);
    });
    *meet = Meet::new(Place::Near, link);
    Box::new(near)
}

fn spins_or_parks(cell: &Cell) -> bool {
    cell.wait == Wait::Spin || cell.wait == Wait::Park
}

fn between_threads(cell: &Cell) -> String {
    let way = if cell.wait == Wait::Spin { "polled" } else { "blocking, after some spinning" };
    format!("between two threads, {way}")
}

pub(crate) struct Rtrb;

impl Peer for Rtrb {
    fn name(&self) -> &'static str {
        "rtrb"
    }

    fn mode(&self, cell: &Cell) -> String {
        between_threads(cell)
    }

    fn fits(&self, cell: &Cell) -> bool {
        cell.mechanism == "spsc" && cell.wait == Wait::Spin
    }

    fn side(&self, cell: &Cell, meet: &mut Meet, cpus: [usize; 2]) -> Box<dyn Side> {
        by_words!(cell.words(), N => {
            with_thread::<_, _, N>(cell, meet, cpus, || rtrb::RingBuffer::new(capacity(cell)))
        })
    }
}

impl<M> Sends<M> for rtrb::Producer<M> {
    fn try_send(&mut self, message: M) -> bool {
        self.push(message).is_ok()
    }

    fn send(&mut self, _: M) {
        unreachable!("rtrb does not block");
    }
}

impl<M> Receives<M> for rtrb::Consumer<M> {
    fn try_recv(&mut self) -> Option<M> {
        self.pop().ok()
    }

    fn recv(&mut self) -> M {
        unreachable!("rtrb does not block");
    }
}

pub(crate) struct Crossbeam;

impl Peer for Crossbeam {
    fn name(&self) -> &'static str {
        "crossbeam-channel"
    }

    fn mode(&self, cell: &Cell) -> String {
        between_threads(cell)
    }

    fn fits(&self, cell: &Cell) -> bool {
        // Between two cores its blocking calls spin for longer than an answer takes: that would be no parking.
        let spins_anyhow = (cell.kind, cell.cores, cell.wait) == (Kind::Latency, Cores::Two, Wait::Park);
        ["spsc", "mpmc"].contains(&cell.mechanism) && spins_or_parks(cell) && !spins_anyhow
    }

    fn side(&self, cell: &Cell, meet: &mut Meet, cpus: [usize; 2]) -> Box<dyn Side> {
        by_words!(cell.words(), N => {
            with_thread::<_, _, N>(cell, meet, cpus, || crossbeam_channel::bounded(capacity(cell)))
        })
    }
}

impl<M: Send> Sends<M> for crossbeam_channel::Sender<M> {
    fn try_send(&mut self, message: M) -> bool {
        crossbeam_channel::Sender::try_send(self, message).is_ok()
    }

    fn send(&mut self, message: M) {
        assert!(crossbeam_channel::Sender::send(self, message).is_ok());
    }
}

impl<M> Receives<M> for crossbeam_channel::Receiver<M> {
    fn try_recv(&mut self) -> Option<M> {
        crossbeam_channel::Receiver::try_recv(self).ok()
    }

    fn recv(&mut self) -> M {
        crossbeam_channel::Receiver::recv(self).unwrap()
    }
}

pub(crate) struct StdMpsc;

impl Peer for StdMpsc {
    fn name(&self) -> &'static str {
        "std-mpsc"
    }

    fn package(&self) -> Option<&'static str> {
        None
    }

    fn mode(&self, cell: &Cell) -> String {
        between_threads(cell)
    }

    fn fits(&self, cell: &Cell) -> bool {
        cell.mechanism == "mpsc" && spins_or_parks(cell)
    }

    fn side(&self, cell: &Cell, meet: &mut Meet, cpus: [usize; 2]) -> Box<dyn Side> {
        by_words!(cell.words(), N => {
            with_thread::<_, _, N>(cell, meet, cpus, || sync_channel(capacity(cell)))
        })
    }
}

impl<M: Send> Sends<M> for SyncSender<M> {
    fn try_send(&mut self, message: M) -> bool {
        SyncSender::try_send(self, message).is_ok()
    }

    fn send(&mut self, message: M) {
        assert!(SyncSender::send(self, message).is_ok());
    }
}

impl<M> Receives<M> for Receiver<M> {
    fn try_recv(&mut self) -> Option<M> {
        Receiver::try_recv(self).ok()
    }

    fn recv(&mut self) -> M {
        Receiver::recv(self).unwrap()
    }
}

pub(crate) struct Shmem;

impl Peer for Shmem {
    fn name(&self) -> &'static str {
        "shmem-ipc"
    }

    fn mode(&self, _: &Cell) -> String {
        "shared ring between two processes, blocking on eventfd".to_owned()
    }

    fn fits(&self, cell: &Cell) -> bool {
        cell.mechanism == "spsc" && cell.wait == Wait::Park
    }

    fn side(&self, cell: &Cell, meet: &mut Meet, _: [usize; 2]) -> Box<dyn Side> {
        by_words!(cell.words(), N => shmem::<N>(cell, meet))
    }
}

fn shmem<const N: usize>(cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
    let capacity = capacity(cell);
    let give = |meet: &mut Meet| {
        let sender = sharedring::Sender::<[u64; N]>::new(capacity).unwrap();
        let files = [sender.memfd().as_file(), sender.empty_signal(), sender.full_signal()];
        meet.give(b"ring", files.map(|file| file.as_fd().try_clone_to_owned().unwrap()));
        sender
    };
    let take = |meet: &mut Meet| {
        let files: [OwnedFd; 3] = meet.take().1.try_into().unwrap();
        let [memory, empty, full] = files.map(File::from);
        sharedring::Receiver::<[u64; N]>::open(capacity, memory, empty, full).unwrap()
    };
    if meet.is_near() {
        let sender = give(meet);
        Box::new(ShmemEnds(sender, take(meet)))
    } else {
        let receiver = take(meet);
        Box::new(ShmemEnds(give(meet), receiver))
    }
}

struct ShmemEnds<const N: usize>(sharedring::Sender<[u64; N]>, sharedring::Receiver<[u64; N]>);

impl<const N: usize> End for ShmemEnds<N> {
    fn send(&mut self, turn: u64) {
        self.0.block_until_writable().unwrap();
        let write = |place: *mut [u64; N], _: usize| {
            // SAFETY: the ring gives the first of at least one free place.
            unsafe { place.write([turn; N]) };
            1
        };
        self.0.send_raw(write).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        self.1.block_until_readable().unwrap();
        let read = |place: *const [u64; N], _: usize| {
            // SAFETY: the ring gives the first of at least one message, which the sender does not touch now.
            check(&unsafe { place.read() }, turn);
            1
        };
        self.1.receive_raw(read).unwrap();
    }
}
