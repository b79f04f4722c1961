//! Rows D1 and D2: a segment whose owner is dead is made anew, and nobody else's is touched.

use std::collections::HashMap;
use std::fs;
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use ipc_sys::poll::pause;
use ipc_sysv::{Error, Key, KeyFile, Origin, Permissions, RemoveOnDrop, Segment, SegmentOptions};
use ipc_testkit::{command, crash, name, peer, proof, repetitions, skip};

const MAGIC: NonZeroU64 = NonZeroU64::new(0x7465_7374_6b69_7401).unwrap();

/// A file of this test's own, in its directory, and its key.
fn file(directory: &Path) -> KeyFile {
    let path = directory.join("key");
    fs::write(&path, "").unwrap();
    KeyFile::open(path, b'r').unwrap()
}

#[test]
fn d1_dead_owner_at_every_step() {
    let mut origins = HashMap::new();
    let points = crash::at_every_step(
        repetitions(20, 2000),
        || {
            let directory = name::directory();
            let file = file(directory.path());
            let command = command!("peer-sysv", "recover", file.path().display(), MAGIC);
            (command, (directory, file))
        },
        |death, (_directory, file)| {
            let (memory, origin) =
                Segment::recover(&file, MAGIC, 100).unwrap_or_else(|error| panic!("{death}: {error}"));
            let mut bytes = [1; 100];
            memory.read_at(Segment::HEADER_LEN, &mut bytes).unwrap();
            assert_eq!(bytes, [0; 100]);
            memory.segment().remove().unwrap();
            *origins.entry(format!("{origin:?}")).or_insert(0) += 1;
        },
    );
    assert!(origins.len() == 2, "{origins:?}");
    proof!(
        "D1",
        "owner killed at {points} instructions, the next start had a segment each time: {origins:?}"
    );
}

/// The same at any instant, which is cheaper: as often as not the owner is just starting, or has finished.
#[test]
fn d1_dead_owner_at_a_random_instant() {
    let seed = ipc_testkit::report::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut origins = HashMap::new();
    let kills = repetitions(100, 2000);
    for _ in 0..kills {
        let directory = name::directory();
        let file = file(directory.path());
        let mut owner = peer!("peer-sysv", "recover", file.path().display(), MAGIC);
        pause(Duration::from_micros(random.u64(..4000)));
        owner.kill();
        let (memory, origin) = Segment::recover(&file, MAGIC, 100).unwrap();
        memory.segment().remove().unwrap();
        *origins.entry(format!("{origin:?}")).or_insert(0) += 1;
    }
    proof!(
        "D1",
        "{kills} owners killed at a random instant, the next start had a segment: {origins:?}; seed {seed}"
    );
}

