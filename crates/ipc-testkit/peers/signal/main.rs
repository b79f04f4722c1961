//! The roles of tests/signal: a module for each room of ipc-signal.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "in a test kit a panic is how a test fails"
)]

mod child;
mod mask;
mod queue;
mod trace;

use ipc_testkit::role;

fn main() -> role::Result {
    role::play(&[
        ("append-two", trace::append_two),
        ("forge", queue::forge),
        ("mask", mask::mask),
        ("print-one", queue::print_one),
        ("reap", child::reap),
        ("receive-mixed", queue::receive_mixed),
        ("receive-values", queue::receive_values),
        ("send-values", queue::send_values),
        ("show-status", mask::show_status),
    ])
}

/// The role's argument at this place.
fn argument<T: std::str::FromStr<Err: std::error::Error + 'static>>(
    arguments: &[String],
    at: usize,
) -> role::Result<T> {
    Ok(arguments.get(at).ok_or("an argument is missing")?.parse()?)
}
