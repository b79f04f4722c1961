//! What ipc-shm promises, proven between real processes; the rows are those of docs/testing.md.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod asynchronous;
mod bytes;
mod corrupt;
mod doorbell;
#[path = "../../peers/shm/ends.rs"]
#[expect(dead_code, reason = "each side uses its part")]
mod ends;
mod flip;
mod forks;
mod invited;
mod litmus;
mod loans;
mod lock_barrier;
mod lock_interop;
mod lock_mutex;
mod lock_rwlock;
mod lock_system_v;
mod lock_words;
mod lossless;
mod lossless_crash;
mod memory;
mod mpmc;
mod mpmc_crash;
mod mpsc;
mod names;
mod one_to_many;
mod request;
mod request_crash;
mod request_loans;
mod rings;
mod select;
mod servers;
mod slow;
mod spsc;
mod spsc_crash;
mod stat;
mod steps;
mod strangers;
mod system_v;
mod tag;
mod truncated;
mod waiting;
