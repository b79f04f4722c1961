//! Processes that send and receive descriptors under limits, until they are killed, or with signals in between.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use ipc_testkit::audit::descriptors;
use ipc_testkit::role::{Result, Role, hear, say};
use ipc_uds::{Ancillary, Datagram, Error, Framed, SeqPacket, Socket, Stream};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{MsgFlags, UnixAddr, recvmsg};

use crate::become_nobody;

pub(crate) const ROLES: &[Role] = &[
    ("ledger", ledger),
    ("naive-ledger", naive_ledger),
    ("hoarder", hoarder),
    ("framer", framer),
    ("packet-framer", packet_framer),
    ("datagram-sender", datagram_sender),
    ("naive-halves", naive_halves),
    ("naive-writer", naive_writer),
    ("urgent", urgent),
];

/// `ledger ROUNDS SEED`: sends itself any number of descriptors with room for any number, and compares each receive with
/// what must come of it; says every 250 rounds how many were lost on the way in, refused, and received.
fn ledger(arguments: &[String]) -> Result {
    let (rounds, seed): (u32, u64) = (arguments[0].parse()?, arguments[1].parse()?);
    let mut random = fastrand::Rng::with_seed(seed);
    let null = File::open("/dev/null")?;
    let (stream, seqpacket, datagram) = (Stream::pair()?, SeqPacket::pair()?, Datagram::pair()?);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let open: Vec<u32> = descriptors(None).into_keys().collect();
    // RLIMIT_NOFILE is a number that no descriptor reaches: below the `room`th free one, `room` are free.
    let free: Vec<u32> = (0..1024).filter(|number| !open.contains(number)).collect();
    let (mut lost, mut refused, mut whole) = (0, 0, 0);
    for round in 0..rounds {
        let sent = random.usize(..=253);
        let room = random.usize(..=2 * sent + 3);
        let max = random.usize(..=253);
        let borrowed: Vec<BorrowedFd<'_>> = vec![null.as_fd(); sent];
        // One byte is read into more, so that a stream has nothing left over.
        let mut buffer = [0; 8];
        let soft = u64::from(free[room]);
        let received = match round % 3 {
            0 => {
                stream.0.send_with(b"x", &borrowed[..])?;
                setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
                stream.1.recv_with(&mut buffer, max)
            }
            1 => {
                seqpacket.0.send_with(b"x", &borrowed[..])?;
                setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
                seqpacket.1.recv_with(&mut buffer, max)
            }
            _ => {
                datagram.0.send_with(b"x", &borrowed[..])?;
                setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
                datagram.1.recv_with(&mut buffer, max)
            }
        };
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        let arrived = sent.min(room);
        match received {
            Err(Error::DescriptorsLost { closed }) if arrived < sent && closed == arrived => lost += 1,
            Err(Error::TooManyDescriptors { count, .. })
                if arrived == sent && sent > max && count == sent =>
            {
                refused += 1;
            }
            Ok(received) if arrived == sent && sent <= max && received.descriptors.len() == sent => {
                for descriptor in &received.descriptors {
                    let flags = FdFlag::from_bits_truncate(fcntl(descriptor, FcntlArg::F_GETFD)?);
                    if !flags.contains(FdFlag::FD_CLOEXEC) {
                        return Err("a descriptor without close-on-exec".into());
                    }
                }
                if received.descriptors.first().is_some_and(|fd| !is_null(fd.as_fd())) {
                    return Err("a descriptor of something else".into());
                }
                whole += 1;
            }
            other => return Err(format!("{sent} sent, room {room}, max {max}: {other:?}").into()),
        }
        // /proc is slow: the next free number tells as much.
        let next = File::open("/dev/null")?.as_raw_fd();
        if u32::try_from(next)? != free[0] {
            return Err(format!("{sent} sent, room {room}, max {max}: a leak, {next} is next").into());
        }
        if round % 250 == 249 {
            say(format_args!("{lost} {refused} {whole}"))?;
        }
    }
    Ok(())
}

fn is_null(fd: BorrowedFd<'_>) -> bool {
    let same = |fd: BorrowedFd<'_>| File::from(fd.try_clone_to_owned()?).metadata();
    let null = File::open("/dev/null").and_then(|file| file.metadata());
    matches!((same(fd), null), (Ok(one), Ok(other)) if one.rdev() == other.rdev())
}

/// `naive-ledger ROUNDS`: room for one descriptor, MSG_CTRUNC not looked at, as most C programs do; says how many rounds
/// leaked, and in how many a descriptor was inherited by what is executed next.
fn naive_ledger(arguments: &[String]) -> Result {
    let rounds: u32 = arguments[0].parse()?;
    let null = File::open("/dev/null")?;
    let (ours, theirs) = Stream::pair()?;
    let (mut leaked, mut inherited) = (0, 0);
    for _ in 0..rounds {
        let before = descriptors(None).len();
        // Room for one int is rounded up to room for two: the second descriptor is installed, and nobody knows of it.
        ours.send_with(b"x", &[null.as_fd(); 3])?;
        let mut byte = [0];
        let mut buffers = [IoSliceMut::new(&mut byte)];
        let mut control = nix::cmsg_space!(std::os::fd::RawFd);
        let raw = theirs.as_fd().as_raw_fd();
        recvmsg::<UnixAddr>(raw, &mut buffers, Some(&mut control), MsgFlags::empty())?;
        let number =
            nix::fcntl::open("/dev/null", nix::fcntl::OFlag::O_RDONLY, nix::sys::stat::Mode::empty())?;
        drop(number);
        let after = descriptors(None);
        leaked += u32::from(after.len() > before + 1);
        let newest = after.keys().last().copied().unwrap_or_default();
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{newest}"))?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or("0").trim();
        inherited += u32::from(i32::from_str_radix(flags, 8)? & libc::O_CLOEXEC == 0);
        for number in after.keys().rev().take(after.len() - before) {
            nix::unistd::close(i32::try_from(*number)?)?;
        }
    }
    say(leaked)?;
    say(inherited)
}

