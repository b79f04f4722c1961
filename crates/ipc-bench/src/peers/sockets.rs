//! Rivals over Unix sockets: std's and tokio's streams, interprocess, ipc-channel.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use interprocess::local_socket::traits::{ListenerExt as _, Stream as _};
use interprocess::local_socket::{GenericNamespaced, ListenerOptions, Stream as LocalStream, ToNsName as _};
use ipc_channel::ipc::{IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;
use zerocopy::IntoBytes;

use crate::cell::Cell;
use crate::end::{End, Side, check, fill};
use crate::mechanism::socket::Bytes;
use crate::meet::Meet;
use crate::peers::Peer;

fn pair(meet: &mut Meet) -> UnixStream {
    let make = || {
        let (near, far) = UnixStream::pair().unwrap();
        ([OwnedFd::from(near)], [OwnedFd::from(far)])
    };
    let [socket] = meet.halves(make);
    socket.into()
}

fn is_stream(cell: &Cell) -> bool {
    cell.mechanism == "uds-stream"
}

pub(crate) struct StdUnixStream;

impl Peer for StdUnixStream {
    fn name(&self) -> &'static str {
        "std-unix-stream"
    }

    fn package(&self) -> Option<&'static str> {
        None
    }

    fn mode(&self, _: &Cell) -> String {
        "UnixStream, blocking".to_owned()
    }

    fn fits(&self, cell: &Cell) -> bool {
        is_stream(cell)
    }

    fn side(&self, cell: &Cell, meet: &mut Meet, _: [usize; 2]) -> Box<dyn Side> {
        Box::new(Bytes { socket: pair(meet), message: vec![0; cell.words()] })
    }
}

pub(crate) struct TokioUnixStream;

impl Peer for TokioUnixStream {
    fn name(&self) -> &'static str {
        "tokio-unix-stream"
    }

    fn package(&self) -> Option<&'static str> {
        Some("tokio")
    }

    fn mode(&self, _: &Cell) -> String {
        "UnixStream, runtime of one thread, block_on for each message".to_owned()
    }

    fn fits(&self, cell: &Cell) -> bool {
        is_stream(cell)
    }

    fn side(&self, cell: &Cell, meet: &mut Meet, _: [usize; 2]) -> Box<dyn Side> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let stream = pair(meet);
        stream.set_nonblocking(true).unwrap();
        let guard = runtime.enter();
        let stream = tokio::net::UnixStream::from_std(stream).unwrap();
        drop(guard);
        Box::new(Tokio { stream, runtime, message: vec![0; cell.words()] })
    }
}

struct Tokio {
    stream: tokio::net::UnixStream,
    runtime: Runtime,
    message: Vec<u64>,
}

impl End for Tokio {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        self.runtime.block_on(self.stream.write_all(self.message.as_bytes())).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        self.runtime.block_on(self.stream.read_exact(self.message.as_mut_bytes())).unwrap();
        check(&self.message, turn);
    }
}

pub(crate) struct Interprocess;

impl Peer for Interprocess {
    fn name(&self) -> &'static str {
        "interprocess"
    }

    fn mode(&self, _: &Cell) -> String {
        "local socket, blocking".to_owned()
    }

    fn fits(&self, cell: &Cell) -> bool {
        is_stream(cell)
    }

    fn side(&self, cell: &Cell, meet: &mut Meet, _: [usize; 2]) -> Box<dyn Side> {
        let [near] = meet.numbers(|| [std::process::id().into()]);
        let name = format!("ipc-bench-{near}").to_ns_name::<GenericNamespaced>().unwrap();
        let stream = if meet.is_near() {
            let listener = ListenerOptions::new().name(name).create_sync().unwrap();
            meet.together();
            listener.incoming().next().unwrap().unwrap()
        } else {
            meet.together();
            LocalStream::connect(name).unwrap()
        };
        Box::new(Bytes { socket: stream, message: vec![0; cell.words()] })
    }
}

pub(crate) struct IpcChannel;

impl Peer for IpcChannel {
    fn name(&self) -> &'static str {
        "ipc-channel"
    }

    fn mode(&self, _: &Cell) -> String {
        "bytes channel, blocking".to_owned()
    }

    fn fits(&self, cell: &Cell) -> bool {
        cell.mechanism == "uds-seqpacket"
    }

    fn side(&self, cell: &Cell, meet: &mut Meet, _: [usize; 2]) -> Box<dyn Side> {
        let message = vec![0; cell.words()];
        if meet.is_near() {
            let (server, name) = IpcOneShotServer::<(IpcBytesSender, IpcBytesReceiver)>::new().unwrap();
            meet.give(name.as_bytes(), Vec::new());
            let (_, (sender, receiver)) = server.accept().unwrap();
            Box::new(Channel { sender, receiver, message })
        } else {
            let name = String::from_utf8(meet.take().0).unwrap();
            let ((to_near, of_near), (to_us, receiver)) =
                (bytes_channel().unwrap(), bytes_channel().unwrap());
            IpcSender::connect(name).unwrap().send((to_us, of_near)).unwrap();
            Box::new(Channel { sender: to_near, receiver, message })
        }
    }
}

struct Channel {
    sender: IpcBytesSender,
    receiver: IpcBytesReceiver,
    message: Vec<u64>,
}

impl End for Channel {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        self.sender.send(self.message.as_bytes()).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        self.message.as_mut_bytes().copy_from_slice(&self.receiver.recv().unwrap());
        check(&self.message, turn);
    }
}
