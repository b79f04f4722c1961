//! Many senders, many receivers, one queue.
#![expect(unsafe_code, reason = "loans want a channel that is vouched for")]

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use ipc_shm::{ChannelOptions, Error, MemoryOptions, Refusal, Select, Wait, mpmc, spsc};
use ipc_testkit::{WATCHDOG, command, crash, name, peer, proof, repetitions, repetitions_or_long, report};

use crate::corrupt::scribbled;
use crate::memory::Name;

type Sender = mpmc::Sender<u64>;
type Receiver = mpmc::Receiver<u64>;

#[test]
fn f10_a_crowd_of_senders_and_receivers_loses_and_doubles_nothing() {
    let count = repetitions_or_long(5_000, 50_000, 500_000) as u64;
    for wait in ["park", "default", "spin"] {
        let named = Name::new("crowd");
        let mut ours = Receiver::create(&named.0, 64).unwrap();
        let mut receivers: Vec<_> =
            (0..2).map(|_| peer!("peer-shm", "mpmc-receiver", named.0, wait)).collect();
        receivers.iter_mut().for_each(|receiver| receiver.expect("ready"));
        // One that is quick must not be the last one before another has come.
        let until_all_came = Sender::open(&named.0).unwrap();
        let mut senders: Vec<_> =
            (0..3).map(|number| peer!("peer-shm", "mpmc-sender", named.0, number, count, wait)).collect();
        senders.iter_mut().for_each(|sender| sender.expect("ready"));
        drop(until_all_came);
        let (mut got, mut sum) = (0, 0_u64);
        let mut next = [0; 3];
        loop {
            match ours.recv() {
                Ok(message) => {
                    let of = usize::try_from(message >> 32).unwrap();
                    assert!(message & 0xffff_ffff >= next[of], "out of order");
                    next[of] = (message & 0xffff_ffff) + 1;
                    (got, sum) = (got + 1, sum.wrapping_add(message));
                }
                Err(Error::Disconnected) => break,
                Err(error) => panic!("{error}"),
            }
        }
        for mut receiver in receivers {
            let line = receiver.hear();
            let mut words = line.split(' ');
            got += words.next().unwrap().parse::<u64>().unwrap();
            sum = sum.wrapping_add(words.next().unwrap().parse().unwrap());
            assert_eq!(words.next(), Some("true"), "out of order");
            receiver.finish();
        }
        let all = (0..3_u64).flat_map(|number| (0..count).map(move |message| number << 32 | message));
        assert_eq!((got, sum), (3 * count, all.fold(0, u64::wrapping_add)));
        senders.into_iter().for_each(ipc_testkit::Peer::finish);
    }
    proof!(
        "F10",
        "mpmc: 3 x {count} messages of three senders to three receivers, 0 lost, doubled or out of order"
    );
}