#[test]
fn d1_decoys_are_left_alone() {
    let mut destroyed_by_twin = 0;
    let directory = name::directory();
    let file = file(directory.path());
    let create = || RemoveOnDrop::new(Segment::create(file.key(), 200).unwrap());
    // What most programs do when the key is taken.
    let mut naive = |decoy: &Segment| {
        let _ = Segment::open(file.key()).and_then(|found| found.remove());
        destroyed_by_twin += usize::from(decoy.verify().is_err());
    };

    // A program with another magic number, or none, or no room for one.
    for magic in [MAGIC.get() + 1, 0] {
        let decoy = create();
        decoy.attach().unwrap().write_value(0, &magic).unwrap();
        assert!(matches!(Segment::recover(&file, MAGIC, 100), Err(Error::Foreign { .. })));
        assert!(matches!(Segment::open_recoverable(&file, MAGIC), Err(Error::Foreign { .. })));
        decoy.verify().unwrap();
        naive(&decoy);
    }
    let small = RemoveOnDrop::new(Segment::create(file.key(), 1).unwrap());
    assert!(matches!(Segment::recover(&file, MAGIC, 100), Err(Error::Foreign { .. })));
    small.verify().unwrap();
    small.remove().unwrap();

    // A living owner.
    let mut owner = peer!("peer-sysv", "recover", file.path().display(), MAGIC);
    owner.expect("Created");
    let decoy = RemoveOnDrop::new(Segment::open(file.key()).unwrap());
    assert!(matches!(Segment::recover(&file, MAGIC, 100), Err(Error::InUse { attached: 1, .. })));
    // The same, removed while attached: its key is free, and it is not ours to touch.
    outlives_its_key(&decoy, &file);
    owner.finish();

    // Another user's, which root alone can make here.
    if ipc_sys::sysv::effective_uid() == 0 {
        let decoy = create();
        decoy.set_permissions(Permissions { mode: 0o666, uid: 65534, gid: 65534 }).unwrap();
        assert!(matches!(
            Segment::recover(&file, MAGIC, 100),
            Err(Error::ForeignOwner { uid: Some(65534), .. })
        ));
        decoy.verify().unwrap();
        naive(&decoy);
    }

    // One that is just being made, by a living creator.
    let unfinished = SegmentOptions::new().mode(0o611);
    let decoy = RemoveOnDrop::new(unfinished.create(file.key(), 200).unwrap());
    assert!(matches!(Segment::recover(&file, MAGIC, 100), Err(Error::InUse { attached: 0, .. })));
    assert!(matches!(Segment::open_recoverable(&file, MAGIC), Err(Error::Uninitialized { .. })));
    decoy.verify().unwrap();
    naive(&decoy);
    assert!(destroyed_by_twin > 2);
    proof!(
        "D1",
        "decoys with another magic, another owner, a living one, removed, unfinished: none touched; naive twin destroyed {destroyed_by_twin}"
    );
}

/// Removes a segment that somebody has attached: its key is free, and it lives on for him.
fn outlives_its_key(attached: &Segment, file: &KeyFile) {
    attached.remove().unwrap();
    let (ours, origin) = Segment::recover(file, MAGIC, 100).unwrap();
    assert_eq!(origin, Origin::Created);
    assert_ne!(ours.segment().id(), attached.id());
    let listed = ipc_sysv::segments().unwrap().id(attached.id());
    assert_eq!(listed.iter().map(|old| old.attached).collect::<Vec<_>>(), [1]);
    ours.segment().remove().unwrap();
}

#[test]
fn d2_two_files_with_the_same_key() {
    let directory = name::directory();
    let mut keys: HashMap<Key, KeyFile> = HashMap::new();
    let found = (0..200_000).find_map(|number| {
        let path = directory.path().join(number.to_string());
        fs::write(&path, "").unwrap();
        let file = KeyFile::open(path, b'r').unwrap();
        let collided = keys.insert(file.key(), file.clone());
        collided.map(|other| (other, file))
    });
    let Some((first, second)) = found else {
        skip!("no two of 200,000 files have the same key here");
    };
    assert!(first.collides_with(&second) && !first.collides_with(&first));
    let (memory, _) = Segment::recover(&first, MAGIC, 100).unwrap();
    memory.write_at(Segment::HEADER_LEN, b"first").unwrap();

    // What ftok alone gives: the second program is in the first one's memory.
    let twin = Segment::open(second.key()).unwrap();
    assert_eq!(twin.id(), memory.segment().id());

    assert!(matches!(Segment::recover(&second, MAGIC, 100), Err(Error::KeyCollision { .. })));
    assert!(matches!(Segment::open_recoverable(&second, MAGIC), Err(Error::KeyCollision { .. })));
    let mut text = [0; 5];
    memory.read_at(Segment::HEADER_LEN, &mut text).unwrap();
    assert_eq!(&text, b"first");
    memory.segment().remove().unwrap();
    proof!(
        "D2",
        "after {} files two have the key {}: KeyCollision, the first one's data untouched; naive twin (ftok) shares them",
        keys.len() + 1,
        first.key()
    );
}
