//! Each errno that can be provoked without another user and without another namespace, and its variant. The rest is in
//! the test kit: limits (B6, C5, D4), another user (B8), signals and removal while blocked (B5, C3).
#![expect(clippy::unwrap_used, reason = "in a test a panic is how it fails")]

use std::io;
use std::ptr;
use std::time::Duration;

use ipc_sysv::{
    AttachOptions, Error, Key, KeyFile, MessageBuffer, MessageQueue, MessageType, Op, Permissions,
    RemoveOnDrop, Segment, SegmentOptions, Select, SemaphoreSet,
};

fn set(values: &[u16]) -> RemoveOnDrop<SemaphoreSet> {
    RemoveOnDrop::new(SemaphoreSet::create(Key::PRIVATE, values).unwrap())
}

fn queue() -> RemoveOnDrop<MessageQueue> {
    RemoveOnDrop::new(MessageQueue::create(Key::PRIVATE).unwrap())
}

fn segment(len: usize) -> RemoveOnDrop<Segment> {
    RemoveOnDrop::new(Segment::create(Key::PRIVATE, len).unwrap())
}

/// A key that nobody else of this process uses.
fn key(number: i32) -> Key {
    let process = i32::try_from(std::process::id() & 0xffff).unwrap();
    Key::new(0x4a00_0000 | process << 8 | number)
}

/// Whether the result is an error of this variant with this errno.
macro_rules! assert_error {
    ($result:expr, $variant:pat, $errno:expr) => {{
        let error = $result.map(drop).unwrap_err();
        assert!(matches!(error, $variant), "{error:?}");
        let errno: Option<i32> = $errno.into();
        assert_eq!(error.errno(), errno, "{error:?}");
        assert_eq!(io::Error::from(error).raw_os_error(), errno);
    }};
}

#[test]
fn a_key_wants_a_file() {
    assert_error!(Key::from_path("/nonexistent", b'a'), Error::KeyFile { .. }, libc::ENOENT);
    assert_error!(Key::from_path("/etc/passwd/x", b'a'), Error::KeyFile { .. }, libc::ENOTDIR);
    assert_error!(Key::from_path("x".repeat(300), b'a'), Error::KeyFile { .. }, libc::ENAMETOOLONG);
    assert_error!(KeyFile::open("", b'a'), Error::KeyFile { .. }, libc::ENOENT);
}

#[test]
fn semget_creates_what_is_not_there_and_opens_what_is() {
    let key = key(1);
    assert_error!(SemaphoreSet::open(key), Error::NotFound { .. }, libc::ENOENT);
    assert_error!(SemaphoreSet::open(Key::PRIVATE), Error::NotFound { .. }, libc::ENOENT);
    assert_error!(SemaphoreSet::from_id(-1), Error::NotFound { .. }, libc::EINVAL);
    assert_error!(SemaphoreSet::create(key, &[]), Error::OutOfRange { .. }, libc::EINVAL);
    assert_error!(SemaphoreSet::create(key, &[1, 32_768]), Error::OutOfRange { .. }, libc::ERANGE);
    let many = vec![0; usize::try_from(ipc_sysv::limits().unwrap().semaphores.set_len).unwrap() + 1];
    assert_error!(SemaphoreSet::create(key, &many), Error::TooLong { .. }, libc::EINVAL);
    // Nothing half-made is left.
    assert_error!(SemaphoreSet::open(key), Error::NotFound { .. }, libc::ENOENT);

    let _set = RemoveOnDrop::new(SemaphoreSet::create(key, &[1, 2]).unwrap());
    assert_error!(SemaphoreSet::create(key, &[1, 2]), Error::Exists { .. }, libc::EEXIST);
    for other in [&[1][..], &[1, 2, 3]] {
        let size = SemaphoreSet::open_or_create(key, other);
        assert_error!(size, Error::WrongSize { found: 2, .. }, libc::EINVAL);
    }
}

