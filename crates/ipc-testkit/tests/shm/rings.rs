//! Ends without a socket, polled all the same.

use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use ipc_shm::broadcast::lossless;
use ipc_shm::{
    ChannelOptions, Error, Pollable, Polled, Wait, broadcast, bytes, latest, mpmc, mpsc, request, spsc,
};
use ipc_sys::{Deadline, poll};
use ipc_testkit::{Peer, calls, command, peer, proof, repetitions, skip};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::memory::Name;
use crate::slow::Slow;
use crate::system_v::Stage;

/// Longer than a look by far: nobody but a watchdog waits so long.
const LONG: u16 = 5_000;

/// Whether this kernel, or what we run in, gives no rings.
pub(crate) fn are_refused() -> bool {
    let (_sender, receiver) = spsc::channel::<u64>(16).unwrap();
    matches!(Polled::new(receiver.attach().unwrap()), Err(Error::NoUring { .. }))
}

fn readable(fd: impl AsFd, millis: u16) -> bool {
    let deadline = Deadline::after(Duration::from_millis(millis.into()));
    poll::wait(fd, libc::POLLIN, deadline).unwrap().is_some()
}

/// A loop around epoll_wait such as another library has, edge-triggered.
struct Edges {
    epoll: Epoll,
    interrupted: u32,
}

impl Edges {
    fn of(fd: impl AsFd) -> Self {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0)).unwrap();
        Self { epoll, interrupted: 0 }
    }

    fn wait(&mut self) {
        loop {
            match self.epoll.wait(&mut [EpollEvent::empty()], LONG) {
                Err(Errno::EINTR) => self.interrupted += 1,
                done => return assert_eq!(done.unwrap(), 1, "an edge was lost"),
            }
        }
    }
}

/// A peer that acts when it is told a turn.
struct Turns {
    turns: spsc::Sender<u64>,
    peer: Peer,
    _name: Name,
}

impl Turns {
    fn start(kind: &str, name: &str) -> Self {
        let turns = Name::new("turns");
        let sender = spsc::Sender::create(&turns.0, 64).unwrap();
        let mut peer = peer!("peer-shm", "ring-turns", turns.0, kind, name);
        peer.expect("ready");
        Self { turns: sender, peer, _name: turns }
    }
}

/// What comes at an end that is polled, by turns in two ways, is told before a look could find it, and so is the peer's death
/// by a look.
fn rounds<E: Pollable>(
    kind: &str,
    name: &str,
    end: E,
    mut attempt: impl FnMut(&mut E, u64) -> ipc_shm::Result<()>,
) -> Polled<E> {
    let rounds = repetitions(1_500, 100_000) as u64;
    let mut there = Turns::start(kind, name);
    let mut end = Polled::new(end).unwrap();
    let mut edges = Edges::of(&end);
    let (mut slow, mut armed) = (Slow::with([&there.peer]), 0);
    for round in 0..rounds {
        let start = Instant::now();
        there.turns.send(&round).unwrap();
        while let Err(error) = attempt(&mut end, round) {
            assert!(matches!(error, Error::Empty | Error::Full), "{kind}: {error}");
            if end.arm().unwrap() {
                armed += 1;
                if round % 2 == 0 {
                    assert!(readable(&end, LONG), "{kind}: nobody told");
                } else {
                    edges.wait();
                }
            }
        }
        slow.note(start.elapsed());
    }
    slow.check();
    let told = death(&mut there, &mut end, &mut edges, |end| attempt(end, rounds));
    proof!(
        "F10",
        "{kind} without a socket: {rounds} turns, {armed} waits in poll and epoll, 0 lost, {slow}; \
         {} times EINTR; the peer's death told after {told:?}",
        edges.interrupted
    );
    end
}

