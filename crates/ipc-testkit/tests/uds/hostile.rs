//! G2, G3: clients that mean harm, or die in the middle. What they do ends their own connection and nothing else.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use ipc_testkit::audit::descriptors;
use ipc_testkit::{Peer, peer, proof, until};
use ipc_uds::{Ancillary, Framed, Listener, SeqPacket, Stream};

use crate::Place;

/// A `keeper` at its place, and a client of it that behaves.
struct Kept {
    place: Place,
    server: Peer,
    good: Framed<Stream>,
    /// How many descriptors the server holds with this client alone.
    open: usize,
}

impl Kept {
    fn new(idle_ms: u32) -> Self {
        let place = Place::new();
        let mut server = peer!("peer-uds", "keeper", place.path("s").display(), idle_ms);
        server.expect("listening");
        let good = Framed::new(Stream::connect(place.path("s")).unwrap(), 1 << 16, 16).unwrap();
        let mut kept = Self { place, server, good, open: 0 };
        kept.notices_nothing();
        kept.open = descriptors(Some(kept.server.id())).len();
        kept
    }

    fn attacker(&self) -> Stream {
        Stream::connect(self.place.path("s")).unwrap()
    }

    /// The good client is answered.
    fn notices_nothing(&mut self) {
        self.good.send(b"still there?").unwrap();
        assert_eq!(self.good.recv().unwrap().unwrap().bytes, b"still there?");
    }

    /// The server has let go of everything that the attackers brought, and counts `failed` of them.
    fn ends(mut self, failed: usize) {
        self.notices_nothing();
        let (id, open) = (self.server.id(), self.open);
        until("the attackers' connections to be closed", || descriptors(Some(id)).len() <= open);
        drop(self.good);
        self.server.tell("end");
        self.server.expect(&failed.to_string());
        self.server.finish();
    }
}

/// The bytes of a frame that says this.
fn frame(len: u32, count: u8, bytes: &[u8]) -> Vec<u8> {
    [&len.to_be_bytes()[..], &[count], bytes].concat()
}

