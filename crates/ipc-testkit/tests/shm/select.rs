//! Waiting for several channels at once.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use ipc_shm::{
    ChannelOptions, Error, Readable, SELECT_MAX, Sealed, Select, Source, Wait, broadcast, bytes, latest,
    mpmc, mpsc, request, spsc,
};
use ipc_testkit::{WATCHDOG, peer, proof, repetitions, repetitions_or_long, skip};

use crate::memory::Name;
use crate::rings;
use crate::slow::Slow;
use crate::waiting::{Met, pollable};

const SOON: Duration = Duration::from_millis(3);

fn ring(options: impl Into<ChannelOptions>) -> (spsc::Sender<u64>, spsc::Receiver<u64>) {
    let (sender, receiver) = spsc::channel::<u64>(options).unwrap();
    (sender.attach().unwrap(), receiver.attach().unwrap())
}

#[test]
fn f10_no_wake_up_of_two_channels_is_lost() {
    let rounds = repetitions_or_long(4_000, 50_000, 300_000) as u64;
    for wait in [Wait::Park, Wait::Poll, Wait::SpinThenPark] {
        let mut met = Met::start("selected-senders", rounds);
        let mut numbers = met.agree(spsc::Receiver::<u64, Sealed>::offer(pollable(16)).unwrap());
        let mut texts = met.agree(bytes::Receiver::<Sealed>::offer(pollable(1024)).unwrap());
        let mut back = met.agree(spsc::Sender::<u64, Sealed>::offer(pollable(16)).unwrap());
        met.peer.expect("ready");
        let mut select = Select::new();
        select.set_wait(wait);
        let (mut slow, mut from) = (Slow::with([&met.peer]), [0_u64; 2]);
        for round in 0..rounds {
            let start = Instant::now();
            let message = match select.wait(&mut [&mut numbers, &mut texts]).unwrap() {
                0 => {
                    from[0] += 1;
                    numbers.try_recv().unwrap()
                }
                _ => {
                    from[1] += 1;
                    let mut text = Vec::new();
                    texts.try_recv(&mut text).unwrap();
                    u64::from_ne_bytes(text.try_into().unwrap())
                }
            };
            assert_eq!(message, round);
            slow.note(start.elapsed());
            back.send(&round).unwrap();
        }
        slow.check();
        met.peer.expect("done");
        met.peer.kill();
        let start = Instant::now();
        let ended = select.wait(&mut [&mut numbers, &mut texts]).unwrap();
        let told = start.elapsed();
        let error = if ended == 0 {
            numbers.try_recv().map(drop).unwrap_err()
        } else {
            texts.try_recv(&mut Vec::new()).map(drop).unwrap_err()
        };
        assert!(matches!(error, Error::Disconnected), "{error}");
        proof!(
            "F10",
            "select, {wait:?}: {from:?} messages from two rings, 0 lost, {slow}; the death told after {told:?}"
        );
    }
}

#[test]
fn f10_no_wake_up_of_calls_in_flight_is_lost() {
    let rounds = repetitions_or_long(2_000, 50_000, 200_000) as u64;
    for wait in [Wait::Park, Wait::Poll, Wait::SpinThenPark] {
        let mut servers: Vec<_> = (0..2).map(|_| Met::start("invited-server", "park")).collect();
        let clients: Vec<_> = servers
            .iter_mut()
            .map(|met| met.agree(request::Client::<u64, u64, Sealed>::offer(pollable(16)).unwrap()))
            .collect();
        servers.iter_mut().for_each(|met| met.peer.expect("ready"));
        let mut select = Select::new();
        select.set_wait(wait);
        let (mut slow, mut from) = (Slow::with(servers.iter().map(|met| &met.peer)), [0_u32; 3]);
        for round in 0..rounds {
            // Two of one client, so that both are announced on one bell.
            let mut calls: Vec<_> =
                [0, 0, 1].iter().map(|client| clients[*client].send(&round).unwrap()).collect();
            while !calls.is_empty() {
                let start = Instant::now();
                let first = select.wait_among(&mut calls).unwrap();
                slow.note(start.elapsed());
                from[first] += 1;
                let mut call = calls.swap_remove(first);
                assert_eq!(call.try_recv().unwrap(), round.wrapping_mul(3) ^ 1);
            }
        }
        slow.check();
        let mut call = clients[1].send(&1).unwrap();
        assert_eq!(select.wait(&mut [&mut &clients[0], &mut &clients[1]]).unwrap(), 1);
        call.try_recv().unwrap();
        servers[0].peer.kill();
        assert_eq!(select.wait(&mut [&mut &clients[1], &mut &clients[0]]).unwrap(), 1);
        assert!(matches!(clients[0].try_send(&1).map(drop), Ok(()) | Err(Error::Disconnected)));
        proof!(
            "F10",
            "select, {wait:?}: {from:?} answers by turn of {rounds} times three calls, 0 wake-ups lost"
        );
    }
}