/// Receives up to the message that the test sends last, or until nothing comes for so long.
fn drain<const N: usize>(
    receiver: &mut mpmc::Receiver<[u64; N]>,
    longest: &mut Duration,
    patience: Duration,
) -> Vec<u64> {
    let mut got = Vec::new();
    let mut start = Instant::now();
    loop {
        match receiver.recv_timeout(patience) {
            Ok(message) => {
                assert!(message.iter().all(|word| *word == message[0]), "torn: {message:?}");
                got.push(message[0]);
                *longest = (*longest).max(start.elapsed());
                start = Instant::now();
                if message[0] == 99 {
                    return got;
                }
            }
            Err(Error::TimedOut | Error::Disconnected) => return got,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn f9_a_sender_killed_at_any_instruction_holds_nobody_up() {
    sender_killed("mpmc-step-send");
}

#[test]
fn f9_a_lender_killed_at_any_instruction_holds_nobody_up() {
    sender_killed("mpmc-step-loan");
}

/// A sender of one message, killed after each of its instructions.
fn sender_killed(role: &str) {
    let (mut seen, mut longest) = ([0; 2], Duration::ZERO);
    let points = crash::at_every_step(
        repetitions(12, 2000),
        || {
            let named = Name::new("mpmc-step");
            let receiver = mpmc::Receiver::<[u64; 4]>::create(&named.0, 16).unwrap();
            let mut other = mpmc::Sender::<[u64; 4]>::open(&named.0).unwrap();
            other.send(&[1; 4]).unwrap();
            (command!("peer-shm", role, named.0), (named, receiver, other))
        },
        |death, (_named, mut receiver, mut other)| {
            other.send(&[99; 4]).unwrap();
            match drain(&mut receiver, &mut longest, WATCHDOG).as_slice() {
                [1, 99] => seen[0] += 1,
                [1, 5, 99] => seen[1] += 1,
                got => panic!("{death}: {got:?}"),
            }
            seen[1] > 0
        },
    );
    assert!(seen[1] > 0, "{seen:?}");

    // The naive twin: a position that nobody can attribute, and whoever comes to it waits for ever.
    let mut stuck = 0;
    let naive = crash::at_every_step(
        repetitions(25, 2000),
        || {
            let named = Name::new("mpmc-naive");
            std::fs::write(format!("/dev/shm/{}", named.0), [0; 4096]).unwrap();
            (command!("peer-shm", "mpmc-step-naive", named.0), named)
        },
        |_, named| {
            let bytes = std::fs::read(format!("/dev/shm/{}", named.0)).unwrap();
            stuck += u32::from(bytes[0] == 1 && bytes[64] == 0);
            stuck > 0
        },
    );
    assert!(stuck > 0, "the harness kills nobody between claim and commit");
    proof!(
        "F9",
        "{role}: killed at {points} instructions, nothing or the whole message: {seen:?}, longest wait {longest:?}; naive twin stuck for ever {stuck} of {naive}"
    );
}

#[test]
fn f9_a_receiver_killed_at_any_instruction_loses_nothing_but_what_it_had_done() {
    receiver_killed("mpmc-step-receive");
}

#[test]
fn f9_a_borrower_killed_at_any_instruction_loses_nothing_but_what_it_had_done() {
    receiver_killed("mpmc-step-borrow");
}

/// A receiver of one message, killed after each of its instructions.
fn receiver_killed(role: &str) {
    let (mut seen, mut longest) = (BTreeMap::<Vec<u64>, usize>::new(), Duration::ZERO);
    // Deaths before what it received was done with, and after.
    let both = |seen: &BTreeMap<Vec<u64>, usize>| {
        [true, false].iter().all(|again| seen.keys().any(|got| got.contains(&1) == *again))
    };
    let points = crash::at_every_step(
        repetitions(12, 600),
        || {
            let named = Name::new("mpmc-step");
            let mut sender = mpmc::Sender::<[u64; 4]>::create(&named.0, 16).unwrap();
            for message in [1, 2, 99] {
                sender.send(&[message; 4]).unwrap();
            }
            (command!("peer-shm", role, named.0), (named, sender))
        },
        |death, (named, mut sender)| {
            let mut receiver = mpmc::Receiver::<[u64; 4]>::open(&named.0).unwrap();
            let mut got = drain(&mut receiver, &mut longest, WATCHDOG);
            // What stands again may come behind what was there.
            sender.send(&[100; 4]).unwrap();
            // The dead are found within 60 ms.
            got.extend(drain(&mut receiver, &mut longest, Duration::from_millis(500)));
            let mut sorted = got.clone();
            sorted.sort_unstable();
            assert!([&[1, 2, 99, 100][..], &[2, 99, 100]].contains(&sorted.as_slice()), "{death}: {got:?}");
            *seen.entry(got).or_default() += 1;
            both(&seen)
        },
    );
    assert!(both(&seen), "{seen:?}");
    proof!("F9", "{role}: killed at {points} instructions of one message; what came after it: {seen:?}");
}

#[test]
fn f9_what_a_killed_receiver_held_is_given_to_another() {
    let rounds = repetitions(8, 300) as u64;
    let named = Name::new("mpmc-held");
    let mut sender = Sender::create(&named.0, 16).unwrap();
    let mut receiver = Receiver::open(&named.0).unwrap();
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        receiver.set_wait(if round % 2 == 0 { Wait::Park } else { Wait::SpinThenPark });
        sender.send(&(2 * round)).unwrap();
        let mut holder = peer!("peer-shm", "mpmc-holder", named.0);
        holder.expect(&(2 * round).to_string());
        sender.send(&(2 * round + 1)).unwrap();
        assert_eq!(receiver.recv().unwrap(), 2 * round + 1, "held by nobody");
        assert!(matches!(receiver.try_recv(), Err(Error::Empty)));
        holder.kill();
        let start = Instant::now();
        assert_eq!(receiver.recv().unwrap(), 2 * round);
        longest = longest.max(start.elapsed());
        assert!(matches!(receiver.try_recv(), Err(Error::Empty)));
    }
    // The promise is 100 ms; a loaded machine may keep us off the CPU for longer.
    assert!(longest < WATCHDOG, "{longest:?}");
    // Given back without a death.
    sender.send(&7).unwrap();
    drop(receiver.hold().unwrap());
    assert_eq!(receiver.recv().unwrap(), 7);
    proof!(
        "F9",
        "mpmc: {rounds} messages of killed holders given to another after at most {longest:?}, none twice"
    );
}

#[test]
fn f9_what_is_lent_at_the_death_is_swept_and_what_is_dropped_is_passed_over() {
    let rounds = repetitions(6, 200) as u64;
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        let named = Name::new("mpmc-lent");
        let mut sender = Sender::create(&named.0, 16).unwrap();
        let mut receiver = Receiver::open(&named.0).unwrap();
        receiver.set_wait(if round % 2 == 0 { Wait::Park } else { Wait::SpinThenPark });
        sender.send(&1).unwrap();
        let mut lender = peer!("peer-shm", "mpmc-lender", named.0);
        lender.expect("1");
        sender.send(&3).unwrap();
        // 1 is borrowed, and 2 is being written before 3.
        assert!(matches!(receiver.recv_timeout(Duration::from_millis(70)), Err(Error::TimedOut)));
        lender.kill();
        let start = Instant::now();
        let mut got = [receiver.recv().unwrap(), receiver.recv().unwrap()];
        longest = longest.max(start.elapsed());
        got.sort_unstable();
        assert_eq!(got, [1, 3]);
        assert!(matches!(receiver.try_recv(), Err(Error::Empty)));
    }
    // The promise is 100 ms; a loaded machine may keep us off the CPU for longer.
    assert!(longest < WATCHDOG, "{longest:?}");
    proof!(
        "F9",
        "mpmc: {rounds} times a borrow and a loan of a killed process swept after at most {longest:?}"
    );

    let mine = mpmc::Sender::<[u64; 100]>::anonymous(16).unwrap();
    let theirs = mpmc::Sender::<[u64; 100]>::from_fd(mine.share().unwrap()).unwrap();
    let receiver = mpmc::Receiver::<[u64; 100]>::from_fd(mine.share().unwrap()).unwrap();
    // SAFETY: all three are in this process, which keeps to the protocol.
    let mut lender = unsafe { mine.trust() };
    // SAFETY: as above.
    let mut borrower = unsafe { receiver.trust() };
    let mut other = theirs;
    for round in 0..100 {
        let mut loan = lender.loan().unwrap();
        loan.fill(round);
        other.send(&[1000; 100]).unwrap();
        assert!(matches!(borrower.try_borrow().map(drop), Err(Error::Empty)), "one is written before it");
        if round % 3 == 0 {
            drop(loan);
        } else {
            loan.commit().unwrap();
            let message = borrower.borrow().unwrap();
            assert_eq!(*message, [round; 100]);
            // Given back, it comes again.
            drop(message);
            let message = borrower.try_borrow().unwrap();
            assert_eq!(*message, [round; 100]);
            message.done().unwrap();
        }
        assert_eq!(borrower.recv().unwrap(), [1000; 100]);
        assert!(matches!(borrower.try_borrow().map(drop), Err(Error::Empty)));
    }
    let filled: Vec<_> = (0..16).map(|_| lender.try_loan().map(|loan| loan.commit().unwrap())).collect();
    assert!(filled.iter().all(Result::is_ok));
    assert!(matches!(lender.try_loan().map(drop), Err(Error::Full)));
    assert!(matches!(lender.send_timeout(&[0; 100], Duration::ZERO), Err(Error::TimedOut)));

    // Payloads that are aligned to more than a word.
    let sender = mpmc::Sender::<[u128; 4]>::anonymous(16).unwrap();
    let receiver = mpmc::Receiver::<[u128; 4]>::from_fd(sender.share().unwrap()).unwrap();
    // SAFETY: as above.
    let mut sender = unsafe { sender.trust() };
    // SAFETY: as above.
    let mut receiver = unsafe { receiver.trust() };
    for round in 0..40 {
        let mut loan = sender.loan().unwrap();
        assert_eq!(std::ptr::from_mut(&mut *loan).addr() % 16, 0);
        *loan = [round; 4];
        loan.commit().unwrap();
        assert_eq!(*receiver.borrow().unwrap(), [round; 4]);
        assert_eq!(receiver.recv().unwrap(), [round; 4]);
    }
}

#[test]
fn f9_a_stopped_holder_is_slow_and_not_dead() {
    use nix::sys::signal::{Signal, kill};
    let named = Name::new("mpmc-stopped");
    let mut sender = Sender::create(&named.0, 16).unwrap();
    let mut receiver = Receiver::open(&named.0).unwrap();
    for turn in 0..repetitions(1, 200) as u64 {
        sender.send(&turn).unwrap();
        let mut holder = peer!("peer-shm", "mpmc-holder", named.0);
        holder.expect(&turn.to_string());
        let id = nix::unistd::Pid::from_raw(i32::try_from(holder.id()).unwrap());
        kill(id, Signal::SIGSTOP).unwrap();
        assert!(matches!(receiver.recv_timeout(Duration::from_millis(300)), Err(Error::TimedOut)));
        kill(id, Signal::SIGCONT).unwrap();
        holder.tell("done");
        holder.expect("done");
        assert!(matches!(receiver.try_recv(), Err(Error::Empty)));
        holder.finish();
    }
    proof!("F9", "mpmc: a receiver stopped for 300 ms keeps its message");
}

#[test]
fn f9_who_looks_dead_is_refused_what_another_has_got() {
    let named = Name::new("mpmc-late");
    let mut sender = Sender::create(&named.0, 16).unwrap();
    let mut receiver = Receiver::open(&named.0).unwrap();
    sender.send(&7).unwrap();
    let mut late = peer!("peer-shm", "mpmc-looks-dead", named.0);
    late.expect("7");
    assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap(), 7);
    late.tell("now");
    late.expect("Some(\"this process looked dead, and what it had claimed was taken away\")");
    assert!(matches!(receiver.try_recv(), Err(Error::Empty)));
    sender.send(&8).unwrap();
    assert_eq!(receiver.recv().unwrap(), 8);
}

