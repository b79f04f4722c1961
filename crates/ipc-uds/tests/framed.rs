//! G2: framed messages against peers that break the rules.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ipc_uds::{Ancillary, Budget, Datagram, Error, Framed, SeqPacket, Socket, Stream};

const MAX: usize = 64;

/// A frame as it stands on the wire, with the length and the count that it claims.
fn frame(len: u32, count: u8, bytes: &[u8]) -> Vec<u8> {
    [&len.to_be_bytes()[..], &[count], bytes].concat()
}

fn good(count: u8, bytes: &[u8]) -> Vec<u8> {
    frame(u32::try_from(bytes.len() + 1).unwrap(), count, bytes)
}

/// One end of a pair to send, and the other, which sees the end of file when every copy is closed.
fn tracer() -> (OwnedFd, UnixStream) {
    let (writer, reader) = UnixStream::pair().unwrap();
    (writer.into(), reader)
}

/// What a peer does by sends of bytes with a number of descriptors each.
fn attack(script: &[(&[u8], usize)], max_descriptors: usize) -> (Framed<Stream>, UnixStream) {
    let (theirs, ours) = Stream::pair().unwrap();
    let ours = Framed::new(ours, MAX, max_descriptors).unwrap();
    let (writer, reader) = tracer();
    for (bytes, count) in script {
        if *count == 0 {
            (&theirs).write_all(bytes).unwrap();
        } else {
            let fds: Vec<BorrowedFd<'_>> = vec![writer.as_fd(); *count];
            theirs.send_with(bytes, &fds[..]).unwrap();
        }
    }
    (ours, reader)
}

