//! The ring for many senders and receivers: every interleaving, and a death after every step.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use ipc_sys::Deadline;
#[cfg(ipc_loom)]
use loom::{
    sync::{Arc, atomic::AtomicBool},
    thread,
};
#[cfg(not(ipc_loom))]
use std::{
    sync::{Arc, atomic::AtomicBool},
    thread,
};

use super::check;
#[cfg(ipc_loom)]
use super::finds;
use super::heap::Heap;
use crate::Error;
use crate::channel::Wait;
use crate::channel::area::{FIRST, producer};
use crate::channel::mpmc::bell::{MESSAGES, ROOM};
use crate::channel::mpmc::ring::{Claim, Id, Ring, Shape};
use crate::words::Words;

type Message = [u64; 2];
type Party = Ring<Message, Heap>;

/// A ring of two, whose positions wrap after the second message, and a handle for each id from 1 on.
fn parties<const N: usize>() -> [Party; N] {
    let shape = Shape::new(2, (1 << 56) - 2);
    let memory = Heap::new(FIRST + 2 * Shape::stride::<Message>());
    shape.init::<Message, _>(&memory);
    let mut id = 0;
    [(); N].map(|()| {
        id += 1;
        Ring::new(memory.clone(), shape, Id(id))
    })
}

/// Sends if there is room; an error says that the claim was taken away.
fn send(party: &Party, message: u64) -> Option<Result<(), ()>> {
    let Claim::Ours(pos) = party.claim_to_write().unwrap() else { return None };
    party.write(pos, &[message; 2]);
    Some(if party.commit(pos) { Ok(()) } else { Err(()) })
}

/// Receives what there is, given back by the dead or not.
fn receive(party: &Party) -> Option<u64> {
    loop {
        let claim = match party.claim_to_read().unwrap() {
            Claim::Nothing => party.returned(),
            ours => ours,
        };
        let Claim::Ours(pos) = claim else { return None };
        let [first, second] = party.read(pos);
        if party.release(pos) {
            assert_eq!(first, second, "torn");
            return Some(first);
        }
    }
}

/// Runs `act` until it ends or dies after `steps`; then the kernel drops its lock.
fn mortal<T>(party: &Party, steps: u32, dead: &AtomicBool, act: impl FnOnce(&Party) -> T) -> Option<T> {
    party.steps.set(steps);
    let done = catch_unwind(AssertUnwindSafe(|| act(party))).ok();
    dead.store(true, Ordering::Release);
    done
}

/// Receives until `enough`, and takes the claims of 1 away once it is dead.
fn receive_until(party: &Party, dead: &AtomicBool, mut enough: impl FnMut(&[u64], bool) -> bool) -> Vec<u64> {
    let mut got = Vec::new();
    loop {
        // Asked before the look: what it did before it died is seen.
        let is_dead = dead.load(Ordering::Acquire);
        party.sweep(|id| Ok(id == Id(1) && is_dead)).unwrap();
        match receive(party) {
            Some(message) => got.push(message),
            None if enough(&got, is_dead) => return got,
            None => thread::yield_now(),
        }
    }
}

/// Two senders, three messages, a ring of two: each arrives once, whole, in its sender's order, whoever sleeps for it.
fn crowd() {
    let [first, second, receiver] = parties();
    let send_all = |sender: Party, messages: &'static [u64]| {
        for message in messages {
            while send(&sender, *message).is_none() {
                let room = || sender.is_ready(true);
                ROOM.wait(&sender.memory, Wait::Park, Deadline::NEVER, &Cell::new(0), room, || Ok(()))
                    .unwrap();
            }
            MESSAGES.ring(&sender.memory);
        }
    };
    let one = thread::spawn(move || send_all(first, &[10, 11]));
    let other = thread::spawn(move || send_all(second, &[20]));
    let mut got = Vec::new();
    while got.len() < 3 {
        let message = || receiver.is_ready(false);
        MESSAGES
            .wait(&receiver.memory, Wait::Park, Deadline::NEVER, &Cell::new(0), message, || Ok(()))
            .unwrap();
        while let Some(message) = receive(&receiver) {
            got.push(message);
            ROOM.ring(&receiver.memory);
        }
    }
    let of_first: Vec<_> = got.iter().filter(|message| **message < 20).collect();
    assert_eq!(of_first, [&10, &11]);
    assert!(got.contains(&20));
    one.join().unwrap();
    other.join().unwrap();
}

