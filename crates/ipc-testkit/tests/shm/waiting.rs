//! Ends that are polled: the socket beside the memory.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use ipc_pipe::CommandExt;
use ipc_shm::{
    Acceptance, ChannelOptions, End, Error, Invitation, Offer, Polled, Refusal, Sealed, Wait, bytes, latest,
    spsc,
};
use ipc_sys::{Deadline, poll, process};
use ipc_testkit::{Peer, WATCHDOG, command, proof, repetitions, repetitions_or_long};
use ipc_uds::{Framed, Stream};

use crate::memory::Name;
use crate::slow::Slow;

/// A peer, and the socket over which channels are agreed upon with it.
pub(crate) struct Met {
    pub(crate) peer: Peer,
    meeting: Framed<Stream>,
}

impl Met {
    /// Starts a role of peers/shm/waiting.rs.
    pub(crate) fn start(role: &str, argument: impl std::fmt::Display) -> Self {
        Self::start_with(role, &[&argument.to_string()])
    }

    /// The same with several arguments.
    pub(crate) fn start_with(role: &str, arguments: &[&str]) -> Self {
        let (ours, theirs) = Stream::pair().unwrap();
        let mut command = command!("peer-shm", role);
        command.args(arguments);
        command.hand([(7, theirs)]).unwrap();
        let peer = Peer::start(&mut command);
        Self { peer, meeting: Framed::new(ours, 16, 8).unwrap() }
    }

    /// Has the peer accept, and gives what it answers.
    pub(crate) fn accepted<Theirs: End>(&mut self, invitation: Invitation<Theirs>) -> Acceptance {
        self.meeting.send_with(b"", invitation).unwrap();
        let message = self.meeting.recv().unwrap().unwrap();
        Acceptance::try_from(message.descriptors).unwrap()
    }

    /// Has the peer accept, and completes our end.
    pub(crate) fn agree<Ours: End, Theirs: End>(
        &mut self,
        (offer, invitation): (Offer<Ours>, Invitation<Theirs>),
    ) -> Ours {
        offer.complete(self.accepted(invitation)).unwrap()
    }
}

pub(crate) fn pollable(capacity: usize) -> ChannelOptions {
    ChannelOptions::new(capacity).pollable()
}

/// Whether the descriptor becomes readable within `millis`.
fn readable(fd: impl AsFd, millis: u64) -> bool {
    let deadline = Deadline::after(Duration::from_millis(millis));
    poll::wait(fd, libc::POLLIN, deadline).unwrap().is_some()
}

/// Whether it does in the end: nobody looks at it meanwhile, so that a wake-up that was lost is not healed.
fn becomes_readable(fd: impl AsFd) -> bool {
    poll::wait(fd, libc::POLLIN, Deadline::after(WATCHDOG)).unwrap().is_some()
}

/// How many bytes wait in a socket.
fn bytes_in(fd: impl AsFd) -> usize {
    ipc_sys::socket::readable(fd).unwrap()
}

#[test]
fn f10_no_wake_up_is_lost_over_sockets() {
    let rounds = repetitions_or_long(5_000, 100_000, 500_000) as u64;
    let mut told = Vec::new();
    for theirs in ["poll", "park"] {
        let mut met = Met::start("polled-echo", theirs);
        let mut sender = met.agree(spsc::Sender::<u64, Sealed>::offer(pollable(16)).unwrap());
        let receiver = met.agree(spsc::Receiver::<u64, Sealed>::offer(pollable(16)).unwrap());
        met.peer.expect("ready");
        let mut receiver = Polled::new(receiver).unwrap();
        receiver.set_wait(Wait::Poll);
        let mut slow = Slow::with([&met.peer]);
        for round in 0..rounds {
            sender.send(&round).unwrap();
            let start = Instant::now();
            // Both ways: our own blocking call, and a loop around poll such as another library has.
            let message = if round % 2 == 0 {
                receiver.recv().unwrap()
            } else {
                loop {
                    match receiver.try_recv() {
                        Err(Error::Empty) if receiver.arm().unwrap() => {
                            assert!(becomes_readable(&receiver), "round {round}: a wake-up was lost");
                        }
                        Err(Error::Empty) => {}
                        done => break done.unwrap(),
                    }
                }
            };
            assert_eq!(message, round);
            // The blocking call would heal a lost wake-up by its look every 60 ms.
            slow.note(start.elapsed());
        }
        slow.check();
        told.push(slow.to_string());
        drop(sender);
        met.peer.expect("gone");
        met.peer.finish();
    }

    // The naive twin looks, and then polls whatever `arm` says: what came in between is never told.
    let mut met = Met::start("polled-echo", "park");
    let mut sender = met.agree(spsc::Sender::<u64, Sealed>::offer(pollable(16)).unwrap());
    let receiver = met.agree(spsc::Receiver::<u64, Sealed>::offer(pollable(16)).unwrap());
    met.peer.expect("ready");
    let mut receiver = Polled::new(receiver).unwrap();
    let (mut lost, mut tried) = (0, 0);
    let end = Instant::now() + WATCHDOG;
    while lost == 0 && Instant::now() < end {
        sender.send(&tried).unwrap();
        if matches!(receiver.try_recv(), Err(Error::Empty)) {
            // A moment's work between the look and the wait: as in any event loop.
            for _ in 0..fastrand::u32(0..2_000) {
                std::hint::spin_loop();
            }
            let _ = receiver.arm().unwrap();
            lost += u32::from(!readable(&receiver, 100));
            receiver.recv().unwrap();
        }
        tried += 1;
    }
    assert!(lost > 0, "the naive twin lost nothing in {tried} rounds");
    proof!(
        "F10",
        "{rounds} round trips each over sockets and futexes, 0 lost, {told:?}; the naive twin lost one in {tried}"
    );
}

