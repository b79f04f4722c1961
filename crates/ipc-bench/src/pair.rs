//! Two processes, each on a CPU of its own or both on one.
#![expect(unsafe_code, reason = "it forks")]

use std::time::Instant;

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