#[test]
fn all_of_one_side_gone_is_told_to_the_other() {
    let named = Name::new("mpmc-gone");
    let mut receiver = Receiver::create(&named.0, 16).unwrap();
    // Nobody has come yet: that is not gone.
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(150)), Err(Error::TimedOut)));
    let mut first = peer!("peer-shm", "mpmc-sender", named.0, 0, 3, "park");
    first.expect("ready");
    let mut second = peer!("peer-shm", "mpmc-sender", named.0, 1, 1_u64 << 31, "park");
    second.expect("ready");
    // The second may have filled the queue before the first one's third message was in.
    while receiver.recv().unwrap() != 2 {}
    first.finish();
    for _ in 0..100 {
        receiver.recv().unwrap();
    }
    second.kill();
    while receiver.recv().is_ok() {}
    assert!(matches!(receiver.recv(), Err(Error::Disconnected)));
    assert!(matches!(receiver.try_recv(), Err(Error::Disconnected)));
    // A new sender: all is well again.
    let mut sender = Sender::open(&named.0).unwrap();
    sender.send(&5).unwrap();
    assert_eq!(receiver.recv().unwrap(), 5);
    receiver.persist();
    drop(receiver);
    for message in 0..16 {
        sender.send(&message).unwrap();
    }
    assert_eq!(sender.capacity(), 16);
    assert!(matches!(sender.send(&16), Err(Error::Disconnected)));
    assert!(matches!(sender.send_timeout(&16, Duration::ZERO), Err(Error::Disconnected | Error::TimedOut)));
    assert!(matches!(sender.try_send(&16), Err(Error::Disconnected)));
}

