//! The smallest of exchanges, round after round: who stores first and then looks, and what it may miss.

use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};
use std::time::{Duration, Instant};

use ipc_shm::Shared;
use ipc_sys::Deadline;
use ipc_sys::futex;
use ipc_testkit::role::{Result, Role, say};
use nix::sched::{CpuSet, sched_setaffinity};

pub(crate) const ROLES: &[Role] = &[
    ("litmus-waker", waker),
    ("litmus-waiter", waiter),
    ("naive-sleeper", sleeper),
    ("naive-waker", naive_waker),
];

/// Words of different writers, two lines apart.
pub(crate) type Words = [AtomicU64; 320];
/// The round that has begun.
const GO: usize = 0;
/// What the waker publishes.
const DATA: usize = 16;
/// The round in which the waiter has said that it may sleep.
const BELL: usize = 32;
/// The round that the waker has ended, doubled, and whether it saw no bell.
const REPORT: usize = 48;
/// What the waker writes before it publishes, as a sender writes its message: lines that the waiter holds too, so that the
/// stores wait for them, and what is published behind them.
const MESSAGE: Lines = Lines(64);
/// The same of the waiter, as a receiver writes where it has read to.
const READ: Lines = Lines(192);
const END: u64 = u64::MAX;

/// Eight lines from a word on.
struct Lines(usize);

impl Lines {
    fn of<'w>(&self, words: &'w Words) -> impl Iterator<Item = &'w AtomicU64> {
        words[self.0..self.0 + 128].iter().step_by(16)
    }

    fn store(&self, words: &Words, round: u64) {
        self.of(words).for_each(|word| word.store(round, Ordering::Relaxed));
    }

    /// Has them in this CPU's cache.
    fn look(&self, words: &Words) -> u64 {
        std::hint::black_box(self.of(words).map(|word| word.load(Ordering::Relaxed)).sum())
    }
}

fn pin(cpu: usize) -> Result {
    let mut one = CpuSet::new();
    one.set(cpu)?;
    Ok(sched_setaffinity(nix::unistd::Pid::from_raw(0), &one)?)
}

fn pause(random: &mut fastrand::Rng, most: u32) {
    for _ in 0..random.u32(0..most) {
        std::hint::spin_loop();
    }
}

/// Up to about a microsecond, in steps of a few instructions.
fn delay(random: &mut fastrand::Rng) {
    for step in 0..random.u32(0..200) {
        std::hint::black_box(step);
    }
}

/// `litmus-waker NAME CPU`: publishes, then looks at the bell, without a fence.
fn waker(arguments: &[String]) -> Result {
    let shared = Shared::<Words>::open(&arguments[0])?;
    let words = shared.get()?;
    pin(arguments[1].parse()?)?;
    futex::register_barrier()?;
    let mut random = fastrand::Rng::with_seed(1);
    say("ready")?;
    let mut round = 0;
    loop {
        let go = words[GO].load(Ordering::Acquire);
        if go == END {
            return Ok(());
        }
        if go == round {
            // What the waiter is about to store lies here, so that our look at it is answered at once, and its store is not.
            READ.look(words);
            words[BELL].load(Ordering::Relaxed);
            continue;
        }
        round = go;
        delay(&mut random);
        MESSAGE.store(words, round);
        words[DATA].store(round, Ordering::Release);
        compiler_fence(Ordering::SeqCst);
        let missed = words[BELL].load(Ordering::Relaxed) != round;
        words[REPORT].store(round << 1 | u64::from(missed), Ordering::Release);
    }
}

/// `litmus-waiter NAME CPU ROUNDS barrier|nothing MILLISECONDS`: says that it may sleep, has the kernel put a barrier into the
/// waker or does not, then looks at the data; ends early at a miss of both. Says how many rounds and misses there were.
fn waiter(arguments: &[String]) -> Result {
    let shared = Shared::<Words>::open(&arguments[0])?;
    let words = shared.get()?;
    pin(arguments[1].parse()?)?;
    futex::register_barrier()?;
    let rounds: u64 = arguments[2].parse()?;
    let barrier = arguments[3] == "barrier";
    let end = Instant::now() + Duration::from_millis(arguments[4].parse()?);
    let mut random = fastrand::Rng::with_seed(2);
    let (mut made, mut missed) = (0, 0);
    while made < rounds && missed == 0 && (made % 1024 != 0 || Instant::now() < end) {
        made += 1;
        MESSAGE.look(words);
        words[DATA].load(Ordering::Relaxed);
        words[GO].store(made, Ordering::Release);
        delay(&mut random);
        READ.store(words, made);
        words[BELL].store(made, Ordering::Relaxed);
        if barrier {
            futex::barrier()?;
        }
        compiler_fence(Ordering::SeqCst);
        let seen = words[DATA].load(Ordering::Relaxed) == made;
        let report = loop {
            let report = words[REPORT].load(Ordering::Acquire);
            if report >> 1 == made {
                break report;
            }
            std::hint::spin_loop();
        };
        missed += u64::from(!seen && report & 1 == 1);
    }
    words[GO].store(END, Ordering::Release);
    say(format_args!("{made} {missed}"))
}

/// `naive-sleeper NAME`: looks, says that it sleeps, and sleeps, without a second look. Says after how many rounds it slept
/// although the round had come.
fn sleeper(arguments: &[String]) -> Result {
    let shared = Shared::<Words>::open(&arguments[0])?;
    let words = shared.get()?;
    let mut random = fastrand::Rng::with_seed(4);
    say("ready")?;
    for round in 1..2_000_000 {
        while words[DATA].load(Ordering::SeqCst) < round {
            pause(&mut random, 60);
            words[BELL].store(1, Ordering::SeqCst);
            let ticket = words[REPORT].load(Ordering::SeqCst);
            let woken = futex::wait_low(
                &words[REPORT],
                u32::try_from(ticket)?,
                Deadline::after(Duration::from_millis(100)),
            )?;
            words[BELL].store(0, Ordering::SeqCst);
            if woken == futex::Wait::TimedOut && words[DATA].load(Ordering::SeqCst) == round {
                words[GO].store(END, Ordering::SeqCst);
                return say(format_args!("lost in round {round}"));
            }
        }
        words[GO].store(round, Ordering::SeqCst);
    }
    words[GO].store(END, Ordering::SeqCst);
    say("nothing lost")
}

/// `naive-waker NAME`: stores the round, and wakes who has said that it sleeps.
fn naive_waker(arguments: &[String]) -> Result {
    let shared = Shared::<Words>::open(&arguments[0])?;
    let words = shared.get()?;
    let mut random = fastrand::Rng::with_seed(3);
    for round in 1.. {
        pause(&mut random, 60);
        words[DATA].store(round, Ordering::SeqCst);
        if words[BELL].load(Ordering::SeqCst) == 1 {
            words[REPORT].fetch_add(1, Ordering::SeqCst);
            futex::wake_low(&words[REPORT], 1)?;
        }
        loop {
            match words[GO].load(Ordering::SeqCst) {
                END => return Ok(()),
                done if done == round => break,
                _ => std::hint::spin_loop(),
            }
        }
    }
    Ok(())
}
