//! Channels as those see them who only look on.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use ipc_shm::{
    Acceptance, ChannelStat, Error, Invitation, Origin, Presence, Refusal, Sealed, SharedMemory, Wait,
    broadcast, bytes, holders, latest, list, mpsc, spsc,
};
use ipc_testkit::{Peer, peer, proof, repetitions_or_long};

use crate::memory::Name;

/// The row of a channel in what `shm_top --once` prints.
fn row(name: &str) -> Vec<String> {
    let mut top = peer!("shm_top", "--once", "--interval", 20, name);
    let head = top.hear();
    assert!(head.starts_with("CHANNEL"), "{head}");
    let row = top.hear();
    assert_eq!(top.next_line(), None);
    top.finish();
    row.split_whitespace().map(str::to_owned).collect()
}

/// Until the counters say so: a peer counts a moment after what can be seen of it.
fn until(name: &str, condition: impl Fn(&ChannelStat) -> bool) -> ChannelStat {
    let mut last = ipc_shm::stat(name).unwrap();
    ipc_testkit::until("the counters", || {
        last = ipc_shm::stat(name).unwrap();
        condition(&last)
    });
    last
}

#[test]
fn top_shows_true_numbers_of_two_processes_and_who_died() {
    let named = Name::new("top");
    let mut receiver = spsc::Receiver::<u64>::create(&named.0, 1024).unwrap();
    let ours = process::id().to_string();
    let absent = row(&named.0);
    let name = named.0.strip_prefix('/').unwrap_or(&named.0);
    assert_eq!(absent[..7], [name, "spsc", "8", "1024", "-", &ours, "0"]);

    let mut peer = peer!("peer-shm", "spsc-sender", named.0, 0, 500, "park", "hold");
    peer.expect("ready");
    peer.expect("sent");
    for message in 0..200 {
        assert_eq!(receiver.recv().unwrap(), message);
    }
    receiver.release().unwrap();
    let theirs = peer.id().to_string();
    let shown = row(&named.0);
    assert_eq!(shown[..9], [name, "spsc", "8", "1024", &theirs, &ours, "300", "500", "0/s"]);

    peer.kill();
    assert_eq!(row(&named.0)[4], "dead");
    assert_eq!(receiver.stat().unwrap().sender.presence, Presence::Dead);
    for message in 200..500 {
        assert_eq!(receiver.recv().unwrap(), message);
    }
    let mut peer = peer!("peer-shm", "spsc-sender", named.0, 500, 1, "park");
    peer.expect("ready");
    peer.expect("sent");
    peer.finish();
    // While messages stream, what was received is said a quarter of the ring at a time.
    receiver.release().unwrap();
    // The successor goes on from what the dead one counted.
    let shown = row(&named.0);
    assert_eq!((&*shown[4], &*shown[6], &*shown[7]), ("left", "1", "501"));
}

#[test]
fn looking_at_a_stream_changes_nothing_of_it() {
    let named = Name::new("watched");
    let mut receiver = spsc::Receiver::<u64>::create(&named.0, 64).unwrap();
    let count = repetitions_or_long(200_000, 500_000, 5_000_000) as u64;
    let mut top = peer!("shm_top", "--interval", 1, named.0);
    assert!(top.hear().contains("CHANNEL"));
    let mut peer = peer!("peer-shm", "spsc-sender", named.0, 0, count, "default");
    let mut looks = 0;
    for message in 0..count {
        assert_eq!(receiver.recv().unwrap(), message);
        if message % 1024 == 0 {
            let stat = ipc_shm::stat(&named.0).unwrap();
            assert!(stat.receiver.messages <= message + 1 && stat.sender.messages > message);
            looks += 1;
        }
    }
    peer.expect("ready");
    peer.expect("sent");
    peer.finish();
    drop_running(top);

    // Who looks is not taken for an end, nor for somebody who has the memory attached.
    receiver.persist();
    drop(receiver);
    let seen = ipc_shm::stat(&named.0).unwrap();
    assert_eq!((seen.sender.messages, seen.receiver.messages, seen.lag()), (count, count, Some(0)));
    assert_eq!((seen.sender.presence, seen.receiver.presence), (Presence::Left, Presence::Left));
    let (_receiver, origin) = spsc::Receiver::<u64>::open_or_replace(&named.0, 64).unwrap();
    assert_eq!(origin, Origin::Replaced);
    assert!(looks > 100);
}

