//! System V on one thread: our calls to the bare ones.
#![expect(unsafe_code, reason = "the C that is measured beside ours")]

use ipc_sysv::{Key, MessageBuffer, MessageQueue, MessageType, Op, RemoveOnDrop, Select, SemaphoreSet};

use super::Bound::{AtLeast, Parity};
use super::{Promised, pair};

pub(crate) const PROMISES: &[Promised] = &[
    Promised::ratio("sysv semop, ours to libc", Parity, operations, operations_libc),
    Promised::ratio("sysv semop, two calls to both in one, times", AtLeast(1.5), operations, together),
    Promised::ratio("sysv msgsnd + msgrcv 64 B, ours to libc", Parity, messages, messages_libc),
];

const ROUNDS: u64 = 2000;

fn set() -> RemoveOnDrop<SemaphoreSet> {
    RemoveOnDrop::new(SemaphoreSet::create(Key::PRIVATE, &[0]).unwrap())
}

/// One up, one down.
fn operations() -> f64 {
    let set = set();
    pair::time(ROUNDS, || {
        set.op(&[Op::add(0, 1)]).unwrap();
        set.op(&[Op::subtract(0, 1)]).unwrap();
    })
}

fn together() -> f64 {
    let set = set();
    pair::time(ROUNDS, || set.op(&[Op::add(0, 1), Op::subtract(0, 1)]).unwrap())
}

fn operations_libc() -> f64 {
    let set = set();
    let by = |change| {
        let mut operation = libc::sembuf { sem_num: 0, sem_op: change, sem_flg: 0 };
        // SAFETY: one operation.
        assert_eq!(unsafe { libc::semop(set.id(), &raw mut operation, 1) }, 0);
    };
    pair::time(ROUNDS, || {
        by(1);
        by(-1);
    })
}

fn queue() -> RemoveOnDrop<MessageQueue> {
    RemoveOnDrop::new(MessageQueue::create(Key::PRIVATE).unwrap())
}

fn messages() -> f64 {
    let (queue, mut buffer, kind) = (queue(), MessageBuffer::new(), MessageType::new(1).unwrap());
    pair::time(ROUNDS, || {
        queue.send(kind, &[7; 64]).unwrap();
        assert_eq!(queue.recv(Select::Any, &mut buffer).unwrap().body(), [7; 64]);
    })
}

fn messages_libc() -> f64 {
    let queue = queue();
    let (sent, mut received) = ([1_u64, 7, 7, 7, 7, 7, 7, 7, 7], [0_u64; 9]);
    pair::time(ROUNDS, || {
        // SAFETY: a type and 64 bytes to read from.
        assert_eq!(unsafe { libc::msgsnd(queue.id(), sent.as_ptr().cast(), 64, 0) }, 0);
        // SAFETY: room for a type and 64 bytes.
        assert_eq!(unsafe { libc::msgrcv(queue.id(), received.as_mut_ptr().cast(), 64, 0, 0) }, 64);
        assert_eq!(received, sent);
    })
}