/// Waits until the server has closed, or reset, the connection.
fn is_cut(mut stream: &Stream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

#[test]
fn g2_lengths_that_lie_cost_their_own_connection() {
    let mut kept = Kept::new(60_000);
    let lies = [0, 1 << 17, 1 << 31, u32::MAX];
    for len in lies {
        let attacker = kept.attacker();
        (&attacker).write_all(&frame(len, 0, b"xxxx")).unwrap();
        assert!(is_cut(&attacker), "{len}");
        kept.notices_nothing();
    }
    kept.ends(lies.len());
    // The twin has as little memory and believes the header.
    let place = Place::new();
    let mut twin = peer!("peer-uds", "naive-believer", place.path("s").display());
    twin.expect("listening");
    let mut attacker = UnixStream::connect(place.path("s")).unwrap();
    attacker.write_all(&frame(1 << 31, 0, b"")).unwrap();
    let signal = twin.wait().signal();
    assert_eq!(signal, Some(libc::SIGABRT));
    proof!(
        "G2",
        "{} lengths that lie cut off, the other client is served; naive twin: killed by its allocation",
        lies.len()
    );
}

#[test]
fn g2_one_byte_and_then_silence_is_cut_off() {
    let mut kept = Kept::new(300);
    let silent: Vec<Stream> = (0..8).map(|_| kept.attacker()).collect();
    for mut stream in &silent {
        stream.write_all(b"\0").unwrap();
    }
    // The good one goes on speaking meanwhile.
    let done = std::thread::scope(|threads| {
        let cut = threads.spawn(|| silent.iter().filter(|stream| is_cut(stream)).count());
        while !cut.is_finished() {
            kept.notices_nothing();
        }
        cut.join().unwrap()
    });
    assert_eq!(done, silent.len());
    kept.ends(silent.len());
}

#[test]
fn g2_other_descriptors_than_promised_are_closed() {
    let mut kept = Kept::new(60_000);
    let null = File::open("/dev/null").unwrap();
    let attacks = [
        // Fewer, more, none, too many, of the wrong type.
        (frame(5, 2, b"keep"), 1),
        (frame(5, 1, b"keep"), 2),
        (frame(5, 1, b"keep"), 0),
        (frame(5, 0, b"keep"), 1),
        (frame(5, 17, b"keep"), 17),
        (frame(5, 1, b"keep"), 1),
    ];
    for (bytes, count) in &attacks {
        let attacker = kept.attacker();
        let (theirs, mut ours) = UnixStream::pair().unwrap();
        let given: Vec<_> =
            std::iter::repeat_n(null.as_fd(), count.max(&1) - 1).chain([theirs.as_fd()]).collect();
        attacker.send_with(bytes, given.get(given.len() - count..).unwrap()).unwrap();
        drop(given);
        drop(theirs);
        assert!(is_cut(&attacker), "{bytes:?} with {count}");
        assert_eq!(ours.read(&mut [0]).unwrap(), 0, "the server holds a descriptor of {bytes:?}");
        kept.notices_nothing();
    }
    // What is promised is kept.
    let mut honest = Framed::new(kept.attacker(), 1 << 16, 16).unwrap();
    honest.send_with(b"keep", vec![File::open("/proc/self/exe").unwrap().into()]).unwrap();
    assert_eq!(honest.recv().unwrap().unwrap().bytes, b"kept");
    drop(honest);
    kept.ends(attacks.len());
}

#[test]
fn g3_a_client_killed_within_a_message_that_carries_descriptors_leaves_none() {
    let mut kept = Kept::new(60_000);
    for _ in 0..10 {
        let mut victim = peer!("peer-uds", "half-framer", kept.place.path("s").display());
        victim.expect("half");
        victim.kill();
        kept.notices_nothing();
    }
    kept.ends(10);
}

#[test]
fn g1_a_server_out_of_descriptors_closes_what_came_and_serves_on() {
    let mut kept = Kept::new(60_000);
    let attacker = kept.attacker();
    // It has been accepted: the limit, as far as it has room, is for what it sends.
    (&attacker).write_all(&frame(2, 0, b"!")).unwrap();
    (&attacker).read_exact(&mut [0; 6]).unwrap();
    let held = descriptors(Some(kept.server.id()));
    // RLIMIT_NOFILE is a number that no descriptor reaches: below the third free one, two are free.
    let limit = (0..).filter(|number| !held.contains_key(number)).nth(2).unwrap();
    let mut command = Command::new("prlimit");
    command.arg(format!("--pid={}", kept.server.id())).arg(format!("--nofile={limit}:{limit}"));
    assert!(command.status().unwrap().success());
    let null = File::open("/dev/null").unwrap();
    attacker.send_with(&frame(5, 10, b"many"), &[null.as_fd(); 10]).unwrap();
    assert!(is_cut(&attacker), "EMFILE");
    kept.notices_nothing();
    kept.ends(1);
}

#[test]
fn g2_a_server_whose_disk_is_full_fails_that_client_alone() {
    let mut kept = Kept::new(60_000);
    for _ in 0..3 {
        let mut client = Framed::new(kept.attacker(), 1 << 16, 16).unwrap();
        client.send(b"store").unwrap();
        assert!(!matches!(client.recv(), Ok(Some(_))), "a full disk stored it");
        kept.notices_nothing();
    }
    kept.ends(3);
}

#[test]
fn g10_an_empty_packet_is_not_taken_for_the_end() {
    let place = Place::new();
    let listener: Listener<SeqPacket> = Listener::bind(place.path("s")).unwrap();
    let mut ours = Vec::new();
    let mut naive = 0;
    for is_naive in [false, true] {
        let mut sender = peer!("peer-uds", "empty-sender", place.path("s").display());
        let socket = listener.accept().unwrap();
        sender.expect("sent");
        let mut buffer = [0; 16];
        if is_naive {
            // recv(2) says 0, and the twin has read everything.
            while nix::sys::socket::recv(
                std::os::fd::AsRawFd::as_raw_fd(&socket.as_fd()),
                &mut buffer,
                nix::sys::socket::MsgFlags::empty(),
            )
            .unwrap()
                > 0
            {
                naive += 1;
            }
        } else {
            for _ in 0..3 {
                ours.push(socket.recv(&mut buffer).ok());
            }
        }
        sender.tell("end");
        sender.finish();
    }
    assert_eq!(ours, [Some(3), None, Some(3)]);
    assert_eq!(naive, 1);
    proof!("G10", "a packet, an empty one (an error), a packet; naive twin: the end after {naive} of 2");
}

#[test]
fn g9_a_full_receiver_is_told_and_nothing_is_lost() {
    const COUNT: u32 = 2000;
    let mut came = Vec::new();
    for how in ["ours", "naive"] {
        let place = Place::new();
        let receiver = ipc_uds::Datagram::bind(place.path("s")).unwrap();
        let mut flooder = peer!("peer-uds", "flooder", place.path("s").display(), COUNT, how);
        let full: u32 = flooder.hear().parse().unwrap();
        assert!(full < COUNT);
        if how == "naive" {
            flooder.expect("sent");
        }
        let mut count = 0;
        while count < COUNT {
            match receiver.recv_timeout(
                &mut [0; 4],
                std::time::Duration::from_millis(if how == "naive" { 0 } else { 20_000 }),
            ) {
                Ok(_) => count += 1,
                Err(_) => break,
            }
        }
        came.push(count);
    }
    assert_eq!(came.first(), Some(&COUNT));
    assert!(came.last() < Some(&COUNT));
    proof!("G9", "{COUNT} datagrams to a receiver that was full: {came:?} came, ours and the naive twin's");
}
