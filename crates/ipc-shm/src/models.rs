//! The shipped algorithms under loom, which runs every interleaving of up to so many preemptions as each model says, with
//! every value that the memory model allows:
//! `RUSTFLAGS="--cfg ipc_loom" cargo test -p ipc-shm --release --lib models`.
//!
//! A model that passes proves little by itself, so each names its mutants: the fences and orderings without which it
//! must fail. [`finds`] leaves one out and expects loom to find a torn or lost message, or a sleep without end.
//! Without loom the same models run over a vector and threads of the operating system, for Miri (many seeds) and
//! ThreadSanitizer: `cargo +nightly miri test -p ipc-shm --lib models`. Miri keeps old values of each word, too, so that a
//! missing fence shows there. ThreadSanitizer knows no fences; it finds nothing wrong, as every word is an atomic.
//! Not modelled: the HOT gear, whose barrier is the kernel's and outside Rust's memory model.

pub(crate) mod heap;
#[cfg(test)]
mod lossless;
#[cfg(test)]
mod mpmc;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod readers;
#[cfg(test)]
mod request;
#[cfg(test)]
mod waiting;

use std::cell::Cell;
#[cfg(ipc_loom)]
use std::sync::atomic::Ordering;

#[cfg(ipc_loom)]
pub(crate) use heap::own_load;

#[cfg(ipc_loom)]
use crate::words::AtomicU64;

#[cfg(ipc_loom)]
thread_local! {
    /// What is left out; loom runs all threads of a model on the thread of its test.
    static LEFT_OUT: Cell<&'static str> = const { Cell::new("") };
}

/// Whether this fence is left out in this run.
#[cfg(ipc_loom)]
pub(crate) fn is_left_out(name: &'static str) -> bool {
    LEFT_OUT.get() == name
}

/// The store of [`crate::words::publish`].
#[cfg(ipc_loom)]
pub(crate) fn publish(word: &AtomicU64, value: u64) {
    let ordering = if is_left_out("publish") { Ordering::Relaxed } else { Ordering::Release };
    word.store(value, ordering);
}

/// Ends the thread of a participant that is to die after so many steps; what it has locked is its model's business.
pub(crate) fn step(left: &Cell<u32>) {
    match left.get() {
        0 => std::panic::resume_unwind(Box::new("killed")),
        u32::MAX => {}
        more => left.set(more - 1),
    }
}

/// Once for Miri, which takes another way for each seed.
#[cfg(all(test, not(ipc_loom)))]
fn check(_: usize, model: impl Fn() + Sync + Send + 'static) {
    for _ in 0..if cfg!(miri) { 1 } else { 200 } {
        model();
    }
}

#[cfg(all(test, ipc_loom))]
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// Runs the model without `name`, and fails if it still passes.
#[cfg(all(test, ipc_loom))]
fn finds(name: &'static str, preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    LEFT_OUT.set(name);
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(preemptions, model)));
    LEFT_OUT.set("");
    assert!(failed.is_err(), "the model passes without {name:?}: it proves nothing about it");
}
