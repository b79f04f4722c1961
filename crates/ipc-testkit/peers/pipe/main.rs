//! The roles of tests/pipe.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a peer that panics fails its test"
)]

mod frames;
mod hostile;
mod leak;
mod limits;
mod opening;
mod reading;
mod sharing;
mod sigpipe;
mod storm;
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
        ("hand_storm", leak::hand_storm),
        ("holds", leak::holds),
        ("plants", hostile::plants),
        ("stranger", hostile::stranger),
        ("full_and_read_only", hostile::full_and_read_only),
        ("storm_writer", storm::writer),
        ("storm_reader", storm::reader),
        ("storm_deadlines", storm::deadlines),
        ("storm_twin", storm::twin),
        ("few_descriptors", limits::few_descriptors),
        ("refused_pipe", limits::refused_pipe),
        ("refused_fifo", limits::refused_fifo),
        ("without_proc", limits::without_proc),
        ("unprivileged", limits::unprivileged),
        ("pages_soft", limits::pages_soft),
        ("frame_writer", frames::writer),
        ("numbers_writer", sharing::numbers_writer),
        ("numbers_reader", sharing::numbers_reader),
        ("modes", sharing::modes),
        ("count_pipes", sharing::count_pipes),
        ("first_forks", sharing::first_forks),
        ("forks", sharing::forks),
    ])
}
