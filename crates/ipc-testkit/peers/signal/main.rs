//! The roles of tests/signal: a module for each room of ipc-signal.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "in a test kit a panic is how a test fails"
)]

mod child;
mod forks;
mod handler;
mod limits;
mod mask;
mod others;
mod queue;
mod reuse;
mod tasks;
mod timer;
mod trace;
mod wait;

use ipc_testkit::role;

fn main() -> role::Result {
    role::play(&[
        ("alarms", timer::alarms),
        ("append-two", trace::append_two),
        ("chain", handler::chain),
        ("chain-naive", handler::chain_naive),
        ("closure", handler::closure),
        ("coexist", child::coexist),
        ("deadlines", wait::deadlines),
        ("deliver", handler::deliver),
        ("errno", handler::errno),
        ("forge", queue::forge),
        ("fork", handler::fork),
        ("fork-handles", forks::handles),
        ("full-queue", limits::full_queue),
        ("mask", mask::mask),
        ("memory", trace::memory),
        ("no-descriptors", limits::no_descriptors),
        ("no-rights", limits::no_rights),
        ("obey-init", queue::obey_init),
        ("options", handler::options),
        ("others", others::others),
        ("print-one", queue::print_one),
        ("reap", child::reap),
        ("receipt", wait::receipt),
        ("receive-mixed", queue::receive_mixed),
        ("receive-values", queue::receive_values),
        ("refusals", limits::refusals),
        ("register", handler::register),
        ("reuse", reuse::reuse),
        ("send-values", queue::send_values),
        ("show-status", mask::show_status),
        ("shutdown", handler::shutdown),
        ("statuses", child::statuses),
        ("storm", handler::storm),
        ("storm-naive", handler::storm_naive),
        ("tasks", tasks::tasks),
        ("timers", timer::timers),
        ("wake-nobody", handler::wake_nobody),
        ("whole-set", wait::whole_set),
    ])
}

/// The role's argument at this place.
fn argument<T: std::str::FromStr<Err: std::error::Error + 'static>>(
    arguments: &[String],
    at: usize,
) -> role::Result<T> {
    Ok(arguments.get(at).ok_or("an argument is missing")?.parse()?)
}
