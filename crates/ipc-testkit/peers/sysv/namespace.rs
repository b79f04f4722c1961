//! In an IPC namespace of their own: limits and ids that are given again; and as another user.

use std::fs;
use std::os::unix::fs::MetadataExt;

use ipc_sysv::{
    Error, Key, Limit, MessageBuffer, MessageQueue, MessageType, Op, Permissions, RemoveOnDrop, Segment,
    SegmentOptions, Select, SemaphoreSet, SemaphoreSetOptions,
};
use ipc_testkit::role::{Result, say};
use nix::sched::CloneFlags;

use super::argument;

/// An empty IPC namespace, in a user namespace of our own where we are not root. False where neither is allowed.
fn private_namespace() -> Result<bool> {
    let me = fs::metadata("/proc/self")?;
    if me.uid() == 0 {
        return Ok(nix::sched::unshare(CloneFlags::CLONE_NEWIPC).is_ok());
    }
    if nix::sched::unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWIPC).is_err() {
        return Ok(false);
    }
    // Without a map of groups our own group would have no number there, and IPC_SET could not name it.
    let maps = [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {} 1", me.uid())),
        ("gid_map", format!("0 {} 1", me.gid())),
    ];
    Ok(maps.iter().all(|(name, map)| fs::write(format!("/proc/self/{name}"), map).is_ok()))
}

/// Writes a limit of this namespace; false where that is not allowed.
fn limit(name: &str, value: impl std::fmt::Display) -> bool {
    fs::write(format!("/proc/sys/kernel/{name}"), value.to_string()).is_ok()
}

/// CAP_SYS_RESOURCE in the first user namespace.
fn may_exceed_limits() -> Result<bool> {
    let first = fs::read_to_string("/proc/self/uid_map")?.contains("4294967295");
    let status = fs::read_to_string("/proc/self/status")?;
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or("0");
    Ok(first && u64::from_str_radix(capabilities.trim(), 16)? & (1 << 24) != 0)
}

macro_rules! check {
    ($result:expr, $pattern:pat $(if $guard:expr)?) => {
        match $result {
            $pattern $(if $guard)? => {}
            other => return Err(format!("line {}: {other:?}", line!()).into()),
        }
    };
}

/// Row B6.
pub(crate) fn limits_of_semaphores(_: &[String]) -> Result {
    if !private_namespace()? || !limit("sem", "10 40 5 4") {
        return say("skip");
    }
    let create = |len: usize| SemaphoreSet::create(Key::PRIVATE, &vec![0; len]);
    let set = create(10)?;
    let ops = |count: usize| vec![Op::add(0, 1); count];
    check!(set.op(&ops(5)), Ok(()));
    check!(set.op(&ops(6)), Err(Error::TooLong { len: Some(6), max: 5, .. }));
    check!(set.try_op(&ops(6)), Err(Error::TooLong { .. }));
    check!(create(11), Err(Error::TooLong { len: Some(11), max: 10, .. }));
    check!(SemaphoreSet::create(Key::PRIVATE, &[]), Err(Error::OutOfRange { .. }));
    let others = [create(10)?, create(10)?, create(9)?];
    check!(create(1), Err(Error::LimitReached { which: Limit::SemaphoreSets, .. }));
    others[0].remove()?;
    others[2].remove()?;
    let full = [create(10)?, create(10)?];
    check!(create(1), Err(Error::LimitReached { .. }));
    full[0].remove()?;
    full[1].remove()?;
    let _twenty_nine = create(9)?;
    check!(limit("sem", "10 30 5 9"), true);
    check!(create(2), Err(Error::LimitReached { which: Limit::Semaphores, .. }));
    let usage = ipc_sysv::usage()?.semaphores;
    check!((usage.sets, usage.semaphores), (3, 29));
    let limits = ipc_sysv::limits()?.semaphores;
    check!((limits.set_len, limits.semaphores, limits.operations, limits.sets), (10, 30, 5, 9));
    say("ok")
}

