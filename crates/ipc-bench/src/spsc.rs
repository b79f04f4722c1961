//! `ipc_shm::spsc` between two processes.
#![expect(unsafe_code, reason = "only these two programs know the name, so each may trust the other")]

use std::time::Instant;

use ipc_shm::{Wait, spsc};

use crate::{Case, pair};

pub(crate) const CASES: &[Case] = &[
    ("spsc 8 B, one way, spin", || ping_pong::<1>(1, Wait::Spin, 100_000)),
    ("spsc 56 B, one way, spin", || ping_pong::<7>(1, Wait::Spin, 100_000)),
    ("spsc 64 B, one way, spin", || ping_pong::<8>(1, Wait::Spin, 100_000)),
    ("spsc 8 B, one way, spin then park", || ping_pong::<1>(1, Wait::SpinThenPark, 100_000)),
    ("spsc 8 B, one way, parked, two CPUs", || ping_pong::<1>(1, Wait::Park, 5_000)),
    ("spsc 8 B, one way, parked, one CPU", || ping_pong::<1>(0, Wait::Park, 5_000)),
    ("spsc 8 B, one way, spin then park, one CPU", || ping_pong::<1>(0, Wait::SpinThenPark, 5_000)),
    ("spsc 8 B stream", || stream::<1>(false)),
    ("spsc 8 B stream, no barrier", || stream::<1>(true)),
    ("spsc 56 B stream", || stream::<7>(false)),
    ("spsc 64 B stream", || stream::<8>(false)),
    ("spsc 64 B stream, no barrier", || stream::<8>(true)),
    ("spsc 8 B stream, batches of 32", || batches::<1>()),
    ("spsc 64 B stream, batches of 32", || batches::<8>()),
    ("spsc 64 KiB, loan and borrow", big),
];

fn options(capacity: usize, without_barrier: bool) -> ipc_shm::ChannelOptions {
    let options = ipc_shm::ChannelOptions::new(capacity);
    if without_barrier { options.without_barrier() } else { options }
}

fn ping_pong<const N: usize>(cpu: usize, wait: Wait, rounds: u64) -> f64 {
    let (to, from_us) = spsc::channel::<[u64; N]>(options(1024, false)).unwrap();
    let (back, from_them) = spsc::channel::<[u64; N]>(options(1024, false)).unwrap();
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

fn stream<const N: usize>(without_barrier: bool) -> f64 {
    const COUNT: u64 = 2_000_000;
    let (to, from) = spsc::channel::<[u64; N]>(options(1024, without_barrier)).unwrap();
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
                assert_eq!(receiver.recv().unwrap()[0], turn);
            }
            start
        },
    )
}

fn batches<const N: usize>() -> f64 {
    const COUNT: u64 = 4_000_000;
    let (to, from) = spsc::channel::<[u64; N]>(options(1024, false)).unwrap();
    pair::run(
        1,
        COUNT,
        move || {
            let mut sender = to.attach().unwrap();
            let mut messages = [[0; N]; 32];
            for first in (0..COUNT).step_by(32) {
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
            let start = Instant::now();
            while next != COUNT {
                let count = receiver.recv_batch(&mut buffer).unwrap();
                for message in buffer.iter().take(count) {
                    assert_eq!(message[0], next);
                    next += 1;
                }
            }
            start
        },
    )
}

fn big() -> f64 {
    const COUNT: u64 = 20_000;
    type Block = [u64; 8192];
    let (to, from) = spsc::channel::<Block>(options(16, false)).unwrap();
    pair::run(
        1,
        COUNT,
        move || {
            // SAFETY: both processes are this program, and keep to the channel.
            let mut sender = unsafe { to.attach().unwrap().trust() };
            for turn in 0..COUNT {
                let mut block = sender.loan().unwrap();
                block.fill(turn);
                block.commit();
            }
        },
        move || {
            // SAFETY: as above.
            let mut receiver = unsafe { from.attach().unwrap().trust() };
            let start = Instant::now();
            for turn in 0..COUNT {
                let block = receiver.borrow().unwrap();
                assert_eq!(
                    block.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word)),
                    turn.wrapping_mul(8192)
                );
            }
            start
        },
    )
}
