//! Several senders, a lane each.
#![expect(unsafe_code, reason = "a borrow wants lanes that are vouched for")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ipc_shm::{Error, Sealed, Vouched, Wait, mpsc, spsc};
use ipc_testkit::{WATCHDOG, peer, proof, repetitions, repetitions_or_long, report};

use crate::memory::Name;
use crate::slow::Slow;

/// A lane of its own name, and the process that sends COUNT messages into it, numbered from LANE << 32 on.
fn lane(
    receiver: &mut mpsc::Receiver<u64>,
    number: u64,
    count: u64,
) -> (Name, ipc_testkit::Peer, mpsc::LaneId) {
    let named = Name::new("lane");
    let ring = spsc::Receiver::<u64>::create(&named.0, 64).unwrap();
    let id = receiver.admit(ring).unwrap();
    let mut peer = peer!("peer-shm", "spsc-sender", named.0, number << 32, count, "park", "hold");
    peer.expect("ready");
    (named, peer, id)
}

#[test]
fn f9_senders_join_and_die_and_the_others_lose_nothing() {
    for wait in [Wait::Park, Wait::SpinThenPark, Wait::Spin] {
        let mut receiver = mpsc::Receiver::<u64>::new();
        receiver.set_wait(wait);
        assert!(matches!(receiver.recv(), Err(Error::Disconnected)));
        let count = repetitions_or_long(20_000, 200_000, 1_000_000) as u64;
        let (_first_name, first, _) = lane(&mut receiver, 0, count);
        let (_second_name, mut second, doomed) = lane(&mut receiver, 1, u64::MAX >> 1);
        let mut third = None;
        let mut next = [0_u64; 3];
        let mut killed = None;
        let mut told = None;
        while next[0] < count || next[2] < count || told.is_none() {
            match receiver.recv_timeout(Duration::from_millis(200)) {
                Ok(message) => {
                    let number = usize::try_from(message >> 32).unwrap();
                    assert_eq!(message & 0xffff_ffff, next[number], "lane {number}");
                    next[number] += 1;
                }
                Err(Error::TimedOut) => {}
                Err(error) => panic!("{error}"),
            }
            if next[1] == 500 && killed.is_none() {
                second.kill();
                killed = Some(Instant::now());
                third = Some(lane(&mut receiver, 2, count));
            }
            for (id, error) in receiver.departed() {
                assert!(id == doomed && matches!(error, Error::Disconnected), "{id:?} {error}");
                told = killed.map(|at| at.elapsed());
            }
        }
        assert_eq!(receiver.lanes(), 2);
        assert!(matches!(receiver.try_recv(), Err(Error::Empty)));
        assert!(matches!(receiver.recv_timeout(Duration::from_millis(2)), Err(Error::TimedOut)));
        drop((first, third));
        assert!(matches!(receiver.recv(), Err(Error::Disconnected)));
        proof!(
            "F9",
            "mpsc, {wait:?}: {} messages of three senders in order; the killed one told after {:?}",
            next.iter().sum::<u64>(),
            told.unwrap_or_default()
        );
    }
}

