//! Row D5: what we list is what /proc/sysvipc, ipcs and lsipc list.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipc_sysv::{
    Key, MessageQueue, MessageType, Permissions, RemoveOnDrop, Segment, SemaphoreSet, queues, segments,
    semaphores,
};
use ipc_testkit::report::seed;
use ipc_testkit::{Peer, peer, proof, repetitions, repetitions_or_long};

/// Kind and id → key, mode, uid, gid, cuid, cgid, and bytes and attachments, messages or semaphores.
type Snapshot = BTreeMap<(char, i32), [i64; 8]>;

enum Object {
    Set(RemoveOnDrop<SemaphoreSet>),
    Queue(RemoveOnDrop<MessageQueue>),
    Segment(RemoveOnDrop<Segment>),
}

impl Object {
    fn new(random: &mut fastrand::Rng) -> Self {
        match random.u8(..3) {
            0 => {
                let values = vec![1; random.usize(1..20)];
                Self::Set(RemoveOnDrop::new(SemaphoreSet::create(crate::key(), &values).unwrap()))
            }
            1 => Self::Queue(RemoveOnDrop::new(MessageQueue::create(crate::key()).unwrap())),
            _ => {
                let len = random.usize(1..10_000);
                Self::Segment(RemoveOnDrop::new(Segment::create(crate::key(), len).unwrap()))
            }
        }
    }

    fn id(&self) -> (char, i32) {
        match self {
            Self::Set(set) => ('s', set.id()),
            Self::Queue(queue) => ('q', queue.id()),
            Self::Segment(segment) => ('m', segment.id()),
        }
    }

    /// Changes something that a listing shows; `attacher` attaches what it is told.
    fn change(&self, random: &mut fastrand::Rng, attacher: &mut Peer) {
        let mode = random.u32(..0o1000) | 0o600;
        let me = ipc_sys::sysv::effective_uid();
        // Root gives it away as well.
        let (uid, gid) = if me == 0 { (random.u32(..5000), random.u32(..5000)) } else { (me, gid()) };
        let permissions = Permissions { mode, uid, gid };
        match self {
            Self::Set(set) => set.set_permissions(permissions).unwrap(),
            Self::Queue(queue) => {
                queue.set_permissions(permissions).unwrap();
                let body = vec![0; random.usize(..100)];
                // Full is fine.
                let _ = queue.try_send(MessageType::ONE, &body);
            }
            Self::Segment(segment) => {
                segment.set_permissions(permissions).unwrap();
                attacher.tell(segment.id());
                attacher.expect("attached");
            }
        }
    }
}

fn gid() -> u32 {
    std::os::unix::fs::MetadataExt::gid(&fs::metadata("/proc/self").unwrap())
}

fn ours() -> Snapshot {
    let mut all = Snapshot::new();
    let mut add = |kind, identity: ipc_sysv::Identity, permissions: Permissions, sizes: [u64; 2]| {
        let key = i64::from(identity.key.number());
        let [first, second] = sizes.map(|size| i64::try_from(size).unwrap());
        let mode = i64::from(permissions.mode);
        let owner = [permissions.uid, permissions.gid].map(i64::from);
        let creator = [identity.creator_uid, identity.creator_gid].map(i64::from);
        let values = [key, mode, owner[0], owner[1], creator[0], creator[1], first, second];
        all.insert((kind, identity.id), values);
    };
    for set in semaphores().unwrap() {
        add('s', set.identity, set.permissions, [set.len as u64, 0]);
    }
    for queue in queues().unwrap() {
        add('q', queue.identity, queue.permissions, [queue.bytes, queue.messages]);
    }
    for segment in segments().unwrap() {
        add('m', segment.identity, segment.permissions, [segment.len as u64, segment.attached]);
    }
    all
}

fn proc() -> Snapshot {
    // Where the columns of a Snapshot are; none where there is only one size.
    let places: [(char, &str, [Option<usize>; 6]); 3] = [
        ('s', "sem", [Some(4), Some(5), Some(6), Some(7), Some(3), None]),
        ('q', "msg", [Some(7), Some(8), Some(9), Some(10), Some(3), Some(4)]),
        ('m', "shm", [Some(7), Some(8), Some(9), Some(10), Some(3), Some(6)]),
    ];
    let mut all = Snapshot::new();
    for (kind, name, places) in places {
        let text = fs::read_to_string(format!("/proc/sysvipc/{name}")).unwrap();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let mode = i64::from_str_radix(fields[2], 8).unwrap() & 0o777;
            let mut values = [fields[0].parse().unwrap(), mode, 0, 0, 0, 0, 0, 0];
            for (value, place) in values[2..].iter_mut().zip(places) {
                *value = place.map_or(0, |at| fields[at].parse().unwrap());
            }
            all.insert((kind, fields[1].parse().unwrap()), values);
        }
    }
    all
}