fn drop_running(mut top: Peer) {
    top.kill();
}

#[test]
fn sleeps_and_wakes_are_counted() {
    let named = Name::new("counted");
    let mut sender = spsc::Sender::<u64>::create(&named.0, 16).unwrap();
    sender.set_wait(Wait::Park);
    let mut peer = peer!("peer-shm", "spsc-receiver", named.0, "park", 100);
    peer.expect("ready");
    peer.until_asleep_in(libc::SYS_futex);
    let asleep = until(&named.0, |stat| stat.receiver.parked >= 1);
    assert_eq!((asleep.sender.parked, asleep.sender.woken, asleep.receiver.woken), (0, 0, 0));
    sender.send(&0).unwrap();
    assert!(sender.stat().unwrap().sender.woken == 1);
    for message in 1..100 {
        sender.send(&message).unwrap();
    }
    peer.expect("100 enough");
    let end = sender.stat().unwrap();
    assert_eq!((end.sender.messages, end.receiver.messages), (100, 100));
    assert_eq!(end, ipc_shm::stat(&named.0).unwrap());
    peer.tell("bye");
    peer.finish();
}

#[test]
fn every_kind_is_seen() {
    let [one, two, three] = ["bytes", "latest", "broadcast"].map(Name::new);
    let mut receiver = bytes::Receiver::create(&one.0, 1 << 16).unwrap();
    let mut peer = peer!("peer-shm", "bytes-sender", one.0, 0, 20, "hold");
    peer.expect("ready");
    // Messages, not blocks.
    let mut buffer = Vec::new();
    for _ in 0..10 {
        receiver.recv(&mut buffer).unwrap();
    }
    let mut rest = 10;
    while receiver.stat().unwrap().sender.messages < 20 {
        match receiver.try_recv(&mut buffer) {
            Ok(_) => rest -= 1,
            Err(Error::Empty) => {}
            Err(error) => panic!("{error}"),
        }
    }
    peer.expect("sent");
    let seen = ipc_shm::stat(&one.0).unwrap();
    assert_eq!((seen.kind, seen.size, seen.capacity), ("bytes", 0, 1 << 16));
    assert_eq!((seen.sender.messages, seen.lag()), (20, Some(rest)));
    assert_eq!(seen, receiver.stat().unwrap());
    peer.tell("bye");
    peer.finish();

    let mut writer = latest::Writer::<u64>::create(&two.0).unwrap();
    let reader = latest::Reader::<u64>::open(&two.0).unwrap();
    for value in 0..7 {
        writer.write(&value).unwrap();
    }
    let seen = ipc_shm::stat(&two.0).unwrap();
    assert_eq!((seen.kind, seen.sender.messages, seen.lag()), ("latest", 7, None));
    assert_eq!((seen.sender.presence, seen.receiver.presence), (Presence::Alive, Presence::Many));
    assert_eq!(seen, writer.stat().unwrap());
    assert_eq!(seen, reader.stat().unwrap());

    let mut writer = broadcast::Writer::<u64>::create(&three.0, 16).unwrap();
    let mut readers = [(); 3].map(|()| broadcast::Reader::<u64>::open(&three.0).unwrap());
    for value in 0..100 {
        writer.write(&value).unwrap();
    }
    for reader in &mut readers {
        assert!(matches!(reader.try_recv(), Err(Error::Lagged(92))));
    }
    let seen = ipc_shm::stat(&three.0).unwrap();
    assert_eq!((seen.kind, seen.sender.messages, seen.receiver.lagged), ("broadcast", 100, 3 * 92));
    assert_eq!(seen, writer.stat().unwrap());
    assert_eq!(seen, readers[0].stat().unwrap());
    let inode = list()
        .unwrap()
        .into_iter()
        .find(|listed| listed.name.to_str() == three.0.strip_prefix('/').or(Some(&three.0)))
        .unwrap()
        .inode;
    let held: Vec<_> = holders().unwrap().into_iter().filter(|holder| holder.inode == inode).collect();
    assert!(held.iter().all(|holder| holder.pid.get() == process::id() && !holder.receives));
    assert_eq!(held.iter().filter(|holder| holder.sends).count(), 1);
    assert_eq!(held.len(), 4);

    let mut lanes = mpsc::Receiver::new();
    let (sender, lane) = spsc::channel::<u64>(16).unwrap();
    let id = lanes.admit(lane.attach().unwrap()).unwrap();
    sender.attach().unwrap().send(&1).unwrap();
    let seen = lanes.stat().unwrap();
    assert_eq!((seen.len(), seen[0].0, seen[0].1.lag()), (1, id, Some(1)));
    assert_eq!(seen[0].1.sender.presence, Presence::Left);
}