#[test]
fn f10_no_wake_up_of_a_queue_for_many_is_lost() {
    let rounds = repetitions_or_long(2_000, 50_000, 200_000) as u64;
    let (named, turns) = (Name::new("select-many"), Name::new("turns"));
    let mut queue = mpmc::Receiver::<u64>::create(&named.0, 16).unwrap();
    let mut turn = spsc::Sender::<u64>::create(&turns.0, 16).unwrap();
    let (_quiet, mut idle) = ring(16);
    let mut peer = peer!("peer-shm", "mpmc-turns", turns.0, named.0);
    peer.expect("ready");
    let mut select = Select::new();
    select.set_wait(Wait::Park);
    let mut slow = Slow::with([&peer]);
    for round in 0..rounds {
        turn.send(&round).unwrap();
        let start = Instant::now();
        loop {
            assert_eq!(select.wait(&mut [&mut idle, &mut queue]).unwrap(), 1);
            match queue.try_recv() {
                Ok(message) => break assert_eq!(message, round),
                // Somebody came or left.
                Err(Error::Empty) => {}
                Err(error) => panic!("{error}"),
            }
        }
        slow.note(start.elapsed());
    }
    slow.check();
    drop(turn);
    assert_eq!(select.wait(&mut [&mut idle, &mut queue]).unwrap(), 1);
    assert!(matches!(queue.try_recv(), Err(Error::Disconnected)));
    peer.finish();

    // A sender, for room.
    let mut sender = mpmc::Sender::<u64>::anonymous(16).unwrap();
    let mut receiver = mpmc::Receiver::<u64>::from_fd(sender.share().unwrap()).unwrap();
    while sender.try_send(&1).is_ok() {}
    assert!(matches!(select.wait_timeout(&mut [&mut sender], SOON), Err(Error::TimedOut)));
    std::thread::scope(|scope| {
        scope.spawn(|| receiver.recv().unwrap());
        assert_eq!(select.wait(&mut [&mut idle, &mut sender]).unwrap(), 1);
    });
    sender.try_send(&1).unwrap();
    drop(receiver);
    assert_eq!(select.wait(&mut [&mut idle, &mut sender]).unwrap(), 1);
    assert!(matches!(sender.try_send(&1), Err(Error::Disconnected)));
    select.set_wait(Wait::Poll);
    let mut other = mpmc::Sender::<u64>::anonymous(16).unwrap();
    while other.try_send(&1).is_ok() {}
    assert!(matches!(select.wait_timeout(&mut [&mut other], WATCHDOG), Err(Error::NoSocket)));
    proof!("F10", "select: {rounds} messages of a queue for many, 0 wake-ups lost, {slow}");
}

#[test]
fn a_client_that_found_no_place_is_told_of_one() {
    let (client, server) = request::channel::<u64, u64>(16).unwrap();
    let (client, server) = (client.attach().unwrap(), server.attach().unwrap());
    let mut select = Select::new();
    select.set_wait(Wait::Park);
    assert!(
        matches!(select.wait_timeout(&mut [&mut &client], SOON), Err(Error::TimedOut)),
        "nothing in flight"
    );
    let mut calls: Vec<_> = (0..16).map(|question| client.send(&question).unwrap()).collect();
    drop(calls.remove(0));
    assert!(matches!(client.try_send(&16), Err(Error::Full)));
    assert!(matches!(select.wait_timeout(&mut [&mut &client], SOON), Err(Error::TimedOut)));
    // The first was given up: the server passes it over, which frees its place.
    let request = server.recv().unwrap();
    assert_eq!(*request.question(), 1);
    assert_eq!(select.wait(&mut [&mut &client]).unwrap(), 0);
    calls.push(client.try_send(&16).unwrap());
    assert!(matches!(select.wait_timeout(&mut [&mut &client], SOON), Err(Error::TimedOut)));
    request.answer(&2).unwrap();
    assert_eq!(
        select.wait(&mut [&mut &client, &mut &server]).unwrap(),
        1,
        "a question, behind the last named"
    );
    assert_eq!(select.wait(&mut [&mut &client, &mut &server]).unwrap(), 0);
    assert_eq!(calls[0].try_recv().unwrap(), 2);
    // One that is in hand beside others does not keep its server from being lent.
    let held = server.recv().unwrap();
    assert_eq!(select.wait(&mut [&mut &server]).unwrap(), 0);
    drop(held);
}

