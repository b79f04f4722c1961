//! One server of many clients, each in a process of its own.

use std::collections::VecDeque;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use ipc_shm::{ChannelOptions, Error, Polled, Sealed, Select, Wait, mpsc, request};
use ipc_sys::{Deadline, poll};
use ipc_testkit::{WATCHDOG, proof, repetitions, repetitions_or_long, skip};

use crate::memory::Name;
use crate::rings;
use crate::slow::Slow;
use crate::waiting::{Met, pollable};

type Server = request::Server<u64, u64, Sealed>;

/// What the peers expect.
fn answer_to(question: u64) -> u64 {
    question.wrapping_mul(3) ^ 1
}

/// A process that asks COUNT questions, numbered from NUMBER << 32 on, and its lane.
fn client(servers: &request::Servers<u64, u64, Sealed>, number: u64, count: u64) -> (Met, mpsc::LaneId) {
    let mut met =
        Met::start_with("invited-client", &[&(number << 32).to_string(), &count.to_string(), "park"]);
    let lane = servers.admit(met.agree(Server::offer(pollable(16)).unwrap())).unwrap();
    met.peer.expect("ready");
    (met, lane)
}

/// Both ends in this process.
fn both(options: impl Into<ChannelOptions>) -> (request::Client<u64, u64>, request::Server<u64, u64>) {
    let (client, server) = request::channel(options).unwrap();
    (client.attach().unwrap(), server.attach().unwrap())
}

#[test]
fn f9_clients_join_and_die_and_each_answer_goes_to_who_asked() {
    let count = repetitions_or_long(5_000, 50_000, 300_000) as u64;
    for wait in [Wait::Park, Wait::Poll, Wait::SpinThenPark] {
        let mut servers = request::Servers::new();
        servers.set_wait(wait);
        assert!(matches!(servers.recv(), Err(Error::Disconnected)));
        let (mut first, first_lane) = client(&servers, 0, count);
        let (mut second, doomed) = client(&servers, 1, u64::MAX >> 1);
        let mut third = None;
        let (mut next, mut told, mut killed) = ([0_u64; 3], None, None);
        while next[0] < count || next[2] < count || told.is_none() {
            // In hand while others are admitted, and answered late.
            let mut held = VecDeque::new();
            while held.len() < 3 && (next[0] < count || next[2] < count) {
                match servers.recv_timeout(Duration::from_millis(if held.is_empty() { 200 } else { 0 })) {
                    Ok((lane, request)) => {
                        let number = usize::try_from(*request.question() >> 32).unwrap();
                        assert_eq!(*request.question() & 0xffff_ffff, next[number], "client {number}");
                        assert_eq!(lane == first_lane, number == 0);
                        next[number] += 1;
                        held.push_back(request);
                    }
                    Err(Error::TimedOut) => break,
                    Err(error) => panic!("{error}"),
                }
                if next[1] >= 500 && killed.is_none() {
                    second.peer.kill();
                    killed = Some(Instant::now());
                    third = Some(client(&servers, 2, count).0);
                }
            }
            for request in held.into_iter().rev() {
                let answer = answer_to(*request.question());
                request.answer(&answer).unwrap();
            }
            let _ = servers.recv_timeout(Duration::ZERO).map(|(_, request)| {
                let number = usize::try_from(*request.question() >> 32).unwrap();
                next[number] += 1;
                let answer = answer_to(*request.question());
                request.answer(&answer).unwrap();
            });
            for (id, error) in servers.departed() {
                if id == doomed {
                    assert!(matches!(error, Error::Disconnected), "{error}");
                    told = killed.map(|at| at.elapsed());
                }
            }
        }
        first.peer.expect("done");
        third.as_mut().unwrap().peer.expect("done");
        assert_eq!(servers.lanes(), 2);
        drop((first, third));
        assert!(matches!(servers.recv(), Err(Error::Disconnected)));
        assert_eq!(servers.departed().len(), 2);
        proof!(
            "F9",
            "request, {wait:?}: {} questions of three clients answered to who asked; the killed one told after {:?}",
            next.iter().sum::<u64>(),
            told.unwrap_or_default()
        );
    }
}

