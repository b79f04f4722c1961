//! The mechanisms, a file each: how ours is used, how the same is written by hand in C's calls, and what bounds both.

use crate::cell::{Cell, Cores, Wait};
use crate::end::Side;
use crate::limit::Limit;
use crate::meet::Meet;

/// A mechanism that is measured. `ours` and `raw` are each called in both processes, over the same kind of objects.
pub(crate) trait Mechanism: Sync {
    /// As in the JSON.
    fn name(&self) -> &'static str;

    /// Where the processes run and how they wait.
    fn ways(&self) -> &'static [(Cores, Wait)];

    /// Why a cell is not there: the limit's name.
    fn lacks(&self, cell: &Cell) -> Option<&'static str> {
        let _ = cell;
        None
    }

    /// What no implementation can go below.
    fn limit(&self, cell: &Cell) -> Limit {
        Limit::of(cell)
    }

    /// Our crate's.
    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side>;

    /// The loop that one writes in C.
    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side>;
}

/// What blocks in a call of its own.
pub(crate) const BLOCKS: &[(Cores, Wait)] = &[(Cores::Two, Wait::Block), (Cores::One, Wait::Block)];

/// What lives in shared memory, and sleeps on a futex when asked to.
pub(crate) const SPINS_OR_PARKS: &[(Cores, Wait)] =
    &[(Cores::Two, Wait::Spin), (Cores::Two, Wait::Park), (Cores::One, Wait::Park)];

/// Every mechanism, in the order of the table.
pub(crate) const ALL: &[&dyn Mechanism] = &[
    &pipe::Pipe,
    &packet_pipe::PacketPipe,
    &framed_pipe::FramedPipe,
    &fifo::Fifo,
    &socket::Socket::Stream,
    &socket::Socket::SeqPacket,
    &socket::Socket::Datagram,
    &socket::Socket::Tcp,
    &sysv_queue::SysvQueue,
    &sysv_semaphore::SysvSemaphore,
    &signal::Signal,
    &eventfd::Eventfd,
    &posix_shm::PosixShm,
    &sysv_shm::SysvShm,
    &spsc::Spsc,
    &bytes::Bytes,
    &mpsc::Mpsc,
    &mpmc::Mpmc,
    &broadcast::Broadcast,
    &latest::Latest,
    &request::Request,
];

pub(crate) fn named(name: &str) -> Option<&'static dyn Mechanism> {
    ALL.iter().copied().find(|one| one.name() == name)
}

/// Runs `$body` with `$n` standing for the number of words of the payload, which must be known when it is compiled.
macro_rules! by_words {
    ($words:expr, $n:ident => $body:expr) => {
        match $words {
            1 => {
                const $n: usize = 1;
                $body
            }
            8 => {
                const $n: usize = 8;
                $body
            }
            32 => {
                const $n: usize = 32;
                $body
            }
            128 => {
                const $n: usize = 128;
                $body
            }
            512 => {
                const $n: usize = 512;
                $body
            }
            8192 => {
                const $n: usize = 8192;
                $body
            }
            131_072 => {
                const $n: usize = 131_072;
                $body
            }
            other => unreachable!("{other} words"),
        }
    };
}

mod broadcast;
mod bytes;
mod eventfd;
mod fifo;
mod framed_pipe;
mod latest;
mod mpmc;
mod mpsc;
mod packet_pipe;
mod pipe;
mod posix_shm;
mod request;
mod signal;
pub(crate) mod socket;
mod spsc;
mod sysv_queue;
mod sysv_semaphore;
mod sysv_shm;
