//! G5: who the peer is.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::io::{IoSliceMut, Read};
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use ipc_signal::ProcessFd;
use ipc_sys::socket;
use ipc_testkit::{Peer, peer, proof, repetitions, skip};
use ipc_uds::{
    Address, Ancillary, BindOptions, Connection, Datagram, Listener, PeerCredentials, Policy, SeqPacket,
    Socket, Stream,
};

use crate::{Place, is_root};

fn open_to_all(place: &Place) -> Listener {
    BindOptions::new().mode(0o666).credentials(true).listen(place.path("s")).unwrap()
}

#[test]
fn g5_credentials_cannot_be_forged() {
    let place = Place::new();
    let listener = open_to_all(&place);
    let mut forger = peer!("peer-uds", "forger", place.path("s").display());
    let stream = listener.accept().unwrap();
    assert_eq!(forger.hear(), format!("{:?}", Some(libc::EPERM)));
    let received = stream.recv_with(&mut [0; 8], 0).unwrap();
    let from_message = received.credentials.unwrap();
    assert_eq!(from_message.pid, NonZeroU32::new(forger.id()));
    assert_eq!(from_message, stream.peer_credentials().unwrap());
    if is_root() {
        assert_eq!((from_message.uid, from_message.gid), (65534, 65534));
    }
    forger.tell("end");
    forger.finish();
    proof!("G5", "a claim to be process 1 is EPERM; the message tells the sender");
}

#[test]
fn g5_a_path_proves_nothing_and_the_kernel_does() {
    if !is_root() {
        skip!("not root: there is no second user to forge");
    }
    let place = Place::new();
    std::fs::set_permissions(place.path("."), std::fs::Permissions::from_mode(0o777)).unwrap();
    let listener = open_to_all(&place);
    let own = place.path("own");
    let mut forger =
        peer!("peer-uds", "path-forger", place.path("s").display(), own.display(), "/etc/passwd");
    let stream = listener.accept().unwrap();
    forger.expect("bound");
    let naive = std::fs::metadata(stream.peer_address().unwrap().as_path().unwrap()).unwrap().uid();
    assert_eq!(naive, 0, "the twin: stat of the peer's path says that root has called");
    assert_eq!(stream.peer_credentials().unwrap().uid, 65534);
    assert!(!Policy::nobody().user(0).admits(&stream.peer_credentials().unwrap()));
    forger.tell("end");
    forger.finish();
    proof!("G5", "a forged path: naive twin sees uid 0, SO_PEERCRED 65534");
}

#[test]
fn g5_credentials_are_of_the_moment_of_connect() {
    if !is_root() {
        skip!("not root: the peer cannot change its user");
    }
    let place = Place::new();
    let listener = open_to_all(&place);
    let mut changer = peer!("peer-uds", "changer", place.path("s").display());
    let stream = listener.accept().unwrap();
    let of_connect = stream.peer_credentials().unwrap();
    changer.expect("exec");
    assert_eq!((of_connect.pid, of_connect.uid), (NonZeroU32::new(changer.id()), 0));
    assert_eq!(stream.peer_credentials().unwrap(), of_connect, "setuid and exec change nothing");
    let of_sending = stream.recv_with(&mut [0; 8], 0).unwrap().credentials.unwrap();
    assert_eq!((of_sending.pid, of_sending.uid), (of_connect.pid, 65534));
    let process = ProcessFd::from(stream.peer_pidfd().unwrap());
    assert_eq!(process.pid().unwrap().to_string(), changer.id().to_string());
    changer.tell("end");
    changer.finish();
}

/// The sender of the next message, by its number.
fn sender(socket: &impl Ancillary) -> Option<u32> {
    let received = socket.recv_with(&mut [0; 1], 0).unwrap();
    assert_eq!(received.len, 1);
    received.credentials.map(|credentials| credentials.pid.unwrap().get())
}

fn speaker(kind: &str, path: &Path) -> Peer {
    let mut speaker = peer!("peer-uds", "speaker", kind, path.display());
    speaker.expect("connected");
    speaker
}

fn has_spoken(speaker: &mut Peer) {
    speaker.tell("speak");
    speaker.expect("sent");
}

/// The socket gets the speaker's messages and was told to name senders after the first of them.
fn twin_names_nobody_at_first(naive: &impl Ancillary, speaker: &mut Peer) {
    has_spoken(speaker);
    naive.set_pass_credentials(true).unwrap();
    assert_eq!(sender(naive), None, "the twin: told too late");
    has_spoken(speaker);
    assert_eq!(sender(naive), Some(speaker.id()), "from then on");
}

