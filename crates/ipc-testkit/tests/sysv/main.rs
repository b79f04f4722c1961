//! What ipc-sysv promises, proven between real processes; the rows are those of docs/testing.md.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is how it fails"
)]

mod cost;
mod initialization;
mod interop;
mod interruption;
mod limits;
mod listing;
mod model;
mod queue;
mod recovery;
mod segment;
mod semaphore;
mod state;
mod stress;

/// A key of this test's own.
fn key() -> ipc_sysv::Key {
    ipc_sysv::Key::new(ipc_testkit::name::key())
}
