//! Messages of any length.
#![expect(unsafe_code, reason = "both ends vouch for each other where they lend")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ipc_shm::{ChannelOptions, Error, Refusal, Sealed, bytes, spsc};
use ipc_testkit::{WATCHDOG, peer, proof, repetitions, repetitions_or_long, report};

use crate::memory::Name;

#[path = "../../peers/shm/bytes.rs"]
#[expect(dead_code, reason = "the roles are played by the peer; the test needs the messages")]
mod roles;
use roles::message;

#[test]
fn messages_of_every_length_cross_whole_both_ways() {
    let count = repetitions_or_long(20_000, 200_000, 1_000_000) as u64;
    let named = Name::new("bytes");
    let mut receiver = bytes::Receiver::create(&named.0, 4096).unwrap();
    let mut peer = peer!("peer-shm", "bytes-sender", named.0, 0, count);
    let mut buffer = Vec::new();
    for number in 0..count {
        let len = receiver.recv(&mut buffer).unwrap();
        assert_eq!(len, buffer.len());
        assert!(buffer == message(number, receiver.max_len()), "message {number}");
    }
    assert!(matches!(receiver.recv(&mut buffer), Err(Error::Disconnected)));
    peer.expect("ready");
    peer.expect("sent");
    peer.finish();

    let named = Name::new("bytes");
    let mut sender = bytes::Sender::create(&named.0, 1024).unwrap();
    let mut peer = peer!("peer-shm", "bytes-receiver", named.0);
    peer.expect("ready");
    for number in 0..count {
        sender.send(&message(number, sender.max_len())).unwrap();
    }
    drop(sender);
    peer.expect(&format!("{count} the other end is gone"));
    peer.finish();
}

#[test]
fn what_is_written_in_place_is_read_in_place() {
    let count = repetitions_or_long(20_000, 200_000, 1_000_000) as u64;
    let named = Name::new("lent");
    // SAFETY: the other process is our peer, which writes nothing here but by this library.
    let mut receiver = unsafe { bytes::Receiver::create(&named.0, 4096).unwrap().trust() };
    let mut peer = peer!("peer-shm", "bytes-lender", named.0, count);
    for number in 0..count {
        let longest = receiver.max_len();
        let borrow = receiver.borrow().unwrap();
        assert!(*borrow == message(number, longest), "message {number}");
    }
    assert!(matches!(receiver.borrow(), Err(Error::Disconnected)));
    peer.expect("ready");
    peer.expect("sent");
    peer.finish();
}

#[test]
fn batches_come_in_order_and_whole() {
    let (sender, receiver) = bytes::channel(1024).unwrap();
    let (mut sender, mut receiver) = (sender.attach().unwrap(), receiver.attach().unwrap());
    let all: Vec<Vec<u8>> = (0..500).map(|number| message(number, sender.max_len())).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for some in all.chunks(7) {
                sender.send_batch(&some.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
            }
            drop(sender);
        });
        let (mut buffers, mut next) = (vec![Vec::new(); 5], 0);
        loop {
            match receiver.recv_batch(&mut buffers) {
                Ok(count) => {
                    assert_eq!(buffers[..count], all[next..next + count]);
                    next += count;
                }
                Err(Error::Disconnected) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(next, all.len());
    });
}

#[test]
fn f9_a_killed_senders_message_is_whole_or_was_never_there() {
    let named = Name::new("bytes-killed");
    let mut receiver = bytes::Receiver::create(&named.0, 4096).unwrap();
    let (mut next, mut buffer) = (0_u64, Vec::new());
    let rounds = repetitions(15, 400);
    for _ in 0..rounds {
        let mut peer = peer!("peer-shm", "bytes-sender", named.0, next, u64::MAX);
        peer.expect("ready");
        let enough = next + 200;
        loop {
            match receiver.recv(&mut buffer) {
                Ok(_) => assert!(buffer == message(next, receiver.max_len()), "message {next}"),
                Err(Error::Disconnected) => break,
                Err(error) => panic!("{error}"),
            }
            next += 1;
            if next == enough {
                peer.kill();
            }
        }
    }
    proof!("F9", "bytes: {rounds} senders killed, {next} messages, none torn, lost or doubled");
}