#[test]
fn f10_a_receiver_asleep_on_many_lanes_is_woken_by_any() {
    let mut receiver = mpsc::Receiver::<u64>::new();
    receiver.set_wait(Wait::Park);
    let mut senders = Vec::new();
    for _ in 0..mpsc::LANES_MAX {
        let (sender, ring) = spsc::channel::<u64>(16).unwrap();
        receiver.admit(ring.attach().unwrap()).unwrap();
        senders.push(sender.attach().unwrap());
    }
    let (_, extra) = spsc::channel::<u64>(16).unwrap();
    assert!(matches!(receiver.admit(extra.attach().unwrap()), Err(Error::InvalidParameter { .. })));
    let rounds = repetitions(2_000, 100_000) as u64;
    let (answer, mut answers) = std::sync::mpsc::sync_channel::<u64>(0);
    let (tell, told) = std::sync::mpsc::channel();
    let slow = std::thread::scope(|scope| {
        scope.spawn(move || {
            tell.send(nix::unistd::gettid()).unwrap();
            let mut random = fastrand::Rng::new();
            for round in 0..rounds {
                senders[random.usize(0..mpsc::LANES_MAX)].send(&round).unwrap();
                answer.send(round).unwrap();
            }
        });
        let mut slow = Slow::with_threads([told.recv().unwrap()]);
        for round in 0..rounds {
            let start = Instant::now();
            if round % 2 == 0 {
                assert_eq!(receiver.recv().unwrap(), round);
            } else {
                let mut buffer = [0; 2];
                assert_eq!((receiver.recv_batch(&mut buffer).unwrap(), buffer[0]), (1, round));
            }
            slow.note(start.elapsed());
            answers.recv().unwrap();
        }
        answers = std::sync::mpsc::sync_channel(0).1;
        slow
    });
    slow.check();
    proof!("F10", "mpsc: {rounds} wake-ups over 127 lanes, 0 lost");
}

#[test]
fn f12_a_batch_is_what_the_lanes_hold_each_in_order() {
    fn check<T: ipc_shm::Payload + Clone + PartialEq + std::fmt::Debug>(make: fn(u64) -> T, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut receiver = mpsc::Receiver::<T>::new();
        assert_eq!(receiver.try_recv_batch(&mut []).unwrap(), 0);
        let mut buffer = vec![make(0); 5];
        assert!(matches!(receiver.recv_batch(&mut buffer), Err(Error::Disconnected)));
        let mut lanes = Vec::new();
        for number in 0..5_u64 {
            let (sender, ring) = spsc::channel::<T>(16).unwrap();
            receiver.admit(ring.attach().unwrap()).unwrap();
            lanes.push((sender.attach().unwrap(), VecDeque::new(), number << 32));
        }
        for _ in 0..repetitions_or_long(20_000, 200_000, 1_000_000) {
            if random.bool() {
                let (sender, model, next) = &mut lanes[random.usize(0..5)];
                let batch: Vec<u64> = (*next..*next + random.u64(1..6)).collect();
                let messages: Vec<T> = batch.iter().copied().map(make).collect();
                let sent = sender.try_send_batch(&messages).or_else(|error| match error {
                    Error::Full => Ok(0),
                    error => Err(error),
                });
                let sent = sent.unwrap();
                model.extend(&batch[..sent]);
                *next += sent as u64;
                continue;
            }
            let there: usize = lanes.iter().map(|(_, model, _)| model.len()).sum();
            let mut buffer = vec![make(0); random.usize(1..30)];
            match receiver.try_recv_batch(&mut buffer) {
                Ok(count) => {
                    assert_eq!(count, there.min(buffer.len()), "seed {seed}");
                    for message in &buffer[..count] {
                        let of = lanes.iter_mut().find(|(_, model, _)| {
                            model.front().is_some_and(|front| make(*front) == *message)
                        });
                        assert!(of.is_some_and(|(_, model, _)| model.pop_front().is_some()), "seed {seed}");
                    }
                }
                Err(Error::Empty) => assert_eq!(there, 0, "seed {seed}"),
                Err(error) => panic!("{error}"),
            }
        }
        // One lane that is never empty does not keep the others from their turn.
        while receiver.try_recv_batch(&mut buffer).is_ok() {}
        for (sender, _, next) in &mut lanes {
            (0..5).for_each(|_| sender.send(&make(*next)).unwrap());
        }
        let mut came = Vec::new();
        for _ in 0..5 {
            assert_eq!(receiver.try_recv_batch(&mut buffer).unwrap(), 5);
            let all_of_one = |next: &u64| buffer.iter().all(|message| *message == make(*next));
            came.extend(lanes.iter().position(|(_, _, next)| all_of_one(next)));
            let (sender, _, next) = &mut lanes[0];
            let _ = sender.try_send_batch(&vec![make(*next); 5]);
        }
        came.sort_unstable();
        assert_eq!(came, [0, 1, 2, 3, 4]);
        // What is left of a lane whose sender is gone comes first; then it is counted as departed.
        while receiver.try_recv_batch(&mut buffer).is_ok() {}
        let (mut sender, ..) = lanes.remove(0);
        sender.send_batch(&vec![make(1); 7]).unwrap();
        drop(sender);
        assert_eq!(receiver.recv_batch_timeout(&mut buffer, WATCHDOG).unwrap(), 5);
        assert_eq!(receiver.recv_batch(&mut buffer).unwrap(), 2);
        assert!(matches!(receiver.recv_batch_timeout(&mut buffer, Duration::ZERO), Err(Error::TimedOut)));
        assert!(matches!(receiver.departed()[..], [(_, Error::Disconnected)]));
    }
    let seed = report::seed();
    check::<u64>(|turn| turn, seed);
    check::<[u64; 12]>(|turn| [turn; 12], seed);
    proof!("F12", "mpsc: batches of five lanes against a VecDeque each, 0 differences; seed {seed}");
}