/// Row C5.
pub(crate) fn limits_of_queues(_: &[String]) -> Result {
    if !private_namespace()? || !limit("msgmni", 3) || !limit("msgmnb", 10_000) {
        return say("skip");
    }
    let queues = [(); 3].map(|()| MessageQueue::create(Key::PRIVATE));
    check!(MessageQueue::create(Key::PRIVATE), Err(Error::LimitReached { which: Limit::MessageQueues, .. }));
    let [queue, ..] = queues;
    let queue = queue?;
    check!(queue.send(MessageType::ONE, &[0; 8192]), Ok(()));
    check!(
        queue.try_send(MessageType::ONE, &[0; 8193]),
        Err(Error::TooLong { len: Some(8193), max: 8192, .. })
    );
    let limits = ipc_sysv::limits()?.queues;
    check!((limits.queues, limits.message_len, limits.queue_bytes), (3, 8192, 10_000));
    let usage = ipc_sysv::usage()?.queues;
    check!((usage.queues, usage.messages, usage.bytes), (3, 1, 8192));
    check!(queue.set_max_bytes(9000), Ok(()));
    check!(queue.stat().map(|stat| stat.max_bytes), Ok(9000));
    let capable = may_exceed_limits()?;
    match queue.set_max_bytes(10_001) {
        Ok(()) => check!(capable, true),
        refused => check!((capable, refused), (false, Err(Error::PermissionDenied { .. }))),
    }
    // A message over the 8192 bytes that are sent from the stack, and over what a buffer begins with.
    if limit("msgmax", 100_000) && queue.set_max_bytes(200_000).is_ok() {
        let body = vec![7; 70_000];
        queue.send(MessageType::new(2).unwrap(), &body)?;
        let mut buffer = MessageBuffer::new();
        let select = Select::Type(MessageType::new(2).unwrap());
        check!(queue.recv(select, &mut buffer)?.body(), received if received == body);
    }
    say("ok")
}

/// Row D4.
pub(crate) fn limits_of_segments(_: &[String]) -> Result {
    if !private_namespace()? || !limit("shmmax", 8192) {
        return say("skip");
    }
    let create = |len| Segment::create(Key::PRIVATE, len);
    check!(create(8193), Err(Error::TooLong { len: Some(8193), max: 8192, .. }));
    check!(create(0), Err(Error::OutOfRange { .. }));
    check!(Segment::ephemeral(0), Err(Error::OutOfRange { .. }));
    let key = Key::new(77);
    let small = Segment::create(key, 100)?;
    check!(Segment::open_or_create(key, 101), Err(Error::WrongSize { wanted: 101, found: 100, .. }));
    check!(limit("shmmni", 2), true);
    let _second = create(1)?;
    check!(create(1), Err(Error::LimitReached { which: Limit::Segments, .. }));
    check!(limit("shmmni", 10), true);
    check!(limit("shmall", 3), true);
    check!(create(8192), Err(Error::LimitReached { which: Limit::Pages, .. }));
    let usage = ipc_sysv::usage()?.segments;
    check!((usage.segments, usage.pages), (2, 2));
    let limits = ipc_sysv::limits()?.segments;
    check!((limits.segments, limits.len, limits.min_len, limits.pages), (10, 8192, 1, 3));
    // No huge pages are set up here; without the privilege they are refused before that is noticed.
    let huge = SegmentOptions::new().huge_pages(true).create(Key::PRIVATE, 4096);
    check!(huge, Ok(_) | Err(Error::PermissionDenied { .. } | Error::LimitReached { .. }));
    let limited = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_MEMLOCK, 4096, 4096);
    limited?;
    check!(small.lock(), Ok(()) | Err(Error::LimitReached { which: Limit::LockedMemory, .. }));
    check!(small.unlock(), Ok(()));
    say("ok")
}

