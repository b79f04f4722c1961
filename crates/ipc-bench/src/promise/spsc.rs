//! `ipc_shm::spsc` between two processes.
#![expect(unsafe_code, reason = "only these two programs know the name, so each may trust the other")]

use std::time::Instant;

use ipc_shm::{Wait, spsc};

use super::Against::{Limit, Peer};
use super::Bound::{AtMost, Stated};
use super::{Promised, bare, limit, pair};
use crate::cell::Wait::{Park, Spin};
use crate::cell::{Cores, Kind};
use crate::end::check;

pub(crate) const PROMISES: &[Promised] = &[
    Promised::ratio(
        "spsc 8 B one way, spin, to the best bare cache line",
        AtMost(1.15),
        spin::<1>,
        best_line,
    ),
    Promised::cell(
        "spsc 8 B one way, spin, to iceoryx2",
        AtMost(0.30),
        ("spsc", 8, Kind::Latency, Cores::Two, Spin),
        Peer("iceoryx2"),
    ),
    Promised::cell(
        "spsc 8 B one way, parked, two CPUs, to a bare futex",
        AtMost(1.10),
        ("spsc", 8, Kind::Latency, Cores::Two, Park),
        Limit,
    ),
    // What fits into the first-level cache beside whatever else is there, and what does not.
    Promised::time("spsc 64 B stream, one message a call, 64 slots", AtMost(12.0), || {
        stream::<8>(SMALL, false)
    }),
    Promised::time("spsc 64 B stream, one message a call, 1,024 slots", AtMost(12.0), || {
        stream::<8>(CAPACITY, false)
    }),
    Promised::time("spsc 64 B stream, batches of 32, 64 slots", AtMost(6.0), || batches::<8>(SMALL)),
    Promised::time("spsc 64 B stream, batches of 32, 1,024 slots", AtMost(6.0), || batches::<8>(CAPACITY)),
    Promised::cell(
        "spsc 64 B stream to iceoryx2",
        AtMost(0.04),
        ("spsc", 64, Kind::Stream, Cores::Two, Spin),
        Peer("iceoryx2"),
    ),
    Promised::ratio(
        "spsc 64 B stream to rtrb between threads, 1,024 slots",
        AtMost(1.25),
        || stream::<8>(CAPACITY, false),
        limit::rtrb_stream::<8>,
    ),
    // A sender always looks at its doorbell; a ring that has none is another ring, without our checks.
    Promised::ratio(
        "spsc 64 B stream, to such a ring by hand without a doorbell, 1,024 slots",
        AtMost(1.10),
        || stream::<8>(CAPACITY, false),
        bare::stream::<8>,
    ),
    Promised::ratio(
        "spsc 8 B stream, to such a ring by hand without a doorbell, 1,024 slots",
        AtMost(1.30),
        || stream::<1>(CAPACITY, false),
        bare::stream::<1>,
    ),
    Promised::ratio(
        "spsc parked wake-up to a raw futex, two CPUs",
        AtMost(1.10),
        || ping_pong::<1>(1, Wait::Park, 1_000),
        || limit::futex_ping_pong(1),
    ),
    Promised::ratio(
        "spsc parked wake-up to a raw futex, one CPU",
        AtMost(1.10),
        || ping_pong::<1>(0, Wait::Park, 1_000),
        || limit::futex_ping_pong(0),
    ),
    Promised::cell(
        "request round trip to the one-way limit, spin, half of it",
        AtMost(1.3),
        ("request", 8, Kind::Latency, Cores::Two, Spin),
        Limit,
    ),
    Promised::time("spsc 64 KiB, filled and read in place", Stated, in_place),
    Promised::time("spsc 8 B one way, spin then park", Stated, || {
        ping_pong::<1>(1, Wait::SpinThenPark, 20_000)
    }),
    Promised::time("spsc 56 B one way, spin", Stated, spin::<7>),
    Promised::time("spsc 64 B one way, spin", Stated, spin::<8>),
    Promised::time("spsc 8 B stream, 1,024 slots", Stated, || stream::<1>(CAPACITY, false)),
    Promised::time("spsc 8 B stream, no barrier, 1,024 slots", Stated, || stream::<1>(CAPACITY, true)),
    Promised::time("spsc 8 B stream, batches of 32, 1,024 slots", Stated, || batches::<1>(CAPACITY)),
    Promised::time("spsc 56 B stream, 1,024 slots", Stated, || stream::<7>(CAPACITY, false)),
    Promised::time("spsc 64 B stream, no barrier, 1,024 slots", Stated, || stream::<8>(CAPACITY, true)),
];

/// How many messages a ring holds, where the row does not say otherwise.
pub(super) const CAPACITY: usize = 1024;
const SMALL: usize = 64;

