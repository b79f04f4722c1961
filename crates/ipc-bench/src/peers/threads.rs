//! Rings and channels between two threads of one process, a ceiling for what two processes can reach; and shmem-ipc's ring
//! between two processes.
#![expect(unsafe_code, reason = "shmem-ipc gives a pointer into memory that the other process writes")]

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use ipc_uds::Stream;
use shmem_ipc::sharedring;

use crate::cell::{Cell, Cores, Wait};
use crate::end::{End, Side, check};
use crate::meet::{Meet, Place};
use crate::peers::Peer;
use crate::raw::shared::capacity;
use crate::side::{obey, pin};

/// The near process's second thread does what the far process would, which waits for the end.
fn with_thread<E: End + Send + 'static>(
    cell: &Cell,
    meet: &mut Meet,
    cpus: [usize; 2],
    make: impl FnOnce() -> (E, E),
) -> Box<dyn Side> {
    let (link, of_thread) = Stream::pair().unwrap();
    if !meet.is_near() {
        // The end of the near process is the far one's.
        while meet.hear().is_some() {}
        std::process::exit(0);
    }
    let (near, mut far) = make();
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
    format!("between two threads, {}", if cell.wait == Wait::Spin { "polled" } else { "blocking" })
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
        by_words!(cell.words(), N => with_thread(cell, meet, cpus, || {
            let ((to, from_us), (back, from_them)) =
                (rtrb::RingBuffer::<[u64; N]>::new(capacity(cell)), rtrb::RingBuffer::<[u64; N]>::new(capacity(cell)));
            (RtrbEnds(to, from_them), RtrbEnds(back, from_us))
        }))
    }
}

struct RtrbEnds<const N: usize>(rtrb::Producer<[u64; N]>, rtrb::Consumer<[u64; N]>);

impl<const N: usize> End for RtrbEnds<N> {
    fn send(&mut self, turn: u64) {
        while self.0.push([turn; N]).is_err() {
            std::hint::spin_loop();
        }
    }

    fn receive(&mut self, turn: u64) {
        loop {
            match self.1.pop() {
                Ok(message) => return check(&message, turn),
                Err(_) => std::hint::spin_loop(),
            }
        }
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
        ["spsc", "mpmc"].contains(&cell.mechanism) && spins_or_parks(cell)
    }

    fn side(&self, cell: &Cell, meet: &mut Meet, cpus: [usize; 2]) -> Box<dyn Side> {
        let spin = cell.wait == Wait::Spin;
        by_words!(cell.words(), N => with_thread(cell, meet, cpus, || {
            let ((to, from_us), (back, from_them)) = (
                crossbeam_channel::bounded::<[u64; N]>(capacity(cell)),
                crossbeam_channel::bounded::<[u64; N]>(capacity(cell)),
            );
            (CrossbeamEnds(to, from_them, spin), CrossbeamEnds(back, from_us, spin))
        }))
    }
}

struct CrossbeamEnds<const N: usize>(
    crossbeam_channel::Sender<[u64; N]>,
    crossbeam_channel::Receiver<[u64; N]>,
    bool,
);

impl<const N: usize> End for CrossbeamEnds<N> {
    fn send(&mut self, turn: u64) {
        if self.2 {
            while self.0.try_send([turn; N]).is_err() {
                std::hint::spin_loop();
            }
        } else {
            self.0.send([turn; N]).unwrap();
        }
    }

    fn receive(&mut self, turn: u64) {
        if !self.2 {
            return check(&self.1.recv().unwrap(), turn);
        }
        loop {
            match self.1.try_recv() {
                Ok(message) => return check(&message, turn),
                Err(_) => std::hint::spin_loop(),
            }
        }
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
        let spin = cell.wait == Wait::Spin;
        by_words!(cell.words(), N => with_thread(cell, meet, cpus, || {
            let ((to, from_us), (back, from_them)) =
                (sync_channel::<[u64; N]>(capacity(cell)), sync_channel::<[u64; N]>(capacity(cell)));
            (StdEnds(to, from_them, spin), StdEnds(back, from_us, spin))
        }))
    }
}

struct StdEnds<const N: usize>(SyncSender<[u64; N]>, Receiver<[u64; N]>, bool);

impl<const N: usize> End for StdEnds<N> {
    fn send(&mut self, turn: u64) {
        if self.2 {
            while self.0.try_send([turn; N]).is_err() {
                std::hint::spin_loop();
            }
        } else {
            self.0.send([turn; N]).unwrap();
        }
    }

    fn receive(&mut self, turn: u64) {
        if !self.2 {
            return check(&self.1.recv().unwrap(), turn);
        }
        loop {
            match self.1.try_recv() {
                Ok(message) => return check(&message, turn),
                Err(_) => std::hint::spin_loop(),
            }
        }
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
