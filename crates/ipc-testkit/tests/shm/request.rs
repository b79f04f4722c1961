//! Questions and answers.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use ipc_shm::{Acceptance, ChannelOptions, Error, Refusal, Sealed, Wait, request, spsc};
use ipc_testkit::{WATCHDOG, name, peer, proof, repetitions, repetitions_or_long, report};

use crate::corrupt::scribbled;
use crate::memory::Name;
use crate::slow::Slow;

pub(crate) type Client = request::Client<u64, u64>;
pub(crate) type Server = request::Server<u64, u64>;

/// What the peers' servers answer.
pub(crate) fn answer_to(question: u64) -> u64 {
    question.wrapping_mul(3) ^ 1
}

/// Both ends in this process, by name.
fn both(capacity: usize) -> (Client, Server, Name) {
    let named = Name::new("request");
    let client = Client::create(&named.0, capacity).unwrap();
    let server = Server::open(&named.0).unwrap();
    (client, server, named)
}

#[test]
fn f10_no_wake_up_is_lost_between_caller_and_server() {
    let rounds = repetitions_or_long(5_000, 200_000, 1_000_000) as u64;
    for (theirs, ours) in [("park", Wait::Park), ("default", Wait::SpinThenPark), ("park", Wait::Spin)] {
        let named = Name::new("calls");
        let mut client = Client::create(&named.0, 16).unwrap();
        client.set_wait(ours);
        let mut peer = peer!("peer-shm", "request-server", named.0, theirs);
        peer.expect("ready");
        let mut slow = Slow::with([&peer]);
        for question in 0..rounds {
            let start = Instant::now();
            assert_eq!(client.call(&question).unwrap(), answer_to(question));
            // A lost wake-up would be healed by the look every 60 ms: count those.
            slow.note(start.elapsed());
        }
        slow.check();
        drop(client);
        peer.expect("gone");
        peer.finish();
    }
    proof!("F10", "request: 3 x {rounds} calls, parked and spinning, 0 wake-ups lost");
}

#[test]
fn many_calls_are_in_flight_and_each_gets_its_own_answer() {
    let (client, server, named) = both(16);
    assert_eq!(client.capacity(), 16);
    let mut pending: Vec<_> = (0..16).map(|question| client.send(&question).unwrap()).collect();
    assert!(matches!(client.try_send(&16), Err(Error::Full)));
    // We hold every place ourselves: waiting would never end.
    assert!(matches!(client.send(&16), Err(Error::Full)));
    assert!(matches!(client.call(&16), Err(Error::Full)));
    let mut requests: Vec<_> = (0..16).map(|_| server.recv().unwrap()).collect();
    assert!(matches!(server.try_recv(), Err(Error::Empty)));
    assert!(matches!(pending[3].try_recv(), Err(Error::Empty)));
    assert!(matches!(pending[3].recv_timeout(Duration::from_millis(1)), Err(Error::TimedOut)));
    fastrand::shuffle(&mut requests);
    for request in requests {
        let answer = answer_to(*request.question());
        request.answer(&answer).unwrap();
    }
    assert_eq!(pending[3].try_recv().unwrap(), answer_to(3));
    assert!(matches!(pending[3].try_recv(), Err(Error::Empty)));
    for (question, pending) in (0..).zip(pending) {
        if question != 3 {
            assert_eq!(pending.recv().unwrap(), answer_to(question));
        }
    }
    let last = client.send(&100).unwrap();
    assert_eq!((client.stat().unwrap().lag(), server.stat().unwrap().lag()), (Some(1), Some(1)));
    server.recv().unwrap().answer(&7).unwrap();
    assert_eq!(last.recv().unwrap(), 7);
    let stat = ipc_shm::stat(&named.0).unwrap();
    assert_eq!((stat.kind, stat.size, stat.receiver.messages), ("request", 8, 17));
}

#[test]
fn a_request_given_up_by_the_server_is_an_error_of_its_own() {
    let (client, server, _named) = both(16);
    for _ in 0..40 {
        let mut pending = client.send(&1).unwrap();
        drop(server.recv().unwrap());
        assert!(matches!(pending.recv_timeout(WATCHDOG), Err(Error::Unanswered)));
        assert!(matches!(pending.try_recv(), Err(Error::Empty)));
    }
    let pending = client.send(&1).unwrap();
    drop(server.recv().unwrap());
    let error = pending.recv().unwrap_err();
    assert_eq!(error.errno(), Some(libc::ECANCELED));
}