/// Has the peer killed while our end is armed, and says how long it took to tell: that there is nobody, or, to who waits for a
/// reader of a lossless broadcast, that nobody is waited for.
fn death<E: Pollable>(
    there: &mut Turns,
    end: &mut Polled<E>,
    edges: &mut Edges,
    mut attempt: impl FnMut(&mut E) -> ipc_shm::Result<()>,
) -> Duration {
    while matches!(attempt(end), Ok(())) {}
    let _ = end.arm().unwrap();
    there.peer.kill();
    let start = Instant::now();
    loop {
        match attempt(end) {
            Err(Error::Empty | Error::Full) if end.arm().unwrap() => edges.wait(),
            Err(Error::Empty | Error::Full) => {}
            Err(Error::Disconnected) | Ok(()) => return start.elapsed(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn f10_no_wake_up_of_a_ring_with_a_name_is_lost() {
    if are_refused() {
        skip!("io_uring is refused here");
    }
    let name = Name::new("ring");
    let receiver = spsc::Receiver::<u64>::create(&name.0, 16).unwrap();
    rounds("spsc", &name.0, receiver, |receiver, round| {
        receiver.try_recv().map(|message| assert_eq!(message, round))
    });
    let name = Name::new("ring");
    let mut sender = spsc::Sender::<u64>::create(&name.0, 16).unwrap();
    while sender.try_send(&0).is_ok() {}
    rounds("spsc room", &name.0, sender, |sender, round| sender.try_send(&round));
    let name = Name::new("ring");
    let receiver = bytes::Receiver::create(&name.0, 1024).unwrap();
    let mut message = Vec::new();
    rounds("bytes", &name.0, receiver, |receiver, round| {
        receiver.try_recv(&mut message).map(|_| assert_eq!(message, round.to_ne_bytes()))
    });
}

#[test]
fn f10_no_wake_up_of_lanes_with_names_is_lost() {
    if are_refused() {
        skip!("io_uring is refused here");
    }
    let name = Name::new("lanes");
    let mut receiver = mpsc::Receiver::new();
    for lane in 0..3 {
        receiver.admit(spsc::Receiver::<u64>::create(format!("{}-{lane}", name.0), 16).unwrap()).unwrap();
    }
    let mut polled = rounds("mpsc", &name.0, receiver, |receiver, round| {
        receiver.try_recv().map(|message| assert_eq!(message, round))
    });
    assert_eq!(polled.departed().len(), 3);
    // One with a socket beside one without.
    let mut senders = Vec::new();
    for options in [ChannelOptions::new(16).pollable(), ChannelOptions::new(16)] {
        let (sender, lane) = spsc::channel::<u64>(options).unwrap();
        polled.admit(lane.attach().unwrap()).unwrap();
        senders.push(sender.attach().unwrap());
    }
    for message in 0..100 {
        assert!(matches!(polled.try_recv(), Err(Error::Empty)));
        assert!(polled.arm().unwrap());
        assert!(!readable(&polled, 0));
        senders[usize::from(message % 2 == 0)].send(&message).unwrap();
        assert!(readable(&polled, 40));
        assert_eq!(polled.try_recv().unwrap(), message);
    }
}

#[test]
fn f10_no_wake_up_of_a_polled_queue_for_many_is_lost() {
    if are_refused() {
        skip!("io_uring is refused here");
    }
    let name = Name::new("many");
    let receiver = mpmc::Receiver::<u64>::create(&name.0, 16).unwrap();
    rounds("mpmc", &name.0, receiver, |receiver, round| {
        receiver.try_recv().map(|message| assert_eq!(message, round))
    });
    let name = Name::new("many");
    let mut sender = mpmc::Sender::<u64>::create(&name.0, 16).unwrap();
    while sender.try_send(&0).is_ok() {}
    rounds("mpmc room", &name.0, sender, |sender, round| sender.try_send(&round));
}

#[test]
fn f10_no_wake_up_of_a_polled_broadcast_is_lost() {
    if are_refused() {
        skip!("io_uring is refused here");
    }
    let name = Name::new("lossless");
    let maker = lossless::Writer::<u64>::create(&name.0, 16).unwrap();
    maker.persist();
    drop(maker);
    let reader = lossless::Reader::<u64>::open(&name.0).unwrap();
    rounds("lossless", &name.0, reader, |reader, round| {
        reader.try_recv().map(|message| assert_eq!(message, round))
    });
    let name = Name::new("lossless");
    let writer = lossless::Writer::<u64>::create(&name.0, 16).unwrap();
    let mut filled = false;
    rounds("lossless room", &name.0, writer, |writer, round| {
        // Only when somebody reads is there anything to wait for.
        while !filled && writer.try_write(&0).is_ok() {}
        filled = true;
        writer.try_write(&round)
    });
    let name = Name::new("broadcast");
    let maker = broadcast::Writer::<u64>::create(&name.0, 16).unwrap();
    maker.persist();
    drop(maker);
    let reader = broadcast::Reader::<u64>::open(&name.0).unwrap();
    rounds("broadcast", &name.0, reader, |reader, round| {
        reader.try_recv().map(|message| assert_eq!(message, round))
    });
    let name = Name::new("latest");
    let maker = latest::Writer::<u64>::create(&name.0).unwrap();
    maker.persist();
    drop(maker);
    let reader = latest::Reader::<u64>::open(&name.0).unwrap();
    rounds("latest", &name.0, reader, |reader, round| {
        reader.try_wait().map(|value| assert_eq!(value, round))
    });
}

#[test]
fn f10_no_wake_up_of_polled_questions_and_answers_is_lost() {
    if are_refused() {
        skip!("io_uring is refused here");
    }
    let name = Name::new("server");
    let server = request::Server::<u64, u64>::create(&name.0, 16).unwrap();
    rounds("request", &name.0, server, |server, round| {
        let request = server.try_recv()?;
        assert_eq!(*request.question(), round);
        request.answer(&round)
    });
    let name = Name::new("client");
    let client = request::Client::<u64, u64>::create(&name.0, 16).unwrap();
    let mut asked = None;
    rounds("answer", &name.0, &client, |client, round| {
        if asked.is_none() {
            asked = Some((round, client.try_send(&round)?));
        }
        let Some((of, call)) = &mut asked else { return Err(Error::Empty) };
        let answer = call.try_recv()?;
        assert_eq!((answer, *of), (round, round));
        asked = None;
        Ok(())
    });
}

#[test]
fn f10_no_wake_up_in_a_system_v_segment_is_lost() {
    if are_refused() {
        skip!("io_uring is refused here");
    }
    let stage = Stage::new(ipc_shm::sysv::len_of::<spsc::Receiver<u64>>(16).unwrap());
    let receiver: spsc::Receiver<u64> = stage.place().create(16).unwrap();
    rounds("sysv", &stage.address(), receiver, |receiver, round| {
        receiver.try_recv().map(|message| assert_eq!(message, round))
    });
}

#[test]
fn f10_the_naive_twin_that_polls_whatever_it_is_told_loses_a_wake_up() {
    if are_refused() {
        skip!("io_uring is refused here");
    }
    let (there, back) = (Name::new("there"), Name::new("back"));
    let mut sender = spsc::Sender::<u64>::create(&there.0, 16).unwrap();
    let receiver = spsc::Receiver::<u64>::create(&back.0, 16).unwrap();
    let mut peer = peer!("peer-shm", "spsc-echo", there.0, back.0, "park");
    peer.expect("ready");
    let mut receiver = Polled::new(receiver).unwrap();
    let (mut lost, mut tried) = (0, 0);
    let end = Instant::now() + Duration::from_secs(5);
    while lost == 0 && Instant::now() < end {
        sender.send(&tried).unwrap();
        if matches!(receiver.try_recv(), Err(Error::Empty)) {
            // A moment's work between the look and the wait: as in any event loop.
            for _ in 0..fastrand::u32(0..4_000) {
                std::hint::spin_loop();
            }
            let _ = receiver.arm().unwrap();
            lost += u32::from(!readable(&receiver, 100));
            receiver.recv().unwrap();
        }
        tried += 1;
    }
    assert!(lost > 0, "the naive twin lost nothing in {tried} rounds");
    proof!("F10", "the naive twin, which polls where `arm` forbids it, lost one wake-up in {tried}");
}

#[test]
fn f10_a_wait_that_nobody_awaits_takes_no_wake_from_another() {
    if are_refused() {
        skip!("io_uring is refused here");
    }
    let (there, back) = (Name::new("there"), Name::new("back"));
    let mut sender = spsc::Sender::<u64>::create(&there.0, 16).unwrap();
    let mut receiver = spsc::Receiver::<u64>::create(&back.0, 16).unwrap();
    receiver.set_wait(Wait::Park);
    let mut peer = peer!("peer-shm", "spsc-echo", there.0, back.0, "park");
    peer.expect("ready");
    let rounds = repetitions(300, 5_000) as u64;
    let mut slow = Slow::with([&peer]);
    // Armed by another thread, which the kernel would tell of a wake that the ring took: this one would sleep on.
    let (give, given) = std::sync::mpsc::channel::<Polled<spsc::Receiver<u64>>>();
    let (back, receivers) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            for mut receiver in given {
                assert!(receiver.arm().unwrap());
                back.send(receiver).unwrap();
            }
        });
        let mut receiver = Polled::new(receiver).unwrap();
        for round in 0..rounds {
            give.send(receiver).unwrap();
            receiver = receivers.recv().unwrap();
            let start = Instant::now();
            sender.send(&round).unwrap();
            assert_eq!(receiver.recv().unwrap(), round);
            slow.note(start.elapsed());
        }
        drop(give);
    });
    slow.check();
    proof!("F10", "{rounds} calls that block behind a wait of the same end that was forgotten, {slow}");
}

