//! What the kernel tells of an object: each field of its status, and the limits, against what was done and /proc.

use std::fs;
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use ipc_sysv::{
    Key, MessageBuffer, MessageQueue, MessageType, Op, Permissions, RemoveOnDrop, Segment, SegmentOptions,
    Select, SemaphoreSet, SemaphoreSetOptions,
};
use ipc_testkit::{Peer, peer, until};

fn pid(peer: &Peer) -> Option<NonZeroU32> {
    NonZeroU32::new(peer.id())
}

fn ours() -> Option<NonZeroU32> {
    NonZeroU32::new(std::process::id())
}

/// Whether the time is now, as the kernel counts it: in whole seconds.
fn is_now(time: Option<SystemTime>) -> bool {
    let slack = 2 * ipc_testkit::WATCHDOG;
    time.is_some_and(|time| (SystemTime::now() - slack..SystemTime::now() + slack).contains(&time))
}

#[test]
fn semget01_a_new_set_is_as_asked_for() {
    let set = SemaphoreSetOptions::new().mode(0o640).create(crate::key(), &[1, 2, 3]);
    let set = RemoveOnDrop::new(set.unwrap());
    let stat = set.stat().unwrap();
    assert_eq!((stat.len, stat.permissions.mode), (3, 0o640));
    assert_eq!(stat.permissions.uid, ipc_sys::sysv::effective_uid());
    assert_eq!(stat.identity, set.identity());
    // The first semop gave it its values: it is initialized.
    assert!(is_now(stat.changed) && is_now(stat.operated));
}

#[test]
fn semctl07_who_did_what_and_who_waits() {
    let set = RemoveOnDrop::new(SemaphoreSet::create(crate::key(), &[1, 0]).unwrap());
    assert_eq!((set.last_pid(0).unwrap(), set.last_pid(1).unwrap()), (ours(), ours()));
    let mut holder = peer!("peer-sysv", "hold", set.id());
    holder.expect("held");
    assert_eq!(set.last_pid(0).unwrap(), pid(&holder));
    let mut waiters = peer!("peer-sysv", "wait-in-threads", set.id(), 3);
    waiters.expect("started");
    // Two for more than there is; the one for zero has what it waits for.
    until("two wait", || set.waiting_for_increase(0).unwrap() == 2);
    until("the third has been there", || set.last_pid(0).unwrap() == pid(&waiters));
    set.set_value(0, 1).unwrap();
    assert_eq!(set.last_pid(0).unwrap(), ours());
    assert_eq!((set.waiting_for_zero(0).unwrap(), set.waiting_for_increase(1).unwrap()), (0, 0));
    set.remove().unwrap();
    waiters.expect("2");
}

#[test]
fn semctl01_set_changes_owner_and_mode() {
    let set = RemoveOnDrop::new(SemaphoreSet::create(crate::key(), &[1]).unwrap());
    let before = set.stat().unwrap();
    let permissions = Permissions { mode: 0o444, ..before.permissions };
    set.set_permissions(permissions).unwrap();
    let after = set.stat().unwrap();
    assert_eq!((after.permissions, after.identity), (permissions, before.identity));
    set.verify().unwrap();
}

#[test]
fn msgsnd01_status_follows_send_and_receive() {
    let queue = RemoveOnDrop::new(MessageQueue::create(crate::key()).unwrap());
    let new = queue.stat().unwrap();
    assert_eq!((new.messages, new.bytes, new.sent, new.received), (0, 0, None, None));
    assert_eq!((new.last_sender, new.last_receiver), (None, None));
    let mut sender = peer!("peer-sysv", "send", queue.id());
    sender.expect("ready");
    sender.expect("sent");
    let sent = queue.stat().unwrap();
    assert_eq!((sent.messages, sent.bytes, sent.last_sender), (1, 4, pid(&sender)));
    assert!(is_now(sent.sent) && sent.received.is_none());

    let mut buffer = MessageBuffer::new();
    let message = queue.recv(Select::Any, &mut buffer).unwrap();
    assert_eq!((message.kind(), message.body()), (MessageType::ONE, &b"late"[..]));
    let received = queue.stat().unwrap();
    assert_eq!((received.messages, received.bytes, received.last_receiver), (0, 0, ours()));
    assert!(is_now(received.received));
}

#[test]
fn msgctl02_fewer_bytes_stick() {
    let queue = RemoveOnDrop::new(MessageQueue::create(crate::key()).unwrap());
    let before = queue.stat().unwrap();
    queue.set_max_bytes(before.max_bytes - 1).unwrap();
    let after = queue.stat().unwrap();
    assert_eq!((after.max_bytes, after.permissions), (before.max_bytes - 1, before.permissions));
    let permissions = Permissions { mode: 0o440, ..before.permissions };
    queue.set_permissions(permissions).unwrap();
    let last = queue.stat().unwrap();
    assert_eq!((last.max_bytes, last.permissions), (after.max_bytes, permissions));
}