/// The first error, the messages before it, and that afterwards everything is closed and stays refused.
fn broken(script: &[(&[u8], usize)], max_descriptors: usize) -> (usize, Error) {
    let (mut ours, mut tracer) = attack(script, max_descriptors);
    let mut whole = 0;
    let error = loop {
        match ours.recv() {
            Ok(Some(_)) => whole += 1,
            Ok(None) => panic!("an end instead of an error: {script:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(ours.recv(), Err(Error::Malformed { .. })));
    assert!(matches!(ours.send(b"x"), Err(Error::PeerGone { .. })), "the connection is shut down");
    assert_eq!(tracer.read(&mut [0]).unwrap(), 0, "a descriptor leaked");
    (whole, error)
}

fn is_malformed(error: &Error) -> bool {
    matches!(error, Error::Malformed { .. })
}

#[test]
fn g2_a_cut_frame_is_an_error_and_never_data() {
    for cut in 1..good(0, b"hello").len() {
        let (whole, error) = broken(&[(&good(0, b"whole"), 0), (&good(0, b"hello")[..cut], 0)], 1);
        assert!(whole == 1 && matches!(error, Error::Truncated { .. }), "{cut}: {error}");
    }
}

#[test]
fn g2_lengths_that_lie() {
    for len in [u32::try_from(MAX).unwrap() + 2, 1 << 31, u32::MAX] {
        let (_, error) = broken(&[(&frame(len, 0, b"x"), 0)], 1);
        assert!(matches!(error, Error::TooLong { .. }), "{len}: {error}");
    }
    assert!(is_malformed(&broken(&[(&[0; 4], 0)], 1).1));
    let (mut ours, _) = attack(&[(&good(0, &[7; MAX]), 0), (&good(0, b""), 0)], 1);
    assert_eq!(ours.recv().unwrap().unwrap().bytes, [7; MAX]);
    assert_eq!(ours.recv().unwrap().unwrap().bytes, b"", "an empty message is no end");
}

#[test]
fn g2_descriptors_other_than_announced() {
    for (announced, sent) in [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (255, 3)] {
        let (whole, error) = broken(&[(&good(announced, b"hello"), sent)], 3);
        assert!(whole == 0 && is_malformed(&error), "{announced} announced, {sent} sent: {error}");
    }
    let (_, error) = broken(&[(&good(4, b"hello"), 4)], 3);
    assert!(matches!(error, Error::TooManyDescriptors { count: 4, max: 3 }));
}

#[test]
fn g2_descriptors_where_they_do_not_belong() {
    // In the middle of a message of which the beginning was received; one that announced them, and one that did not.
    let one = good(1, b"hello");
    for message in [&one, &good(0, b"hello")] {
        let (theirs, ours) = Stream::pair().unwrap();
        let mut ours = Framed::new(ours, MAX, 3).unwrap();
        let (writer, mut reader) = tracer();
        (&theirs).write_all(&message[..6]).unwrap();
        assert!(matches!(ours.try_recv(), Err(Error::WouldBlock)));
        theirs.send_with(&message[6..8], &[writer.as_fd()]).unwrap();
        drop(writer);
        assert!(is_malformed(&ours.recv().unwrap_err()));
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "a descriptor leaked");
    }
    // Twice in one message.
    assert!(is_malformed(&broken(&[(&one[..6], 1), (&one[6..], 1)], 3).1));
    // Two messages, the descriptor of one with the bytes of both.
    assert!(is_malformed(&broken(&[(&[good(1, b"a"), good(1, b"b")].concat(), 1)], 3).1));
    // A peer that piles them up with a byte each is stopped at the second.
    let slow: Vec<(&[u8], usize)> = one.chunks(1).map(|byte| (byte, 1)).collect();
    assert!(is_malformed(&broken(&slow, 3).1));
}

#[test]
fn g2_descriptors_meet_their_own_message_however_bytes_are_cut() {
    let (theirs, ours) = Stream::pair().unwrap();
    let mut ours = Framed::new(ours, MAX, 3).unwrap();
    let null = File::open("/dev/null").unwrap();
    for round in 0..200_u8 {
        let count = usize::from(round % 4);
        let message = good(round % 4, &[round; 10]);
        let cut = 1 + usize::from(round) % (message.len() - 1);
        // Descriptors go with the first byte; the rest follows in another send.
        if count > 0 {
            theirs.send_with(&message[..cut], &vec![null.as_fd(); count][..]).unwrap();
        } else {
            (&theirs).write_all(&message[..cut]).unwrap();
        }
        (&theirs).write_all(&message[cut..]).unwrap();
        if round % 7 == 6 {
            for expected in round - 6..=round {
                let received = ours.recv().unwrap().unwrap();
                assert_eq!(received.bytes, [expected; 10]);
                assert_eq!(received.descriptors.len(), usize::from(expected % 4));
            }
        }
    }
}

#[test]
fn g2_packets_that_lie() {
    let attack = |bytes: &[u8], fds: usize| {
        let (theirs, ours) = SeqPacket::pair().unwrap();
        let mut ours = Framed::new(ours, MAX, 2).unwrap();
        let (writer, mut reader) = tracer();
        theirs.send_with(bytes, &vec![writer.as_fd(); fds][..]).unwrap();
        drop(writer);
        let error = ours.recv().unwrap_err();
        assert!(matches!(ours.recv(), Err(Error::Malformed { .. })));
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "a descriptor leaked");
        error
    };
    for (bytes, fds) in [
        (b"x".to_vec(), 0),
        (b"xxxx".to_vec(), 0),
        (frame(5, 0, b"hello"), 0),
        (frame(7, 0, b"hello"), 0),
        (frame(0, 0, b""), 0),
        (good(1, b"hello"), 0),
        (good(0, b"hello"), 1),
        (good(2, b"hello"), 1),
        (vec![0; 5], 0),
    ] {
        let error = attack(&bytes, fds);
        assert!(is_malformed(&error), "{bytes:?} with {fds}: {error}");
    }
    assert!(matches!(attack(&good(0, &[0; MAX + 1]), 0), Error::Truncated { .. }));
    assert!(matches!(attack(&good(3, b""), 3), Error::TooManyDescriptors { .. }));

    let (theirs, ours) = SeqPacket::pair().unwrap();
    let mut ours = Framed::new(ours, MAX, 2).unwrap();
    let foreign = std::os::unix::net::UnixDatagram::from(OwnedFd::from(theirs));
    foreign.send(b"").unwrap();
    assert!(is_malformed(&ours.recv().unwrap_err()), "an empty packet is not the end");
}

#[test]
fn g2_credentials_and_pidfds_beside_descriptors() {
    let (theirs, ours) = SeqPacket::pair().unwrap();
    ours.set_pass_credentials(true).unwrap();
    let _ = ours.set_pass_pidfd(true);
    let (mut theirs, mut ours) = (Framed::new(theirs, MAX, 2).unwrap(), Framed::new(ours, MAX, 2).unwrap());
    let (writer, mut reader) = tracer();
    theirs.send_with(b"hello", vec![writer]).unwrap();
    let message = ours.recv().unwrap().unwrap();
    assert_eq!((message.bytes, message.descriptors.len()), (&b"hello"[..], 1));
    let sender = message.credentials.unwrap();
    assert_eq!(sender.pid.map(u32::from), Some(std::process::id()));
    drop(message);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

#[test]
fn messages_of_any_size_arrive_whole_and_in_order() {
    fn run<T: Ancillary + Send>(pair: (T, T), sizes: &[usize]) {
        let (left, right) = pair;
        let mut left = Framed::new(left, 1 << 20, 2).unwrap();
        let mut right = Framed::new(right, 1 << 20, 2).unwrap();
        let null = File::open("/dev/null").unwrap();
        std::thread::scope(|threads| {
            threads.spawn(move || {
                for (at, size) in sizes.iter().enumerate() {
                    let bytes = vec![u8::try_from(at % 251).unwrap(); *size];
                    left.send_borrowed(&bytes, &vec![null.as_fd(); at % 3]).unwrap();
                }
            });
            for (at, size) in sizes.iter().enumerate() {
                let message = right.recv().unwrap().unwrap();
                assert_eq!(message.bytes.len(), *size);
                assert!(message.bytes.iter().all(|byte| usize::from(*byte) == at % 251));
                assert_eq!(message.descriptors.len(), at % 3);
            }
            assert!(right.recv().unwrap().is_none());
        });
    }
    run(Stream::pair().unwrap(), &[0, 1, 3, 100_000, 0, 4096, 1 << 20, 16_384, 2, 0, 65_536]);
    run(SeqPacket::pair().unwrap(), &[0, 1, 3, 100_000, 0, 4096, 2, 0, 65_536]);
    run(UnixStream::pair().unwrap(), &[5, 0, 70_000]);
}

#[test]
fn g4_a_message_that_went_out_in_part_is_finished_and_its_descriptors_go_once() {
    let (left, right) = Stream::pair().unwrap();
    left.set_send_buffer(4608).unwrap();
    let (mut left, mut right) =
        (Framed::new(left, 1 << 20, 1).unwrap(), Framed::new(right, 1 << 20, 1).unwrap());
    // More than fits: a part goes out, the rest is kept.
    left.try_send(&[1; 100_000]).unwrap();
    assert!(matches!(left.try_send(&[2; 10]), Err(Error::WouldBlock)), "not before the first is out");
    assert!(matches!(left.send_timeout(&[2; 10], Duration::from_millis(2)), Err(Error::TimedOut)));
    assert!(matches!(right.try_recv(), Err(Error::WouldBlock)), "not a message yet");
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let null = File::open("/dev/null").unwrap();
            left.flush().unwrap();
            left.send_with(&[3; 50_000], vec![null.into()]).unwrap();
        });
        let first = right.recv().unwrap().unwrap();
        assert_eq!((first.bytes.len(), first.descriptors.len()), (100_000, 0));
        let second = right.recv_timeout(Duration::from_secs(120)).unwrap().unwrap();
        assert_eq!((second.bytes, second.descriptors.len()), (&[3; 50_000][..], 1));
    });
}

