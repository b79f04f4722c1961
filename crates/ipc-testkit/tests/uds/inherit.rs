//! G11: sockets that a service manager has opened. And conversations with Python and socat.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Output, Stdio};

use ipc_testkit::{Peer, peer, proof, skip};
use ipc_uds::{Address, Datagram, Listener, SeqPacket, Socket, Stream};

use crate::Place;

const PROGRAM: &str = env!("CARGO_BIN_EXE_peer-uds");

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Runs a role with `listener` as descriptors 3 and 4, and these variables; `$$` is its process id.
fn start_with(listener: &Listener, role: &str, variables: &str) -> Output {
    let fd: OwnedFd = listener.as_fd().try_clone_to_owned().unwrap();
    let script = format!("exec 3<&0 4<&0 </dev/null; {variables} exec \"$0\" {role}");
    Command::new("sh").args(["-c", &script, PROGRAM]).stdin(Stdio::from(fd)).output().unwrap()
}

#[test]
fn g11_activated_sockets_are_checked_and_the_environment_is_cleared() {
    let place = Place::new();
    let path = place.path("s");
    let listener: Listener = Listener::bind(&path).unwrap();
    let mut client = Stream::connect(&path).unwrap();
    client.write_all(b"hello").unwrap();
    let variables = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:unknown";
    let output = start_with(&listener, "activated", variables);
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = ["web", "true", "socket activation: it is a socket of another type", "true", "true"];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{}", String::from_utf8_lossy(&output.stderr));
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HELLO");
    // The service manager goes on listening.
    assert!(path.exists());
    Stream::connect(&path).unwrap();
}

#[test]
fn g11_what_is_not_meant_for_us_is_not_taken() {
    let place = Place::new();
    let listener: Listener = Listener::bind(place.path("s")).unwrap();
    for (variables, says, left) in [
        ("LISTEN_PID=1 LISTEN_FDS=2", "0 sockets", true),
        ("LISTEN_FDS=2", "0 sockets", true),
        ("LISTEN_PID=$$", "0 sockets", false),
        ("LISTEN_PID=$$ LISTEN_FDS=0", "0 sockets", false),
        ("LISTEN_PID=$$ LISTEN_FDS=x", "socket activation: LISTEN_FDS is no number of descriptors", true),
        ("LISTEN_PID=$$ LISTEN_FDS=-1", "socket activation: LISTEN_FDS is no number of descriptors", true),
        ("LISTEN_PID=$$ LISTEN_FDS=99", "socket activation: a descriptor of LISTEN_FDS is not open", true),
    ] {
        let output = start_with(&listener, "wrongly-activated", variables);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, format!("{says}\n{left}\n"), "{variables}");
    }
    // The variables lie: what stands under the number is a file that the program has opened itself.
    let output = Command::new("sh")
        .args(["-c", "exec 3<&- 4<&-; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" opens-first", PROGRAM])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "socket activation: a descriptor of LISTEN_FDS was opened by this program\ntrue\n"
    );
    let twin = start_with(&listener, "naive-activated", "LISTEN_PID=1 LISTEN_FDS=2");
    let taken = String::from_utf8(twin.stdout).unwrap();
    assert_eq!(taken, "2\n");
    proof!(
        "G11",
        "7 environments not meant for us refused; naive twin takes {} sockets of process 1",
        taken.trim()
    );
}

#[test]
fn g11_systemd_activates_us() {
    if !is_there("systemd-socket-activate") {
        skip!("no systemd-socket-activate on this machine");
    }
    let place = Place::new();
    let path = place.path("s");
    let mut command = Command::new("systemd-socket-activate");
    command.arg("--listen").arg(&path).args(["--fdname=web", PROGRAM, "activated"]);
    let mut service = Peer::start(&mut command);
    ipc_testkit::until("the service manager's socket", || Stream::connect(&path).is_ok());
    // The first of the connections above made it start us; the one that is served is the first in the backlog.
    service.expect("web");
    service.expect("true");
    service.expect("true");
    service.expect("true");
    service.kill();
}

