//! Each errno row of the documentation, provoked. G9: a full peer. G10: half-closed connections and empty messages.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use ipc_uds::{
    Address, Ancillary, BindOptions, Datagram, Error, Listener, MAX_DESCRIPTORS, SeqPacket, Server, Socket,
    Stream,
};

const SOON: Duration = Duration::from_millis(5);
const WATCHDOG: Duration = Duration::from_secs(120);

fn abstract_name(what: &str) -> Address {
    Address::abstract_name(format!("ipc-uds-{}-{what}", std::process::id()))
}

#[test]
fn connecting_where_nobody_is() {
    assert!(matches!(Stream::connect("/nonexistent/s"), Err(Error::NotFound { .. })));
    assert!(matches!(Stream::connect("/etc/passwd/s"), Err(Error::NotFound { .. })));
    // What is no socket refuses who may write to it, and others as any file does.
    let file = std::env::temp_dir().join(format!("ipc-uds-{}-file", std::process::id()));
    std::fs::write(&file, "").unwrap();
    let refused = Stream::connect(&file);
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(refused, Err(Error::ConnectionRefused { .. })));
    assert!(matches!(SeqPacket::connect(abstract_name("nobody")), Err(Error::ConnectionRefused { .. })));
    let path = std::env::temp_dir().join(format!("ipc-uds-{}-stream", std::process::id()));
    let _listener: Listener = Listener::bind(&path).unwrap();
    let address = Address::path(&path);
    assert!(matches!(SeqPacket::connect(&address), Err(Error::WrongType { .. })));
    let datagram = Datagram::unbound().unwrap();
    assert!(matches!(datagram.send_to(b"x", &address), Err(Error::WrongType { .. })));
    assert!(matches!(datagram.send_to(b"x", "/nonexistent"), Err(Error::NotFound { .. })));
    assert!(matches!(datagram.send_to(b"x", abstract_name("nobody")), Err(Error::ConnectionRefused { .. })));
    assert!(matches!(datagram.send(b"x"), Err(Error::NotConnected { .. })));
    assert!(matches!(datagram.peer_address(), Err(Error::NotConnected { .. })));
    assert!(matches!(datagram.peer_credentials(), Err(Error::NotConnected { .. })));
    assert!(matches!(datagram.peer_pidfd(), Err(Error::NotConnected { .. } | Error::Unsupported { .. })));
    assert!(matches!(datagram.peer_groups(), Err(Error::NotConnected { .. })));
    assert!(matches!(Listener::<Stream>::bind("/nonexistent/s"), Err(Error::NotFound { .. })));
}

#[test]
fn a_connection_to_another_is_not_permitted() {
    let (first, second) =
        (Datagram::bind(Address::unnamed()).unwrap(), Datagram::bind(Address::unnamed()).unwrap());
    first.connect(second.local_address().unwrap()).unwrap();
    let third = Datagram::unbound().unwrap();
    let refused = third.connect(first.local_address().unwrap());
    assert!(matches!(refused, Err(Error::PermissionDenied { .. })));
    drop(second);
    assert!(matches!(first.send(b"x"), Err(Error::PeerGone { .. })));
}