#[test]
fn a_ring_goes_on_when_the_thread_that_armed_it_has_ended() {
    if are_refused() {
        skip!("io_uring is refused here");
    }
    let (sender, receiver) = spsc::channel::<u64>(16).unwrap();
    let mut sender = sender.attach().unwrap();
    let mut receiver = Polled::new(receiver.attach().unwrap()).unwrap();
    let armed_elsewhere = |mut receiver: Polled<spsc::Receiver<u64>>| {
        let armed = thread::spawn(move || {
            while !receiver.arm().unwrap() {}
            receiver
        });
        armed.join().unwrap()
    };
    for round in 0..repetitions(100, 2_000) as u64 {
        receiver = armed_elsewhere(receiver);
        if round % 2 == 0 {
            // The kernel cancels what the thread had asked for, which is a wake without a cause.
            assert!(readable(&receiver, LONG));
        }
        while !receiver.arm().unwrap() {}
        sender.send(&round).unwrap();
        assert!(readable(&receiver, 40), "round {round}");
        assert_eq!(receiver.try_recv().unwrap(), round);
    }
    // Armed here, and again by another thread while the first wait goes on.
    assert!(receiver.arm().unwrap());
    let mut receiver = armed_elsewhere(receiver);
    assert!(readable(&receiver, LONG));
    while !receiver.arm().unwrap() {}
    assert!(!readable(&receiver, 0));
}