/// A sender dies after `steps`: the other's message arrives, and its own if and only if it was committed.
fn dead_sender(steps: u32) {
    let [doomed, other, receiver] = parties();
    let dead = Arc::new(AtomicBool::new(false));
    let dying = thread::spawn({
        let dead = Arc::clone(&dead);
        move || mortal(&doomed, steps, &dead, |party| send(party, 10)).is_some()
    });
    let sending = thread::spawn(move || assert_eq!(send(&other, 20), Some(Ok(()))));
    let got = receive_until(&receiver, &dead, |got, is_dead| is_dead && got.contains(&20));
    let committed = dying.join().unwrap();
    assert_eq!(got.iter().filter(|message| **message == 10).count(), usize::from(committed));
    assert_eq!(got.iter().filter(|message| **message == 20).count(), 1);
    sending.join().unwrap();
}

/// A receiver dies after `steps`: each message is delivered once by those that came back from their receive.
fn dead_receiver(steps: u32) {
    let [doomed, receiver, sender] = parties();
    for message in [10, 20] {
        assert_eq!(send(&sender, message), Some(Ok(())));
    }
    let dead = Arc::new(AtomicBool::new(false));
    let dying = thread::spawn({
        let dead = Arc::clone(&dead);
        move || mortal(&doomed, steps, &dead, receive).flatten()
    });
    let mut got = receive_until(&receiver, &dead, |_, is_dead| is_dead);
    got.extend(dying.join().unwrap());
    got.sort_unstable();
    assert_eq!(got, [10, 20]);
}

/// An id is taken over from who died with a claim: the successor sweeps before it claims anything.
fn id_used_again() {
    let [doomed, receiver, _] = parties();
    let shape = Shape::new(2, (1 << 56) - 2);
    let successor = Ring::<Message, _>::new(doomed.memory.clone(), shape, Id(1));
    let dead = AtomicBool::new(false);
    assert_eq!(mortal(&doomed, 1, &dead, |party| send(party, 10)), None);
    successor.sweep(|id| Ok(id == Id(1))).unwrap();
    assert_eq!(send(&successor, 20), Some(Ok(())));
    assert_eq!(receive(&receiver), Some(20), "the claim of the dead one bears a living id");
}

/// A sender that looks dead while it is not: its message is refused, or arrives; nobody else's is touched.
fn late_commit() {
    let [late, other, receiver] = parties();
    let Claim::Ours(pos) = late.claim_to_write().unwrap() else { panic!() };
    late.write(pos, &[10; 2]);
    let committing = thread::spawn(move || late.commit(pos));
    receiver.sweep(|id| Ok(id == Id(1))).unwrap();
    let mut got = Vec::new();
    for message in [20, 21, 22] {
        loop {
            match send(&other, message) {
                Some(sent) => break assert_eq!(sent, Ok(())),
                None => got.push(receive(&receiver).expect("full and empty")),
            }
        }
    }
    let committed = committing.join().unwrap();
    got.extend(std::iter::from_fn(|| receive(&receiver)));
    assert_eq!(got.iter().filter(|message| **message == 10).count(), usize::from(committed));
    got.retain(|message| *message != 10);
    assert_eq!(got, [20, 21, 22]);
}