fn first_message_of_a_connection<S: Connection + Ancillary>(kind: &str) {
    let place = Place::new();
    let listener: Listener<S> = BindOptions::new().credentials(true).listen(place.path("s")).unwrap();
    let mut early = speaker(kind, &place.path("s"));
    has_spoken(&mut early);
    let connection = listener.accept().unwrap();
    has_spoken(&mut early);
    assert_eq!([sender(&connection), sender(&connection)], [Some(early.id()); 2], "{kind}");

    let listener = Listener::<S>::bind(place.path("twin")).unwrap();
    let mut early = speaker(kind, &place.path("twin"));
    twin_names_nobody_at_first(&listener.accept().unwrap(), &mut early);

    // As one that was inherited.
    listener.set_pass_credentials(true).unwrap();
    let mut early = speaker(kind, &place.path("twin"));
    let connection = listener.accept().unwrap();
    has_spoken(&mut early);
    assert_eq!(sender(&connection), Some(early.id()), "{kind}");
    proof!("G5", "{kind}: the listener's credentials name the first message's sender; naive twin: nobody");
}

#[test]
fn g5_the_first_message_names_its_sender() {
    first_message_of_a_connection::<Stream>("stream");
    first_message_of_a_connection::<SeqPacket>("seqpacket");
    let place = Place::new();
    let socket = BindOptions::new().credentials(true).datagram(place.path("s")).unwrap();
    let mut early = speaker("datagram", &place.path("s"));
    has_spoken(&mut early);
    assert_eq!(sender(&socket), Some(early.id()));
    let naive = Datagram::bind(place.path("twin")).unwrap();
    twin_names_nobody_at_first(&naive, &mut speaker("datagram", &place.path("twin")));
    proof!("G5", "datagram: so does the socket that was bound with them; naive twin: nobody");
}

#[test]
fn g5_a_server_that_speaks_first_is_named() {
    let place = Place::new();
    let mut greeter = peer!("peer-uds", "greeter", place.path("s").display());
    greeter.expect("listening");
    let options = BindOptions::new().credentials(true);
    let client: Stream = options.connect(Address::unnamed(), place.path("s")).unwrap();
    greeter.expect("greeted");
    assert_eq!(sender(&client), Some(greeter.id()));
}

#[test]
fn g5_the_end_of_a_stream_names_nobody() {
    let end = || {
        let (ours, theirs) = Stream::pair().unwrap();
        ours.set_pass_credentials(true).unwrap();
        drop(theirs);
        ours
    };
    let raw = socket::message::receive_message(end(), &mut [IoSliceMut::new(&mut [0])], None, 0).unwrap();
    let received = end().recv_with(&mut [0], 0).unwrap();
    assert_eq!((received.len, received.credentials), (0, None));
    proof!("G5", "the end of a stream names nobody; the kernel's row: {:?}", raw.ancillary.credentials);
}

#[test]
fn g5_a_pair_names_its_creator() {
    let place = Place::new();
    let listener = open_to_all(&place);
    let mut heir = peer!("peer-uds", "heir", place.path("s").display());
    let (ours, theirs) = Stream::pair().unwrap();
    ours.set_pass_credentials(true).unwrap();
    listener.accept().unwrap().send_with(b"!", &[theirs.as_fd()]).unwrap();
    drop(theirs);
    heir.expect("spoken");
    assert_eq!(ours.peer_credentials().unwrap(), PeerCredentials::own());
    let received = ours.recv_with(&mut [0; 8], 0).unwrap();
    assert_eq!(received.credentials.unwrap().pid, NonZeroU32::new(heir.id()));
    heir.tell("end");
    heir.finish();
}

#[test]
fn g5_a_reused_number_meets_the_newcomer_and_the_pidfd_does_not() {
    if !is_root() {
        skip!("not root: no pid namespace, and no say over the next pid");
    }
    let place = Place::new();
    let rounds = repetitions(50, 1000);
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", env!("CARGO_BIN_EXE_peer-uds")]);
    command.arg("reuser").arg(place.path("s")).arg(rounds.to_string());
    let mut reuser = Peer::start(&mut command);
    for _ in (0..rounds).step_by(25) {
        reuser.expect("more");
    }
    let (by_number, by_descriptor): (usize, usize) =
        (reuser.hear().parse().unwrap(), reuser.hear().parse().unwrap());
    reuser.finish();
    assert_eq!((by_number, by_descriptor), (rounds, 0));
    proof!(
        "G5",
        "{rounds} reused pids: kill(pid) met the newcomer {by_number} times, the pidfd {by_descriptor}"
    );
}

#[test]
fn g5_a_policy_refuses_before_anything_is_read() {
    if !is_root() {
        skip!("not root: there is no second user to refuse");
    }
    let place = Place::new();
    let options = BindOptions::new().mode(0o666).policy(Policy::nobody().user(0));
    let listener: Listener = options.listen(place.path("s")).unwrap();
    let mut intruder = peer!("peer-uds", "intruder", place.path("s").display());
    match listener.accept() {
        Err(ipc_uds::Error::Denied(peer)) => assert_eq!(peer.pid, NonZeroU32::new(intruder.id())),
        other => panic!("{other:?}"),
    }
    intruder.expect("connected");
    intruder.finish();
    let client = Stream::connect(place.path("s")).unwrap();
    let mut server = listener.accept().unwrap();
    drop(client);
    assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
}
