//! G1, G2, G3, G4, G9: descriptors and messages, under limits, against peers that die or misbehave.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

use ipc_testkit::{Peer, peer, proof, repetitions, report, skip};
use ipc_uds::{Ancillary, Connection, Error, Framed, Listener, Stream};

use crate::Place;

#[test]
fn g1_every_descriptor_arrives_close_on_exec_or_is_closed() {
    let (rounds, seed) = (repetitions(1000, 100_000), report::seed());
    let mut peer = peer!("peer-uds", "ledger", rounds, seed);
    let mut counts = Vec::new();
    while let Some(line) = peer.next_line() {
        counts = line.split(' ').map(|count| count.parse::<usize>().unwrap()).collect();
    }
    peer.finish();
    let [lost, refused, whole] = counts.try_into().unwrap();
    assert_eq!(lost + refused + whole, rounds);
    assert!(lost > 0 && refused > 0 && whole > 0);
    let naive_rounds = 50;
    let mut naive = peer!("peer-uds", "naive-ledger", naive_rounds);
    let [leaked, inherited] = [(); 2].map(|()| naive.hear().parse::<usize>().unwrap());
    naive.finish();
    assert_eq!((leaked, inherited), (naive_rounds, naive_rounds));
    proof!(
        "G1",
        "{rounds} receives ({lost} truncated, {refused} refused, {whole} whole), 0 leaked; naive twin leaked in {leaked} \
         of {naive_rounds}; seed {seed}"
    );
}

#[test]
fn g2_an_urgent_byte_harms_nobody() {
    let place = Place::new();
    let listener: Listener = Listener::bind(place.path("s")).unwrap();
    let mut urgent = peer!("peer-uds", "urgent", place.path("s").display());
    let mut framed = Framed::new(listener.accept().unwrap(), 64, 1).unwrap();
    let known = urgent.hear();
    // It is out of the stream, or in it, or not known to this kernel.
    match framed.recv() {
        Ok(Some(message)) => assert_eq!(message.bytes, b"hello", "{known}"),
        Ok(None) => panic!("an end in the middle of a message"),
        Err(error) => assert!(matches!(
            error,
            Error::TooLong { .. } | Error::Truncated { .. } | Error::Malformed { .. }
        )),
    }
    urgent.tell("end");
    urgent.finish();
}

/// Starts a sender, receives `take` messages, kills it, receives the rest; gives how many came, and whether the end was
/// clean.
fn receive_until_killed<S: Connection + Ancillary>(
    role: &str,
    listener: &Listener<S>,
    place: &Place,
    take: usize,
) -> (usize, bool) {
    let mut sender = peer!("peer-uds", role, place.path("s").display());
    let mut framed = Framed::new(listener.accept().unwrap(), 1 << 16, 1).unwrap();
    let (traced, mut tracer) = UnixStream::pair().unwrap();
    framed.send_with(b"", vec![traced.into()]).unwrap();
    let mut number = 0_u32;
    let end = loop {
        if usize::try_from(number).unwrap() == take {
            // Every other one wherever it is, the rest where it waits for room: mostly inside a message.
            if take.is_multiple_of(2) {
                sender.until_asleep_in(libc::SYS_sendmsg);
            }
            sender.kill();
        }
        match framed.recv() {
            Ok(Some(message)) => {
                let (bytes, sum) = message.bytes.split_last_chunk().unwrap();
                assert_eq!(u32::from_be_bytes(*sum), crc32fast::hash(bytes));
                assert_eq!(bytes.first_chunk(), Some(&number.to_be_bytes()));
                assert_eq!(message.descriptors.len(), usize::from(number.is_multiple_of(3)));
                number += 1;
            }
            Ok(None) => break true,
            Err(Error::Truncated { .. } | Error::PeerGone { .. }) => break false,
            Err(error) => panic!("{error:?}"),
        }
    };
    drop(framed);
    // The sender is dead and the connection closed: the end of file says that no copy is left, in flight neither.
    assert_eq!(tracer.read(&mut [0]).unwrap(), 0);
    (usize::try_from(number).unwrap(), end)
}

#[test]
fn g3_a_killed_sender_leaves_whole_messages_and_no_descriptor() {
    // Of each type of socket: 10,000 kills in the full tier, early ones, because a hundred messages more show nothing new.
    let rounds = repetitions(40, 5000);
    let seed = report::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::new();
    let (mut messages, mut cut) = (0, 0);
    let listener: Listener = Listener::bind(place.path("s")).unwrap();
    for _ in 0..rounds {
        let (count, clean) = receive_until_killed("framer", &listener, &place, random.usize(..24));
        messages += count;
        cut += usize::from(!clean);
    }
    assert!(cut > 0, "none of {rounds} was killed within a message; seed {seed}");
    drop(listener);
    let listener: Listener<ipc_uds::SeqPacket> = Listener::bind(place.path("s")).unwrap();
    for _ in 0..rounds {
        let take = random.usize(..24);
        messages += receive_until_killed("packet-framer", &listener, &place, take).0;
    }
    drop(listener);

    // The twin takes what came before the end for a record. Its sender is killed where it surely is inside of one: asleep,
    // with more to send than the socket holds.
    const RECORD: usize = 1 << 20;
    let listener: Listener = Listener::bind(place.path("s")).unwrap();
    let mut torn = 0;
    for _ in 0..20 {
        let mut sender = peer!("peer-uds", "naive-writer", place.path("s").display(), RECORD);
        let mut stream = listener.accept().unwrap();
        sender.until_asleep_in(libc::SYS_sendto);
        sender.kill();
        let mut record = Vec::new();
        stream.read_to_end(&mut record).unwrap();
        torn += usize::from(!record.is_empty() && record.len() < RECORD);
    }
    assert_eq!(torn, 20);
    proof!(
        "G3",
        "{} kills, {messages} messages whole, {cut} cut and found out, 0 descriptors left; naive twin took {torn} torn \
         records; seed {seed}",
        2 * rounds
    );
}