#[test]
fn who_leaves_is_told_of_at_once_and_not_at_the_next_look() {
    // Both in their own process, where the time of a look counts from the start of the wait.
    let rounds = repetitions_or_long(20, 100, 300);
    let (mut told, mut killed) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    // The control: a death is found at the next look, 60 ms from the start of the wait, and no earlier.
    let at_once =
        |told: &[u64], killed: &[u64]| 2 * told.iter().min().unwrap() < *killed.iter().min().unwrap();
    for round in 0.. {
        // The best of them counts; a machine that has had none yet has more tries.
        if round >= rounds && (at_once(&told, &killed) || begin.elapsed() > WATCHDOG) {
            break;
        }
        for dies in [false, true] {
            let named = Name::new("mpmc-leaves");
            let (senders, receivers) = (round % 2 == 0, round % 2 != 0);
            let mut waiting = peer!("peer-shm", "mpmc-waits", named.0, if senders { "recv" } else { "send" });
            waiting.expect("ready");
            let role = if receivers { "mpmc-receives-one" } else { "mpmc-sends-one" };
            let mut other = peer!("peer-shm", role, named.0);
            other.expect("there");
            waiting.tell("wait");
            waiting.until_asleep_in(libc::SYS_futex);
            if dies {
                other.kill();
            } else {
                other.tell("go");
            }
            waiting.expect("Disconnected");
            let waited: u64 = waiting.hear().parse().unwrap();
            if dies { &mut killed } else { &mut told }.push(waited);
            waiting.finish();
        }
    }
    assert!(at_once(&told, &killed), "{told:?} {killed:?}");
    proof!(
        "F9",
        "mpmc: the last one's leave told within {:?} µs at best in {} rounds; a kill, as without it, {:?} µs",
        told.iter().min(),
        told.len(),
        killed.iter().min()
    );
}

