//! What is left of a queue for many when a sender or a receiver is killed, at any instruction, or stopped, or looks dead.
#![expect(unsafe_code, reason = "loans want a channel that is vouched for")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ipc_shm::{Error, Wait, mpmc};
use ipc_testkit::{WATCHDOG, command, crash, peer, proof, repetitions};

use crate::memory::Name;
use crate::mpmc::{Receiver, Sender};

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
    sender_killed("mpmc-step-send", &[&[5]]);
}

#[test]
fn f9_a_sender_killed_at_any_instruction_of_a_batch_holds_nobody_up() {
    sender_killed("mpmc-step-send-batch", &[&[5], &[5, 6]]);
}

#[test]
fn f9_a_lender_killed_at_any_instruction_holds_nobody_up() {
    sender_killed("mpmc-step-loan", &[&[5]]);
}

/// A sender killed after each of its instructions: nothing came of what it sends, or one of these.
fn sender_killed(role: &str, parts: &[&[u64]]) {
    let (mut seen, mut longest) = (vec![0; 1 + parts.len()], Duration::ZERO);
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
                [1, sent @ .., 99] if parts.contains(&sent) => seen[sent.len()] += 1,
                got => panic!("{death}: {got:?}"),
            }
            seen.iter().all(|times| *times > 0)
        },
    );
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");

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
        "{role}: killed at {points} instructions, nothing or whole messages: {seen:?}, longest wait {longest:?}; naive twin stuck for ever {stuck} of {naive}"
    );
}

#[test]
fn f9_a_receiver_killed_at_any_instruction_loses_nothing_but_what_it_had_done() {
    receiver_killed("mpmc-step-receive", 1);
}

#[test]
fn f9_a_receiver_killed_at_any_instruction_of_a_batch_loses_nothing_but_what_it_had_done() {
    receiver_killed("mpmc-step-receive-batch", 2);
}

#[test]
fn f9_a_borrower_killed_at_any_instruction_loses_nothing_but_what_it_had_done() {
    receiver_killed("mpmc-step-borrow", 1);
}

/// A receiver of this many messages, killed after each of its instructions.
fn receiver_killed(role: &str, messages: usize) {
    let (mut seen, mut longest) = (BTreeMap::<Vec<u64>, usize>::new(), Duration::ZERO);
    // Deaths before each that it received was done with, and after.
    let both = |seen: &BTreeMap<Vec<u64>, usize>| {
        (0..=messages).all(|done| seen.keys().any(|got| got.len() == 4 - done))
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
            let done = 4 - sorted.len();
            assert!(done <= messages && [1, 2, 99, 100].ends_with(&sorted), "{death}: {got:?}");
            *seen.entry(got).or_default() += 1;
            both(&seen)
        },
    );
    assert!(both(&seen), "{seen:?}");
    proof!("F9", "{role}: killed at {points} instructions; what came after it: {seen:?}");
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
    for turn in 0..repetitions(1, 50) as u64 {
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
