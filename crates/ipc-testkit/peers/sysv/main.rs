//! The roles of tests/sysv: a module for each kind of object.
#![expect(clippy::unwrap_used, reason = "in a test kit a panic is how a test fails")]

mod queue;
mod segment;
mod semaphore;

use ipc_testkit::role;

fn main() -> role::Result {
    role::play(&[
        ("attach", segment::attach),
        ("attach-and-fork", segment::attach_and_fork),
        ("attach-what-it-hears", segment::attach_what_it_hears),
        ("create-set", semaphore::create_set),
        ("hold", semaphore::hold),
        ("hold-without-undo", semaphore::hold_without_undo),
        ("open-and-add", semaphore::open_and_add),
        ("open-and-add-naively", semaphore::open_and_add_naively),
        ("remove-set", semaphore::remove_set),
        ("send-and-receive", queue::send_and_receive),
        ("take-and-give", semaphore::take_and_give),
        ("take-and-give-without-undo", semaphore::take_and_give_without_undo),
        ("use-segment", segment::use_segment),
        ("wait-for-permits", semaphore::wait_for_permits),
        ("wait-interruptibly", semaphore::wait_interruptibly),
        ("wait-in-threads", semaphore::wait_in_threads),
    ])
}

/// The role's argument at this place.
fn argument<T: std::str::FromStr<Err: std::error::Error + 'static>>(
    arguments: &[String],
    at: usize,
) -> role::Result<T> {
    Ok(arguments.get(at).ok_or("an argument is missing")?.parse()?)
}