/// Row B7: objects whose ids were given to others.
pub(crate) fn replace_by_id(arguments: &[String]) -> Result {
    let rounds: usize = argument(arguments, 0)?;
    if !private_namespace()? || !limit("sem_next_id", 1) {
        return say("skip");
    }
    for _ in 0..rounds {
        let (old_key, new_key) = (Key::new(100), Key::new(200));
        let old = RemoveOnDrop::new(SemaphoreSet::create(old_key, &[1])?);
        SemaphoreSet::from_id(old.id())?.remove()?;
        check!(limit("sem_next_id", old.id()), true);
        // Larger, so that GETALL of the old handle would write beyond its buffer.
        let new = SemaphoreSet::create(new_key, &[3; 100])?;
        check!(new.id(), id if id == old.id());
        check!(old.verify(), Err(Error::Replaced { .. }));
        check!(SemaphoreSet::remove(&old), Err(Error::Replaced { .. }));
        check!(old.values(), Err(Error::Replaced { .. }));
        check!(old.set_values(&[2]), Err(Error::Replaced { .. }));
        drop(old);
        check!(new.verify(), Ok(()));
        check!(new.values()?, values if values == [3; 100]);
        new.remove()?;

        let old = RemoveOnDrop::new(MessageQueue::create(old_key)?);
        MessageQueue::from_id(old.id())?.remove()?;
        check!(limit("msg_next_id", old.id()), true);
        let new = RemoveOnDrop::new(MessageQueue::create(new_key)?);
        check!(new.id(), id if id == old.id());
        check!(MessageQueue::remove(&old), Err(Error::Replaced { .. }));
        drop(old);
        check!(new.verify(), Ok(()));

        // A busy id falls back to another one.
        check!(limit("msg_next_id", new.id()), true);
        let other = RemoveOnDrop::new(MessageQueue::create(old_key)?);
        check!(other.id(), id if id != new.id());

        // A segment under the same key, by another process of the same user: only the creator's pid tells.
        let old = RemoveOnDrop::new(Segment::create(old_key, 8192)?);
        Segment::from_id(old.id())?.remove()?;
        check!(limit("shm_next_id", old.id()), true);
        let made =
            std::process::Command::new(std::env::current_exe()?).args(["create-segment", "100"]).output()?;
        check!(String::from_utf8(made.stdout)?.trim().parse::<i32>()?, id if id == old.id());
        check!(old.verify(), Err(Error::Replaced { .. }));
        check!(old.attach(), Err(Error::Replaced { .. }));
        check!(Segment::remove(&old), Err(Error::Replaced { .. }));
        let new = RemoveOnDrop::new(Segment::from_id(old.id())?);
        drop(old);
        check!(new.verify(), Ok(()));

        // The same key, the same creator: nothing tells them apart, and the documentation says so.
        let old = MessageQueue::create(Key::new(300))?;
        old.remove()?;
        check!(limit("msg_next_id", old.id()), true);
        let new = RemoveOnDrop::new(MessageQueue::create(Key::new(300))?);
        check!(old.verify(), Ok(()));
        check!(new.id(), id if id == old.id());
    }
    say("ok")
}

/// Row B8: what another user may do with a set, a queue and a segment of mode 0600.
pub(crate) fn as_nobody(arguments: &[String]) -> Result {
    let set = SemaphoreSet::from_id(argument(arguments, 0)?)?;
    let queue = MessageQueue::from_id(argument(arguments, 1)?)?;
    let segment = Segment::from_id(argument(arguments, 2)?)?;
    nix::unistd::setgid(nix::unistd::Gid::from_raw(65534))?;
    nix::unistd::setuid(nix::unistd::Uid::from_raw(65534))?;
    let mine = Permissions { mode: 0o666, uid: 65534, gid: 65534 };

    check!(SemaphoreSet::open(set.identity().key), Err(Error::PermissionDenied { .. }));
    check!(set.op(&[Op::add(0, 1)]), Err(Error::PermissionDenied { .. }));
    check!(set.value(0), Err(Error::PermissionDenied { .. }));
    check!(set.values(), Err(Error::PermissionDenied { .. }));
    check!(set.set_value(0, 1), Err(Error::PermissionDenied { .. }));
    check!(set.set_values(&[1]), Err(Error::PermissionDenied { .. }));
    check!(set.last_pid(0), Err(Error::PermissionDenied { .. }));
    check!(set.waiting_for_zero(0), Err(Error::PermissionDenied { .. }));
    check!(set.stat(), Err(Error::PermissionDenied { .. }));
    check!(set.set_permissions(mine), Err(error) if error.errno() == Some(libc::EPERM));
    check!(set.remove(), Err(error) if error.errno() == Some(libc::EPERM));

    check!(MessageQueue::open(queue.identity().key), Err(Error::PermissionDenied { .. }));
    check!(queue.send(MessageType::ONE, b""), Err(Error::PermissionDenied { .. }));
    let mut buffer = MessageBuffer::new();
    check!(queue.try_recv(Select::Any, &mut buffer), Err(Error::PermissionDenied { .. }));
    check!(queue.peek(0, &mut buffer), Err(Error::PermissionDenied { .. }));
    check!(queue.stat(), Err(Error::PermissionDenied { .. }));
    check!(queue.set_max_bytes(1), Err(Error::PermissionDenied { .. }));
    check!(queue.remove(), Err(error) if error.errno() == Some(libc::EPERM));

    check!(Segment::open(segment.identity().key), Err(Error::PermissionDenied { .. }));
    check!(segment.attach(), Err(Error::PermissionDenied { .. }));
    check!(segment.attach_read_only(), Err(Error::PermissionDenied { .. }));
    check!(segment.stat(), Err(Error::PermissionDenied { .. }));
    check!(segment.lock(), Err(Error::PermissionDenied { .. }));
    check!(segment.unlock(), Err(Error::PermissionDenied { .. }));
    check!(segment.set_permissions(mine), Err(error) if error.errno() == Some(libc::EPERM));
    check!(segment.remove(), Err(error) if error.errno() == Some(libc::EPERM));

    // A set that may be read, whose creator died before it was initialized.
    let readable = SemaphoreSetOptions::new().mode(0o400);
    let forsaken = readable.open_or_create(Key::new(argument(arguments, 3)?), &[7]);
    check!(forsaken, Err(Error::Uninitialized { .. }));

    // What cannot be read is listed, and looked at by a handle, nevertheless.
    check!(ipc_sysv::semaphores()?.id(set.id()).into_iter().count(), 1);
    check!(ipc_sysv::queues()?.id(queue.id()).into_iter().count(), 1);
    check!(ipc_sysv::segments()?.id(segment.id()).into_iter().count(), 1);
    check!((set.verify(), queue.verify(), segment.verify()), (Ok(()), Ok(()), Ok(())));
    let removal = ipc_sysv::queues()?.id(queue.id()).remove();
    check!((removal.removed.len(), removal.refused.len()), (0, 1));
    say("ok")
}