#[test]
fn python_and_we_exchange_descriptors_and_credentials() {
    if !is_there("python3") {
        skip!("no python3 on this machine");
    }
    let place = Place::new();
    let path = place.path("s");
    let mut exchanger = peer!("peer-uds", "exchanger", path.display());
    exchanger.expect("listening");
    let script = r"
import os, socket, sys, tempfile
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect(sys.argv[1])
f = tempfile.TemporaryFile()
socket.send_fds(s, [b'!'], [f.fileno()])
data, fds, flags, _ = socket.recv_fds(s, 8, 1)
assert data == b'!' and len(fds) == 1 and flags == 0
os.lseek(fds[0], 0, 0)
print(os.getpid(), os.read(fds[0], 64).decode())
";
    let output = Command::new("python3").args(["-c", script]).arg(&path).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let pid = exchanger.hear();
    assert_eq!(said, format!("{pid} from rust\n"), "{}", String::from_utf8_lossy(&output.stderr));
    exchanger.tell("end");
    exchanger.finish();
    proof!(
        "G1",
        "Python's socket module: a descriptor there and back, the sender's pid {pid} from the kernel"
    );
}

/// A Python server or sender of each type of socket, and us on the other side.
#[test]
fn python_speaks_every_type_of_socket() {
    if !is_there("python3") {
        skip!("no python3 on this machine");
    }
    let name = ipc_testkit::name::unique("python");
    let script = r"
import socket, sys
name = b'\0' + sys.argv[2].encode()
kind = getattr(socket, sys.argv[1])
s = socket.socket(socket.AF_UNIX, kind)
s.bind(name)
if kind != socket.SOCK_DGRAM:
    s.listen()
print('ready', flush=True)
c = s if kind == socket.SOCK_DGRAM else s.accept()[0]
data, sender = c.recvfrom(100)
if kind == socket.SOCK_DGRAM:
    c.sendto(data.upper(), sender)
else:
    c.sendall(data.upper())
";
    for kind in ["SOCK_STREAM", "SOCK_SEQPACKET", "SOCK_DGRAM"] {
        let mut command = Command::new("python3");
        command.args(["-c", script, kind, &name]);
        let mut python = Peer::start(&mut command);
        python.expect("ready");
        let address = Address::abstract_name(&name);
        let mut answer = [0; 16];
        let len = match kind {
            "SOCK_STREAM" => {
                let mut stream = Stream::connect(&address).unwrap();
                stream.write_all(b"hello").unwrap();
                let server = stream.peer_credentials().unwrap().pid.map(u32::from);
                assert_eq!(server, Some(python.id()));
                stream.read(&mut answer).unwrap()
            }
            "SOCK_SEQPACKET" => {
                let socket = SeqPacket::connect(&address).unwrap();
                socket.send(b"hello").unwrap();
                socket.recv(&mut answer).unwrap()
            }
            _ => {
                let socket = Datagram::bind(Address::unnamed()).unwrap();
                socket.send_to(b"hello", &address).unwrap();
                socket.recv(&mut answer).unwrap()
            }
        };
        assert_eq!(&answer[..len], b"HELLO", "{kind}");
        python.finish();
    }
}

#[test]
fn socat_speaks_to_our_listeners() {
    if !Command::new("socat").arg("-V").output().is_ok_and(|output| output.status.success()) {
        skip!("no socat on this machine");
    }
    let place = Place::new();
    let path = place.path("s");
    let ask = |address: String| {
        let mut socat = Command::new("socat");
        socat.args(["-t", "2", "-", &address]);
        let mut socat = Peer::start(&mut socat);
        socat.tell("hello");
        socat
    };
    let name = ipc_testkit::name::unique("socat");
    for address in [Address::path(&path), Address::abstract_name(&name)] {
        let listener: Listener = Listener::bind(&address).unwrap();
        let mut socat = ask(match address.as_path() {
            Some(path) => format!("UNIX-CONNECT:{}", path.display()),
            None => format!("ABSTRACT-CONNECT:{name}"),
        });
        let mut stream = listener.accept().unwrap();
        let mut bytes = [0; 6];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes.to_ascii_uppercase()).unwrap();
        socat.expect("HELLO");
    }
    let listener: Listener<SeqPacket> = Listener::bind(&path).unwrap();
    let mut socat = ask(format!("UNIX-CONNECT:{},type=5", path.display()));
    let packets = listener.accept().unwrap();
    assert_eq!(packets.recv(&mut [0; 64]).unwrap(), 6);
    packets.send(b"HELLO\n").unwrap();
    socat.expect("HELLO");
    drop(listener);
    let receiver = Datagram::bind(&path).unwrap();
    let _socat = ask(format!("UNIX-SENDTO:{}", path.display()));
    assert_eq!(receiver.recv(&mut [0; 64]).unwrap(), 6);
}