#[test]
fn a_large_set_is_initialized_too() {
    // More than fit one semop.
    let values: Vec<u16> = (0..600).collect();
    let set = set(&values);
    assert_eq!(set.values().unwrap(), values);
    assert!(set.stat().unwrap().operated.is_some());
}

#[test]
fn semop_errors() {
    let set = set(&[0, 32_767]);
    assert_error!(set.try_op(&[Op::subtract(0, 1)]), Error::WouldBlock { .. }, libc::EAGAIN);
    assert_error!(set.try_op(&[Op::wait_for_zero(1)]), Error::WouldBlock { .. }, libc::EAGAIN);
    let late = set.op_timeout(&[Op::wait_for_zero(1)], Duration::ZERO);
    assert_error!(late, Error::TimedOut { .. }, libc::ETIMEDOUT);
    assert_error!(set.op(&[Op::add(2, 1)]), Error::OutOfRange { .. }, libc::EFBIG);
    assert_error!(set.op(&[Op::add(1, 1)]), Error::OutOfRange { .. }, libc::ERANGE);
    assert_error!(set.op(&[]), Error::OutOfRange { .. }, libc::EINVAL);
    for out_of_range in [0, 32_768, u16::MAX] {
        assert_error!(set.op(&[Op::add(0, out_of_range)]), Error::OutOfRange { .. }, libc::ERANGE);
        assert_error!(set.op(&[Op::subtract(0, out_of_range)]), Error::OutOfRange { .. }, libc::ERANGE);
    }
    let limit = usize::try_from(ipc_sysv::limits().unwrap().semaphores.operations).unwrap();
    set.op(&vec![Op::wait_for_zero(0); limit]).unwrap();
    let over = vec![Op::wait_for_zero(0); limit + 1];
    assert_error!(set.op(&over), Error::TooLong { .. }, libc::E2BIG);
    assert_error!(set.try_op(&over), Error::TooLong { .. }, libc::E2BIG);

    // The sum of one process's undos is limited, whatever the value is.
    set.op(&[Op::add(0, 32_767).undo(), Op::subtract(0, 32_767)]).unwrap();
    set.op(&[Op::add(0, 1).undo()]).unwrap();
    assert_error!(set.op(&[Op::add(0, 1).undo()]), Error::OutOfRange { .. }, libc::ERANGE);
    set.set_value(0, 0).unwrap();
    set.op(&[Op::add(0, 1).undo()]).unwrap();
}

#[test]
fn semctl_errors() {
    let set = set(&[0, 0]);
    assert_error!(set.value(2), Error::OutOfRange { .. }, libc::EINVAL);
    assert_error!(set.last_pid(2), Error::OutOfRange { .. }, libc::EINVAL);
    assert_error!(set.waiting_for_increase(2), Error::OutOfRange { .. }, libc::EINVAL);
    assert_error!(set.waiting_for_zero(2), Error::OutOfRange { .. }, libc::EINVAL);
    assert_error!(set.set_value(2, 1), Error::OutOfRange { .. }, libc::EINVAL);
    assert_error!(set.semaphore(2), Error::OutOfRange { .. }, libc::EFBIG);
    assert_error!(set.set_value(0, 32_768), Error::OutOfRange { .. }, libc::ERANGE);
    assert_error!(set.set_values(&[0, 32_768]), Error::OutOfRange { .. }, libc::ERANGE);
    assert_error!(set.set_values(&[0]), Error::WrongSize { wanted: 1, found: 2, .. }, libc::EINVAL);
    let nobody = Permissions { mode: 0o600, uid: u32::MAX, gid: 0 };
    assert_error!(set.set_permissions(nobody), Error::OutOfRange { .. }, libc::EINVAL);
    set.set_values(&[32_767, 32_767]).unwrap();
    assert_eq!(set.values().unwrap(), [32_767, 32_767]);
}