/// Takes so many datagrams of a sender, kills it, and takes the rest, unless it is `left` unread; how many came.
fn take_until_killed(place: &Place, round: usize, take: usize, left: bool) -> u32 {
    let (path, own) = (place.path("d"), place.path(&format!("own-{round}")));
    let receiver = ipc_uds::Datagram::bind(&*path).unwrap();
    let mut sender = peer!("peer-uds", "datagram-sender", path.display(), own.display());
    sender.expect("bound");
    let (traced, mut tracer) = UnixStream::pair().unwrap();
    let carrier = ipc_uds::Datagram::unbound().unwrap();
    carrier.connect(&*own).unwrap();
    carrier.send_with(b"!", &[traced.as_fd()]).unwrap();
    drop((carrier, traced));
    let mut buffer = vec![0; 1 << 16];
    let mut number = 0;
    let mut whole = |received: ipc_uds::Received, buffer: &[u8]| {
        let (bytes, sum) = buffer.get(..received.len).unwrap().split_last_chunk::<4>().unwrap();
        assert_eq!(crc32fast::hash(bytes).to_be_bytes(), *sum);
        assert_eq!(bytes.first_chunk(), Some(&u32::to_be_bytes(number)));
        assert_eq!(received.descriptors.len(), usize::from(number.is_multiple_of(3)));
        number += 1;
    };
    for _ in 0..take {
        let received = receiver.recv_with(&mut buffer, 1).unwrap();
        whole(received, &buffer);
    }
    sender.kill();
    if !left {
        loop {
            match receiver.try_recv_with(&mut buffer, 1) {
                Ok(received) => whole(received, &buffer),
                Err(Error::WouldBlock) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    drop(receiver);
    // The sender is dead and the socket closed: the end of file says that no copy is left, in flight neither.
    assert_eq!(tracer.read(&mut [0]).unwrap(), 0);
    std::fs::remove_file(own).unwrap();
    number
}

#[test]
fn g3_a_killed_sender_of_datagrams_leaves_whole_ones_and_no_descriptor() {
    let rounds = repetitions(40, 5000);
    let seed = report::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::new();
    let mut datagrams = 0;
    for round in 0..rounds {
        // What nobody has taken is every other time left in the socket.
        datagrams += take_until_killed(&place, round, random.usize(..24), round % 2 == 1);
    }

    // The twin's sender makes two datagrams of a record; what is there when it is killed is no record.
    let mut torn = 0;
    for _ in 0..5 {
        let receiver = ipc_uds::Datagram::bind(place.path("d")).unwrap();
        let mut sender = peer!("peer-uds", "naive-halves", place.path("d").display());
        sender.expect("half");
        sender.kill();
        let mut buffer = [0; 64];
        let head = receiver.try_recv(&mut buffer).is_ok();
        torn += u32::from(head && matches!(receiver.try_recv(&mut buffer), Err(Error::WouldBlock)));
    }
    assert_eq!(torn, 5);
    proof!(
        "G3",
        "{rounds} kills of senders of datagrams, {datagrams} whole, 0 descriptors left, also of those that nobody took; naive \
         twin (a record in two): {torn} of 5 torn; seed {seed}"
    );
}

#[test]
fn g4_interrupted_and_partial_sends_carry_descriptors_once() {
    if Command::new("strace").arg("-V").output().is_err() {
        skip!("no strace on this machine");
    }
    const MESSAGES: u32 = 60;
    let place = Place::new();
    let listener: Listener = Listener::bind(place.path("s")).unwrap();
    let interrupted = |role: &str| {
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-e", "trace=sendmsg,recvmsg"]);
        command.args(["-e", "inject=sendmsg,recvmsg:error=EINTR:when=2+2", env!("CARGO_BIN_EXE_peer-uds")]);
        Peer::start(command.arg(role).arg(place.path("s")).arg(MESSAGES.to_string()))
    };
    let mut sender = interrupted("framer");
    if !listener.wait(ipc_testkit::WATCHDOG).unwrap() {
        skip!("strace may not trace here");
    }
    let mut framed = Framed::new(listener.accept().unwrap(), 1 << 16, 1).unwrap();
    let (traced, _tracer) = UnixStream::pair().unwrap();
    framed.send_with(b"", vec![traced.into()]).unwrap();
    let (mut number, mut descriptors) = (0, 0);
    while let Some(message) = framed.recv().unwrap() {
        assert_eq!(message.bytes.first_chunk(), Some(&u32::to_be_bytes(number)));
        descriptors += message.descriptors.len();
        number += 1;
    }
    assert_eq!((number, descriptors), (MESSAGES, 20));
    sender.expect("end");
    sender.finish();
    let mut twin = interrupted("naive-framer");
    let sent: u32 = twin.hear().parse().unwrap();
    twin.finish();
    assert!(sent < MESSAGES);
    proof!(
        "G4",
        "{number} messages with EINTR at every second call, {descriptors} descriptors, each once; naive twin ended after \
         {sent}"
    );
}

#[test]
fn g9_descriptors_that_nobody_receives_are_limited() {
    let mut hoarder = peer!("peer-uds", "hoarder");
    hoarder.expect("true");
    hoarder.finish();
}

#[test]
fn g3_the_end_of_a_killed_peer_is_seen_at_once() {
    let place = Place::new();
    let listener: Listener = Listener::bind(place.path("s")).unwrap();
    let mut holder = peer!("peer-uds", "client-of-reuser", place.path("s").display());
    let mut stream: Stream = listener.accept().unwrap();
    holder.kill();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}