/// A receiver that looks dead while it is not: the message is another's by then, and so is its place.
fn late_release() {
    let [late, receiver, sender] = parties();
    assert_eq!(send(&sender, 10), Some(Ok(())));
    let Claim::Ours(pos) = late.claim_to_read().unwrap() else { panic!() };
    let releasing = thread::spawn(move || late.release(pos));
    receiver.sweep(|id| Ok(id == Id(1))).unwrap();
    let mut got = Vec::from_iter(receive(&receiver));
    for message in [20, 21, 22] {
        loop {
            match send(&sender, message) {
                Some(sent) => break assert_eq!(sent, Ok(())),
                None => got.push(receive(&receiver).expect("full and empty")),
            }
        }
    }
    let released = releasing.join().unwrap();
    got.extend(std::iter::from_fn(|| receive(&receiver)));
    assert_eq!(got.iter().filter(|message| **message == 10).count(), usize::from(!released));
    got.retain(|message| *message != 10);
    assert_eq!(got, [20, 21, 22]);
}

/// A full ring, one sleeper: the room that a receiver makes wakes it.
fn sleeper_for_room() {
    let [sender, receiver] = parties();
    for message in [10, 11] {
        assert_eq!(send(&sender, message), Some(Ok(())));
    }
    let waiting = thread::spawn(move || {
        let room = || sender.is_ready(true);
        ROOM.wait(&sender.memory, Wait::Park, Deadline::NEVER, &Cell::new(0), room, || Ok(())).unwrap();
    });
    assert_eq!(receive(&receiver), Some(10));
    ROOM.ring(&receiver.memory);
    waiting.join().unwrap();
}

/// So many messages, one sleeper: nothing else wakes it.
fn sleeper(messages: u64) {
    let [sender, receiver] = parties();
    let sending = thread::spawn(move || {
        for message in 10..10 + messages {
            assert_eq!(send(&sender, message), Some(Ok(())));
            MESSAGES.ring(&sender.memory);
        }
    });
    for wanted in 10..10 + messages {
        let message = || receiver.is_ready(false);
        MESSAGES
            .wait(&receiver.memory, Wait::Park, Deadline::NEVER, &Cell::new(0), message, || Ok(()))
            .unwrap();
        assert_eq!(receive(&receiver), Some(wanted));
    }
    sending.join().unwrap();
}

/// Two messages, two receivers that take one each: neither sleeps beside a message, whatever step the other is at, and though
/// the bell be rung for the last of a batch alone.
fn two_receivers(batch: bool) {
    let [sender, first, second] = parties();
    let receive_one = |receiver: Party| loop {
        if let Some(message) = receive(&receiver) {
            break message;
        }
        let message = || receiver.is_ready(false);
        MESSAGES
            .wait(&receiver.memory, Wait::Park, Deadline::NEVER, &Cell::new(0), message, || Ok(()))
            .unwrap();
    };
    let receiving = thread::spawn(move || receive_one(first));
    let sending = thread::spawn(move || {
        for message in [10, 20] {
            assert_eq!(send(&sender, message), Some(Ok(())));
            if !batch || message == 20 {
                MESSAGES.ring(&sender.memory);
            }
        }
    });
    assert_eq!(receive_one(second) + receiving.join().unwrap(), 30);
    sending.join().unwrap();
}

/// Sends a batch, as much of it as there is room for.
fn send_batch(party: &Party, messages: [u64; 2]) -> usize {
    let Claim::Ours(first) = party.claim_to_write().unwrap() else { return 0 };
    let sent = party.write_batch(first, &messages.map(|message| [message; 2]));
    assert!(sent > 0, "the claim was taken away");
    MESSAGES.ring(&party.memory);
    sent
}

/// Receives a batch of at most two.
fn receive_batch(party: &Party) -> Vec<u64> {
    let Claim::Ours(first) = party.claim_to_read().unwrap() else { return Vec::new() };
    let mut buffer = [[0; 2]; 2];
    let count = party.read_batch(first, &mut buffer);
    assert!(count > 0, "the claim was taken away");
    ROOM.ring(&party.memory);
    buffer[..count].iter().for_each(|[one, two]| assert_eq!(one, two, "torn"));
    buffer[..count].iter().map(|[one, _]| *one).collect()
}