#[test]
fn f10_a_sender_that_polls_is_told_of_room() {
    let (sender, receiver) = spsc::channel::<u64>(pollable(16)).unwrap();
    let (sender, mut receiver) = (sender.attach().unwrap(), receiver.attach().unwrap());
    let mut sender = Polled::new(sender).unwrap();
    assert!(!sender.arm().unwrap(), "there is room");
    while sender.try_send(&1).is_ok() {}
    assert!(sender.arm().unwrap());
    assert!(!readable(&sender, 0));
    receiver.recv().unwrap();
    assert!(becomes_readable(&sender));
    sender.try_send(&2).unwrap();

    // One of bytes is told of room for what was refused, not of room for less.
    let (sender, receiver) = bytes::channel(pollable(1024)).unwrap();
    let (sender, mut receiver) = (sender.attach().unwrap(), receiver.attach().unwrap());
    let mut sender = Polled::new(sender).unwrap();
    while sender.try_send(&[0; 50]).is_ok() {}
    assert!(matches!(sender.try_send(&[0; 500]), Err(Error::Full)));
    assert!(sender.arm().unwrap());
    let mut message = Vec::new();
    receiver.recv(&mut message).unwrap();
    while readable(&sender, 0) && sender.arm().unwrap() {}
    assert!(matches!(sender.try_send(&[0; 500]), Err(Error::Full)));
    assert!(sender.arm().unwrap());
    for _ in 0..10 {
        receiver.recv(&mut message).unwrap();
    }
    assert!(becomes_readable(&sender));
    assert!(!sender.arm().unwrap());
    sender.try_send(&[0; 500]).unwrap();
}

#[test]
fn an_end_that_is_awake_costs_its_peer_no_system_call() {
    let mut met = Met::start("polled-sender", "");
    let receiver = met.agree(spsc::Receiver::<u64, Sealed>::offer(pollable(1024)).unwrap());
    met.peer.expect("ready");
    let mut receiver = Polled::new(receiver).unwrap();
    let mut next = 0;
    let mut take = |receiver: &mut Polled<spsc::Receiver<u64, Sealed>>, count: u64| {
        for _ in 0..count {
            assert_eq!(receiver.try_recv().unwrap(), next);
            next += 1;
        }
    };
    met.peer.tell(500);
    met.peer.expect("sent");
    assert_eq!(bytes_in(&receiver), 0, "nobody waited");
    take(&mut receiver, 500);
    // Announced once, answered once, however many messages come.
    assert!(receiver.arm().unwrap());
    met.peer.tell(500);
    met.peer.expect("sent");
    assert_eq!(bytes_in(&receiver), 1);
    take(&mut receiver, 500);
    assert!(receiver.arm().unwrap());
    assert_eq!(bytes_in(&receiver), 0, "the next announcement empties it");
    met.peer.close_input();
    assert!(becomes_readable(&receiver), "the end is told");
    assert!(matches!(receiver.try_recv(), Err(Error::Disconnected)));
    met.peer.finish();
}

#[test]
fn a_killed_peer_is_seen_at_once_by_who_polls() {
    let rounds = repetitions(20, 500);
    let (mut shortest, mut account) = (Duration::MAX, Slow::with([]));
    for round in 0..rounds {
        let mut met = Met::start("polled-sender", "");
        let mut receiver = met.agree(spsc::Receiver::<u64, Sealed>::offer(pollable(16)).unwrap());
        met.peer.expect("ready");
        met.peer.tell(3);
        met.peer.expect("sent");
        let received = |error: Error, count: u64| {
            assert!(matches!(error, Error::Disconnected), "{error}");
            assert_eq!(count, 3, "what was sent is received first");
        };
        let mut count = 0;
        let start;
        if round % 2 == 0 {
            receiver.set_wait(Wait::Poll);
            met.peer.kill();
            start = Instant::now();
            received(
                loop {
                    match receiver.recv() {
                        Ok(_) => count += 1,
                        Err(error) => break error,
                    }
                },
                count,
            );
        } else {
            let mut receiver = Polled::new(receiver).unwrap();
            while count < 3 {
                receiver.try_recv().unwrap();
                count += 1;
            }
            assert!(receiver.arm().unwrap());
            met.peer.kill();
            start = Instant::now();
            assert!(becomes_readable(&receiver), "round {round}");
            assert!(!receiver.arm().unwrap());
            received(receiver.try_recv().unwrap_err(), count);
        }
        shortest = shortest.min(account.asleep(start.elapsed()));
    }
    // A look comes every 60 ms: one that is always waited for would show in the best of them.
    assert!(shortest < Duration::from_millis(50), "{shortest:?}");
    proof!("F10", "{rounds} peers killed, each told to who polls, the fastest after {shortest:?} of sleep");
}