#[test]
fn f10_the_naive_twin_that_looks_and_then_sleeps_loses_a_wake_up() {
    // Round robin over the receivers, and then a sleep on one of them: what comes in the other is not told.
    let (mut first, mut one) = ring(16);
    let (mut second, mut other) = ring(16);
    assert!(matches!(one.try_recv(), Err(Error::Empty)));
    second.send(&1).unwrap();
    assert!(
        matches!(one.recv_timeout(Duration::from_millis(100)), Err(Error::TimedOut)),
        "the twin slept through it"
    );
    let mut select = Select::new();
    assert_eq!(select.wait(&mut [&mut one, &mut other]).unwrap(), 1);
    assert_eq!(other.try_recv().unwrap(), 1);
    first.send(&2).unwrap();
    assert_eq!(select.wait(&mut [&mut one, &mut other]).unwrap(), 0);
}

#[test]
fn none_of_several_that_are_ready_is_left_out() {
    let mut ends: Vec<_> = (0..5).map(|_| ring(64)).collect();
    let mut select = Select::new();
    let mut counts = [0; 5];
    let (mut senders, mut receivers): (Vec<_>, Vec<_>) = ends.drain(..).unzip();
    for sender in &mut senders {
        for message in 0..40 {
            sender.send(&message).unwrap();
        }
    }
    for _ in 0..100 {
        let index = select.wait_among(&mut receivers).unwrap();
        receivers[index].try_recv().unwrap();
        counts[index] += 1;
    }
    assert_eq!(counts, [20; 5], "each in turn");
    // One that has ended is named in its turn, and does not hide the others.
    drop(senders.remove(0));
    while receivers[0].try_recv().is_ok() {}
    let mut named = [0; 5];
    for _ in 0..40 {
        let index = select.wait_among(&mut receivers).unwrap();
        let _ = receivers[index].try_recv();
        named[index] += 1;
    }
    assert!(named[1..].iter().all(|count| *count == 10 || *count == 8), "{named:?}");
}

#[test]
fn every_kind_of_end_can_be_waited_for() {
    let (log, cell) = (Name::new("log"), Name::new("cell"));
    let mut log_writer = broadcast::Writer::<u64>::create(&log.0, 16).unwrap();
    let mut cell_writer = latest::Writer::<u64>::create(&cell.0).unwrap();
    let mut log = broadcast::Reader::<u64>::open(&log.0).unwrap();
    let mut cell = latest::Reader::<u64>::open(&cell.0).unwrap();
    let mut lanes = mpsc::Receiver::<u64>::new();
    let mut lane_senders: Vec<_> = (0..3)
        .map(|_| {
            let (sender, lane) = ring(16);
            lanes.admit(lane).unwrap();
            sender
        })
        .collect();
    let (mut full, mut drain) = ring(16);
    while full.try_send(&0).is_ok() {}
    let mut select = Select::new();
    select.set_wait(Wait::Park);
    for round in 0..repetitions_or_long(40, 500, 2_000) as u64 {
        let ends: &mut [&mut dyn Source] = &mut [&mut log, &mut cell, &mut lanes, &mut full];
        let nothing = select.wait_timeout(ends, if round < 4 { SOON } else { Duration::ZERO });
        assert!(matches!(nothing, Err(Error::TimedOut)), "{nothing:?}");
        let wanted = usize::try_from(round % 4).unwrap();
        std::thread::scope(|scope| {
            // While the other side sleeps, or is about to.
            scope.spawn(|| match wanted {
                0 => log_writer.write(&round).unwrap(),
                1 => cell_writer.write(&round).unwrap(),
                2 => lane_senders[usize::try_from(round % 3).unwrap()].send(&round).unwrap(),
                _ => drop(drain.recv().unwrap()),
            });
            let ends: &mut [&mut dyn Source] = &mut [&mut log, &mut cell, &mut lanes, &mut full];
            assert_eq!(select.wait(ends).unwrap(), wanted);
        });
        match wanted {
            0 => assert_eq!(log.try_recv().unwrap(), round),
            1 => assert_eq!(cell.read_newer().unwrap(), Some(round)),
            2 => assert_eq!(lanes.try_recv().unwrap(), round),
            _ => full.try_send(&round).unwrap(),
        }
    }
}