/// The columns of `ipcs`: key, mode and sizes of what we made; `None` where there is no such program.
fn ipcs() -> Option<BTreeMap<(char, i32), [i64; 4]>> {
    let output = Command::new("ipcs").output().ok()?;
    let mut all = BTreeMap::new();
    let mut kind = ' ';
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        if line.starts_with("------") {
            let name = line.split(' ').nth(1).unwrap();
            kind = match name {
                "Message" => 'q',
                "Shared" => 'm',
                _ => 's',
            };
        }
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let Some(key) =
            fields.first().and_then(|key| key.parse::<Key>().ok().filter(|_| key.starts_with("0x")))
        else {
            continue;
        };
        let number = |at: usize| fields.get(at).and_then(|field| field.parse().ok()).unwrap_or(0);
        let mode = i64::from_str_radix(fields[3], 8).unwrap();
        all.insert((kind, fields[1].parse().unwrap()), [key.number().into(), mode, number(4), number(5)]);
    }
    Some(all)
}

/// The ids that `lsipc -J` knows; `None` where there is no such program.
fn lsipc() -> Option<Vec<(char, i32)>> {
    let mut all = Vec::new();
    for (kind, option) in [('s', "-s"), ('q', "-q"), ('m', "-m")] {
        let output = Command::new("lsipc").args(["-J", option]).output().ok()?;
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            if let Some(id) = line.trim().strip_prefix("\"id\": \"") {
                let digits: String = id.chars().take_while(char::is_ascii_digit).collect();
                all.push((kind, digits.parse().unwrap()));
            }
        }
    }
    Some(all)
}

#[test]
fn d5_our_listing_is_the_kernels_and_that_of_ipcs_and_lsipc() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    // A test binary with other tests forks, and what it has attached is attached twice for a moment: another process does.
    let mut attacher = peer!("peer-sysv", "attach-what-it-hears");
    let mut objects: Vec<Object> = Vec::new();
    let (steps, mut compared, mut programs) = (repetitions_or_long(1000, 4_000, 20_000), 0, 0);
    for step in 0..steps {
        match random.u8(..6) {
            0..3 if objects.len() < 30 => objects.push(Object::new(&mut random)),
            0..4 if !objects.is_empty() => drop(objects.swap_remove(random.usize(..objects.len()))),
            _ => {
                if let Some(at) = random.usize(..).checked_rem(objects.len()) {
                    objects[at].change(&mut random, &mut attacher);
                }
            }
        }
        let (ours, proc) = (ours(), proc());
        for object in &objects {
            let id = object.id();
            assert_eq!(ours.get(&id), proc.get(&id), "{id:?}, seed {seed}");
            assert!(ours.contains_key(&id));
            compared += 1;
        }
        if step % 100 != 0 {
            continue;
        }
        if let Some(ipcs) = ipcs() {
            programs += 1;
            for id in objects.iter().map(Object::id) {
                let [key, mode, _, _, _, _, first, second] = ours[&id];
                assert_eq!(ipcs[&id], [key, mode, first, second], "{id:?}");
            }
        }
        if let Some(lsipc) = lsipc() {
            assert!(objects.iter().all(|object| lsipc.contains(&object.id())));
        }
    }
    proof!(
        "D5",
        "{steps} steps, {compared} objects compared with /proc/sysvipc, {programs} times with ipcs and lsipc; seed {seed}"
    );
}

#[test]
fn d5_what_vanishes_during_the_listing_is_skipped() {
    let stop = Arc::new(AtomicBool::new(false));
    let churning = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut made = 0;
            while !stop.load(Ordering::Relaxed) {
                MessageQueue::create(Key::PRIVATE).unwrap().remove().unwrap();
                made += 1;
            }
            made
        })
    };
    let kept = RemoveOnDrop::new(MessageQueue::create(crate::key()).unwrap());
    let listings = repetitions(2000, 20_000);
    for _ in 0..listings {
        assert_eq!(queues().unwrap().id(kept.id()).into_iter().count(), 1);
    }
    stop.store(true, Ordering::Relaxed);
    let made: usize = churning.join().unwrap();
    assert!(made > 0);
    proof!("D5", "{listings} listings while {made} queues came and went, none failed");
}