#[test]
fn a_watched_process_is_told_dead_although_its_child_keeps_everything() {
    for wait in [Wait::Poll, Wait::Park, Wait::SpinThenPark] {
        let mut met = Met::start("polled-keeper", "");
        let mut receiver = met.agree(spsc::Receiver::<u64, Sealed>::offer(pollable(16)).unwrap());
        met.peer.expect("ready");
        receiver.set_wait(wait);
        assert_eq!(receiver.recv().unwrap(), 7);
        let id = i32::try_from(met.peer.id()).unwrap();
        let pidfd = process::pidfd_open(id).unwrap();
        met.peer.kill();
        // The naive twin: lock and socket live on in the child.
        assert!(matches!(receiver.recv_timeout(Duration::from_millis(150)), Err(Error::TimedOut)));
        receiver.watch(pidfd).unwrap();
        assert!(matches!(receiver.recv_timeout(WATCHDOG), Err(Error::Disconnected)));
        met.peer.close_input();
    }
    let mut reader = latest::Reader::<u64, Sealed>::from_fd(
        latest::Writer::<u64, Sealed>::anonymous().unwrap().share().unwrap(),
    )
    .unwrap();
    let file: OwnedFd = std::fs::File::open("/proc/self/status").unwrap().into();
    assert!(matches!(reader.watch(file), Err(Error::InvalidParameter { .. })));
    assert!(matches!(reader.wait(), Err(Error::NotInvited)));
}

#[test]
fn f5_what_cannot_be_polled_says_so() {
    let named = Name::new("polled");
    assert!(matches!(
        spsc::Sender::<u64>::create(&named.0, pollable(16)),
        Err(Error::InvalidParameter { .. })
    ));
    let (_sender, receiver) = spsc::channel::<u64>(16).unwrap();
    let mut receiver = receiver.attach().unwrap();
    receiver.set_wait(Wait::Poll);
    assert!(matches!(receiver.recv(), Err(Error::NoSocket)));
    let writer = latest::Writer::<u64, Sealed>::anonymous().unwrap();
    let uninvited = latest::Reader::<u64, Sealed>::from_fd(writer.share().unwrap()).unwrap();
    assert!(matches!(Polled::new(uninvited), Err(Error::NotInvited)));

    // An invitation without its socket, or with something else in its place.
    let invite = || -> Vec<OwnedFd> { spsc::Receiver::<u64, Sealed>::offer(pollable(16)).unwrap().1.into() };
    let datagram = ipc_sys::socket::pair(libc::SOCK_DGRAM).unwrap().0;
    let listening = ipc_sys::socket::socket(libc::SOCK_STREAM).unwrap();
    let address = ipc_sys::socket::address::RawAddress::new(b"").unwrap();
    ipc_sys::socket::bind(&listening, &address).unwrap();
    ipc_sys::socket::listen(&listening, 1).unwrap();
    let file: OwnedFd = std::fs::File::open("/proc/self/status").unwrap().into();
    for other in [None, Some(datagram), Some(listening), Some(file)] {
        let mut descriptors = invite();
        descriptors.truncate(1);
        descriptors.extend(other);
        let invitation = Invitation::<spsc::Sender<u64, Sealed>>::try_from(descriptors).unwrap();
        let refused = invitation.accept().map(drop).unwrap_err();
        assert!(matches!(refused, Error::Refused { reason: Refusal::NotSocket, .. }), "{refused}");
    }
    let four: Vec<OwnedFd> = invite().into_iter().chain(invite()).collect();
    assert!(Invitation::<spsc::Sender<u64, Sealed>>::try_from(four).is_err());
}

#[test]
fn f1_a_peer_that_floods_the_socket_harms_only_its_channel() {
    // Both ends here: the hostile one is played with the descriptors of its invitation.
    let (offer, invitation) = spsc::Receiver::<u64, Sealed>::offer(pollable(16)).unwrap();
    let descriptors: Vec<OwnedFd> = invitation.into();
    let socket = descriptors[1].try_clone().unwrap();
    let (_sender, acceptance) =
        Invitation::<spsc::Sender<u64, Sealed>>::try_from(descriptors).unwrap().accept().unwrap();
    let mut receiver = offer.complete(acceptance).unwrap();
    let flood = || {
        let mut sent = 0;
        while let Ok(len) = ipc_sys::socket::message::send(&socket, &[1; 4096], libc::MSG_DONTWAIT) {
            sent += len;
        }
        sent
    };
    let sent = flood();
    assert!(sent > 64 * 1000);
    receiver.set_wait(Wait::Poll);
    assert!(matches!(receiver.recv_timeout(WATCHDOG), Err(Error::PeerCorrupt { .. })));
    assert!(matches!(receiver.try_recv(), Err(Error::PeerCorrupt { .. })));
}
