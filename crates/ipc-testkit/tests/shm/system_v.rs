//! Memory and channels in System V segments (feature `sysv`).

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipc_shm::broadcast::lossless;
use ipc_shm::sysv::{Place, len_of};
use ipc_shm::{
    Error, MemoryOptions, Origin, Presence, Refusal, Shared, SharedMemory, Wait, broadcast, bytes, latest,
    request, spsc,
};
use ipc_sysv::{Key, Segment};
use ipc_testkit::{Peer, command, crash, name, peer, proof, repetitions};

/// A segment under a key and a lock file, both gone at the end.
pub(crate) struct Stage {
    pub(crate) segment: Segment,
    key: i32,
    directory: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn new(len: usize) -> Self {
        let key = name::key();
        let segment = Segment::create(Key::new(key), len).unwrap();
        let directory = name::directory();
        File::create(directory.path().join("locks")).unwrap();
        Self { segment, key, directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("locks")
    }

    pub(crate) fn place(&self) -> Place {
        let lock_file = File::options().read(true).write(true).open(self.path()).unwrap();
        Place::new(self.segment.attach().unwrap(), &lock_file).unwrap()
    }

    /// What a peer of the lock tests opens it by.
    pub(crate) fn address(&self) -> String {
        format!("{}@{}", self.key, self.path().display())
    }

    fn end(&self, kind: &str) -> Peer {
        peer!("peer-shm", "sysv-end", self.key, self.path().display(), kind)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.segment.remove();
    }
}

pub(crate) fn refusal<T>(result: ipc_shm::Result<T>) -> Refusal {
    match result {
        Err(Error::Refused { reason, .. }) => reason,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("not refused"),
    }
}

#[test]
fn every_kind_crosses_in_a_segment() {
    let stage = Stage::new(8192);
    let memory: SharedMemory = stage.place().create(MemoryOptions::new()).unwrap();
    assert_eq!(memory.len(), 4096);
    memory.write(8, &1_u64).unwrap();
    let mut peer = stage.end("memory");
    peer.expect("1");
    peer.expect("done");
    peer.finish();
    assert_eq!(memory.read::<u64>(8).unwrap(), 2);
    assert_eq!(memory.share().unwrap_err().errno(), Some(libc::EOPNOTSUPP));

    let stage = Stage::new(len_of::<bytes::Receiver>(1024).unwrap());
    let mut receiver: bytes::Receiver = stage.place().create(1024).unwrap();
    let mut peer = stage.end("bytes");
    let mut message = Vec::new();
    for len in 0..200 {
        assert_eq!(receiver.recv(&mut message).unwrap(), len);
    }
    assert!(matches!(receiver.recv(&mut message), Err(Error::Disconnected)));
    peer.expect("done");
    peer.finish();

    let stage = Stage::new(len_of::<latest::Writer<u64>>(MemoryOptions::new()).unwrap());
    let mut writer: latest::Writer<u64> = stage.place().create(MemoryOptions::new()).unwrap();
    let mut peer = stage.end("latest");
    peer.expect("ready");
    writer.write(&5).unwrap();
    peer.expect("5");
    peer.expect("done");
    peer.finish();

    let stage = Stage::new(len_of::<broadcast::Writer<u64>>(16).unwrap());
    let mut writer: broadcast::Writer<u64> = stage.place().create(16).unwrap();
    let mut peers = [(); 2].map(|()| stage.end("broadcast"));
    peers.iter_mut().for_each(|peer| peer.expect("ready"));
    writer.write(&5).unwrap();
    peers.iter_mut().for_each(|peer| peer.expect("5"));
    drop(writer);
    for mut peer in peers {
        peer.expect("the other end is gone");
        peer.expect("done");
        peer.finish();
    }

    let stage = Stage::new(len_of::<lossless::Writer<u64>>(16).unwrap());
    let mut writer: lossless::Writer<u64> = stage.place().create(16).unwrap();
    let mut peers = [(); 2].map(|()| stage.end("lossless"));
    peers.iter_mut().for_each(|peer| peer.expect("ready"));
    let mut dead: Peer = stage.end("lossless");
    dead.expect("ready");
    writer.write(&0).unwrap();
    dead.kill();
    for message in 1..100 {
        writer.write(&message).unwrap();
    }
    assert_eq!(writer.readers().unwrap(), 2);
    drop(writer);
    for mut peer in peers {
        peer.expect("the other end is gone");
        peer.expect("done");
        peer.finish();
    }

    let stage = Stage::new(len_of::<request::Server<u64, u64>>(16).unwrap());
    let server: request::Server<u64, u64> = stage.place().create(16).unwrap();
    let mut peer = stage.end("request");
    let question = server.recv().unwrap();
    let doubled = question.question() * 2;
    question.answer(&doubled).unwrap();
    peer.expect("42");
    peer.expect("done");
    peer.finish();
}

#[test]
fn a_killed_end_is_found_out_and_a_removed_segment_goes_with_the_last_process() {
    let stage = Stage::new(len_of::<spsc::Receiver<u64>>(1024).unwrap());
    let mut receiver: spsc::Receiver<u64> = stage.place().create(1024).unwrap();
    receiver.set_wait(Wait::Park);
    let mut peer = stage.end("500");
    peer.expect("ready");
    peer.expect("sent");
    // Both are there. Nothing can be left behind any more.
    stage.segment.remove().unwrap();
    for message in 0..500 {
        assert_eq!(receiver.recv().unwrap(), message);
    }
    // One that is stopped is not dead.
    let stopped = nix::unistd::Pid::from_raw(i32::try_from(peer.id()).unwrap());
    nix::sys::signal::kill(stopped, nix::sys::signal::Signal::SIGSTOP).unwrap();
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(200)), Err(Error::TimedOut)));
    assert_eq!(receiver.stat().unwrap().sender.presence, Presence::Alive);
    peer.kill();
    assert!(matches!(receiver.recv(), Err(Error::Disconnected)));
    assert_eq!(receiver.stat().unwrap().sender.presence, Presence::Dead);
    assert!(Segment::open(Key::new(stage.key)).is_err());
    let id = stage.segment.id();
    let stands = || {
        let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
        table.lines().any(|line| line.split_whitespace().nth(1) == Some(&id.to_string()))
    };
    assert!(stands());
    drop(receiver);
    assert!(!stands());
}

