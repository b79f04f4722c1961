//! The roles of tests/pipe.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a peer that panics fails its test")]

#[path = "pipe/leak.rs"]
mod leak;
#[path = "pipe/opening.rs"]
mod opening;
#[path = "pipe/reading.rs"]
mod reading;
#[path = "pipe/sigpipe.rs"]
mod sigpipe;
#[path = "pipe/writing.rs"]
mod writing;

use ipc_testkit::role;

fn main() -> role::Result {
    role::play(&[
        ("atomic_writer", writing::atomic),
        ("plain_writer", writing::plain),
        ("silent_writer", writing::silent),
        ("reader", reading::reader),
        ("read_to_end", reading::read_to_end),
        ("sigpipe", sigpipe::ours),
        ("sigpipe_twin", sigpipe::twin),
        ("opens_in_vain", opening::in_vain),
        ("opens_for_ever", opening::for_ever),
        ("opens_writer", opening::writer),
        ("opens_reader", opening::reader),
        ("leak_storm", leak::storm),
        ("leak_storm_twin", leak::twin),
    ])
}