#[test]
fn stat_counts_who_is_there_and_what_became_of_the_others() {
    use ipc_shm::Presence::{Absent, Alive, Dead, Left};
    let named = Name::new("mpmc-counts");
    let mut sender = Sender::create(&named.0, 16).unwrap();
    let look = || {
        let stat = ipc_shm::stat(&named.0).unwrap();
        (stat.sender.presence, stat.sender.count, stat.receiver.presence, stat.receiver.count)
    };
    assert_eq!(look(), (Alive, Some(1), Absent, Some(0)));
    let second = Sender::open(&named.0).unwrap();
    let receiver = Receiver::open(&named.0).unwrap();
    sender.send(&1).unwrap();
    assert_eq!(look(), (Alive, Some(2), Alive, Some(1)));
    let stat = second.stat().unwrap();
    assert_eq!((stat.sender.count, stat.receiver.count, stat.lag()), (Some(2), Some(1), Some(1)));
    assert_eq!(receiver.stat().unwrap(), ipc_shm::stat(&named.0).unwrap());
    drop((second, receiver));
    assert_eq!(look(), (Alive, Some(1), Left, Some(0)));
    let mut holder = peer!("peer-shm", "mpmc-holder", named.0);
    holder.expect("1");
    assert_eq!(look(), (Alive, Some(1), Alive, Some(1)));
    holder.kill();
    assert_eq!(look(), (Alive, Some(1), Dead, Some(0)));
    // A place is taken again: its holder is there.
    let _receiver = Receiver::open(&named.0).unwrap();
    assert_eq!(look(), (Alive, Some(1), Alive, Some(1)));
}