#[test]
fn sealed_ends_say_what_both_have_written() {
    let (offer, invitation) = spsc::Sender::<u64, Sealed>::offer(16).unwrap();
    let invitation = Invitation::try_from(Vec::<OwnedFd>::from(invitation)).unwrap();
    let (mut receiver, acceptance): (spsc::Receiver<u64, Sealed>, _) = invitation.accept().unwrap();
    let acceptance = Acceptance::try_from(Vec::<OwnedFd>::from(acceptance)).unwrap();
    let mut sender = offer.complete(acceptance).unwrap();
    for message in 0..5 {
        sender.send(&message).unwrap();
    }
    receiver.recv().unwrap();
    let (theirs, ours) = (sender.stat().unwrap(), receiver.stat().unwrap());
    assert_eq!(theirs, ours);
    assert_eq!((ours.sender.messages, ours.receiver.messages, ours.lag()), (5, 1, Some(4)));
    drop(sender);
    assert_eq!(receiver.stat().unwrap().sender.presence, Presence::Left);

    let mut writer = broadcast::Writer::<u64, Sealed>::anonymous(16).unwrap();
    let mut reader = broadcast::Reader::<u64, Sealed>::from_fd(writer.share().unwrap()).unwrap();
    for value in 0..100 {
        writer.write(&value).unwrap();
    }
    assert!(matches!(reader.try_recv(), Err(Error::Lagged(92))));
    // Its own loss; the writer cannot know of it.
    assert_eq!(reader.stat().unwrap().receiver.lagged, 92);
    assert_eq!(writer.stat().unwrap().receiver.lagged, 0);
}

#[test]
fn what_is_no_channel_is_refused_and_hostile_bytes_are_only_numbers() {
    let refused = |name: &str| match ipc_shm::stat(name) {
        Err(Error::Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert!(matches!(ipc_shm::stat("/ipc-shm-no-such"), Err(Error::NotFound { .. })));
    assert!(matches!(ipc_shm::stat("a/b"), Err(Error::InvalidName { .. })));
    let memory = Name::new("memory");
    let _memory = SharedMemory::create(&memory.0, 4096).unwrap();
    assert_eq!(refused(&memory.0), Refusal::NoChannel);

    let named = Name::new("hostile");
    let _sender = spsc::Sender::<u64>::create(&named.0, 16).unwrap();
    let path = format!("/dev/shm/{}", named.0.trim_start_matches('/'));
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut good = [0; 4096];
    file.read_exact_at(&mut good, 0).unwrap();
    let (mut refusals, mut shown) = (0, 0);
    for at in (0..104_usize).chain((104..4096).step_by(8)) {
        let place = at as u64;
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            file.write_all_at(&[value], place).unwrap();
            match ipc_shm::stat(&named.0) {
                Ok(stat) => {
                    let _ = (stat.lag(), format!("{stat:?}"));
                    shown += 1;
                }
                Err(Error::Refused { .. }) => refusals += 1,
                Err(error) => panic!("byte {at} is {value}: {error}"),
            }
        }
        file.write_all_at(&good[at..=at], place).unwrap();
    }
    assert!(refusals > 100 && shown > 100);

    // Truncated and grown again while somebody looks: an error, or numbers, and never SIGBUS.
    let done = AtomicBool::new(false);
    let (mut short, mut whole) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                file.set_len(0).unwrap();
                file.set_len(4096 + 16 * 16).unwrap();
                file.write_all_at(&good, 0).unwrap();
                file.write_all_at(&[0; 256], 4096).unwrap();
            }
        });
        for _ in 0..200_000 {
            match ipc_shm::stat(&named.0) {
                Ok(_) => whole += 1,
                Err(Error::Refused { .. }) => short += 1,
                Err(error) => panic!("{error}"),
            }
            if whole > 20 && short > 1000 {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(short > 0);
    proof!(
        "F2",
        "{refusals} headers refused, {shown} shown; {short} short and {whole} whole while truncated"
    );
}