#[test]
fn a_descriptor_beside_channels_is_polled_with_them() {
    let (mut sender, mut receiver) = ring(pollable(16));
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut theirs = Readable(theirs);
    let mut select = Select::new();
    let waited = select.wait_timeout(&mut [&mut receiver, &mut theirs], SOON);
    assert!(matches!(waited, Err(Error::TimedOut)));
    ours.write_all(b"x").unwrap();
    assert_eq!(select.wait(&mut [&mut receiver, &mut theirs]).unwrap(), 1);
    sender.send(&1).unwrap();
    let both: Vec<_> = (0..2).map(|_| select.wait(&mut [&mut receiver, &mut theirs]).unwrap()).collect();
    assert!(both.contains(&0), "{both:?}");
}

#[test]
fn f10_no_wake_up_beside_a_descriptor_is_lost() {
    if rings::are_refused() {
        skip!("io_uring is refused here");
    }
    let rounds = repetitions(2_000, 100_000) as u64;
    // One end without a socket, one with, one for many, beside a descriptor; who waits for each at a time is another thread.
    let (mut sender, mut receiver) = ring(16);
    let (mut with, mut socket) = ring(pollable(16));
    let mut queue = mpmc::Receiver::<u64>::from_fd(
        mpmc::Sender::<u64>::anonymous(16).map(|maker| maker.share().unwrap()).unwrap(),
    )
    .unwrap();
    let mut into_queue = mpmc::Sender::<u64>::from_fd(queue.share().unwrap()).unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let (turns, taken) = std::sync::mpsc::channel::<u64>();
    let (tell, told) = std::sync::mpsc::channel();
    let slow = std::thread::scope(|scope| {
        scope.spawn(move || {
            tell.send(nix::unistd::gettid()).unwrap();
            for turn in taken {
                for _ in 0..fastrand::u32(0..2_000) {
                    std::hint::spin_loop();
                }
                match turn % 4 {
                    0 => sender.send(&turn).unwrap(),
                    1 => with.send(&turn).unwrap(),
                    2 => into_queue.send(&turn).unwrap(),
                    _ => ours.write_all(b"x").unwrap(),
                }
            }
        });
        let mut slow = Slow::with_threads([told.recv().unwrap()]);
        let mut select = Select::new();
        select.set_wait(Wait::Park);
        let mut theirs = Readable(theirs);
        for round in 0..rounds {
            let start = Instant::now();
            turns.send(round).unwrap();
            loop {
                let ends: &mut [&mut dyn Source] = &mut [&mut receiver, &mut socket, &mut queue, &mut theirs];
                let index = select.wait(ends).unwrap() as u64;
                let came = match index {
                    0 => receiver.try_recv(),
                    1 => socket.try_recv(),
                    2 => queue.try_recv(),
                    _ => theirs.0.read_exact(&mut [0]).map(|()| round).map_err(|_| Error::Empty),
                };
                match came {
                    Ok(message) => break assert_eq!((index, message), (round % 4, round)),
                    Err(Error::Empty) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            slow.note(start.elapsed());
        }
        drop(turns);
        slow
    });
    slow.check();
    proof!(
        "F10",
        "select: {rounds} messages in ends with and without a socket beside a descriptor, 0 lost, {slow}"
    );
}

#[test]
fn what_cannot_be_waited_for_says_so() {
    let mut select = Select::new();
    assert!(matches!(select.wait(&mut []), Err(Error::InvalidParameter { .. })));
    let (_senders, mut receivers): (Vec<_>, Vec<_>) = (0..=SELECT_MAX).map(|_| ring(16)).unzip();
    assert!(matches!(select.wait_among(&mut receivers), Err(Error::InvalidParameter { .. })));
    receivers.pop();
    assert!(matches!(select.wait_among_timeout(&mut receivers, Duration::ZERO), Err(Error::TimedOut)));
    assert!(matches!(select.wait_among_timeout(&mut receivers, SOON), Err(Error::TimedOut)));
    select.set_wait(Wait::Poll);
    assert!(matches!(select.wait_among(&mut receivers), Err(Error::NoSocket)));
    let writer = latest::Writer::<u64, Sealed>::anonymous().unwrap();
    let mut reader = latest::Reader::<u64, Sealed>::from_fd(writer.share().unwrap()).unwrap();
    assert!(matches!(select.wait(&mut [&mut reader]), Err(Error::NotInvited)));

    let mut old = peer!("peer-shm", "old-kernel");
    old.expect(&format!("Err(Some({}))", libc::ENOSYS));
    old.expect("0");
    old.expect(&format!("Err(Some({}))", libc::ETIMEDOUT));
    old.expect("0");
    old.finish();
}
