//! System V: undo where it does not belong, two keys for one queue, a segment's end, a string without an end.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;

use ipc_sysv::{Key, MessageQueue, RemoveOnDrop, Segment, SemaphoreSet};
use ipc_testkit::{name, peer, proof};

/// A key of this test's own.
fn key() -> Key {
    Key::new(name::key())
}

#[test]
fn an_increment_with_undo_is_taken_back_at_the_end() {
    let set = RemoveOnDrop::new(SemaphoreSet::create(key(), &[0]).unwrap());
    for (role, left) in [("add", 1), ("add-with-undo", 1), ("add", 2)] {
        let before = set.value(0).unwrap();
        let mut peer = peer!("peer-pitfalls", role, set.id());
        peer.expect(&(before + 1).to_string());
        peer.finish();
        assert_eq!(set.value(0).unwrap(), left, "after {role}");
    }
    proof!("pitfalls", "two plain increments left 2; naive twin: the one with undo left nothing");
}

#[test]
fn a_permit_comes_back_when_dropped_and_when_its_holder_is_killed() {
    let set = RemoveOnDrop::new(SemaphoreSet::create(key(), &[1]).unwrap());
    for killed in [false, true] {
        let mut peer = peer!("peer-pitfalls", "hold", set.id());
        peer.expect("held");
        assert_eq!(set.value(0).unwrap(), 0);
        if killed {
            peer.kill();
        } else {
            peer.tell("enough");
            peer.finish();
        }
        assert_eq!(set.value(0).unwrap(), 1);
    }
}

#[test]
fn two_project_numbers_are_two_keys_and_one_side_hears_of_it() {
    let directory = name::directory();
    let path = directory.path().join("application");
    File::create(&path).unwrap();
    let queue = MessageQueue::create(Key::from_path(&path, b'a').unwrap()).unwrap();
    let queue = RemoveOnDrop::new(queue);
    for (project, answer) in [(b'a', queue.id().to_string()), (b'b', "not found".to_owned())] {
        let mut peer = peer!("peer-pitfalls", "queue", path.display(), project);
        peer.expect(&answer);
        peer.finish();
    }
    let mut twin = peer!("peer-pitfalls", "naive-queue", path.display(), b'b');
    let other = RemoveOnDrop::new(MessageQueue::from_id(twin.hear().parse().unwrap()).unwrap());
    twin.finish();
    assert_ne!(other.id(), queue.id(), "the naive twin is content with a queue of its own");
    proof!("pitfalls", "not found; naive twin: queue {} beside queue {}", other.id(), queue.id());
}

#[test]
fn nothing_is_written_past_a_segments_end() {
    let segment = RemoveOnDrop::new(Segment::create(Key::PRIVATE, 4096).unwrap());
    let mut peer = peer!("peer-pitfalls", "fill", segment.id());
    peer.expect("4096");
    peer.finish();
    let mut bytes = [0; 4096];
    segment.attach_read_only().unwrap().read_at(0, &mut bytes).unwrap();
    let ends = (bytes.first(), bytes.get(4094), bytes.get(4095));
    assert_eq!(ends, (Some(&b'A'), Some(&b'M'), Some(&0)), "4095 letters and a NUL");
    let signal = peer!("peer-pitfalls", "naive-fill", segment.id()).wait().signal();
    assert!(matches!(signal, Some(libc::SIGSEGV | libc::SIGBUS)), "{signal:?}");
    proof!("pitfalls", "the 4097th byte refused; naive twin killed by signal {}", signal.unwrap());
}

#[test]
fn a_string_that_is_being_written_is_read_within_its_bounds() {
    let segment = RemoveOnDrop::new(Segment::create(Key::PRIVATE, 4096).unwrap());
    let mut peer = peer!("peer-pitfalls", "scribble", segment.id());
    peer.expect("writing");
    let attachment = segment.attach_read_only().unwrap();
    let mut text = vec![0; attachment.len()];
    let (mut read, mut mixed) = (0, 0);
    while mixed == 0 && read < 1_000_000 {
        attachment.read_at(0, &mut text).unwrap();
        assert!(text.iter().all(u8::is_ascii_lowercase));
        mixed += usize::from(text.first() != text.last());
        read += 1;
    }
    peer.tell("enough");
    peer.finish();
    proof!("pitfalls", "{read} texts without a NUL read within 4096 bytes, {mixed} half old and half new");
}