#[test]
fn f5_where_io_uring_is_refused_ends_without_a_socket_say_so() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        for call in ["setup", "register", "enter"] {
            let mut peer = peer!("peer-shm", "ring-refused", call, errno);
            for _ in 0..4 {
                peer.expect(&format!(
                    "Some({errno}) the kernel gives no io_uring to poll for a channel without a socket (Linux 6.7, \
                     where nothing forbids it): make the channel pollable, where it can be"
                ));
            }
            peer.expect("nothing leaked");
            peer.expect("true true 7");
            peer.finish();
        }
    }
}

#[test]
fn a_forked_child_lets_its_parents_ring_be() {
    if are_refused() {
        skip!("io_uring is refused here");
    }
    let mut peer = peer!("peer-shm", "ring-forker");
    peer.expect(&format!("Err(Some({})) true true", libc::ETIMEDOUT));
    peer.expect(&format!("child true Err(Some({}))", libc::ETIMEDOUT));
    peer.expect("parent true 7");
    peer.expect("armed true true");
    peer.expect("0");
    peer.finish();
}

#[test]
fn what_is_not_armed_costs_no_call_and_what_is_costs_one() {
    if are_refused() {
        skip!("io_uring is refused here");
    }
    for armed in [1, 2, 5] {
        let made = calls::between_marks(&mut command!("peer-shm", "ring-costs", armed));
        assert_eq!(made, vec![libc::SYS_io_uring_enter; armed], "{armed} times");
    }
    proof!("parity", "ten messages and five times `arm`: 5 io_uring_enter, and no other call");
}
