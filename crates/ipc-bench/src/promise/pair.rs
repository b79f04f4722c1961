//! How time is taken: two processes, each on a CPU of its own or both on one, or one thread alone.
#![expect(unsafe_code, reason = "it forks")]

use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// Runs `child` in a forked process on CPU `there` and `parent` here on CPU 0; gives the parent's nanoseconds per unit.
pub(crate) fn run(there: usize, units: u64, child: impl FnOnce(), parent: impl FnOnce() -> Instant) -> f64 {
    #[expect(clippy::disallowed_methods, reason = "this program forks before it has a second thread")]
    // SAFETY: this program has one thread; rtrb's have ended.
    let id = unsafe { libc::fork() };
    if id == 0 {
        pin(there);
        child();
        std::process::exit(0);
    }
    pin(0);
    let start = parent();
    let spent = start.elapsed();
    nix::sys::wait::waitpid(Pid::from_raw(id), None).unwrap();
    spent.as_nanos() as f64 / units as f64
}

/// Puts this thread on one CPU.
pub(crate) fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}

/// Nanoseconds a round of one pinned thread, after some that do not count.
pub(crate) fn time(rounds: u64, mut round: impl FnMut()) -> f64 {
    pin(0);
    (0..rounds / 10).for_each(|_| round());
    let start = Instant::now();
    (0..rounds).for_each(|_| round());
    start.elapsed().as_nanos() as f64 / rounds as f64
}

/// As [`time`], where a second half of each round, which makes room for the next, is not counted.
pub(crate) fn time_first(rounds: u64, mut first: impl FnMut(), mut second: impl FnMut()) -> f64 {
    pin(0);
    let mut spent = Duration::ZERO;
    for round in 0..rounds + rounds / 10 {
        let start = Instant::now();
        first();
        if round >= rounds / 10 {
            spent += start.elapsed();
        }
        second();
    }
    spent.as_nanos() as f64 / rounds as f64
}