#[test]
fn caps_hold_on_the_sending_side_too() {
    let (left, right) = Stream::pair().unwrap();
    let (mut left, mut right) = (Framed::new(left, 8, 1).unwrap(), Framed::new(right, 8, 1).unwrap());
    assert!(matches!(left.send(&[0; 9]), Err(Error::TooLong { len: 9, max: 8 })));
    let null = File::open("/dev/null").unwrap();
    let two = [null.as_fd(); 2];
    assert!(matches!(left.send_borrowed(b"x", &two), Err(Error::TooManyDescriptors { count: 2, max: 1 })));
    left.send(b"still").unwrap();
    assert_eq!(right.recv().unwrap().unwrap().bytes, b"still");
    assert!(matches!(right.try_recv(), Err(Error::WouldBlock)));
    assert!(matches!(right.recv_timeout(Duration::ZERO), Err(Error::TimedOut)));
    assert!(Framed::new(Datagram::unbound().unwrap(), 8, 0).is_err());
    let many = Framed::new(Stream::pair().unwrap().0, 8, 254);
    assert!(matches!(many, Err(Error::TooManyDescriptors { count: 254, .. })));
}

#[test]
fn descriptors_become_what_they_are_or_an_error() {
    struct Two([OwnedFd; 2]);
    impl From<Two> for Vec<OwnedFd> {
        fn from(two: Two) -> Self {
            two.0.into()
        }
    }
    impl TryFrom<Vec<OwnedFd>> for Two {
        type Error = usize;
        fn try_from(descriptors: Vec<OwnedFd>) -> Result<Self, usize> {
            descriptors.try_into().map(Self).map_err(|found| found.len())
        }
    }
    let (left, right) = Stream::pair().unwrap();
    let (mut left, mut right) = (Framed::new(left, 8, 2).unwrap(), Framed::new(right, 8, 2).unwrap());
    let null = || OwnedFd::from(File::open("/dev/null").unwrap());
    left.send_with(b"two", Two([null(), null()])).unwrap();
    left.send_with(b"one", vec![null()]).unwrap();
    assert!(right.recv().unwrap().unwrap().into_descriptors::<Two>().is_ok());
    assert_eq!(right.recv().unwrap().unwrap().into_descriptors::<Two>().err(), Some(1));
}