#[test]
fn f9_a_client_that_writes_nonsense_ends_its_own_lane_only() {
    let (bad, good) = (Name::new("bad"), Name::new("good"));
    let liar = request::Client::<u64, u64>::create(&bad.0, 16).unwrap();
    let honest = request::Client::<u64, u64>::create(&good.0, 16).unwrap();
    let mut servers = request::Servers::new();
    let spoilt = servers.admit(request::Server::open(&bad.0).unwrap()).unwrap();
    servers.admit(request::Server::open(&good.0).unwrap()).unwrap();
    let before = liar.send(&1).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(format!("/dev/shm/{}", bad.0)).unwrap();
    // The number of the second question, in its slot: behind the header page, 32 bytes for each.
    file.write_all_at(&[0x77; 8], 4096 + 32).unwrap();
    for round in 0..100 {
        let pending = honest.send(&round).unwrap();
        for _ in 0..2 {
            match servers.try_recv() {
                Ok((_, request)) => {
                    let answer = answer_to(*request.question());
                    request.answer(&answer).unwrap();
                }
                Err(Error::Empty) => assert!(round > 0),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(pending.recv().unwrap(), answer_to(round));
    }
    assert_eq!(before.recv().unwrap(), answer_to(1));
    let departed = servers.departed();
    assert!(
        matches!(departed.as_slice(), [(id, Error::PeerCorrupt { .. })] if *id == spoilt),
        "{departed:?}"
    );
    assert_eq!(servers.lanes(), 1);
}

#[test]
fn none_is_starved_by_a_client_that_always_asks() {
    let (greedy, first) = both(64);
    let (modest, second) = both(64);
    let servers = request::Servers::new();
    servers.admit(first).unwrap();
    let second = servers.admit(second).unwrap();
    let mut asked: VecDeque<_> = (0..64).map(|question| greedy.send(&question).unwrap()).collect();
    let one = modest.send(&7).unwrap();
    let mut before = 0;
    loop {
        let (lane, request) = servers.recv().unwrap();
        request.answer(&0).unwrap();
        if lane == second {
            break;
        }
        before += 1;
        drop(asked.pop_front());
        asked.push_back(greedy.send(&1).unwrap());
    }
    assert!(before <= 1, "{before} questions of the other came first");
    drop(one);

    // The naive twin serves whom it finds first.
    let (greedy, first) = both(64);
    let (modest, second) = both(64);
    let mut asked: VecDeque<_> = (0..64).map(|question| greedy.send(&question).unwrap()).collect();
    let _one = modest.send(&u64::MAX).unwrap();
    let rounds = 1000;
    for _ in 0..rounds {
        let request = first.try_recv().or_else(|_| second.try_recv()).unwrap();
        assert_ne!(*request.question(), u64::MAX, "the twin should starve it");
        request.answer(&0).unwrap();
        drop(asked.pop_front());
        asked.push_back(greedy.send(&1).unwrap());
    }
    proof!("F9", "request: the other client's turn comes after {before}; naive twin: not in {rounds}");
}

#[test]
fn questions_that_nobody_waits_for_keep_no_server_beyond_its_time() {
    let (flood, served) = both(16);
    let (client, server) = both(16);
    let servers = request::Servers::new();
    servers.admit(served).unwrap();
    servers.admit(server).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let short = Duration::from_millis(20);
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| {
            // Both ends are of this process: it is one client that asks as fast as it can, and waits for nothing.
            let flood = flood;
            let mut asked = 0_u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                match flood.send_timeout(&asked, Duration::ZERO) {
                    Ok(call) => drop(call),
                    Err(Error::TimedOut) => {}
                    Err(error) => panic!("{error}"),
                }
                asked += 1;
            }
            asked
        });
        let rounds = repetitions(10, 200);
        for _ in 0..rounds {
            let start = Instant::now();
            assert!(matches!(servers.recv_timeout(short).map(drop), Err(Error::TimedOut)));
            assert!(start.elapsed() < WATCHDOG, "kept for {:?}", start.elapsed());
            let call = client.send(&7).unwrap();
            let (_, request) = servers.recv().unwrap();
            assert_eq!(*request.question(), 7);
            request.answer(&8).unwrap();
            assert_eq!(call.recv().unwrap(), 8);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        // It may wait for a place: the server passes over what stands there.
        while !flooding.is_finished() {
            let _ = servers.try_recv().map(drop);
        }
        let asked = flooding.join().unwrap();
        proof!(
            "F9",
            "request: {rounds} waits of {short:?} ended in time under {asked} questions that nobody waits for"
        );
    });
}