#[test]
fn a_removed_set_says_so_in_every_call() {
    let set = set(&[1]).keep();
    let semaphore = set.semaphore(0).unwrap();
    let permit = semaphore.acquire().unwrap();
    set.remove().unwrap();
    let any = Permissions { mode: 0, uid: 0, gid: 0 };
    assert_error!(set.op(&[Op::add(0, 1)]), Error::Removed { .. }, libc::EINVAL);
    assert_error!(set.try_op(&[Op::add(0, 1)]), Error::Removed { .. }, libc::EINVAL);
    assert_error!(set.op_interruptible(&[Op::add(0, 1)]), Error::Removed { .. }, libc::EINVAL);
    assert_error!(set.op_timeout(&[Op::add(0, 1)], Duration::MAX), Error::Removed { .. }, libc::EINVAL);
    assert_error!(set.value(0), Error::Removed { .. }, libc::EINVAL);
    assert_error!(set.values(), Error::Removed { .. }, libc::EINVAL);
    assert_error!(set.set_value(0, 1), Error::Removed { .. }, libc::EINVAL);
    assert_error!(set.set_values(&[1]), Error::Removed { .. }, libc::EINVAL);
    assert_error!(set.stat(), Error::Removed { .. }, libc::EINVAL);
    assert_error!(set.set_permissions(any), Error::Removed { .. }, libc::EINVAL);
    assert_error!(set.verify(), Error::Removed { .. }, libc::EINVAL);
    assert_error!(set.remove(), Error::Removed { .. }, libc::EINVAL);
    // Its place is used again: EIDRM.
    let _successors: Vec<_> = (0..8).map(|_| self::set(&[1])).collect();
    assert!(set.op(&[Op::add(0, 1)]).unwrap_err().is_removed());
    drop(permit);
}

#[test]
fn msgget_errors() {
    let key = key(2);
    assert_error!(MessageQueue::open(key), Error::NotFound { .. }, libc::ENOENT);
    assert_error!(MessageQueue::open(Key::PRIVATE), Error::NotFound { .. }, libc::ENOENT);
    assert_error!(MessageQueue::from_id(-1), Error::NotFound { .. }, libc::EINVAL);
    let _queue = RemoveOnDrop::new(MessageQueue::create(key).unwrap());
    assert_error!(MessageQueue::create(key), Error::Exists { .. }, libc::EEXIST);
}

#[test]
fn msgsnd_and_msgrcv_errors() {
    let queue = queue();
    let max = usize::try_from(ipc_sysv::limits().unwrap().queues.message_len).unwrap();
    let body = vec![1; max + 1];
    assert_error!(queue.send(MessageType::ONE, &body), Error::TooLong { .. }, libc::EINVAL);
    assert_error!(queue.try_send(MessageType::ONE, &body), Error::TooLong { .. }, libc::EINVAL);
    let mut buffer = MessageBuffer::new();
    let other = MessageType::new(2).unwrap();
    queue.send(MessageType::ONE, b"four").unwrap();
    for select in [Select::Type(other), Select::Except(MessageType::ONE)] {
        assert_error!(queue.try_recv(select, &mut buffer), Error::WouldBlock { .. }, libc::ENOMSG);
    }
    assert!(queue.peek(1, &mut buffer).unwrap().is_none());
    let mut small = MessageBuffer::limited(0, 3);
    assert_error!(queue.recv(Select::Any, &mut small), Error::TooLong { max: 3, .. }, libc::E2BIG);
    assert_error!(queue.peek(0, &mut small), Error::TooLong { max: 3, .. }, libc::E2BIG);
    let message = queue.recv(Select::Any, &mut buffer).unwrap();
    assert_error!(message.value::<u64>(), Error::WrongSize { wanted: 8, found: 4, .. }, libc::EBADMSG);
    assert_eq!(message.value::<[u8; 4]>().unwrap(), *b"four");

    queue.set_max_bytes(2).unwrap();
    queue.try_send(MessageType::ONE, b"ab").unwrap();
    assert_error!(queue.try_send(MessageType::ONE, b"c"), Error::WouldBlock { .. }, libc::EAGAIN);
    let nobody = Permissions { mode: 0o600, uid: 0, gid: u32::MAX };
    assert_error!(queue.set_permissions(nobody), Error::OutOfRange { .. }, libc::EINVAL);
}