fn spin<const N: usize>() -> f64 {
    ping_pong::<N>(1, Wait::Spin, 20_000)
}

/// Two flags or rotating lines, whichever is faster.
fn best_line() -> f64 {
    limit::ping_pong(1).min(limit::ping_pong(16))
}

fn options(capacity: usize, without_barrier: bool) -> ipc_shm::ChannelOptions {
    let options = ipc_shm::ChannelOptions::new(capacity);
    if without_barrier { options.without_barrier() } else { options }
}

fn ping_pong<const N: usize>(cpu: usize, wait: Wait, rounds: u64) -> f64 {
    let (to, from_us) = spsc::channel::<[u64; N]>(options(CAPACITY, false)).unwrap();
    let (back, from_them) = spsc::channel::<[u64; N]>(options(CAPACITY, false)).unwrap();
    pair::run(
        cpu,
        2 * rounds,
        move || {
            let (mut receiver, mut sender) = (from_us.attach().unwrap(), back.attach().unwrap());
            receiver.set_wait(wait);
            for _ in 0..rounds + 1000 {
                let message = receiver.recv().unwrap();
                sender.send(&message).unwrap();
            }
            let _ = receiver.recv();
        },
        move || {
            let (mut receiver, mut sender) = (from_them.attach().unwrap(), to.attach().unwrap());
            receiver.set_wait(wait);
            let mut start = Instant::now();
            for turn in 0..rounds + 1000 {
                if turn == 1000 {
                    start = Instant::now();
                }
                sender.send(&[turn; N]).unwrap();
                assert_eq!(receiver.recv().unwrap(), [turn; N]);
            }
            start
        },
    )
}

fn stream<const N: usize>(capacity: usize, without_barrier: bool) -> f64 {
    const COUNT: u64 = 500_000;
    let (to, from) = spsc::channel::<[u64; N]>(options(capacity, without_barrier)).unwrap();
    pair::run(
        1,
        COUNT,
        move || {
            let mut sender = to.attach().unwrap();
            for turn in 0..COUNT + 1000 {
                sender.send(&[turn; N]).unwrap();
            }
        },
        move || {
            let mut receiver = from.attach().unwrap();
            let mut start = Instant::now();
            for turn in 0..COUNT + 1000 {
                if turn == 1000 {
                    start = Instant::now();
                }
                check(&receiver.recv().unwrap(), turn);
            }
            start
        },
    )
}

fn batches<const N: usize>(capacity: usize) -> f64 {
    const COUNT: u64 = 1_000_000;
    let (to, from) = spsc::channel::<[u64; N]>(options(capacity, false)).unwrap();
    pair::run(
        1,
        COUNT,
        move || {
            let mut sender = to.attach().unwrap();
            let mut messages = [[0; N]; 32];
            for first in (0..COUNT + 1024).step_by(32) {
                for (turn, message) in (first..).zip(&mut messages) {
                    *message = [turn; N];
                }
                sender.send_batch(&messages).unwrap();
            }
        },
        move || {
            let mut receiver = from.attach().unwrap();
            let mut buffer = [[0; N]; 32];
            let mut next = 0;
            let mut start = None;
            while next != COUNT + 1024 {
                let count = receiver.recv_batch(&mut buffer).unwrap();
                for message in buffer.iter().take(count) {
                    check(message, next);
                    next += 1;
                }
                if next >= 1024 {
                    start.get_or_insert_with(Instant::now);
                }
            }
            start.unwrap()
        },
    )
}

/// Words of a block, how many a ring holds, how many are sent, and how many of them before the clock starts.
pub(super) const BLOCK: usize = 8192;
pub(super) const BLOCKS: usize = 16;
pub(super) const COUNT: u64 = 2_000;
pub(super) const WARM: u64 = 100;

/// Blocks of 64 KiB, filled and read where they lie.
pub(super) fn in_place() -> f64 {
    let (to, from) = spsc::channel::<[u64; BLOCK]>(options(BLOCKS, false)).unwrap();
    pair::run(
        1,
        COUNT,
        move || {
            // SAFETY: both processes are this program, and keep to the channel.
            let mut sender = unsafe { to.attach().unwrap().trust() };
            sender.set_wait(Wait::Spin);
            for turn in 0..COUNT + WARM {
                let mut block = sender.loan().unwrap();
                block.fill(turn);
                block.commit();
            }
        },
        move || {
            // SAFETY: as above.
            let mut receiver = unsafe { from.attach().unwrap().trust() };
            receiver.set_wait(Wait::Spin);
            let mut start = Instant::now();
            for turn in 0..COUNT + WARM {
                if turn == WARM {
                    start = Instant::now();
                }
                check(&receiver.borrow().unwrap()[..], turn);
            }
            start
        },
    )
}