/// `hoarder`: nobody, with few descriptors allowed, sends more than are received.
fn hoarder(_: &[String]) -> Result {
    if nix::unistd::geteuid().is_root() {
        become_nobody()?;
    }
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64)?;
    let (ours, _theirs) = Stream::pair()?;
    for sent in 0..100 {
        match ours.try_send_with(b"x", &[ours.as_fd(); 10]) {
            Ok(_) => {}
            Err(Error::TooManyInFlight { .. }) => return say(sent > 0),
            Err(error) => return Err(error.into()),
        }
    }
    Err("a thousand descriptors were in flight".into())
}

/// `framer PATH`: sends framed messages, every third one with a descriptor of the pipe that it was given, until it is killed.
fn framer(arguments: &[String]) -> Result {
    let stream = Stream::connect(&*arguments[0])?;
    // So small that most messages go in many pieces, between which a kill can come.
    stream.set_send_buffer(4608)?;
    send_for_ever(stream)
}

fn packet_framer(arguments: &[String]) -> Result {
    send_for_ever(SeqPacket::connect(&*arguments[0])?)
}

fn send_for_ever(socket: impl Ancillary) -> Result {
    let mut framed = Framed::new(socket, 1 << 16, 1)?;
    // What is to be sent comes first, the other way.
    let tracer = framed.recv()?.ok_or("no descriptor to send")?.descriptors;
    let mut random = fastrand::Rng::new();
    for number in 0_u32.. {
        let bytes = numbered(number, random.usize(..60_000))?;
        let with: Vec<BorrowedFd<'_>> =
            tracer.iter().take(usize::from(number % 3 == 0)).map(AsFd::as_fd).collect();
        match framed.send_borrowed(&bytes, &with) {
            Ok(()) => {}
            Err(Error::PeerGone { .. }) => break,
            Err(error) => return Err(error.into()),
        }
        // A run with signals and without being killed.
        if arguments_say_end(number) {
            break;
        }
    }
    say("end")
}

/// A message that tells whether it is whole.
fn numbered(number: u32, len: usize) -> Result<Vec<u8>> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(4 + len, u8::try_from(number % 256)?);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    Ok(bytes)
}

/// `datagram-sender PATH OWN`: receives a descriptor at OWN, and sends datagrams to PATH, every third one with it, until it
/// is killed.
fn datagram_sender(arguments: &[String]) -> Result {
    let socket = Datagram::bind(&*arguments[1])?;
    say("bound")?;
    let tracer = socket.recv_with(&mut [0; 8], 1)?.descriptors;
    socket.connect(&*arguments[0])?;
    let mut random = fastrand::Rng::new();
    for number in 0_u32.. {
        let with: Vec<BorrowedFd<'_>> =
            tracer.iter().take(usize::from(number % 3 == 0)).map(AsFd::as_fd).collect();
        socket.send_with(&numbered(number, random.usize(..60_000))?, &with[..])?;
    }
    Ok(())
}

/// `naive-halves PATH`: a record as two datagrams, of which one has gone.
fn naive_halves(arguments: &[String]) -> Result {
    let socket = Datagram::unbound()?;
    socket.connect(&*arguments[0])?;
    socket.send(b"the head of a record")?;
    say("half")?;
    hear()?;
    Ok(socket.send(b"its body")?)
}

fn arguments_say_end(number: u32) -> bool {
    std::env::args().nth(3).and_then(|text| text.parse().ok()).is_some_and(|end: u32| number + 1 >= end)
}

/// `naive-writer PATH LEN`: a record of LEN bytes without a frame.
fn naive_writer(arguments: &[String]) -> Result {
    use std::io::Write;
    let mut stream = Stream::connect(&*arguments[0])?;
    Ok(stream.write_all(&vec![7; arguments[1].parse()?])?)
}

/// `urgent PATH`: half a message, an urgent byte, the other half.
fn urgent(arguments: &[String]) -> Result {
    use std::io::Write;
    let mut stream = Stream::connect(&*arguments[0])?;
    stream.write_all(b"\0\0\0")?;
    let sent = nix::sys::socket::send(stream.as_fd().as_raw_fd(), b"!", MsgFlags::MSG_OOB);
    stream.write_all(b"\x06\0hello")?;
    say(sent.is_ok())?;
    let _ = stream.shutdown(std::net::Shutdown::Write);
    hear().map(drop)
}