#[test]
fn lanes_run_out_with_a_typed_error_and_those_that_ended_make_room() {
    let mut servers = request::Servers::<u64, u64>::new();
    let mut clients: Vec<_> = (0..mpsc::LANES_MAX)
        .map(|_| {
            let (client, server) = both(16);
            servers.admit(server).unwrap();
            client
        })
        .collect();
    assert!(matches!(servers.admit(both(16).1), Err(Error::InvalidParameter { .. })));
    assert_eq!((servers.lanes(), servers.stat().unwrap().len()), (mpsc::LANES_MAX, mpsc::LANES_MAX));
    clients.truncate(100);
    assert!(matches!(servers.try_recv(), Err(Error::Empty)));
    assert!(matches!(servers.recv_timeout(Duration::from_millis(2)), Err(Error::TimedOut)));
    assert!(matches!(servers.admit(both(16).1), Err(Error::InvalidParameter { .. })), "not taken out yet");
    assert_eq!(servers.departed().len(), 27);
    let (client, server) = both(16);
    servers.admit(server).unwrap();
    clients.push(client);
    for (number, client) in (0..).zip(&clients) {
        let call = client.send(&number).unwrap();
        let (_, request) = servers.recv().unwrap();
        assert_eq!(*request.question(), number);
        request.answer(&answer_to(number)).unwrap();
        assert_eq!(call.recv().unwrap(), answer_to(number));
    }
}

#[test]
fn a_server_beside_others_is_woken_for_each_of_its_clients() {
    let rounds = repetitions_or_long(2_000, 50_000, 200_000) as u64;
    for wait in [Wait::Park, Wait::Poll] {
        let mut servers = request::Servers::new();
        let mut clients: Vec<_> = (0..2).map(|number| client(&servers, number, rounds).0).collect();
        let (_quiet, idle) = both(pollable(16));
        let mut select = Select::new();
        select.set_wait(wait);
        let (mut answered, mut slow) = (0, Slow::with(clients.iter().map(|met| &met.peer)));
        while answered < 2 * rounds {
            let start = Instant::now();
            assert_eq!(select.wait(&mut [&mut &idle, &mut &servers]).unwrap(), 1);
            slow.note(start.elapsed());
            while let Ok((_, request)) = servers.try_recv() {
                let answer = answer_to(*request.question());
                request.answer(&answer).unwrap();
                answered += 1;
            }
        }
        slow.check();
        clients.iter_mut().for_each(|met| met.peer.expect("done"));
        clients.clear();
        assert_eq!(select.wait(&mut [&mut &idle, &mut &servers]).unwrap(), 1);
        assert!(matches!(servers.try_recv(), Err(Error::Disconnected)));
        assert_eq!(servers.departed().len(), 2);
        proof!("F10", "request, {wait:?}: {answered} questions of two clients to a select, 0 wake-ups lost");
    }
}

#[test]
fn what_has_no_socket_is_polled_without_and_sees_no_death_at_once() {
    if rings::are_refused() {
        skip!("io_uring is refused here");
    }
    let named = Name::new("unpolled");
    let made = request::Server::<u64, u64>::create(&named.0, pollable(16));
    assert!(
        matches!(made, Err(Error::InvalidParameter { .. })),
        "nothing carries a socket to who opens a name"
    );
    let mut server = request::Server::<u64, u64>::create(&named.0, 16).unwrap();
    let client = request::Client::<u64, u64>::open(&named.0).unwrap();
    server.set_wait(Wait::Poll);
    assert!(matches!(server.recv(), Err(Error::NoSocket)));
    assert!(Polled::new(&server).unwrap().arm().unwrap());
    assert!(Polled::new(&client).unwrap().arm().unwrap());
    let mut servers = request::Servers::new();
    servers.set_wait(Wait::Poll);
    servers.admit(server).unwrap();
    assert!(matches!(servers.recv(), Err(Error::NoSocket)));
    assert!(Polled::new(servers).unwrap().arm().unwrap());
    // Clients with a socket and clients without, of one server.
    let mut polled = Polled::new(request::Servers::<u64, u64>::new()).unwrap();
    let ((without, lane), (with, other)) = (both(16), both(pollable(16)));
    polled.admit(lane).unwrap();
    polled.admit(other).unwrap();
    for round in 0..100 {
        let client = if round % 3 == 0 { &with } else { &without };
        assert!(polled.arm().unwrap());
        let mut call = client.send(&round).unwrap();
        let soon = Deadline::after(Duration::from_millis(40));
        assert!(poll::wait(&polled, libc::POLLIN, soon).unwrap().is_some(), "round {round}");
        let (_, request) = polled.try_recv().unwrap();
        request.answer(&round).unwrap();
        assert_eq!(call.try_recv().unwrap(), round);
    }
}