#[test]
fn f12_positions_wrap_as_a_queue_would_and_too_long_is_refused() {
    let seed = report::seed();
    for start in [0, (1 << 32) - 9, u64::MAX - 9] {
        let (sender, receiver) = bytes::channel(ChannelOptions::new(1024).start(start)).unwrap();
        // SAFETY: both ends are of this test, and nobody else has the memory.
        let mut sender = unsafe { sender.attach().unwrap().trust() };
        // SAFETY: as above.
        let mut receiver = unsafe { receiver.attach().unwrap().trust() };
        assert_eq!(sender.max_len(), 1016);
        assert!(matches!(sender.send(&[0; 1017]), Err(Error::TooLong { len: 1017, max: 1016 })));
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut model, mut next, mut buffer) = (VecDeque::new(), 0, Vec::new());
        for _ in 0..repetitions_or_long(10_000, 200_000, 1_000_000) {
            let bytes = message(next, sender.max_len());
            let done = match random.u8(0..6) {
                // Given up, it was never there.
                5 => sender.try_loan(bytes.len()).map(|mut loan| loan.fill(0xaa)),
                4 => sender.try_loan(sender.max_len().min(bytes.len() + 70)).map(|mut loan| {
                    loan[..bytes.len()].copy_from_slice(&bytes);
                    loan.truncate(bytes.len());
                    loan.commit();
                    model.push_back(bytes);
                    next += 1;
                }),
                3 => receiver.try_borrow().map(|borrow| {
                    assert_eq!(Some(&*borrow), model.pop_front().as_deref(), "seed {seed}");
                }),
                0 => sender.try_send(&bytes).map(|()| {
                    model.push_back(bytes);
                    next += 1;
                }),
                1 => {
                    let further = message(next + 1, sender.max_len());
                    sender.try_send_batch(&[&bytes, &further]).map(|sent| {
                        model.extend([bytes, further].into_iter().take(sent));
                        next += sent as u64;
                    })
                }
                _ => receiver.try_recv(&mut buffer).map(|_| {
                    assert_eq!(Some(&buffer), model.pop_front().as_ref(), "seed {seed}");
                }),
            };
            match done {
                Ok(()) => {}
                Err(Error::Empty) => assert!(model.is_empty()),
                // Hot, an emptied ring may keep a quarter back until the receiver looks again.
                Err(Error::Full) if model.is_empty() => receiver.release().unwrap(),
                Err(Error::Full) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert!(next > 1000);
    }
}

#[test]
fn f5_sealed_pairs_meet_and_other_kinds_are_refused() {
    let (offer, invitation) = bytes::Sender::<Sealed>::offer(4096).unwrap();
    let (mut receiver, acceptance) = invitation.accept().unwrap();
    let mut sender = offer.complete(acceptance).unwrap();
    sender.send(b"sealed").unwrap();
    let mut buffer = Vec::new();
    assert_eq!(receiver.recv(&mut buffer).unwrap(), 6);
    assert_eq!(buffer, b"sealed");

    let named = Name::new("bytes-kind");
    let _sender = bytes::Sender::create(&named.0, 4096).unwrap();
    let error = spsc::Receiver::<[u64; 8]>::open(&named.0).unwrap_err();
    assert!(matches!(error, Error::Refused { reason: Refusal::Kind { .. }, .. }), "{error}");
    for capacity in [0, 64, 512, 1000, 1025, usize::MAX, 1 << 63] {
        assert!(
            matches!(bytes::channel(capacity), Err(Error::InvalidParameter { .. } | Error::NoSpace { .. })),
            "{capacity}"
        );
    }
}

#[test]
fn f1_f3_a_lying_length_is_the_channels_end_and_nothing_worse() {
    let seed = report::seed();
    let millis = repetitions(600, 10_000);
    let named = Name::new("bytes-scribble");
    let mut receiver = bytes::Receiver::create(&named.0, 4096).unwrap();
    let mut peer = peer!("peer-shm", "spsc-scribbler", named.0, millis, seed);
    peer.expect("ready");
    let end = Instant::now() + Duration::from_millis(millis as u64 - 100);
    let (mut calls, mut corrupt, mut came, mut buffer) = (0_u64, 0_u64, 0_u64, Vec::new());
    while Instant::now() < end {
        let start = Instant::now();
        match receiver.recv_timeout(&mut buffer, Duration::from_micros(20)) {
            Ok(len) => {
                assert!(len <= receiver.max_len() && buffer.capacity() <= 2 * 4096);
                came += 1;
            }
            Err(Error::PeerCorrupt { .. }) => {
                corrupt += 1;
                receiver.persist();
                drop(receiver);
                // Sticky: only a new end can go on.
                receiver = loop {
                    match bytes::Receiver::open(&named.0) {
                        Ok(receiver) => break receiver,
                        Err(_) => receiver_again(&named.0),
                    }
                };
            }
            Err(Error::TimedOut | Error::Disconnected) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(start.elapsed() < WATCHDOG, "an operation hung");
        calls += 1;
    }
    peer.hear();
    peer.finish();
    assert!(corrupt > 0);
    proof!(
        "F1",
        "bytes: {calls} calls, {came} messages of noise, {corrupt} PeerCorrupt, 0 panics; seed {seed}"
    );
}

/// The scribbler has hit the header, which an attacher refuses: put it right, under a name of its own if it is gone.
fn receiver_again(name: &str) {
    use std::os::unix::fs::FileExt;
    let good = Name::new("good");
    let receiver = bytes::Receiver::create(&good.0, 4096).unwrap();
    let mut header = [0; 104];
    std::fs::File::open(format!("/dev/shm/{}", good.0)).unwrap().read_exact_at(&mut header, 0).unwrap();
    drop(receiver);
    let file = std::fs::OpenOptions::new().write(true).open(format!("/dev/shm/{name}")).unwrap();
    file.write_all_at(&header, 0).unwrap();
}

#[test]
fn f2_a_length_beyond_what_was_published_is_the_end() {
    use std::os::unix::fs::FileExt;
    let named = Name::new("bytes-length");
    let mut sender = bytes::Sender::create(&named.0, 1024).unwrap();
    let mut receiver = bytes::Receiver::open(&named.0).unwrap();
    sender.send(b"short").unwrap();
    // One block was published, and its length says fifteen: the ring could hold them, but they are not there.
    let file = std::fs::OpenOptions::new().write(true).open(format!("/dev/shm/{}", named.0)).unwrap();
    file.write_all_at(&900_u64.to_ne_bytes(), 4096).unwrap();
    let mut buffer = Vec::new();
    for _ in 0..2 {
        assert!(matches!(receiver.try_recv(&mut buffer), Err(Error::PeerCorrupt { .. })));
    }
    sender.send(b"whole").unwrap();
    assert!(matches!(receiver.recv(&mut buffer), Err(Error::PeerCorrupt { .. })), "and it stays so");
}