#[test]
fn f9_what_is_borrowed_of_a_killed_sender_stays_whole_and_the_lanes_take_turns() {
    let mut receiver = mpsc::Receiver::<u64, Vouched>::new();
    receiver.set_wait(Wait::Park);
    assert!(matches!(receiver.try_borrow().map(drop), Err(Error::Disconnected)));
    let mut admit = |number: u64| {
        let named = Name::new("lane");
        let ring = spsc::Receiver::<u64>::create(&named.0, 16).unwrap();
        // SAFETY: the peer keeps to the protocol.
        let id = receiver.admit(unsafe { ring.trust() }).unwrap();
        let mut peer = peer!("peer-shm", "spsc-sender", named.0, number << 32, u64::MAX >> 1, "park", "hold");
        peer.expect("ready");
        (named, peer, id)
    };
    let (_first_name, first, _) = admit(0);
    let (_second_name, mut second, doomed) = admit(1);
    let (mut next, mut in_turn, mut last) = ([0_u64, 1 << 32], 0_u32, 2);
    let mut expect = |message: u64| {
        let of = usize::try_from(message >> 32).unwrap();
        assert_eq!(message, next[of]);
        next[of] += 1;
        in_turn += u32::from(of != last);
        last = of;
        of
    };
    for _ in 0..repetitions_or_long(5_000, 50_000, 500_000) {
        expect(*receiver.borrow().unwrap());
    }
    loop {
        let message = receiver.borrow().unwrap();
        let seen = *message;
        if expect(seen) == 1 {
            second.kill();
            assert_eq!(*message, seen);
            break;
        }
    }
    // What it had sent comes, then its end; the other goes on.
    let mut rest = 0;
    while receiver.lanes() == 2 {
        expect(*receiver.borrow().unwrap());
        rest += 1;
    }
    assert!(matches!(receiver.departed()[..], [(id, Error::Disconnected)] if id == doomed));
    for _ in 0..100 {
        assert_eq!(expect(*receiver.borrow().unwrap()), 0);
    }
    assert!(in_turn > 100, "{in_turn}");
    drop(first);
    proof!(
        "F9",
        "mpsc: {next:?} borrowed of two senders, in turn {in_turn} times, {rest} after one was killed"
    );
}

#[test]
fn sealed_lanes_are_admitted_by_acceptance() {
    let mut receiver = mpsc::Receiver::<u64, Sealed>::new();
    let (offer, invitation) = spsc::Receiver::<u64, Sealed>::offer(16).unwrap();
    let (mut sender, acceptance) = invitation.accept().unwrap();
    receiver.admit(offer.complete(acceptance).unwrap()).unwrap();
    sender.send(&7).unwrap();
    assert_eq!(receiver.recv().unwrap(), 7);
}