#[test]
fn the_server_sees_the_deadline_and_passes_over_what_nobody_waits_for() {
    let (client, server, _named) = both(16);
    let patient = client.send(&1).unwrap();
    let hurried = client.send_timeout(&2, Duration::from_secs(3600)).unwrap();
    let century = client.send_timeout(&3, Duration::from_secs(100 * 365 * 24 * 3600)).unwrap();
    let over = client.send_timeout(&4, Duration::ZERO).unwrap();
    drop(client.send(&5).unwrap());
    assert!(matches!(client.call_timeout(&6, Duration::from_millis(1)), Err(Error::TimedOut)));
    let last = client.send(&7).unwrap();

    let first = server.recv().unwrap();
    assert_eq!((*first.question(), first.remaining().unwrap()), (1, None));
    let second = server.recv().unwrap();
    let left = second.remaining().unwrap().unwrap();
    assert!(*second.question() == 2 && left <= Duration::from_secs(3600) && left > Duration::from_secs(3000));
    let third = server.recv().unwrap();
    assert!(*third.question() == 3 && third.remaining().unwrap() > Some(Duration::from_secs(1 << 30)));
    let seventh = server.recv().unwrap();
    assert_eq!((*seventh.question(), seventh.remaining().unwrap()), (7, None));
    assert!(matches!(server.try_recv(), Err(Error::Empty)));

    assert!(matches!(over.recv(), Err(Error::TimedOut)));
    drop(hurried);
    assert_eq!(second.remaining().unwrap(), Some(Duration::ZERO), "the client has given it up");
    for (request, answer) in [(first, 10), (second, 20), (third, 30), (seventh, 70)] {
        request.answer(&answer).unwrap();
    }
    assert_eq!((patient.recv().unwrap(), century.recv().unwrap(), last.recv().unwrap()), (10, 30, 70));
}

#[test]
fn a_late_answer_is_never_given_to_the_next_call() {
    let rounds = repetitions(200, 20_000) as u64;
    let (client, server, _named) = both(16);
    for question in 0..rounds {
        // The server takes it in time and answers too late.
        let mut given_up = client.send(&question).unwrap();
        let late = server.recv().unwrap();
        assert!(matches!(given_up.recv_timeout(Duration::ZERO), Err(Error::TimedOut)));
        drop(given_up);
        let next = client.send(&(question + 1)).unwrap();
        late.answer(&answer_to(question)).unwrap();
        let request = server.recv().unwrap();
        let answer = answer_to(*request.question());
        request.answer(&answer).unwrap();
        assert_eq!(next.recv().unwrap(), answer_to(question + 1));
    }

    // The naive twin: a ring each way, and the next answer is the answer.
    let (ask, questions) = spsc::channel::<u64>(16).unwrap();
    let (answer, answers) = spsc::channel::<u64>(16).unwrap();
    let (mut ask, mut questions) = (ask.attach().unwrap(), questions.attach().unwrap());
    let (mut answer, mut answers) = (answer.attach().unwrap(), answers.attach().unwrap());
    ask.send(&1).unwrap();
    let late = questions.recv().unwrap();
    assert!(matches!(answers.recv_timeout(Duration::ZERO), Err(Error::TimedOut)));
    ask.send(&2).unwrap();
    answer.send(&answer_to(late)).unwrap();
    assert_eq!(answers.recv().unwrap(), answer_to(1), "the twin should take the late answer");
    proof!("F9", "request: {rounds} late answers, 0 given to the next call; naive twin: the first one");
}

