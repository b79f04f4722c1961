//! Sockets: the three Unix kinds as pairs, and TCP over the loopback interface. TCP is std's: ours adds nothing to it.
#![expect(unsafe_code, reason = "the C that is measured beside ours")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use ipc_uds::{Datagram, SeqPacket, Stream};
use zerocopy::IntoBytes;

use crate::cell::{Cell, Cores, Wait};
use crate::end::{End, Side, check, fill};
use crate::mechanism::{BLOCKS, Mechanism};
use crate::meet::Meet;
use crate::raw;

/// A kind of socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Socket {
    Stream,
    SeqPacket,
    Datagram,
    Tcp,
}

/// What a socket's send buffer takes at most, by default, of which the kernel counts its own structures, too.
const LONGEST_PACKET: usize = 1 << 17;

impl Mechanism for Socket {
    fn name(&self) -> &'static str {
        match self {
            Self::Stream => "uds-stream",
            Self::SeqPacket => "uds-seqpacket",
            Self::Datagram => "uds-datagram",
            Self::Tcp => "tcp",
        }
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        BLOCKS
    }

    fn lacks(&self, cell: &Cell) -> Option<&'static str> {
        let packets = matches!(self, Self::SeqPacket | Self::Datagram);
        (packets && cell.payload > LONGEST_PACKET)
            .then_some("SO_SNDBUF: a packet must fit into it, net.core.wmem_default")
    }

    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [socket] = meet.halves(|| self.pair());
        let message = vec![0; cell.words()];
        match self {
            Self::Stream => Box::new(Bytes { socket: Stream::from(socket), message }),
            Self::Tcp => Box::new(Bytes { socket: TcpStream::from(socket), message }),
            Self::SeqPacket => Box::new(Messages { socket: SeqPacket::from(socket), message }),
            Self::Datagram => Box::new(Messages { socket: Datagram::from(socket), message }),
        }
    }

    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [socket] = meet.halves(|| self.pair());
        Box::new(Raw { socket, message: vec![0; cell.words()] })
    }
}

impl Socket {
    fn pair(self) -> ([OwnedFd; 1], [OwnedFd; 1]) {
        match self {
            Self::Stream => both(Stream::pair().unwrap()),
            Self::SeqPacket => both(SeqPacket::pair().unwrap()),
            Self::Datagram => both(Datagram::pair().unwrap()),
            Self::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (far, _) = listener.accept().unwrap();
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                both((near, far))
            }
        }
    }
}

fn both<S: Into<OwnedFd>>((near, far): (S, S)) -> ([OwnedFd; 1], [OwnedFd; 1]) {
    ([near.into()], [far.into()])
}

/// Any stream that blocks.
pub(crate) struct Bytes<S> {
    pub(crate) socket: S,
    pub(crate) message: Vec<u64>,
}

impl<S: Read + Write> End for Bytes<S> {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        self.socket.write_all(self.message.as_bytes()).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        self.socket.read_exact(self.message.as_mut_bytes()).unwrap();
        check(&self.message, turn);
    }
}

/// A socket that keeps messages apart.
trait Packets {
    fn give(&self, bytes: &[u8]) -> ipc_uds::Result<()>;
    fn take(&self, bytes: &mut [u8]) -> ipc_uds::Result<usize>;
}

impl Packets for SeqPacket {
    fn give(&self, bytes: &[u8]) -> ipc_uds::Result<()> {
        self.send(bytes)
    }

    fn take(&self, bytes: &mut [u8]) -> ipc_uds::Result<usize> {
        self.recv(bytes)
    }
}

impl Packets for Datagram {
    fn give(&self, bytes: &[u8]) -> ipc_uds::Result<()> {
        self.send(bytes)
    }

    fn take(&self, bytes: &mut [u8]) -> ipc_uds::Result<usize> {
        self.recv(bytes)
    }
}

struct Messages<S> {
    socket: S,
    message: Vec<u64>,
}

impl<S: Packets> End for Messages<S> {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        self.socket.give(self.message.as_bytes()).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        assert_eq!(self.socket.take(self.message.as_mut_bytes()).unwrap(), self.message.len() * 8);
        check(&self.message, turn);
    }
}

struct Raw {
    socket: OwnedFd,
    message: Vec<u64>,
}

impl End for Raw {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        raw::all(self.message.len() * 8, |from, len| {
            let bytes = self.message.as_bytes()[from..].as_ptr();
            // SAFETY: `len` bytes of the message lie from there on.
            unsafe { libc::send(self.socket.as_raw_fd(), bytes.cast(), len, libc::MSG_NOSIGNAL) }
        });
    }

    fn receive(&mut self, turn: u64) {
        raw::all(self.message.len() * 8, |from, len| {
            let bytes = self.message.as_mut_bytes()[from..].as_mut_ptr();
            // SAFETY: there is room for `len` bytes from there on.
            unsafe { libc::recv(self.socket.as_raw_fd(), bytes.cast(), len, 0) }
        });
        check(&self.message, turn);
    }
}
