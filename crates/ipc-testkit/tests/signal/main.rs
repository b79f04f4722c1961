//! What ipc-signal promises, proven between real processes; the rows are those of docs/testing.md.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is how it fails"
)]

mod child;
mod mask;
mod queue;
mod trace;

/// The numbers of a line.
fn numbers(line: &str) -> Vec<u64> {
    line.split(' ').map(|word| word.parse().unwrap()).collect()
}
