//! What ipc-signal promises, proven between real processes; the rows are those of docs/testing.md.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is how it fails"
)]

mod child;
mod handler;
mod interop;
mod limits;
mod mask;
mod queue;
mod timer;
mod trace;
mod wait;

/// The numbers of a line.
fn numbers(line: &str) -> Vec<u64> {
    line.split(' ').map(|word| word.parse().unwrap()).collect()
}

/// Whether a program is there to be run.
fn is_installed(program: &str) -> bool {
    std::process::Command::new(program)
        .arg("--version")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A user id that nobody has, and no other test uses.
fn nobody_else() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    1_000_000_000 + std::process::id() * 16 + NEXT.fetch_add(1, Ordering::SeqCst)
}
