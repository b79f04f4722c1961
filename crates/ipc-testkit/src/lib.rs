//! The other process: every test of ipc-suite that needs two of them.
//!
//! - [`Peer`]: a test starts a role of one of the programs in `peers/` as a real process, talks to it line by line, and
//!   never waits longer than [`WATCHDOG`] for an answer
//! - [`role`]: the peer's side of that conversation
//! - [`name`]: names, keys and directories that no other test uses, gone at the end
//! - [`audit`]: what a process holds, compared before and after
//! - [`calls`]: the system calls that a peer makes
//! - [`crash`]: death at every instruction, one after another
//! - [`locks`]: what the tests of locks in shared memory and their peers map together
//! - [`refuse`]: a kernel that says no (seccomp), and a process that has lost its privileges
//! - [`report`]: what a test proved, how often, with which seed, or why it was skipped
//!
//! Process-wide state (dispositions, masks, umask, limits) is changed in peers only, so that tests of one binary run in
//! parallel. Nothing here sleeps to be on the safe side: [`until`] looks again every millisecond for what has no event.
#![expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test kit a panic is how a test fails"
)]

pub mod audit;
pub mod calls;
pub mod crash;
pub mod locks;
pub mod name;
mod peer;
#[cfg(doctest)]
mod readme;
pub mod refuse;
pub mod report;
pub mod role;

pub use peer::Peer;

use std::time::{Duration, Instant};

/// How long one operation may take before it counts as hung: so long that no loaded machine comes near it, and that whoever
/// waits for an unfair lock gets it, because what is slow is not what it looks for. Whatever is to happen in the end is waited
/// for so long, and never for a shorter time that a machine might need.
pub const WATCHDOG: Duration = Duration::from_secs(120);

/// Looks every millisecond whether `condition` holds, for what the kernel offers no event for: a peer that has fallen
/// asleep in a call, an entry of /proc that appears.
///
/// # Panics
/// When it does not hold within [`WATCHDOG`].
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < WATCHDOG, "{what} did not happen within {WATCHDOG:?}");
        #[expect(clippy::disallowed_methods, reason = "the one polling helper")]
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The number of repetitions of this run: `quick` in `cargo xtask test-all`, `full` in `cargo xtask verify`, which sets
/// `IPC_TIER=full`, or `IPC_TIER=long` for [`is_long`].
#[must_use]
pub fn repetitions(quick: usize, full: usize) -> usize {
    repetitions_or_long(quick, full, full)
}

/// As [`repetitions`], with a count of its own for [`is_long`], which takes its time.
#[must_use]
pub fn repetitions_or_long(quick: usize, full: usize, long: usize) -> usize {
    match std::env::var_os("IPC_TIER") {
        Some(tier) if tier == "full" => full,
        Some(tier) if tier == "long" => long,
        _ => quick,
    }
}

/// Whether this is `cargo xtask verify --long`: nothing is cut short for the sake of the clock.
#[must_use]
pub fn is_long() -> bool {
    std::env::var_os("IPC_TIER").is_some_and(|tier| tier == "long")
}

/// Runs `call` and gives its result and how long it took.
pub fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = call();
    (result, start.elapsed())
}
