//! What the two processes do with a mechanism: to and fro, or one after another, each byte written and read.

use std::time::{Duration, Instant};

/// One side's end of a mechanism that carries messages both ways. Message `turn` is made of words that each hold `turn`.
pub(crate) trait End {
    /// Fills the message and sends it.
    fn send(&mut self, turn: u64);

    /// Receives the message, reads all of it, and dies unless it is `turn`'s.
    fn receive(&mut self, turn: u64);

    /// Pushes out what a batch still holds.
    fn flush(&mut self) {}
}

/// Writes every byte of message `turn`.
#[inline]
pub(crate) fn fill(words: &mut [u64], turn: u64) {
    words.fill(turn);
}

/// Reads every byte: one of another message's anywhere changes the sum.
#[inline]
pub(crate) fn check(words: &[u64], turn: u64) {
    let sum = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word));
    let wanted = turn.wrapping_mul(words.len() as u64);
    assert!(sum == wanted && words.first() == Some(&turn), "message {turn} is not whole or not in its place");
}

/// What both sides do before the clock starts.
pub(crate) fn warm(count: u64) -> u64 {
    (count / 20).clamp(4, 1000)
}

/// The five things that are asked of two processes; one of each pair is `near` and takes the time.
pub(crate) trait Side {
    /// Near: `rounds` to and fro.
    fn ping(&mut self, rounds: u64) -> Duration;
    /// Near: the same with the time of each, which costs a look at the clock.
    fn ping_each(&mut self, rounds: u64) -> Vec<u32>;
    /// Far: the other half of both.
    fn pong(&mut self, rounds: u64);
    /// Near: receives `count`.
    fn drain(&mut self, count: u64) -> Duration;
    /// Near: the same with the time from each to the next.
    fn drain_each(&mut self, count: u64) -> Vec<u32>;
    /// Far: sends them.
    fn pour(&mut self, count: u64);
    /// Near: receives `count` messages and tells how long after its intended start each came.
    fn expect(&mut self, count: u64, schedule: Schedule) -> Vec<u32>;
    /// Far: sends one whenever it is due, and late ones at once.
    fn keep_to(&mut self, count: u64, schedule: Schedule);
}

/// An open loop: when each message is to start, on CLOCK_MONOTONIC, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) start: u64,
    pub(crate) period: u64,
}

impl<E: End> Side for E {
    fn ping(&mut self, rounds: u64) -> Duration {
        let warm = warm(rounds);
        for turn in 1..=warm {
            self.send(turn);
            self.receive(turn);
        }
        let start = Instant::now();
        for turn in warm + 1..=warm + rounds {
            self.send(turn);
            self.receive(turn);
        }
        start.elapsed()
    }

    fn ping_each(&mut self, rounds: u64) -> Vec<u32> {
        let warm = warm(rounds);
        let mut times = Vec::with_capacity(usize::try_from(rounds).unwrap());
        for turn in 1..=warm + rounds {
            let start = Instant::now();
            self.send(turn);
            self.receive(turn);
            if turn > warm {
                times.push(nanoseconds(start.elapsed() / 2));
            }
        }
        times
    }

    fn pong(&mut self, rounds: u64) {
        for turn in 1..=warm(rounds) + rounds {
            self.receive(turn);
            self.send(turn);
        }
    }

    fn drain(&mut self, count: u64) -> Duration {
        let warm = warm(count);
        (1..=warm).for_each(|turn| self.receive(turn));
        let start = Instant::now();
        (warm + 1..=warm + count).for_each(|turn| self.receive(turn));
        start.elapsed()
    }

    fn drain_each(&mut self, count: u64) -> Vec<u32> {
        let warm = warm(count);
        (1..=warm).for_each(|turn| self.receive(turn));
        let mut times = Vec::with_capacity(usize::try_from(count).unwrap());
        let mut last = Instant::now();
        for turn in warm + 1..=warm + count {
            self.receive(turn);
            let now = Instant::now();
            times.push(nanoseconds(now - last));
            last = now;
        }
        times
    }

    fn pour(&mut self, count: u64) {
        (1..=warm(count) + count).for_each(|turn| self.send(turn));
        self.flush();
    }

    fn expect(&mut self, count: u64, schedule: Schedule) -> Vec<u32> {
        let receive = |turn| {
            self.receive(turn);
            let late = now().saturating_sub(schedule.start + (turn - 1) * schedule.period);
            u32::try_from(late).unwrap_or(u32::MAX)
        };
        (1..=count).map(receive).collect()
    }

    fn keep_to(&mut self, count: u64, schedule: Schedule) {
        for turn in 1..=count {
            while now() < schedule.start + (turn - 1) * schedule.period {
                std::hint::spin_loop();
            }
            self.send(turn);
        }
        self.flush();
    }
}

fn nanoseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}

/// CLOCK_MONOTONIC, which two processes read alike.
pub(crate) fn now() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    u64::try_from(now.tv_sec()).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec()).unwrap()
}
