//! The ring for one sender and one receiver.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use ipc_shm::{Acceptance, ChannelOptions, Error, Refusal, Sealed, Wait, spsc};
use ipc_testkit::{WATCHDOG, name, peer, proof, repetitions, repetitions_or_long, report};

use crate::memory::Name;
use crate::slow::Slow;

#[test]
fn a_stream_arrives_whole_and_in_order_however_both_wait() {
    for (theirs, ours) in [("spin", Wait::SpinThenPark), ("park", Wait::Park), ("default", Wait::Spin)] {
        let named = Name::new("stream");
        let mut receiver = spsc::Receiver::<u64>::create(&named.0, 64).unwrap();
        receiver.set_wait(ours);
        let count = repetitions_or_long(200_000, 1_000_000, 5_000_000) as u64;
        let mut peer = peer!("peer-shm", "spsc-sender", named.0, 0, count, theirs);
        for message in 0..count {
            assert_eq!(receiver.recv().unwrap(), message);
        }
        assert!(matches!(receiver.recv(), Err(Error::Disconnected)));
        peer.expect("ready");
        peer.expect("sent");
        peer.finish();
    }
}

#[test]
fn f10_no_wake_up_is_lost_in_ping_pong() {
    let rounds = repetitions_or_long(20_000, 500_000, 1_000_000) as u64;
    let mut longest = Duration::ZERO;
    for wait in ["park", "default"] {
        let (there, back) = (Name::new("there"), Name::new("back"));
        let mut sender = spsc::Sender::<u64>::create(&there.0, 16).unwrap();
        let mut receiver = spsc::Receiver::<u64>::create(&back.0, 16).unwrap();
        receiver.set_wait(if wait == "park" { Wait::Park } else { Wait::SpinThenPark });
        let mut peer = peer!("peer-shm", "spsc-echo", there.0, back.0, wait);
        peer.expect("ready");
        let mut slow = Slow::with([&peer]);
        for round in 0..rounds {
            sender.send(&round).unwrap();
            let start = Instant::now();
            assert_eq!(receiver.recv().unwrap(), round);
            longest = longest.max(start.elapsed());
            // A lost wake-up would be healed by the look every 60 ms: count those.
            slow.note(start.elapsed());
        }
        slow.check();
        drop(sender);
        peer.expect("gone");
        peer.finish();
    }
    proof!("F10", "{rounds} round trips each parked and spinning, 0 lost; longest {longest:?}");
}

#[test]
fn f10_a_full_ring_wakes_its_sender_and_the_guaranteed_capacity_holds() {
    let named = Name::new("full");
    let mut sender = spsc::Sender::<u64>::create(&named.0, 64).unwrap();
    assert_eq!(sender.capacity(), 64 - 16 + 1);
    for message in 0..64 {
        sender.try_send(&message).unwrap();
    }
    assert!(matches!(sender.try_send(&64), Err(Error::Full)));
    assert!(matches!(sender.send_timeout(&64, Duration::from_millis(5)), Err(Error::TimedOut)));
    assert!(matches!(sender.send_timeout(&64, Duration::ZERO), Err(Error::TimedOut)));
    sender.set_wait(Wait::Park);
    let mut peer = peer!("peer-shm", "spsc-receiver", named.0, "park", 10_000);
    peer.expect("ready");
    for message in 64..10_000 {
        sender.send_timeout(&message, Duration::from_secs(100 * 365 * 24 * 3600)).unwrap();
    }
    peer.expect("10000 enough");
    peer.tell("bye");
    peer.finish();
    assert!(matches!(sender.try_send(&1), Err(Error::Disconnected)) || sender.try_send(&1).is_ok());

    // While hot, the receiver may keep a quarter less one back; what `capacity` says fits all the same.
    let (sender, receiver) = spsc::channel::<u64>(64).unwrap();
    let (mut sender, mut receiver) = (sender.attach().unwrap(), receiver.attach().unwrap());
    for message in 0..1000 {
        sender.send(&message).unwrap();
        assert_eq!(receiver.recv().unwrap(), message);
    }
    for filled in 0.. {
        if sender.try_send(&filled).is_err() {
            assert!(filled >= sender.capacity() as u64, "{filled}");
            break;
        }
    }
    let mut got = 0;
    while receiver.try_recv().is_ok() {
        got += 1;
        let _ = sender.try_send(&0);
        if got > 500 {
            break;
        }
    }
    assert!(got > 500);
}