#[test]
fn shmctl01_status_and_listing_agree() {
    let segment = SegmentOptions::new().mode(0o604).create(Key::PRIVATE, 12_345);
    let segment = RemoveOnDrop::new(segment.unwrap());
    let new = segment.stat().unwrap();
    assert_eq!((new.len, new.permissions.mode, new.attached), (12_345, 0o604, 0));
    assert_eq!((new.identity.creator_pid, new.last_operator), (ours(), None));
    assert!(is_now(new.changed) && new.attached_at.is_none() && new.detached_at.is_none());
    let mut user = peer!("peer-sysv", "attach", segment.id(), 1);
    user.expect("attached");
    let attached = segment.stat().unwrap();
    assert_eq!((attached.attached, attached.last_operator), (1, pid(&user)));
    assert!(is_now(attached.attached_at) && attached.detached_at.is_none());
    let listed: Vec<_> = ipc_sysv::segments().unwrap().id(segment.id()).into_iter().collect();
    assert_eq!(listed, [attached]);
    user.tell("");
    user.expect("detached");
    assert!(is_now(segment.stat().unwrap().detached_at));

    let permissions = Permissions { mode: 0o600, ..new.permissions };
    segment.set_permissions(permissions).unwrap();
    assert_eq!(segment.stat().unwrap().permissions, permissions);
}

#[test]
fn filters_leave_out_what_does_not_pass() {
    let key = crate::key();
    let mut creator = peer!("peer-sysv", "create-segment", key.number());
    let id = creator.hear().parse().unwrap();
    creator.finish();
    let forsaken = RemoveOnDrop::new(Segment::from_id(id).unwrap());
    let living = RemoveOnDrop::new(Segment::create(Key::PRIVATE, 100).unwrap());
    let lists = |listing: ipc_sysv::Listing<ipc_sysv::SegmentStat>| {
        let found = |id| listing.iter().any(|segment| segment.identity.id == id);
        (found(forsaken.id()), found(living.id()))
    };
    let all = || ipc_sysv::segments().unwrap();
    assert_eq!(lists(all()), (true, true));
    assert_eq!(lists(all().mine()), (true, true));
    assert_eq!(lists(all().key(key)), (true, false));
    assert_eq!(lists(all().creator_dead()), (true, false));
    assert_eq!(lists(all().older_than(Duration::from_secs(3600))), (false, false));
    assert_eq!(lists(all().older_than(Duration::ZERO)), (true, true));
    let mut user = peer!("peer-sysv", "attach", living.id(), 1);
    user.expect("attached");
    assert_eq!(lists(all().unattached()), (true, false));

    let removal = all().key(key).mine().unattached().creator_dead().remove();
    let removed: Vec<_> = removal.removed.iter().map(|segment| segment.identity.id).collect();
    assert_eq!((removed, removal.refused.len()), (vec![forsaken.id()], 0));
    assert!(forsaken.verify().unwrap_err().is_removed());
}

#[test]
fn shmctl03_limits_are_those_of_proc() {
    let read = |name: &str| -> Vec<u64> {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap();
        text.split_whitespace().map(|number| number.parse().unwrap()).collect()
    };
    let limits = ipc_sysv::limits().unwrap();
    let sets = limits.semaphores;
    assert_eq!(read("sem"), [sets.set_len, sets.semaphores, sets.operations, sets.sets]);
    assert_eq!(read("msgmni"), [limits.queues.queues]);
    assert_eq!(read("msgmax"), [limits.queues.message_len]);
    assert_eq!(read("msgmnb"), [limits.queues.queue_bytes]);
    assert_eq!(read("shmmni"), [limits.segments.segments]);
    assert_eq!(read("shmmax"), [limits.segments.len]);
    assert_eq!(read("shmall"), [limits.segments.pages]);
}

#[test]
fn semop05_undo_belongs_to_the_process() {
    let set = RemoveOnDrop::new(SemaphoreSet::create(crate::key(), &[1]).unwrap());
    let inner = set.clone();
    std::thread::spawn(move || inner.op(&[Op::subtract(0, 1).undo()])).join().unwrap().unwrap();
    assert_eq!(set.value(0).unwrap(), 0, "the thread's end gives nothing back");
    set.op(&[Op::add(0, 1).undo()]).unwrap();
    assert_eq!(set.value(0).unwrap(), 1);
}