#[cfg(feature = "serde")]
#[test]
fn values_that_are_none_leave_the_connection_good() {
    let (left, right) = Stream::pair().unwrap();
    let (mut left, mut right) = (Framed::new(left, 64, 1).unwrap(), Framed::new(right, 64, 1).unwrap());
    left.send(b"\xff\xff\xff\xff\xff\xff").unwrap();
    left.send_value_with(&(7_u32, "seven"), vec![File::open("/dev/null").unwrap().into()]).unwrap();
    assert!(matches!(right.recv_value::<(u32, String)>(), Err(Error::Encoding { .. })));
    let (value, descriptors) = right.recv_value_with::<(u32, String)>().unwrap().unwrap();
    assert_eq!((value, descriptors.len()), ((7, "seven".to_owned()), 1));
    assert!(matches!(left.send_value(&vec![0_u8; 100]), Err(Error::TooLong { .. })));
}

#[test]
fn a_budget_is_shared_and_given_back() {
    // Parts of 100 bytes and 1 descriptor each, and 200 bytes and 2 descriptors for whoever needs more.
    let budget = Budget::new(2, 400, 4);
    let pair = |within: &Budget| {
        let (ours, theirs) = Stream::pair().unwrap();
        (Framed::new(ours, 1 << 16, 3).unwrap().within(within), Framed::new(theirs, 1 << 16, 3).unwrap())
    };
    let (mut greedy, mut sender) = pair(&budget);
    let (mut modest, mut honest) = pair(&budget);
    for _ in 0..10 {
        // 295 and the 5 of the frame's beginning: all that there is for it. It comes again and again.
        sender.send(&[1; 295]).unwrap();
        assert_eq!(greedy.recv().unwrap().unwrap().bytes.len(), 295);
    }
    // Held until the next receive: the other has its own part, and no more.
    honest.send(&[2; 95]).unwrap();
    assert_eq!(modest.recv().unwrap().unwrap().bytes.len(), 95);
    assert!(matches!(greedy.try_recv(), Err(Error::WouldBlock)));
    honest.send(&[2; 295]).unwrap();
    assert_eq!(modest.recv().unwrap().unwrap().bytes.len(), 295);
    let (writer, mut tracer) = tracer();
    sender.send_with(&[1; 96], vec![writer]).unwrap();
    let error = greedy.recv().map(drop).unwrap_err();
    assert!(matches!(error, Error::OverBudget { max_bytes: 400, max_descriptors: 4 }));
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::QuotaExceeded);
    assert!(matches!(greedy.recv(), Err(Error::Malformed { .. })));
    assert!(matches!(sender.send(b"x"), Err(Error::PeerGone { .. })), "the connection is shut down");
    assert_eq!(tracer.read(&mut [0]).unwrap(), 0, "its descriptor was closed");
}

#[test]
fn a_budget_counts_descriptors_until_they_are_given_out() {
    let budget = Budget::new(1, 1 << 16, 2);
    for kind in ["stream", "packet"] {
        let (ours, theirs) = if kind == "stream" {
            let (ours, theirs) = Stream::pair().unwrap();
            (OwnedFd::from(ours), OwnedFd::from(theirs))
        } else {
            let (ours, theirs) = SeqPacket::pair().unwrap();
            (OwnedFd::from(ours), OwnedFd::from(theirs))
        };
        let (ours, theirs) = (Stream::from(ours), Stream::from(theirs));
        let mut ours = Framed::new(ours, MAX, 3).unwrap().within(&budget);
        let mut theirs = Framed::new(theirs, MAX, 3).unwrap();
        let two = || vec![tracer().0, tracer().0];
        let mut kept = Vec::new();
        for _ in 0..5 {
            theirs.send_with(b"two", two()).unwrap();
            kept.push(ours.recv().unwrap().unwrap().descriptors);
        }
        let (third, mut end) = tracer();
        theirs.send_with(b"three", two().into_iter().chain([third]).collect::<Vec<_>>()).unwrap();
        assert!(matches!(ours.recv(), Err(Error::OverBudget { .. })), "{kind}");
        assert_eq!(end.read(&mut [0]).unwrap(), 0, "{kind}");
    }
}