#[test]
fn sealed_pairs_meet_by_invitation_either_way() {
    let path =
        |descriptors: &[OwnedFd]| format!("/proc/{}/fd/{}", std::process::id(), descriptors[0].as_raw_fd());
    let acceptance = |path: &str| {
        let descriptor = OwnedFd::from(std::fs::File::open(path).unwrap());
        Acceptance::try_from(vec![descriptor]).unwrap()
    };

    let (offer, invitation) = spsc::Sender::<u64, Sealed>::offer(64).unwrap();
    let invitation: Vec<OwnedFd> = invitation.into();
    let mut peer = peer!("peer-shm", "spsc-invited", path(&invitation), "receiver");
    let mut sender = offer.complete(acceptance(&peer.hear())).unwrap();
    peer.tell("go");
    let batch: Vec<u64> = (0..1000).collect();
    sender.send_batch(&batch).unwrap();
    drop(sender);
    peer.expect("Some(\"the other end is gone\")");
    peer.finish();

    let (offer, invitation) = spsc::Receiver::<u64, Sealed>::offer(64).unwrap();
    let invitation: Vec<OwnedFd> = invitation.into();
    let mut peer = peer!("peer-shm", "spsc-invited", path(&invitation), "sender");
    let mut receiver = offer.complete(acceptance(&peer.hear())).unwrap();
    peer.tell("go");
    let mut buffer = [0; 100];
    let mut next = 0;
    while next < 1000 {
        let count = receiver.recv_batch(&mut buffer).unwrap();
        for message in &buffer[..count] {
            assert_eq!(*message, next);
            next += 1;
        }
    }
    assert!(matches!(receiver.recv(), Err(Error::Disconnected)));
    peer.finish();
}

#[test]
fn f5_the_wrong_half_type_capacity_or_kind_is_refused() {
    let reason = |error: Error| match error {
        Error::Refused { reason, .. } => reason,
        other => panic!("{other}"),
    };
    let (offer, invitation) = spsc::Sender::<u64, Sealed>::offer(64).unwrap();
    // The producer's part sent back as if it were the consumer's.
    let own: Vec<OwnedFd> = invitation.into();
    let error = offer.complete(Acceptance::try_from(own).unwrap()).unwrap_err();
    assert_eq!(reason(error), Refusal::Mode);

    let accept = |capacity: usize| {
        let (_, invitation) = spsc::Sender::<u64, Sealed>::offer(capacity).unwrap();
        invitation.accept().unwrap().1
    };
    let (offer, _) = spsc::Sender::<u64, Sealed>::offer(64).unwrap();
    assert_eq!(reason(offer.complete(accept(32)).unwrap_err()), Refusal::Capacity);

    let (_, invitation) = spsc::Sender::<u64, Sealed>::offer(64).unwrap();
    let descriptors: Vec<OwnedFd> = invitation.into();
    let other = ipc_shm::Invitation::<spsc::Receiver<[u8; 8], Sealed>>::try_from(descriptors).unwrap();
    assert_eq!(reason(other.accept().unwrap_err()), Refusal::Type);

    let memory = ipc_shm::SharedMemory::<Sealed>::anonymous(64).unwrap();
    let other =
        ipc_shm::Invitation::<spsc::Receiver<u64, Sealed>>::try_from(vec![memory.share().unwrap()]).unwrap();
    assert!(matches!(reason(other.accept().unwrap_err()), Refusal::Kind { .. }));
    let (_, invitation) = spsc::Sender::<u64, Sealed>::offer(1 << 16).unwrap();
    assert!(matches!(reason(invitation.at_most(1 << 16).accept().unwrap_err()), Refusal::TooLong { .. }));

    let named = Name::new("type");
    let _sender = spsc::Sender::<u64>::create(&named.0, 64).unwrap();
    assert_eq!(reason(spsc::Receiver::<u32>::open(&named.0).unwrap_err()), Refusal::Type);
    assert!(matches!(reason(ipc_shm::SharedMemory::open(&named.0).unwrap_err()), Refusal::Kind { .. }));
    assert!(matches!(spsc::Sender::<u64>::open(&named.0), Err(Error::EndInUse { .. })));
    assert!(matches!(spsc::Sender::<u64>::create(&named.0, 64), Err(Error::Exists { .. })));
    for capacity in [0, 1, 8, 15, 17, 1000, usize::MAX, 1 << 63] {
        assert!(matches!(spsc::channel::<u64>(capacity), Err(Error::InvalidParameter { .. })), "{capacity}");
    }
}

/// A ring whose reader has something to read where the writer's position is the greater one.
fn naive_differences() -> usize {
    let (mut written, mut read, mut model, mut different) =
        (u64::MAX - 15, u64::MAX - 15, VecDeque::new(), 0);
    for turn in 0..200 {
        if turn % 3 < 2 && model.len() < 16 {
            model.push_back(turn);
            written = written.wrapping_add(1);
        } else {
            let came = (read < written).then(|| read = read.wrapping_add(1)).is_some();
            different += usize::from(came != model.pop_front().is_some());
        }
    }
    different
}