#[test]
fn a_peer_that_is_gone() {
    let (ours, theirs) = Stream::pair().unwrap();
    drop(theirs);
    assert!(matches!(ours.try_write(b"x"), Err(Error::PeerGone { .. })));
    assert_eq!((&ours).write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!((&ours).read(&mut [0]).unwrap(), 0);

    // With unread bytes, the end is ECONNRESET.
    let (ours, theirs) = Stream::pair().unwrap();
    (&ours).write_all(b"unread").unwrap();
    drop(theirs);
    assert!(matches!(ours.try_read(&mut [0]), Err(Error::PeerGone { .. })));

    let (ours, theirs) = SeqPacket::pair().unwrap();
    drop(theirs);
    assert!(matches!(ours.send(b"x"), Err(Error::PeerGone { .. })));
    assert!(matches!(ours.send_with(b"x", &[ours.as_fd()]), Err(Error::PeerGone { .. })));
    assert_eq!(ours.recv(&mut [0]).unwrap(), 0);
}

#[test]
fn g9_nothing_there_and_nothing_fits() {
    let (ours, _theirs) = Stream::pair().unwrap();
    assert!(matches!(ours.try_read(&mut [0]), Err(Error::WouldBlock)));
    assert!(matches!(ours.read_timeout(&mut [0], SOON), Err(Error::TimedOut)));
    assert!(matches!(ours.try_recv_with(&mut [0], 0), Err(Error::WouldBlock)));
    assert!(matches!(ours.recv_with_timeout(&mut [0], 0, SOON), Err(Error::TimedOut)));
    while ours.try_write(&[0; 65536]).is_ok() {}
    assert!(matches!(ours.try_write(b"x"), Err(Error::WouldBlock)));
    assert!(matches!(ours.write_timeout(b"x", Duration::ZERO), Err(Error::TimedOut)));
    assert!(matches!(ours.try_send_with(b"x", &[ours.as_fd()]), Err(Error::WouldBlock)));
    assert!(matches!(ours.send_with_timeout(b"x", &[ours.as_fd()], SOON), Err(Error::TimedOut)));

    let (ours, theirs) = SeqPacket::pair().unwrap();
    assert!(matches!(theirs.try_recv(&mut [0]), Err(Error::WouldBlock)));
    assert!(matches!(theirs.recv_timeout(&mut [0], SOON), Err(Error::TimedOut)));
    while ours.try_send(&[0; 4096]).is_ok() {}
    assert!(matches!(ours.send_timeout(b"x", SOON), Err(Error::TimedOut)));
    assert_eq!(theirs.recv(&mut [0; 4096]).unwrap(), 4096);

    let receiver = Datagram::bind(Address::unnamed()).unwrap();
    let sender = Datagram::unbound().unwrap();
    let address = receiver.local_address().unwrap();
    while sender.try_send_to(b"x", &address).is_ok() {}
    assert!(matches!(sender.try_send_to(b"x", &address), Err(Error::WouldBlock)));
    sender.connect(&address).unwrap();
    assert!(matches!(sender.try_send(b"x"), Err(Error::WouldBlock)));
    assert!(matches!(sender.send_timeout(b"x", SOON), Err(Error::TimedOut)));
    assert_eq!(receiver.recv(&mut [0]).unwrap(), 1);
    sender.send_timeout(b"x", WATCHDOG).unwrap();
}

#[test]
fn g9_a_full_backlog_is_waited_for_no_longer_than_asked() {
    let listener: Listener = BindOptions::new().backlog(1).listen(abstract_name("backlog")).unwrap();
    let address = listener.local_address().unwrap();
    let mut waiting = vec![Stream::try_connect(&address).unwrap(), Stream::try_connect(&address).unwrap()];
    assert!(matches!(Stream::try_connect(&address), Err(Error::WouldBlock)));
    assert!(matches!(Stream::connect_timeout(&address, SOON), Err(Error::TimedOut)));
    drop(listener.accept().unwrap());
    waiting.push(Stream::connect_timeout(&address, WATCHDOG).unwrap());
    drop(listener.try_accept().unwrap());
    drop(listener.accept_timeout(SOON).unwrap());
    assert!(matches!(listener.try_accept(), Err(Error::WouldBlock)));
    assert!(matches!(listener.accept_timeout(SOON), Err(Error::TimedOut)));
    // accept still waits, although the listening socket does not block any more.
    std::thread::scope(|threads| {
        let accepted = threads.spawn(|| listener.accept());
        let _client = Stream::connect(&address).unwrap();
        assert!(accepted.join().unwrap().is_ok());
    });
}

#[test]
fn g9_a_message_that_is_too_long_is_not_sent() {
    let (ours, theirs) = SeqPacket::pair().unwrap();
    let long = vec![0; ours.send_buffer().unwrap() + 1];
    let Err(Error::TooLong { max, .. }) = ours.send(&long) else { panic!("{} bytes went", long.len()) };
    assert!(ours.try_send(&long[..=max]).is_err(), "one more than {max}");
    ours.try_send(&long[..max]).unwrap();
    theirs.recv(&mut vec![0; max]).unwrap();
    assert!(matches!(ours.try_send_with(&long, &[]), Err(Error::TooLong { .. })));
    ours.send(b"short").unwrap();
    assert_eq!(theirs.recv(&mut [0; 8]).unwrap(), 5);
    let datagram = Datagram::bind(Address::unnamed()).unwrap();
    let address = datagram.local_address().unwrap();
    assert!(matches!(datagram.send_to(&long, &address), Err(Error::TooLong { .. })));
}

#[test]
fn a_message_that_is_cut_says_its_length() {
    let (ours, theirs) = SeqPacket::pair().unwrap();
    for _ in 0..2 {
        ours.send(b"hello").unwrap();
    }
    assert!(matches!(theirs.recv(&mut [0; 2]), Err(Error::Truncated { len: 5, max: 2 })));
    assert!(matches!(theirs.recv_with(&mut [0; 2], 0), Err(Error::Truncated { len: 5, max: 2 })));
    assert!(matches!(theirs.try_recv(&mut [0; 2]), Err(Error::WouldBlock)), "the rest is gone");
    // A stream has no messages to cut.
    let (ours, theirs) = Stream::pair().unwrap();
    (&ours).write_all(b"hello").unwrap();
    assert_eq!(theirs.recv_with(&mut [0; 2], 0).unwrap().len, 2);
    assert_eq!((&theirs).read(&mut [0; 8]).unwrap(), 3);
}

#[test]
fn too_many_descriptors_are_refused_before_and_closed_after() {
    let (ours, theirs) = Stream::pair().unwrap();
    let null = File::open("/dev/null").unwrap();
    let many = vec![null.as_fd(); MAX_DESCRIPTORS + 1];
    assert!(matches!(
        ours.send_with(b"x", &many[..]),
        Err(Error::TooManyDescriptors { count: 254, max: 253 })
    ));
    assert!(matches!(theirs.try_recv_with(&mut [0], 253), Err(Error::WouldBlock)));
    ours.send_with(b"x", &many[..MAX_DESCRIPTORS]).unwrap();
    let received = theirs.recv_with(&mut [0], MAX_DESCRIPTORS).unwrap();
    assert_eq!(received.descriptors.len(), MAX_DESCRIPTORS);

    // The last copy of a pipe's writing end is closed with the message that was refused.
    let (mut reader, writer) = io::pipe().unwrap();
    let writer = OwnedFd::from(writer);
    ours.send_with(b"x", &[writer.as_fd(), writer.as_fd()]).unwrap();
    drop(writer);
    assert!(matches!(theirs.recv_with(&mut [0], 1), Err(Error::TooManyDescriptors { count: 2, max: 1 })));
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

#[test]
fn descriptors_are_not_taken_where_none_are_expected() {
    let (ours, theirs) = Stream::pair().unwrap();
    match theirs.set_pass_descriptors(false) {
        Err(Error::Unsupported { .. }) => {
            println!(
                "SKIP descriptors_are_not_taken_where_none_are_expected: no SO_PASSRIGHTS in this kernel"
            );
            return;
        }
        set => set.unwrap(),
    }
    let refused = ours.send_with(b"x", &[ours.as_fd()]);
    assert!(matches!(refused, Err(Error::PermissionDenied { .. })), "{refused:?}");
    theirs.set_pass_descriptors(true).unwrap();
    ours.send_with(b"x", &[ours.as_fd()]).unwrap();
    let listener: Listener =
        BindOptions::new().descriptors(false).listen(abstract_name("no-descriptors")).unwrap();
    let client = Stream::connect(listener.local_address().unwrap()).unwrap();
    let _server = listener.accept().unwrap();
    assert!(matches!(client.send_with(b"x", &[client.as_fd()]), Err(Error::PermissionDenied { .. })));
}

#[test]
fn g10_half_closed_connections() {
    // What each half does to both ends: (how, we may write, we read, they may write, they read the end).
    for (how, write, read, they_write, they_end) in [
        (Shutdown::Write, false, true, true, true),
        (Shutdown::Read, true, false, false, false),
        (Shutdown::Both, false, false, false, true),
    ] {
        let (ours, theirs) = Stream::pair().unwrap();
        (&theirs).write_all(b"before").unwrap();
        ours.shutdown(how).unwrap();
        assert_eq!(ours.try_write(b"x").is_ok(), write, "{how:?}");
        assert_eq!(theirs.try_write(b"x").is_ok(), they_write, "{how:?}");
        let mut bytes = [0; 6];
        (&ours).read_exact(&mut bytes).unwrap();
        let next = ours.try_read(&mut bytes);
        assert!(if read { matches!(next, Ok(1)) } else { matches!(next, Ok(0)) }, "{how:?}: {next:?}");
        let end = theirs.try_read(&mut bytes);
        assert_eq!(matches!(end, Ok(0)), they_end, "{how:?}: {end:?}");
    }
}

#[test]
fn g10_an_empty_message_is_never_the_end() {
    let (ours, theirs) = SeqPacket::pair().unwrap();
    assert!(matches!(ours.send(b""), Err(Error::EmptyMessage)));
    assert!(matches!(ours.try_send(b""), Err(Error::EmptyMessage)));
    assert!(matches!(ours.send_timeout(b"", SOON), Err(Error::EmptyMessage)));
    assert!(matches!(ours.send_with(b"", &[ours.as_fd()]), Err(Error::EmptyMessage)));
    // A peer that is not made with this crate sends one: here through std.
    let foreign = std::os::unix::net::UnixDatagram::from(OwnedFd::from(ours));
    foreign.send(b"").unwrap();
    foreign.send(b"x").unwrap();
    assert!(matches!(theirs.recv(&mut [0; 8]), Err(Error::EmptyMessage)));
    assert_eq!(theirs.recv(&mut [0; 8]).unwrap(), 1);
    drop(foreign);
    assert_eq!(theirs.recv(&mut [0; 8]).unwrap(), 0);

    let (ours, theirs) = Datagram::pair().unwrap();
    ours.send(b"").unwrap();
    assert_eq!(theirs.recv(&mut [0; 8]).unwrap(), 0);
    assert!(matches!(theirs.try_recv(&mut [0; 8]), Err(Error::WouldBlock)));
}

#[test]
fn options_are_what_the_kernel_made_of_them() {
    let (ours, theirs) = Stream::pair().unwrap();
    assert!(ours.set_send_buffer(1).unwrap() >= 4608 / 2);
    let asked = 64 * 1024;
    assert_eq!(ours.set_send_buffer(asked).unwrap(), 2 * asked);
    assert!(ours.set_receive_buffer(usize::MAX).unwrap() > 0);
    (&ours).write_all(b"hello").unwrap();
    assert_eq!(theirs.bytes_readable().unwrap(), 5);
    assert!(ours.take_error().unwrap().is_none());
    match ours.peer_security() {
        Ok(_) | Err(Error::Unsupported { .. }) => {}
        other => panic!("{other:?}"),
    }
    ours.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!((&ours).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    ours.set_read_timeout(None).unwrap();
    ours.set_nonblocking(true).unwrap();
    assert_eq!((&ours).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn errors_become_those_of_std() {
    let waiting = io::Error::from(Error::WouldBlock);
    assert_eq!((waiting.kind(), waiting.raw_os_error()), (io::ErrorKind::WouldBlock, Some(libc::EAGAIN)));
    let timed_out = io::Error::from(Error::TimedOut);
    assert_eq!(timed_out.kind(), io::ErrorKind::TimedOut);
    let missing = Stream::connect("/nonexistent").unwrap_err();
    assert_eq!(missing.errno(), Some(libc::ENOENT));
    assert_eq!(io::Error::from(missing).raw_os_error(), Some(libc::ENOENT));
    let long = io::Error::from(Error::TooLong { len: 9, max: 8 });
    assert_eq!(long.raw_os_error(), Some(libc::EMSGSIZE));
    let taken = io::Error::from(Error::AddressInUse { address: Address::from("/run/x") });
    assert_eq!((taken.kind(), taken.raw_os_error()), (io::ErrorKind::AddrInUse, Some(libc::EADDRINUSE)));
    let foreign = io::Error::from(Error::ForeignOwner { path: "/run/x".into(), uid: 7 });
    assert_eq!((foreign.kind(), foreign.raw_os_error()), (io::ErrorKind::PermissionDenied, None));
    assert!(foreign.to_string().contains("user 7"), "{foreign}");
    let reactor = io::Error::new(io::ErrorKind::Interrupted, "no errno");
    let other = io::Error::from(Error::System { operation: "epoll_wait", object: None, source: reactor });
    assert_eq!((other.kind(), other.to_string()), (io::ErrorKind::Interrupted, "epoll_wait".to_owned()));
}

#[test]
fn a_server_of_no_listener_ends_with_the_errno() {
    let not_listening = Listener::<Stream>::from(OwnedFd::from(Stream::pair().unwrap().0));
    let error = Server::new(not_listening).serve(|_client: &Stream| Ok(())).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EINVAL));
    let no_socket = Listener::<Stream>::from(OwnedFd::from(File::open("/dev/null").unwrap()));
    let error = Server::new(no_socket).serve(|_client: &Stream| Ok(())).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOTSOCK));
}

/// A listener whose accept is refused by a security module: the connection stays where it is.
struct Refused(std::os::unix::net::UnixListener, std::sync::atomic::AtomicUsize);

impl AsFd for Refused {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl ipc_uds::Accept for Refused {
    type Connection = std::os::unix::net::UnixStream;

    fn try_accept(&self) -> ipc_uds::Result<Self::Connection> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let source = io::Error::from_raw_os_error(libc::EACCES);
        Err(Error::PermissionDenied { operation: "accept", object: None, source })
    }
}

#[test]
fn a_server_does_not_spin_while_accept_is_refused() {
    let path = std::env::temp_dir().join(format!("ipc-uds-{}-refused", std::process::id()));
    let listener = Refused(std::os::unix::net::UnixListener::bind(&path).unwrap(), 0.into());
    let _client = Stream::connect(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let stop = ipc_uds::Stop::new().unwrap();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| Server::new(&listener).serve_until(&stop, |_| Ok(())));
        let (pause, _other) = Stream::pair().unwrap();
        let paused = pause.read_timeout(&mut [0], Duration::from_millis(300));
        assert!(matches!(paused, Err(Error::TimedOut)));
        stop.stop();
        assert_eq!(server.join().unwrap().unwrap().clients, 0);
    });
    let asked = listener.1.into_inner();
    assert!((1..=4).contains(&asked), "{asked} times in 300 ms");
}