#[test]
fn a_removed_queue_says_so_in_every_call() {
    let queue = queue().keep();
    queue.remove().unwrap();
    let mut buffer = MessageBuffer::new();
    assert_error!(queue.send(MessageType::ONE, b""), Error::Removed { .. }, libc::EINVAL);
    assert_error!(queue.try_send(MessageType::ONE, b""), Error::Removed { .. }, libc::EINVAL);
    assert_error!(queue.send_interruptible(MessageType::ONE, b""), Error::Removed { .. }, libc::EINVAL);
    assert_error!(queue.recv(Select::Any, &mut buffer), Error::Removed { .. }, libc::EINVAL);
    assert_error!(queue.try_recv(Select::Any, &mut buffer), Error::Removed { .. }, libc::EINVAL);
    assert_error!(queue.recv_interruptible(Select::Any, &mut buffer), Error::Removed { .. }, libc::EINVAL);
    assert_error!(queue.recv_truncated(Select::Any, 1, &mut buffer), Error::Removed { .. }, libc::EINVAL);
    assert_error!(queue.peek(0, &mut buffer), Error::Removed { .. }, libc::EINVAL);
    assert_error!(queue.stat(), Error::Removed { .. }, libc::EINVAL);
    assert_error!(queue.set_max_bytes(1), Error::Removed { .. }, libc::EINVAL);
    assert_error!(queue.verify(), Error::Removed { .. }, libc::EINVAL);
    assert_error!(queue.remove(), Error::Removed { .. }, libc::EINVAL);
    assert!(queue.messages(Select::Any).next().is_none());
}

#[test]
fn shmget_errors() {
    let key = key(3);
    assert_error!(Segment::open(key), Error::NotFound { .. }, libc::ENOENT);
    assert_error!(Segment::open(Key::PRIVATE), Error::NotFound { .. }, libc::ENOENT);
    assert_error!(Segment::from_id(-1), Error::NotFound { .. }, libc::EINVAL);
    assert_error!(Segment::create(key, 0), Error::OutOfRange { .. }, libc::EINVAL);
    assert_error!(Segment::create(key, usize::MAX), Error::TooLong { .. }, libc::EINVAL);
    let _segment = RemoveOnDrop::new(Segment::create(key, 100).unwrap());
    assert_error!(Segment::create(key, 100), Error::Exists { .. }, libc::EEXIST);
    let larger = SegmentOptions::new().open(key, 101);
    assert_error!(larger, Error::WrongSize { wanted: 101, found: 100, .. }, libc::EINVAL);
    let larger = Segment::open_or_create(key, 101);
    assert_error!(larger, Error::WrongSize { wanted: 101, found: 100, .. }, libc::EINVAL);
}

#[test]
fn shmat_errors() {
    let segment = segment(100);
    let memory = segment.attach().unwrap();
    for (offset, len) in [(100, 1), (99, 2), (101, 0), (usize::MAX, 1), (1, usize::MAX >> 40)] {
        let mut bytes = vec![0; len];
        assert_error!(memory.read_at(offset, &mut bytes), Error::OutOfRange { .. }, libc::ERANGE);
        assert_error!(memory.write_at(offset, &bytes), Error::OutOfRange { .. }, libc::ERANGE);
    }
    assert_error!(memory.read_value::<u64>(93), Error::OutOfRange { .. }, libc::ERANGE);
    memory.write_at(100, &[]).unwrap();

    // Where something is mapped already nothing is replaced; anywhere in a free page it is rounded down.
    let busy = AttachOptions::new().near(memory.as_ptr()).attach(&segment);
    assert_error!(busy, Error::OutOfRange { .. }, libc::EINVAL);
    let free = segment.attach_read_only().unwrap();
    let address = free.as_ptr().map_addr(|address| address + 5);
    free.detach().unwrap();
    let again = AttachOptions::new().near(address).attach_read_only(&segment);
    if let Ok(again) = again {
        // Unless another thread has mapped something there meanwhile.
        assert_eq!(again.as_ptr().map_addr(|address| address + 5), address);
    }
    let anywhere = AttachOptions::new().near(ptr::null()).attach(&segment).unwrap();
    assert_eq!(segment.stat().unwrap().identity, anywhere.identity());
    // Rounded down it would be the null page, which the kernel gives to root.
    let attached = segment.stat().unwrap().attached;
    let null = AttachOptions::new().near(ptr::without_provenance(1)).attach(&segment);
    assert_error!(null, Error::OutOfRange { .. }, libc::EINVAL);
    assert_eq!(segment.stat().unwrap().attached, attached);
    segment.lock().unwrap();
    assert!(segment.stat().unwrap().is_locked);
    segment.unlock().unwrap();
    assert!(!segment.stat().unwrap().is_locked);
}