#[test]
fn f12_positions_wrap_at_2_56_as_a_queue_would() {
    fn check<T: ipc_shm::Payload + Clone + PartialEq + std::fmt::Debug>(make: fn(u64) -> T, seed: u64) {
        for start in [0, (1 << 32) - 40, (1 << 56) - 40, (1 << 56) - 15, u64::MAX - 40] {
            let options = ChannelOptions::new(16).start(start);
            let first = mpmc::Sender::<T>::anonymous(options).unwrap();
            let second = mpmc::Sender::<T>::from_fd(first.share().unwrap()).unwrap();
            let receiver = || mpmc::Receiver::<T>::from_fd(first.share().unwrap()).unwrap();
            let mut receivers = [receiver(), receiver()];
            let mut senders = [first, second];
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut model, mut next) = (VecDeque::new(), 0);
            for _ in 0..repetitions_or_long(20_000, 200_000, 1_000_000) {
                let who = random.usize(0..2);
                if random.bool() {
                    match senders[who].try_send(&make(next)) {
                        Ok(()) => {
                            model.push_back(make(next));
                            next += 1;
                        }
                        Err(Error::Full) => assert_eq!(model.len(), 16),
                        Err(error) => panic!("{error}"),
                    }
                } else {
                    let received = if random.bool() {
                        receivers[who].try_recv()
                    } else {
                        receivers[who].try_hold().and_then(|held| {
                            let message = held.message().clone();
                            held.done().map(|()| message)
                        })
                    };
                    match received {
                        Ok(message) => assert_eq!(Some(message), model.pop_front()),
                        Err(Error::Empty) => assert!(model.is_empty()),
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            assert!(next > 1000);
        }
    }
    let seed = report::seed();
    check::<u64>(|turn| turn, seed);
    check::<[u8; 3]>(|turn| [turn.to_le_bytes()[0], turn.to_le_bytes()[1], 7], seed);
    check::<[u32; 17]>(|turn| [u32::try_from(turn).unwrap(); 17], seed);
    proof!("F12", "mpmc: 5 starts x 3 types against a VecDeque, 0 differences; seed {seed}");
}

#[test]
fn f5_another_type_kind_or_tag_is_refused_and_places_run_out() {
    let reason = |error: Error| match error {
        Error::Refused { reason, .. } => reason,
        other => panic!("{other}"),
    };
    let named = Name::new("mpmc-refuse");
    let sender = Sender::create(&named.0, ChannelOptions::new(16).tag("ours")).unwrap();
    let ours = MemoryOptions::new().tag("ours");
    assert!(matches!(reason(Receiver::open(&named.0).unwrap_err()), Refusal::Tag { .. }));
    assert_eq!(reason(mpmc::Receiver::<u32>::open_with(&named.0, &ours).unwrap_err()), Refusal::Type);
    assert!(matches!(reason(spsc::Receiver::<u64>::open(&named.0).unwrap_err()), Refusal::Kind { .. }));
    assert!(matches!(Sender::create(&named.0, 16), Err(Error::Exists { .. })));
    for capacity in [0, 1, 8, 15, 17, 1000, usize::MAX, 1 << 63] {
        assert!(matches!(Sender::anonymous(capacity), Err(Error::InvalidParameter { .. })), "{capacity}");
    }
    let tagged = Sender::anonymous(ChannelOptions::new(16).tag("ours")).unwrap();
    assert!(matches!(reason(Receiver::from_fd(tagged.share().unwrap()).unwrap_err()), Refusal::Tag { .. }));
    Receiver::from_fd_with(tagged.share().unwrap(), &ours).unwrap();
    let pollable = ChannelOptions::new(16).pollable();
    assert!(matches!(Sender::anonymous(pollable), Err(Error::InvalidParameter { .. })));
    let mut unpolled = Receiver::open_with(&named.0, &ours).unwrap();
    unpolled.set_wait(Wait::Poll);
    assert!(matches!(unpolled.recv(), Err(Error::NoSocket)));
    let others: Vec<_> = (1..127).map(|_| Sender::open_with(&named.0, &ours).unwrap()).collect();
    assert!(matches!(Sender::open_with(&named.0, &ours), Err(Error::EndInUse { .. })));
    drop(others);
    let stat = ipc_shm::stat(&named.0).unwrap();
    assert_eq!((stat.kind, stat.lag()), ("mpmc", Some(0)));
    drop(sender);
    assert!(matches!(Receiver::open(&named.0), Err(Error::NotFound { .. })));
    let (_, origin) = Sender::open_or_replace(&named.0, 16).unwrap();
    assert_eq!(origin, ipc_shm::Origin::Created);
}

#[test]
fn a_select_over_an_idle_queue_names_nobody() {
    let mut receiver = mpmc::Receiver::<u64>::anonymous(16).unwrap();
    let _sender = mpmc::Sender::<u64>::from_fd(receiver.share().unwrap()).unwrap();
    let waited = Select::new().wait_timeout(&mut [&mut receiver], Duration::from_millis(150));
    assert!(matches!(waited, Err(Error::TimedOut)), "{waited:?}");
}

#[test]
fn a_forked_child_gets_forked_from_the_queue() {
    let named = Name::new("mpmc-fork");
    let mut peer = peer!("peer-shm", "mpmc-forker", named.0);
    peer.expect("child [true, true, true, true, true]");
    peer.expect("parent 2");
    peer.finish();
    assert!(name::in_dev_shm(&named.0).is_empty());
}

#[test]
fn f1_a_scribbling_participant_is_an_error_and_nothing_worse() {
    let named = Name::new("mpmc-scribble");
    Sender::create(&named.0, 16).unwrap().persist();
    let short = Duration::from_micros(50);
    scribbled(
        "mpmc",
        &named,
        || Ok((Sender::open(&named.0)?, Receiver::open(&named.0)?)),
        |(sender, receiver), turn| {
            [
                sender.try_send(&turn).err(),
                sender.send_timeout(&turn, short).err(),
                receiver.try_recv().err(),
                receiver.recv_timeout(short).err(),
                receiver.try_hold().and_then(mpmc::Held::done).err(),
            ]
        },
    );
}