#[test]
fn f12_positions_wrap_at_2_32_and_2_64_as_a_queue_would() {
    fn check<T: ipc_shm::Payload + Clone + PartialEq + std::fmt::Debug>(make: fn(u64) -> T, seed: u64) {
        for start in [0, (1 << 32) - 40, u64::MAX - 40, u64::MAX - 15] {
            let (sender, receiver) = spsc::channel::<T>(ChannelOptions::new(16).start(start)).unwrap();
            let (mut sender, mut receiver) = (sender.attach().unwrap(), receiver.attach().unwrap());
            let mut random = fastrand::Rng::with_seed(seed);
            let mut model = VecDeque::new();
            let mut next = 0;
            for _ in 0..repetitions_or_long(20_000, 200_000, 1_000_000) {
                match random.u8(0..5) {
                    0 => match sender.try_send(&make(next)) {
                        Ok(()) => {
                            model.push_back(make(next));
                            next += 1;
                        }
                        Err(Error::Full) => assert!(model.len() >= sender.capacity()),
                        Err(error) => panic!("{error}"),
                    },
                    1 => {
                        let batch: Vec<T> = (next..next + random.u64(1..20)).map(make).collect();
                        match sender.try_send_batch(&batch) {
                            Ok(sent) => {
                                model.extend(batch[..sent].iter().cloned());
                                next += sent as u64;
                            }
                            Err(Error::Full) => assert!(model.len() >= sender.capacity()),
                            Err(error) => panic!("{error}"),
                        }
                    }
                    2 | 3 => match receiver.try_recv() {
                        Ok(message) => assert_eq!(Some(message), model.pop_front()),
                        Err(Error::Empty) => assert!(model.is_empty()),
                        Err(error) => panic!("{error}"),
                    },
                    _ => {
                        let mut buffer = vec![make(0); random.usize(1..20)];
                        match receiver.try_recv_batch(&mut buffer) {
                            Ok(count) => {
                                for message in &buffer[..count] {
                                    assert_eq!(Some(message), model.pop_front().as_ref());
                                }
                            }
                            Err(Error::Empty) => assert!(model.is_empty()),
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
                assert!(model.len() <= 16);
            }
            assert!(next > 1000);
        }
    }
    let seed = report::seed();
    check::<u64>(|turn| turn, seed);
    check::<[u8; 3]>(|turn| [turn.to_le_bytes()[0], turn.to_le_bytes()[1], 7], seed);
    check::<[u64; 7]>(|turn| [turn; 7], seed);
    check::<[u32; 17]>(|turn| [u32::try_from(turn).unwrap(); 17], seed);
    let naive = naive_differences();
    assert!(naive > 0);
    proof!(
        "F12",
        "4 starts x 4 types against a VecDeque, 0 differences; naive twin, which compares positions by <: {naive} differences; seed {seed}"
    );
}

#[test]
fn a_forked_child_gets_forked_and_a_touched_loan_kills_it_alone() {
    let named = Name::new("spsc-fork");
    let mut peer = peer!("peer-shm", "spsc-forker", named.0);
    peer.expect("child [true, true, true, true, true]");
    peer.expect("parent 1 3");
    peer.expect("loan true 4");
    peer.finish();
    assert!(name::in_dev_shm(&named.0).is_empty());
}

#[test]
fn f1_a_scribbling_peer_harms_its_own_channel_only() {
    let seed = report::seed();
    let (mut ok, mut refused, mut corrupt) = (0_u64, 0_u64, 0_u64);
    let millis = repetitions(1000, 10_000);
    let named = Name::new("scribble");
    let keep = spsc::Sender::<u64>::create(&named.0, 16).unwrap();
    keep.persist();
    drop(keep);
    let begin = Instant::now();
    // Until both have been seen: a loaded machine may have had us scribble, or call, in vain.
    let written = loop {
        let mut peer = peer!("peer-shm", "spsc-scribbler", named.0, millis, seed);
        peer.expect("ready");
        let end = Instant::now() + Duration::from_millis(millis as u64 - 200);
        while Instant::now() < end {
            let ends = spsc::Sender::<u64>::open(&named.0)
                .and_then(|sender| Ok((sender, spsc::Receiver::<u64>::open(&named.0)?)));
            let Ok((mut sender, mut receiver)) = ends else {
                refused += 1;
                // Put the header right again, or nobody would ever attach.
                crate::spsc_crash::heal(&named.0);
                continue;
            };
            for turn in 0..200 {
                let start = Instant::now();
                let results = [
                    sender.try_send(&turn).err(),
                    sender.try_send_batch(&[turn; 5]).err(),
                    sender.send_timeout(&turn, Duration::from_micros(50)).err(),
                    receiver.try_recv().err(),
                    receiver.try_recv_batch(&mut [0; 7]).err(),
                    receiver.recv_timeout(Duration::from_micros(50)).err(),
                ];
                assert!(start.elapsed() < WATCHDOG, "an operation hung");
                for result in results {
                    match result {
                        None | Some(Error::Full | Error::Empty | Error::TimedOut | Error::Disconnected) => {
                            ok += 1;
                        }
                        Some(Error::PeerCorrupt { .. }) => corrupt += 1,
                        Some(other) => panic!("{other}"),
                    }
                }
            }
        }
        let written = peer.hear();
        peer.finish();
        if (ok > 0 && corrupt > 0) || begin.elapsed() > WATCHDOG {
            break written;
        }
    };
    assert!(ok > 0 && corrupt > 0);
    proof!(
        "F1",
        "spsc: {written} words scribbled; {ok} calls ended well, {corrupt} PeerCorrupt, {refused} attaches refused, 0 panics; seed {seed}"
    );
}
