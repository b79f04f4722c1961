//! Servers that are attacked, their naive twins, and the clients that attack or do not know better.

use std::fs::{self, File};
use std::io::{ErrorKind, IoSlice, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use ipc_sys::{Deadline, poll};
use ipc_testkit::WATCHDOG;
use ipc_testkit::role::{Result, Role, hear, say};
use ipc_uds::{Ancillary, Datagram, Error, Framed, Listener, SeqPacket, Server, Stop, Stream};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{MsgFlags, UnixAddr, send, sendmsg};

pub(crate) const ROLES: &[Role] = &[
    ("keeper", keeper),
    ("naive-believer", naive_believer),
    ("naive-poller", naive_poller),
    ("half-framer", half_framer),
    ("naive-framer", naive_framer),
    ("flooder", flooder),
    ("empty-sender", empty_sender),
    ("naive-activated", naive_activated),
];

/// What a client hands over to be kept: a regular file, and nothing else.
struct Kept(File);

impl TryFrom<Vec<OwnedFd>> for Kept {
    type Error = std::io::Error;

    fn try_from(descriptors: Vec<OwnedFd>) -> std::io::Result<Self> {
        let [file] = <[OwnedFd; 1]>::try_from(descriptors).map_err(|_| ErrorKind::InvalidData)?;
        let file = File::from(file);
        if file.metadata()?.is_file() { Ok(Self(file)) } else { Err(ErrorKind::InvalidData.into()) }
    }
}

/// `keeper PATH IDLE_MS`, with 512 MiB of memory: a framed server. `keep` comes with a regular file; `store` is written to
/// a disk that is full; anything else comes back. Until it hears something; then it says how many handlers failed.
fn keeper(arguments: &[String]) -> Result {
    setrlimit(Resource::RLIMIT_AS, 512 << 20, 512 << 20)?;
    let listener: Listener = Listener::bind(&*arguments[0])?;
    let server = Server::new(&listener)
        .descriptors(true)
        .idle(Duration::from_millis(arguments[1].parse()?))
        .grace(Duration::from_millis(500));
    let stop = Stop::new()?;
    say("listening")?;
    let served = std::thread::scope(|threads| -> Result<_> {
        let server = threads.spawn(|| server.serve_until(&stop, keep));
        hear()?;
        stop.stop();
        Ok(server.join().map_err(|_| "the server panicked")??)
    })?;
    say(served.failed)
}

fn keep(client: &Stream) -> std::io::Result<()> {
    let mut framed = Framed::new(client, 1 << 16, 16)?;
    while let Some(message) = framed.recv()? {
        let answer = match message.bytes {
            b"keep" => {
                message.into_descriptors::<Kept>()?.0.metadata()?;
                b"kept".to_vec()
            }
            b"store" => {
                fs::write("/dev/full", b"store")?;
                b"stored".to_vec()
            }
            other => other.to_vec(),
        };
        framed.send(&answer)?;
    }
    Ok(())
}

/// `naive-believer PATH`, with as much memory: allocates what the header says, as many C programs do.
fn naive_believer(arguments: &[String]) -> Result {
    setrlimit(Resource::RLIMIT_AS, 512 << 20, 512 << 20)?;
    let listener = UnixListener::bind(&arguments[0])?;
    say("listening")?;
    let (mut client, _) = listener.accept()?;
    let mut header = [0; 4];
    client.read_exact(&mut header)?;
    let mut bytes = vec![1; usize::try_from(u32::from_be_bytes(header))?];
    Ok(client.read_exact(&mut bytes)?)
}

/// `naive-poller PATH COUNT`: accepts so many, and looks at each of them every millisecond, until it hears something.
fn naive_poller(arguments: &[String]) -> Result {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let listener = UnixListener::bind(&arguments[0])?;
    say("listening")?;
    let mut clients = Vec::new();
    for _ in 0..arguments[1].parse::<usize>()? {
        let (client, _) = listener.accept()?;
        client.set_nonblocking(true)?;
        clients.push(client);
    }
    say("polling")?;
    let told = std::thread::spawn(|| hear().is_ok());
    while !told.is_finished() {
        for client in &mut clients {
            let _ = client.read(&mut [0]);
        }
        poll::wait(std::io::stderr(), 0, Deadline::after(Duration::from_millis(1)))?;
    }
    Ok(())
}

/// `half-framer PATH`: is given a descriptor; sends half a message that carries it, and waits to be killed.
fn half_framer(arguments: &[String]) -> Result {
    let stream = Stream::connect(&*arguments[0])?;
    let null = File::open("/dev/null")?;
    let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
    drop(reader);
    let frame = [&101_u32.to_be_bytes()[..], &[2], &[b'x'; 50]].concat();
    stream.send_with(&frame, &[null.as_fd(), writer.as_fd()])?;
    say("half")?;
    hear().map(drop)
}

/// `naive-framer PATH COUNT`: sends so many messages, and takes EINTR for the end, as the tutorials do; says how many.
fn naive_framer(arguments: &[String]) -> Result {
    let stream = UnixStream::connect(&arguments[0])?;
    for sent in 0..arguments[1].parse::<u32>()? {
        match sendmsg::<UnixAddr>(stream.as_raw_fd(), &[IoSlice::new(b"x")], &[], MsgFlags::empty(), None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return say(sent),
            Err(errno) => return Err(errno.into()),
        }
    }
    say(&arguments[1])
}

/// `flooder PATH COUNT HOW`: sends so many numbers to a receiver that does not receive yet; `naive` takes what cannot be
/// sent for sent; says at which one it would have to wait first.
fn flooder(arguments: &[String]) -> Result {
    let (count, naive) = (arguments[1].parse::<u32>()?, arguments[2] == "naive");
    let socket = Datagram::unbound()?;
    socket.connect(&*arguments[0])?;
    let mut full = None;
    for number in 0..count {
        match socket.try_send(&number.to_be_bytes()) {
            Err(Error::WouldBlock) => {
                if full.is_none() {
                    say(number)?;
                }
                full = Some(number);
                if !naive {
                    socket.send_timeout(&number.to_be_bytes(), WATCHDOG)?;
                }
            }
            done => done?,
        }
    }
    say("sent")
}

/// `empty-sender PATH`: a packet, an empty one, another one, as a foreign program may send them.
fn empty_sender(arguments: &[String]) -> Result {
    let socket = SeqPacket::connect(&*arguments[0])?;
    for packet in [&b"one"[..], b"", b"two"] {
        send(socket.as_fd().as_raw_fd(), packet, MsgFlags::empty())?;
    }
    say("sent")?;
    hear().map(drop)
}

/// `naive-activated`: takes LISTEN_FDS without a look at LISTEN_PID; says how many sockets it would serve.
fn naive_activated(_: &[String]) -> Result {
    say(std::env::var("LISTEN_FDS")?)
}
