//! What the machine itself takes: a cache line to and fro, a futex to and fro, rtrb between two threads.
#![expect(unsafe_code, reason = "what is measured is raw memory that two processes share")]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use ipc_sys::{Deadline, futex};

use super::Bound::Stated;
use super::{Promised, pair};
use crate::end::check;

pub(crate) const PROMISES: &[Promised] = &[
    Promised::time("limit cache line, one way", Stated, || ping_pong(1)),
    Promised::time("limit cache line, rotating, one way", Stated, || ping_pong(16)),
    Promised::time("limit futex, two CPUs, one way", Stated, || futex_ping_pong(1)),
    Promised::time("limit futex, one CPU, one way", Stated, || futex_ping_pong(0)),
];

const ROUNDS: u64 = 20_000;

/// Two lines a round; `lines` of them in turn.
pub(super) fn ping_pong(lines: usize) -> f64 {
    let memory = shared(4096 * 4);
    let word = |turn: u64, side: usize| &memory[(turn as usize % lines * 2 + side) * 16];
    let until = |word: &AtomicU64, value| {
        while word.load(Ordering::Acquire) != value {
            std::hint::spin_loop();
        }
    };
    pair::run(
        1,
        2 * ROUNDS,
        || {
            for turn in 1..=ROUNDS + 1000 {
                until(word(turn, 0), turn);
                word(turn, 1).store(turn, Ordering::Release);
            }
        },
        || {
            let mut start = Instant::now();
            for turn in 1..=ROUNDS + 1000 {
                if turn == 1000 {
                    start = Instant::now();
                }
                word(turn, 0).store(turn, Ordering::Release);
                until(word(turn, 1), turn);
            }
            start
        },
    )
}

pub(super) fn futex_ping_pong(cpu: usize) -> f64 {
    const ROUNDS: u32 = 1_000;
    let memory = shared(4096);
    // SAFETY: the low halves of two words of the mapping, which is never unmapped.
    let word = |side: usize| unsafe { &*memory[side * 16].as_ptr().cast::<AtomicU32>() };
    let until = |word: &AtomicU32, value: u32| {
        loop {
            let now = word.load(Ordering::Acquire);
            if now == value {
                break;
            }
            futex::wait(word, now, Deadline::NEVER).unwrap();
        }
    };
    pair::run(
        cpu,
        2 * u64::from(ROUNDS),
        || {
            for turn in 1..=ROUNDS {
                until(word(0), turn);
                word(1).store(turn, Ordering::Release);
                futex::wake(word(1), 1).unwrap();
            }
        },
        || {
            let start = Instant::now();
            for turn in 1..=ROUNDS {
                word(0).store(turn, Ordering::Release);
                futex::wake(word(0), 1).unwrap();
                until(word(1), turn);
            }
            start
        },
    )
}

pub(super) fn rtrb_stream<const N: usize>() -> f64 {
    const COUNT: u64 = 500_000;
    let (mut sender, mut receiver) = rtrb::RingBuffer::<[u64; N]>::new(super::spsc::CAPACITY);
    let spent = std::thread::scope(|scope| {
        let receiving = scope.spawn(move || {
            pair::pin(0);
            let mut start = Instant::now();
            for turn in 0..COUNT + 1000 {
                if turn == 1000 {
                    start = Instant::now();
                }
                let message = loop {
                    match receiver.pop() {
                        Ok(message) => break message,
                        Err(_) => std::hint::spin_loop(),
                    }
                };
                check(&message, turn);
            }
            start.elapsed()
        });
        scope.spawn(move || {
            pair::pin(1);
            for turn in 0..COUNT + 1000 {
                let message = [turn; N];
                while sender.push(message).is_err() {
                    std::hint::spin_loop();
                }
            }
        });
        receiving.join().unwrap()
    });
    spent.as_nanos() as f64 / COUNT as f64
}

/// Zeroed memory that a forked child shares, never unmapped.
pub(super) fn shared(len: usize) -> &'static [AtomicU64] {
    // SAFETY: a fresh mapping at an address of the kernel's choice.
    let base = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        libc::mmap(std::ptr::null_mut(), len, access, flags, -1, 0)
    };
    assert!(base != libc::MAP_FAILED);
    // SAFETY: mapped, zeroed, aligned, never unmapped; the other process uses atomics too.
    unsafe { std::slice::from_raw_parts(base.cast::<AtomicU64>(), len / 8) }
}