/// In an IPC namespace of its own, with a key and an id of the one outside.
pub(crate) fn in_another_namespace(arguments: &[String]) -> Result {
    let (key, id) = (argument::<Key>(arguments, 0)?, argument(arguments, 1)?);
    if !private_namespace()? {
        return say("skip");
    }
    check!(MessageQueue::open(key), Err(Error::NotFound { .. }));
    check!(MessageQueue::from_id(id), Err(Error::NotFound { .. }));
    check!(ipc_sysv::queues()?.into_iter().count(), 0);
    // One of our own with the same key; it goes with the namespace.
    check!(MessageQueue::create(key)?.send(MessageType::ONE, b"inside"), Ok(()));
    say("ok")
}

/// What a listing says of one object of each kind, while the kernel refuses the calls by which it is made, and while it
/// refuses /proc as well.
pub(crate) fn refused_listing(_: &[String]) -> Result {
    let key = || Key::new(ipc_testkit::name::key());
    let set = RemoveOnDrop::new(SemaphoreSet::create(key(), &[1, 2])?);
    let queue = RemoveOnDrop::new(MessageQueue::create(key())?);
    queue.send(MessageType::ONE, b"seen")?;
    let segment = RemoveOnDrop::new(Segment::create(key(), 4096)?);
    let listed = || -> std::result::Result<String, Error> {
        let queues: Vec<_> = ipc_sysv::queues()?.id(queue.id()).into_iter().collect();
        Ok(format!(
            "{:?} {:?} {:?}",
            ipc_sysv::semaphores()?.id(set.id()),
            // /proc does not tell how many bytes a queue may hold.
            queues
                .iter()
                .map(|queue| (queue.identity, queue.permissions, queue.messages, queue.bytes))
                .collect::<Vec<_>>(),
            ipc_sysv::segments()?.id(segment.id()),
        ))
    };
    let by_place = listed()?;
    for errno in [libc::ENOSYS, libc::EPERM] {
        std::thread::scope(|scope| {
            let refused = scope.spawn(|| {
                for call in [libc::SYS_semctl, libc::SYS_msgctl, libc::SYS_shmctl] {
                    ipc_testkit::refuse::call(call, errno).unwrap();
                }
                assert_eq!(set.stat().unwrap_err().errno(), Some(errno));
                assert_eq!(listed().unwrap(), by_place);
                ipc_testkit::refuse::call(libc::SYS_openat, libc::EACCES).unwrap();
                assert!(matches!(listed(), Err(Error::System { source, .. }) if source.raw_os_error() == Some(errno)));
            });
            refused.join().unwrap();
        });
    }
    say("ok")
}