#[test]
fn sealed_pairs_meet_by_invitation_either_way() {
    let path =
        |descriptors: &[OwnedFd]| format!("/proc/{}/fd/{}", std::process::id(), descriptors[0].as_raw_fd());
    let acceptance = |path: &str| {
        let descriptor = OwnedFd::from(std::fs::File::open(path).unwrap());
        Acceptance::try_from(vec![descriptor]).unwrap()
    };

    let (offer, invitation) = request::Client::<u64, [u64; 20], Sealed>::offer(16).unwrap();
    let invitation: Vec<OwnedFd> = invitation.into();
    let mut peer = peer!("peer-shm", "request-invited", path(&invitation), "server");
    let client = offer.complete(acceptance(&peer.hear())).unwrap();
    peer.tell("go");
    for question in 0..100 {
        assert_eq!(client.call(&question).unwrap(), [answer_to(question); 20]);
    }
    drop(client);
    peer.expect("Some(\"the other end is gone\")");
    peer.finish();

    let (offer, invitation) = request::Server::<u64, [u64; 20], Sealed>::offer(16).unwrap();
    let invitation: Vec<OwnedFd> = invitation.into();
    let mut peer = peer!("peer-shm", "request-invited", path(&invitation), "client");
    let server = offer.complete(acceptance(&peer.hear())).unwrap();
    peer.tell("go");
    for question in 0..100 {
        let request = server.recv().unwrap();
        assert_eq!(*request.question(), question);
        request.answer(&[answer_to(question); 20]).unwrap();
    }
    assert!(matches!(server.recv(), Err(Error::Disconnected)));
    peer.finish();
}

#[test]
fn f5_another_half_type_capacity_or_kind_is_refused() {
    type Sender = request::Client<u64, u64, Sealed>;
    let reason = |error: Error| match error {
        Error::Refused { reason, .. } => reason,
        other => panic!("{other}"),
    };
    let (offer, invitation) = Sender::offer(64).unwrap();
    let own: Vec<OwnedFd> = invitation.into();
    assert_eq!(reason(offer.complete(Acceptance::try_from(own).unwrap()).unwrap_err()), Refusal::Mode);

    let accept = |capacity: usize| Sender::offer(capacity).unwrap().1.accept().unwrap().1;
    let (offer, _) = Sender::offer(64).unwrap();
    assert_eq!(reason(offer.complete(accept(32)).unwrap_err()), Refusal::Capacity);

    let (_, invitation) = Sender::offer(64).unwrap();
    let descriptors: Vec<OwnedFd> = invitation.into();
    let other = ipc_shm::Invitation::<request::Server<u64, u32, Sealed>>::try_from(descriptors).unwrap();
    assert_eq!(reason(other.accept().unwrap_err()), Refusal::Type);

    let (_, invitation) = spsc::Sender::<u64, Sealed>::offer(64).unwrap();
    let descriptors: Vec<OwnedFd> = invitation.into();
    let other = ipc_shm::Invitation::<request::Server<u64, u64, Sealed>>::try_from(descriptors).unwrap();
    assert!(matches!(reason(other.accept().unwrap_err()), Refusal::Kind { .. }));
    let (_, invitation) = Sender::offer(1 << 16).unwrap();
    assert!(matches!(reason(invitation.at_most(1 << 16).accept().unwrap_err()), Refusal::TooLong { .. }));

    let (client, _server, named) = both(16);
    assert_eq!(reason(request::Server::<u64, u32>::open(&named.0).unwrap_err()), Refusal::Type);
    assert_eq!(reason(request::Server::<u32, u64>::open(&named.0).unwrap_err()), Refusal::Type);
    assert!(matches!(reason(spsc::Sender::<u64>::open(&named.0).unwrap_err()), Refusal::Kind { .. }));
    assert!(matches!(Client::open(&named.0), Err(Error::EndInUse { .. })));
    assert!(matches!(Server::open(&named.0), Err(Error::EndInUse { .. })));
    assert!(matches!(Server::create(&named.0, 64), Err(Error::Exists { .. })));
    let tagged = Name::new("request-tag");
    let _made = Client::create(&tagged.0, ChannelOptions::new(16).tag("ours")).unwrap();
    assert!(matches!(reason(Server::open(&tagged.0).unwrap_err()), Refusal::Tag { .. }));
    Server::open_with(&tagged.0, &ipc_shm::MemoryOptions::new().tag("ours")).unwrap();
    drop(client);
    assert!(matches!(Client::open(&named.0), Err(Error::NotFound { .. })), "its maker took the name away");
    for capacity in [0, 1, 8, 15, 17, 1000, usize::MAX, 1 << 63] {
        let made = request::channel::<u64, u64>(capacity);
        assert!(matches!(made, Err(Error::InvalidParameter { .. })), "{capacity}");
    }
}