#[test]
fn an_end_has_one_holder_and_a_dead_one_s_successor_goes_on() {
    let stage = Stage::new(len_of::<spsc::Receiver<u64>>(1024).unwrap());
    let mut receiver: spsc::Receiver<u64> = stage.place().create(1024).unwrap();
    let mut peer = stage.end("3");
    peer.expect("ready");
    peer.expect("sent");
    assert!(matches!(stage.place().open::<spsc::Sender<u64>>(), Err(Error::EndInUse { .. })));
    assert!(matches!(stage.place().create::<spsc::Sender<u64>>(1024), Err(Error::Exists { .. })));
    peer.kill();
    let mut sender: spsc::Sender<u64> = stage.place().open().unwrap();
    sender.send(&3).unwrap();
    for message in 0..4 {
        assert_eq!(receiver.recv().unwrap(), message);
    }
    // Another segment's ends are none of this one's, though they share the file.
    let other = Stage::new(len_of::<spsc::Sender<u64>>(16).unwrap());
    let lock_file = || File::options().read(true).write(true).open(stage.path()).unwrap();
    let place = Place::new(other.segment.attach().unwrap(), &lock_file()).unwrap();
    let (_sender, origin) = place.open_or_replace::<spsc::Sender<u64>>(16).unwrap();
    assert_eq!(origin, Origin::Created);

    assert_eq!(
        stage.place().open_or_replace::<spsc::Sender<u64>>(1024).map(|_| ()).unwrap_err().errno(),
        Some(libc::EBUSY)
    );
    drop(sender);
    let (_, origin) = stage.place().open_or_replace::<spsc::Sender<u64>>(1024).unwrap();
    assert_eq!(origin, Origin::Opened);
    drop(receiver);
    let (_, origin) = stage.place().open_or_replace::<spsc::Sender<u64>>(1024).unwrap();
    assert_eq!(origin, Origin::Replaced);
}

#[test]
fn what_does_not_fit_is_refused_and_left_alone() {
    let stage = Stage::new(16384);
    stage.segment.attach().unwrap().write_at(100, b"a C program's").unwrap();
    assert_eq!(refusal(stage.place().create::<SharedMemory>(MemoryOptions::new())), Refusal::Foreign);
    assert_eq!(refusal(stage.place().open_or_replace::<spsc::Sender<u64>>(16)), Refusal::Foreign);
    assert_eq!(refusal(stage.place().open::<spsc::Sender<u64>>()), Refusal::Foreign);
    let mut text = [0; 13];
    stage.segment.attach().unwrap().read_at(100, &mut text).unwrap();
    assert_eq!(&text, b"a C program's");

    let stage = Stage::new(8192);
    assert_eq!(refusal(stage.place().open::<spsc::Sender<u64>>()), Refusal::NotReady);
    assert!(matches!(refusal(stage.place().create::<spsc::Sender<u64>>(1 << 20)), Refusal::TooShort { .. }));
    let _kept: spsc::Sender<u64> =
        stage.place().create(ipc_shm::ChannelOptions::new(16).tag("metres")).unwrap();
    assert_eq!(refusal(stage.place().open::<spsc::Receiver<u32>>()), Refusal::Type);
    assert!(matches!(refusal(stage.place().open::<spsc::Receiver<u64>>()), Refusal::Tag { .. }));
    assert!(matches!(refusal(stage.place().open::<bytes::Receiver>()), Refusal::Kind { .. }));
    stage.place().open_with::<spsc::Receiver<u64>>(&MemoryOptions::new().tag("metres")).unwrap();
    // Whatever the header says: refused, or attached within what is there.
    let memory = stage.segment.attach().unwrap();
    for at in 0..104 {
        let good = memory.read_value::<u8>(at).unwrap();
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            memory.write_at(at, &[value]).unwrap();
            match stage.place().open_with::<spsc::Receiver<u64>>(&MemoryOptions::new().tag("metres")) {
                Ok(mut receiver) => drop(receiver.try_recv()),
                Err(Error::Refused { .. } | Error::PeerCorrupt { .. }) => {}
                Err(error) => panic!("byte {at} as {value}: {error}"),
            }
        }
        memory.write_at(at, &[good]).unwrap();
    }

    let short = Stage::new(64);
    let lock_file = File::options().read(true).write(true).open(short.path()).unwrap();
    assert!(matches!(
        refusal(Place::new(short.segment.attach().unwrap(), &lock_file)),
        Refusal::TooShort { len: 64 }
    ));
}