/// That a ring that nobody uses is empty, and takes and gives messages as a new one would.
fn still_works(party: &Party) {
    assert_eq!(receive(party), None);
    for message in [30, 31] {
        assert_eq!(send(party, message), Some(Ok(())));
    }
    assert_eq!((send(party, 32), receive_batch(party), receive(party)), (None, vec![30, 31], None));
}

/// A batch, and another's message beside it: what was sent comes, once and in order, and the tail is not left behind.
fn batch_of_a_sender() {
    let [one, other, third] = parties();
    let beside = thread::spawn(move || send(&other, 20).is_some());
    let sent = send_batch(&one, [10, 11]);
    let beside = beside.join().unwrap();
    let mut got: Vec<u64> = std::iter::from_fn(|| receive(&third)).collect();
    got.retain(|message| !beside || *message != 20);
    assert_eq!(got, [10, 11][..sent]);
    assert!(sent + usize::from(beside) >= 2, "there was room");
    still_works(&third);
}

/// The same of two who receive.
fn batch_of_a_receiver() {
    let [one, other, third] = parties();
    assert_eq!(send_batch(&third, [10, 11]), 2);
    let beside = thread::spawn(move || receive(&other));
    let mut got = receive_batch(&one);
    assert!(got.is_sorted(), "{got:?}");
    got.extend(beside.join().unwrap());
    got.sort_unstable();
    assert_eq!(got, [10, 11]);
    still_works(&third);
}

/// A batch that is received as it is sent, by who sleeps before it.
fn batches() {
    let [sender, receiver] = parties();
    let sending = thread::spawn(move || assert_eq!(send_batch(&sender, [10, 11]), 2));
    let mut got = Vec::new();
    while got.len() < 2 {
        let message = || receiver.is_ready(false);
        MESSAGES
            .wait(&receiver.memory, Wait::Park, Deadline::NEVER, &Cell::new(0), message, || Ok(()))
            .unwrap();
        got.extend(receive_batch(&receiver));
    }
    assert_eq!(got, [10, 11]);
    sending.join().unwrap();
    still_works(&receiver);
}

/// Two laps go by: whoever looks on, at whatever moment, with whatever it knows of the words, takes nobody for a liar.
fn onlooker(writes: bool) {
    let [busy, other] = parties();
    let looking = thread::spawn(move || if writes { other.claim_to_write() } else { other.claim_to_read() });
    for message in 10..15 {
        if send(&busy, message).is_some() {
            receive(&busy);
        }
    }
    let looked = looking.join().unwrap();
    assert!(looked.is_ok(), "{looked:?}");
}

/// A loan that is dropped: who sleeps behind it gets the message that was sent meanwhile.
fn loan_dropped() {
    let [lender, other, receiver] = parties();
    let Claim::Ours(pos) = lender.claim_to_write().unwrap() else { panic!() };
    assert_eq!(send(&other, 20), Some(Ok(())));
    let dropping = thread::spawn(move || {
        lender.pass_over(pos);
        MESSAGES.ring(&lender.memory);
    });
    let message = || receiver.is_ready(false);
    MESSAGES.wait(&receiver.memory, Wait::Park, Deadline::NEVER, &Cell::new(0), message, || Ok(())).unwrap();
    assert_eq!(receive(&receiver), Some(20));
    // The place is free for the next lap.
    assert_eq!(send(&other, 21), Some(Ok(())));
    assert_eq!(receive(&receiver), Some(21));
    dropping.join().unwrap();
}