#[test]
fn f12_positions_wrap_and_every_answer_goes_to_its_question() {
    fn check<Q, A>(make: fn(u64) -> Q, answer: fn(&Q) -> A, seed: u64)
    where
        Q: ipc_shm::Payload + PartialEq + std::fmt::Debug,
        A: ipc_shm::Payload + PartialEq + std::fmt::Debug,
    {
        for start in [0, (1 << 32) - 40, (1 << 62) - 40, u64::MAX - 40, u64::MAX - 15] {
            let options = ChannelOptions::new(16).start(start);
            let (client, server) = request::channel::<Q, A>(options).unwrap();
            let (client, server) = (client.attach().unwrap(), server.attach().unwrap());
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut asked, mut waiting) = (VecDeque::new(), Vec::new());
            let (mut pending, mut next, mut done) = (Vec::new(), 0, 0);
            for _ in 0..repetitions_or_long(5_000, 100_000, 500_000) {
                match random.u8(0..4) {
                    0 => match client.try_send(&make(next)) {
                        Ok(call) => {
                            pending.push((next, call));
                            asked.push_back(next);
                            next += 1;
                        }
                        // The place before this round's may still be waited for, however few are in flight.
                        Err(Error::Full) => assert!(!pending.is_empty()),
                        Err(error) => panic!("{error}"),
                    },
                    1 => match server.try_recv() {
                        Ok(request) => {
                            let number = asked.pop_front().unwrap();
                            assert_eq!(*request.question(), make(number));
                            waiting.push(request);
                        }
                        Err(Error::Empty) => assert!(asked.is_empty()),
                        Err(error) => panic!("{error}"),
                    },
                    2 if !waiting.is_empty() => {
                        let request = waiting.swap_remove(random.usize(..waiting.len()));
                        let answer = answer(request.question());
                        request.answer(&answer).unwrap();
                    }
                    _ if !pending.is_empty() => {
                        let at = random.usize(..pending.len());
                        let (number, call) = &mut pending[at];
                        match call.try_recv() {
                            Ok(found) => {
                                assert_eq!(found, answer(&make(*number)));
                                drop(pending.swap_remove(at));
                                done += 1;
                            }
                            Err(Error::Empty) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                    _ => {}
                }
                assert!(pending.len() <= 16);
            }
            assert!(done > 300, "{done}");
        }
    }
    let seed = report::seed();
    check::<u64, u64>(|turn| turn, |question| answer_to(*question), seed);
    check::<[u8; 3], [u8; 5]>(|turn| [turn.to_le_bytes()[0], 1, 2], |question| [question[0]; 5], seed);
    check::<[u64; 30], [u32; 17]>(
        |turn| [turn; 30],
        |question| [u32::try_from(question[7]).unwrap(); 17],
        seed,
    );
    proof!("F12", "request: 5 starts x 3 types against a queue, 0 differences; seed {seed}");
}

#[test]
fn a_forked_child_gets_forked_from_every_call() {
    let named = Name::new("request-fork");
    let mut peer = peer!("peer-shm", "request-forker", named.0);
    peer.expect("child [true, true, true, true, true, true, true]");
    peer.expect("parent 2");
    peer.finish();
    assert!(name::in_dev_shm(&named.0).is_empty());
}

#[test]
fn f1_a_scribbling_peer_harms_its_own_calls_only() {
    let (client, server, named) = both(16);
    client.persist();
    server.persist();
    drop((client, server));
    let short = Duration::from_micros(50);
    scribbled(
        "request",
        &named,
        || Ok((Client::open(&named.0)?, Server::open(&named.0)?)),
        |(client, server), turn| {
            [
                client.call_timeout(&turn, short).err(),
                client.try_send(&turn).and_then(|mut call| call.try_recv()).err(),
                server.try_recv().and_then(|request| request.answer(&turn)).err(),
                server.recv_timeout(short).and_then(|request| request.remaining().map(drop)).err(),
            ]
        },
    );
}
