//! The calls that are made again and again allocate nothing, errors included.
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use ipc_sysv::{
    Key, MessageBuffer, MessageQueue, MessageType, Op, RemoveOnDrop, Segment, Select, SemaphoreSet,
};

thread_local! { static COUNT: Cell<usize> = const { Cell::new(0) }; }

struct Counting;

// SAFETY: hands on to the system's allocator what it was given.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // The thread may be ending: then nobody counts any more.
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: our caller's contract is the callee's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: our caller's contract is the callee's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `call` allocates.
fn allocations(call: impl FnOnce()) -> usize {
    let before = COUNT.get();
    call();
    COUNT.get() - before
}

#[test]
fn hot_calls_allocate_nothing() {
    let set = RemoveOnDrop::new(SemaphoreSet::create(Key::PRIVATE, &[1, 0]).unwrap());
    let semaphore = set.semaphore(0).unwrap();
    let queue = RemoveOnDrop::new(MessageQueue::create(Key::PRIVATE).unwrap());
    let segment = RemoveOnDrop::new(Segment::create(Key::PRIVATE, 4096).unwrap());
    let memory = segment.attach().unwrap();
    let mut buffer = MessageBuffer::new();
    assert!(allocations(|| drop(vec![1])) > 0);
    // The first message makes the buffer.
    queue.send(MessageType::ONE, b"first").unwrap();
    assert_eq!(allocations(|| drop(queue.recv(Select::Any, &mut buffer).map(|_| ()))), 1);

    let body = [7; 8192];
    let counted = allocations(|| {
        set.op(&[Op::add(1, 2), Op::subtract(1, 2)]).unwrap();
        set.try_op(&[Op::add(1, 1)]).unwrap();
        set.try_op(&[Op::wait_for_zero(1)]).unwrap_err();
        set.op_timeout(&[Op::wait_for_zero(1)], Duration::ZERO).unwrap_err();
        set.value(0).unwrap();
        set.set_value(1, 0).unwrap();
        drop(semaphore.acquire().unwrap());
        for len in [0, 1, 8192] {
            queue.send(MessageType::ONE, &body[..len]).unwrap();
            queue.peek(0, &mut buffer).unwrap();
            queue.recv(Select::Any, &mut buffer).unwrap();
        }
        queue.try_recv(Select::Any, &mut buffer).unwrap_err();
        memory.write_at(3, &body[..100]).unwrap();
        memory.read_value::<u64>(8).unwrap();
        segment.stat().unwrap();
    });
    assert_eq!(counted, 0);
}