#[test]
fn f13_a_maker_killed_at_any_instruction_is_followed_by_one_that_works() {
    let mut origins = [0; 3];
    let points = crash::at_every_step(
        repetitions(3, 600),
        || {
            let stage = Stage::new(len_of::<spsc::Sender<u64>>(16).unwrap());
            (command!("peer-shm", "sysv-maker", stage.key, stage.path().display()), stage)
        },
        |death, stage| {
            let (mut sender, origin) = stage
                .place()
                .open_or_replace::<spsc::Sender<u64>>(16)
                .unwrap_or_else(|error| panic!("{death}: {error}"));
            origins[match origin {
                Origin::Created => 0,
                Origin::Replaced => 1,
                _ => 2,
            }] += 1;
            let mut receiver: spsc::Receiver<u64> = stage.place().open().unwrap();
            sender.send(&7).unwrap();
            assert_eq!(receiver.recv().unwrap(), 7);
            origins[1] > 0
        },
    );
    assert_eq!(origins[2], 0);
    assert!(origins[1] > 0, "nobody was killed half-way");
    proof!(
        "F13",
        "killed at {points} instructions of making a channel in a System V segment, the next one worked; {} had begun",
        origins[1]
    );
}

#[test]
fn f13_a_value_whose_maker_was_killed_or_gave_up_is_made_anew() {
    type Value = Shared<[AtomicU64; 2]>;
    let mut replaced = 0;
    let points = crash::at_every_step(
        repetitions(3, 600),
        || {
            let stage = Stage::new(Value::SEGMENT_LEN);
            (command!("peer-shm", "sysv-value", stage.key, stage.path().display()), stage)
        },
        |death, stage| {
            let (value, origin) = Value::open_or_replace_in(stage.place(), |[first, second]| {
                assert_eq!(first.load(Ordering::Relaxed) + second.load(Ordering::Relaxed), 0, "{death}");
                first.store(2, Ordering::Relaxed);
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{death}: {error}"));
            replaced += usize::from(origin == Origin::Replaced);
            let other = Value::open_in(stage.place()).unwrap();
            value.get().unwrap()[1].store(3, Ordering::Relaxed);
            let seen = other.get().unwrap().each_ref().map(|word| word.load(Ordering::Relaxed));
            assert_eq!(seen, [2, 3], "{death}");
            replaced > 0
        },
    );
    assert!(replaced > 0, "nobody was killed half-way");

    let stage = Stage::new(Value::SEGMENT_LEN);
    let gave_up = Value::create_in(stage.place(), |_| Err(Error::WouldBlock));
    assert!(matches!(gave_up, Err(Error::WouldBlock)));
    assert_eq!(refusal(Value::open_in(stage.place())), Refusal::NotReady);
    drop(Value::create_in(stage.place(), |_| Ok(())).unwrap());
    proof!(
        "F13",
        "killed at {points} instructions of making a value in a System V segment, the next one made it; {replaced} had begun"
    );
}

#[test]
fn f7_a_forked_child_can_do_nothing_in_a_segment_and_its_parent_goes_on() {
    let stages = [Stage::new(8192), Stage::new(len_of::<spsc::Sender<u64>>(16).unwrap()), Stage::new(8192)];
    let [memory, channel, value] = stages.each_ref().map(|stage| stage.key);
    let mut peer = peer!("peer-shm", "sysv-fork", stages[0].path().display(), memory, channel, value);
    peer.expect("borrow true 5");
    peer.expect("child 0");
    peer.expect("parent 7 8");
    // Each end attached it once, and the children neither attached nor detached anything.
    let attached = stages.each_ref().map(|stage| stage.segment.stat().unwrap().attached);
    assert_eq!(attached, [1, 2, 1]);
    peer.tell("end");
    peer.finish();
    proof!(
        "F7",
        "memory, a channel and a value in System V segments: Forked in a child, a borrow kills it alone"
    );
}