#[test]
fn raw_numbers_are_told_for_other_reactors() {
    fn raw(fd: &(impl AsFd + std::os::fd::AsRawFd)) -> bool {
        std::os::fd::AsRawFd::as_raw_fd(&fd.as_fd()) == fd.as_raw_fd()
    }
    let listener: Listener = Listener::bind(Address::unnamed()).unwrap();
    assert!(raw(&Stream::pair().unwrap().0) && raw(&SeqPacket::pair().unwrap().0));
    assert!(raw(&Datagram::pair().unwrap().0) && raw(&listener));
}

#[test]
fn what_is_accepted_is_close_on_exec_and_blocks() {
    let listener: Listener = Listener::bind(Address::unnamed()).unwrap();
    let client = Stream::connect(listener.local_address().unwrap()).unwrap();
    let accepted = [listener.try_accept().unwrap(), client];
    for socket in accepted.iter().map(AsFd::as_fd).chain([listener.as_fd()]) {
        let number = std::os::fd::AsRawFd::as_raw_fd(&socket);
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        let flags = i32::from_str_radix(flags, 8).unwrap();
        assert_ne!(flags & libc::O_CLOEXEC, 0);
        // The listener was asked not to block, what it gives was not.
        let is_listener = number == std::os::fd::AsRawFd::as_raw_fd(&listener.as_fd());
        assert_eq!(flags & libc::O_NONBLOCK != 0, is_listener);
    }
}

#[test]
fn values_that_are_not_there() {
    let (ours, theirs) = SeqPacket::pair().unwrap();
    ours.send(b"x").unwrap();
    let received = theirs.recv_with(&mut [0; 8], 0).unwrap();
    assert!(received.credentials.is_none() && received.pidfd.is_none() && received.security.is_none());
    match theirs.set_pass_pidfd(true) {
        Err(Error::Unsupported { .. }) => return,
        set => set.unwrap(),
    }
    ours.send(b"x").unwrap();
    assert!(theirs.recv_with(&mut [0; 8], 0).unwrap().pidfd.is_some());
}