#[test]
fn a_removed_segment_says_so_in_every_call() {
    let segment = segment(100).keep();
    segment.remove().unwrap();
    let any = Permissions { mode: 0, uid: 0, gid: 0 };
    assert_error!(segment.attach(), Error::Removed { .. }, libc::EINVAL);
    assert_error!(segment.attach_read_only(), Error::Removed { .. }, libc::EINVAL);
    assert_error!(segment.stat(), Error::Removed { .. }, libc::EINVAL);
    assert_error!(segment.set_permissions(any), Error::Removed { .. }, libc::EINVAL);
    assert_error!(segment.lock(), Error::Removed { .. }, libc::EINVAL);
    assert_error!(segment.unlock(), Error::Removed { .. }, libc::EINVAL);
    assert_error!(segment.verify(), Error::Removed { .. }, libc::EINVAL);
    assert_error!(segment.remove(), Error::Removed { .. }, libc::EINVAL);
}

#[test]
fn what_has_no_errno_keeps_its_text() {
    let error = Error::KeyCollision { key: Key::new(7), path: "/a/file".into() };
    let text = error.to_string();
    assert!(text.contains("/a/file") && text.contains("0x00000007"), "{text}");
    let converted = io::Error::from(error);
    assert_eq!((converted.raw_os_error(), converted.to_string()), (None, text));
    assert_eq!(converted.kind(), io::ErrorKind::AlreadyExists);
    let Err(Error::NotFound { object, .. }) = SemaphoreSet::open(Key::PRIVATE) else { unreachable!() };
    for (error, kind) in [
        (Error::InUse { object, attached: 1 }, io::ErrorKind::ResourceBusy),
        (Error::Foreign { object }, io::ErrorKind::AlreadyExists),
        (Error::ForeignOwner { object, uid: None }, io::ErrorKind::PermissionDenied),
        (Error::Uninitialized { object }, io::ErrorKind::InvalidData),
    ] {
        assert_eq!(io::Error::from(error).kind(), kind);
    }
}

#[test]
fn values_can_be_asked_for_while_a_thread_ends() {
    /// Asks when the thread-local values of its thread are destroyed, and tells what it heard.
    struct Asks(SemaphoreSet, std::sync::mpsc::Sender<Vec<u16>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.values().unwrap());
        }
    }
    thread_local! { static LAST: std::cell::RefCell<Vec<Asks>> = const { std::cell::RefCell::new(Vec::new()) }; }
    let (set, (tell, told)) = (set(&[1, 2, 3]), std::sync::mpsc::channel());
    let (handle, other) = (set.clone(), tell.clone());
    std::thread::spawn(move || {
        // Before the crate's own buffer, and after.
        LAST.with_borrow_mut(|last| last.push(Asks(handle.clone(), tell)));
        handle.values().unwrap();
    })
    .join()
    .unwrap();
    let handle = set.clone();
    std::thread::spawn(move || {
        handle.values().unwrap();
        LAST.with_borrow_mut(|last| last.push(Asks(handle, other)));
    })
    .join()
    .unwrap();
    assert_eq!(told.iter().collect::<Vec<_>>(), [[1, 2, 3], [1, 2, 3]]);
}
