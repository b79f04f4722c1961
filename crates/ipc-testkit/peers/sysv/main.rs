//! The roles of tests/sysv: a module for each kind of object.
#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test kit a panic is how a test fails")]

mod namespace;
mod queue;
mod segment;
mod semaphore;

use ipc_testkit::role;

fn main() -> role::Result {
    role::play(&[
        ("attach", segment::attach),
        ("attach-and-fork", segment::attach_and_fork),
        ("attach-what-it-hears", segment::attach_what_it_hears),
        ("as-nobody", namespace::as_nobody),
        ("count-up", queue::count_up),
        ("create-segment", segment::create_segment),
        ("create-set", semaphore::create_set),
        ("fork-with-a-guard", semaphore::fork_with_a_guard),
        ("fork-with-a-permit", semaphore::fork_with_a_permit),
        ("hold", semaphore::hold),
        ("hold-without-undo", semaphore::hold_without_undo),
        ("hot", semaphore::hot),
        ("increment", segment::increment),
        ("in-another-namespace", namespace::in_another_namespace),
        ("limits-of-queues", namespace::limits_of_queues),
        ("limits-of-segments", namespace::limits_of_segments),
        ("limits-of-semaphores", namespace::limits_of_semaphores),
        ("open-and-add", semaphore::open_and_add),
        ("open-and-add-naively", semaphore::open_and_add_naively),
        ("operate", semaphore::operate),
        ("recover", segment::recover),
        ("recv-all", queue::recv_all),
        ("recv-and-count", queue::recv_and_count),
        ("recv-interruptibly", queue::recv_interruptibly),
        ("refused-listing", namespace::refused_listing),
        ("remove-set", semaphore::remove_set),
        ("replace-by-id", namespace::replace_by_id),
        ("send", queue::send),
        ("send-all", queue::send_all),
        ("send-and-recv", queue::send_and_recv),
        ("send-interruptibly", queue::send_interruptibly),
        ("storm", queue::storm),
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
