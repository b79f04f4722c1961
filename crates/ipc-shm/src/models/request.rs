//! Questions and answers: several in flight, answered out of order, and each side asleep for the other.

use ipc_sys::Deadline;
#[cfg(ipc_loom)]
use loom::thread;
#[cfg(not(ipc_loom))]
use std::thread;

use super::check;
#[cfg(ipc_loom)]
use super::finds;
use super::heap::Heap;
use crate::channel::Wait as Strategy;
use crate::channel::area::FIRST;
use crate::channel::request::exchange::{self, Answer, Answering, Asking};

fn two_tables() -> (Asking<u64, u64, Heap>, Answering<u64, u64, Heap>) {
    let shape = exchange::Shape::common::<u64>(2, u64::MAX - 1);
    let words = exchange::question_stride::<u64>() + exchange::answer_stride::<u64>();
    let memory = Heap::new(FIRST + 2 * words);
    shape.init_questions::<u64, _>(&memory);
    shape.init_answers::<u64, _>(&memory);
    let client = Asking::resume(memory.clone(), memory.clone(), shape);
    (client, Answering::resume(memory.clone(), memory, shape))
}

/// Three calls, two of them in flight at once, through tables of two; both sides sleep. The server answers the second
/// before the first.
fn calls() {
    let (mut client, mut server) = two_tables();
    let serving = thread::spawn(move || {
        let take = |server: &mut Answering<u64, u64, _>| loop {
            if let Some(taken) = server.next_now(|_| false) {
                return taken;
            }
            if let Some((pos, _, question)) = server.next().unwrap() {
                return (pos, question);
            }
            server.wait(Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
        };
        let (first, second) = (take(&mut server), take(&mut server));
        assert_eq!((first.1, second.1), (10, 20));
        server.answer(second.0, &21);
        server.answer(first.0, &11);
        let third = take(&mut server);
        server.answer(third.0, &(third.1 + 1));
    });
    let begin = client.pos();
    for (pos, question) in [10, 20, 30].into_iter().enumerate() {
        if !client.has_room().unwrap() {
            client.wait(client.oldest(), Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
            assert_eq!(client.answer(begin).unwrap(), Answer::Answered(11));
        }
        assert_eq!(client.pos(), begin.wrapping_add(pos as u64));
        client.ask(0, &question);
    }
    for (pos, answer) in [(1, 21), (2, 31)] {
        let pos = begin.wrapping_add(pos);
        client.wait(pos, Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
        assert_eq!(client.next(pos), Some(answer));
    }
    serving.join().unwrap();
}

/// One question: nothing else wakes the server.
fn question() {
    let (mut client, mut server) = two_tables();
    let asking = thread::spawn(move || client.ask(0, &7));
    server.wait(Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
    assert!(matches!(server.next(), Ok(Some((_, 0, 7)))));
    asking.join().unwrap();
}

/// One answer: nothing else wakes the client.
fn answer() {
    let (mut client, mut server) = two_tables();
    client.ask(0, &7);
    let (pos, _, _) = server.next().unwrap().unwrap();
    let answering = thread::spawn(move || server.answer(pos, &8));
    client.wait(pos, Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
    assert_eq!(client.answer(pos).unwrap(), Answer::Answered(8));
    answering.join().unwrap();
}

#[test]
fn request() {
    check(2, calls);
    check(3, question);
    check(3, answer);
}

#[cfg(ipc_loom)]
#[test]
fn request_mutants() {
    for name in ["publish", "peer_load", "window"] {
        finds(name, 2, calls);
    }
    for name in ["waker", "waiter", "look", "ticket"] {
        finds(name, 3, question);
        finds(name, 3, answer);
    }
}