/// A loan of one who looks dead, dropped late: its place is another's by then, and stays so.
fn late_loan_dropped() {
    let [late, other, receiver] = parties();
    let Claim::Ours(pos) = late.claim_to_write().unwrap() else { panic!() };
    let dropping = thread::spawn(move || late.pass_over(pos));
    receiver.sweep(|id| Ok(id == Id(1))).unwrap();
    let mut got = Vec::new();
    for message in [20, 21, 22] {
        while send(&other, message).is_none() {
            got.push(receive(&receiver).expect("full and empty"));
        }
    }
    got.extend(std::iter::from_fn(|| receive(&receiver)));
    assert_eq!(got, [20, 21, 22]);
    dropping.join().unwrap();
}

/// The last sender leaves: the receiver that sleeps is told, after what was sent.
fn goodbye() {
    let [sender, receiver] = parties();
    let leaving = thread::spawn(move || {
        assert_eq!(send(&sender, 10), Some(Ok(())));
        MESSAGES.ring(&sender.memory);
        // Its place says so.
        sender.memory.word(producer::STATE).store(1, Ordering::Relaxed);
        MESSAGES.leave(&sender.memory);
    });
    let (heard, mut got) = (Cell::new(0), Vec::new());
    let message = || receiver.is_ready(false);
    let look = || {
        heard.set(MESSAGES.departures(&receiver.memory));
        let left = receiver.memory.word(producer::STATE).load(Ordering::Relaxed);
        assert!(heard.get() == 0 || left == 1, "counted before its place says so");
        if heard.get() == 0 { Ok(()) } else { Err(Error::Disconnected) }
    };
    while MESSAGES.wait(&receiver.memory, Wait::Park, Deadline::NEVER, &heard, message, look).is_ok() {
        got.extend(receive(&receiver));
    }
    assert_eq!(got, [10]);
    leaving.join().unwrap();
}

#[test]
fn many_to_many() {
    check(1, crowd);
}

#[test]
fn deaths_of_senders() {
    for steps in 0..=3 {
        check(2, move || dead_sender(steps));
    }
}

#[test]
fn deaths_of_receivers() {
    for steps in 0..=3 {
        check(2, move || dead_receiver(steps));
    }
}

#[test]
fn claims_that_were_taken_away() {
    check(3, id_used_again);
    check(3, late_commit);
    check(3, late_release);
    check(3, late_loan_dropped);
}

#[test]
fn bells() {
    check(3, || sleeper(1));
    check(2, || sleeper(2));
    check(3, sleeper_for_room);
    check(3, goodbye);
    check(3, loan_dropped);
}

#[test]
fn of_several_at_once() {
    check(2, batch_of_a_sender);
    check(2, batch_of_a_receiver);
    check(2, batches);
}

#[test]
fn who_looks_on() {
    for writes in [false, true] {
        check(2, move || onlooker(writes));
    }
}

#[test]
fn many_who_receive() {
    for batch in [false, true] {
        check(1, move || two_receivers(batch));
    }
}

#[cfg(ipc_loom)]
#[test]
fn mutants() {
    finds("attributed", 2, || dead_sender(1));
    finds("swap", 3, || sleeper(1));
    finds("returned", 2, || dead_receiver(2));
    finds("sweep", 2, id_used_again);
    finds("commit", 3, late_commit);
    finds("release", 3, late_release);
    for name in ["look", "ticket"] {
        finds(name, 3, || sleeper(1));
    }
    finds("clear first", 2, || sleeper(2));
    for name in ["caller", "sleeper"] {
        finds(name, 3, || sleeper(1));
        finds(name, 3, goodbye);
        finds(name, 3, loan_dropped);
    }
    finds("pass over", 3, late_loan_dropped);
    finds("lagging head", 1, || two_receivers(false));
    finds("tail", 2, || onlooker(true));
    finds("head", 2, || onlooker(false));
    finds("new ticket", 1, || two_receivers(false));
    for name in ["departures", "departure", "leave"] {
        finds(name, 3, goodbye);
    }
}
