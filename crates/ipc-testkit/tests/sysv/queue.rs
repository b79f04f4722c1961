//! Rows C1 and C2: which message is received, and that one which does not fit is not lost.

use std::collections::VecDeque;

use ipc_signal::{Pid, Signal};
use ipc_sysv::{Error, Key, MessageBuffer, MessageQueue, MessageType, RemoveOnDrop, Segment, Select};
use ipc_testkit::report::seed;
use ipc_testkit::{Peer, peer, proof, repetitions, repetitions_or_long, until};

fn queue() -> RemoveOnDrop<MessageQueue> {
    RemoveOnDrop::new(MessageQueue::create(crate::key()).unwrap())
}

fn kind(number: i64) -> MessageType {
    MessageType::new(number).unwrap()
}

/// What a queue is, as a list.
#[derive(Default)]
struct Model(VecDeque<(i64, u64)>);

impl Model {
    fn recv(&mut self, select: Select) -> Option<(i64, u64)> {
        let mut candidates = self.0.iter().enumerate().map(|(at, (kind, _))| (at, *kind));
        let at = match select {
            Select::Type(wanted) => candidates.find(|(_, kind)| *kind == wanted.get()),
            Select::Except(unwanted) => candidates.find(|(_, kind)| *kind != unwanted.get()),
            Select::LowestUpTo(highest) => {
                candidates.filter(|(_, kind)| *kind <= highest.get()).min_by_key(|(at, kind)| (*kind, *at))
            }
            _ => candidates.next(),
        };
        at.and_then(|(at, _)| self.0.remove(at))
    }

    /// What many believe that a negative msgtyp does: the first that is not above it.
    fn recv_naively(&mut self, select: Select) -> Option<(i64, u64)> {
        let Select::LowestUpTo(highest) = select else { return self.recv(select) };
        let at = self.0.iter().position(|(kind, _)| *kind <= highest.get());
        at.and_then(|at| self.0.remove(at))
    }
}

#[test]
fn c1_every_selector_takes_what_the_model_takes() {
    const TYPES: [i64; 7] = [1, 2, 3, 127, (1 << 31) - 1, 1 << 31, i64::MAX];
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let (queue, mut buffer) = (queue(), MessageBuffer::limited(8, 8));
    let (mut model, mut twin, mut twin_wrong) = (Model::default(), Model::default(), 0);
    let operations = repetitions(20_000, 1_000_000);
    let mut received = 0;
    for number in 0..operations as u64 {
        let of = kind(TYPES[random.usize(..7)]);
        match random.u8(..10) {
            0..4 => match queue.try_send(of, &number.to_ne_bytes()) {
                Ok(()) => model.0.push_back((of.get(), number)),
                Err(error) => {
                    assert!(error.is_would_block() && model.0.len() == 2048, "{error}");
                }
            },
            4 => {
                let index = random.usize(..model.0.len() + 2);
                let copy = queue.peek(index, &mut buffer).unwrap();
                let copy = copy.map(|copy| (copy.kind().get(), copy.value().unwrap()));
                assert_eq!(copy, model.0.get(index).copied(), "seed {seed}");
            }
            _ => {
                let select = match random.u8(..5) {
                    0 => Select::Any,
                    1 => Select::Type(of),
                    2 => Select::LowestUpTo(of),
                    3 => Select::from(i64::MIN),
                    _ => Select::Except(of),
                };
                twin.0.clone_from(&model.0);
                let expected = model.recv(select);
                twin_wrong += usize::from(twin.recv_naively(select) != expected);
                match queue.try_recv(select, &mut buffer) {
                    Ok(message) => {
                        received += 1;
                        let found = (message.kind().get(), message.value().unwrap());
                        assert_eq!(Some(found), expected, "{select:?}, seed {seed}");
                    }
                    Err(error) => {
                        assert!(error.is_would_block() && expected.is_none(), "{error}, seed {seed}");
                    }
                }
            }
        }
        assert_eq!(queue.stat().unwrap().messages, model.0.len() as u64);
    }
    assert!(twin_wrong > 0);
    proof!(
        "C1",
        "{operations} operations, {received} received, each as the model; naive model wrong {twin_wrong} times; seed {seed}"
    );
}

#[test]
fn c2_a_message_that_does_not_fit_stays() {
    let queue = queue();
    let count = repetitions(500, 5000);
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut small, mut growing) = (MessageBuffer::limited(16, 16), MessageBuffer::limited(0, 8192));
    let mut cut = 0;
    for _ in 0..count {
        let body: Vec<u8> = (0..random.usize(17..=8192)).map(|_| random.u8(..)).collect();
        queue.send(MessageType::ONE, &body).unwrap();
        let refused = queue.try_recv(Select::Any, &mut small);
        assert!(matches!(refused, Err(Error::TooLong { max: 16, len: None, .. })), "{refused:?}");
        assert_eq!(queue.stat().unwrap().bytes, body.len() as u64);
        assert_eq!(queue.recv(Select::Any, &mut growing).unwrap().body(), body);
        growing = MessageBuffer::limited(0, 8192);

        // The naive twin, and our own call that says so in its name: what does not fit is gone.
        queue.send(MessageType::ONE, &body).unwrap();
        let truncated = queue.recv_truncated(Select::Any, 16, &mut small).unwrap();
        assert_eq!(truncated.body(), &body[..16]);
        cut += usize::from(queue.stat().unwrap().messages == 0);
    }
    assert_eq!(cut, count);
    proof!(
        "C2",
        "{count} messages too long for the buffer, each received whole after that; naive twin (MSG_NOERROR) cut {cut}; seed {seed}"
    );
}

/// A peer that sleeps in `role` on a full, or an empty, queue.
fn blocked(role: &str, queue: &MessageQueue, call: libc::c_long) -> Peer {
    let mut peer = peer!("peer-sysv", role, queue.id());
    peer.expect("ready");
    peer.until_asleep_in(call);
    peer
}

#[test]
fn c3_full_by_bytes_and_by_count() {
    for len in [4096, 0] {
        let queue = queue();
        let fill =
            |len| (0_u64..).find(|_| queue.try_send(MessageType::ONE, &vec![0; len]).is_err()).unwrap();
        let sent = fill(len);
        let stat = queue.stat().unwrap();
        let expected = if len == 0 { stat.max_bytes } else { stat.max_bytes / 4096 };
        assert_eq!((sent, stat.messages), (expected, expected));

        // Room, a signal, the end of the queue: each wakes a sender that waits.
        let mut sender = blocked("send", &queue, libc::SYS_msgsnd);
        let mut buffer = MessageBuffer::new();
        queue.recv(Select::Any, &mut buffer).unwrap();
        sender.expect("sent");
        fill(1);
        let mut sender = blocked("send-interruptibly", &queue, libc::SYS_msgsnd);
        ipc_signal::send(Pid::try_from(sender.id()).unwrap(), Signal::USR1).unwrap();
        sender.expect("Interrupted");
        let mut sender = blocked("send", &queue, libc::SYS_msgsnd);
        queue.remove().unwrap();
        sender.expect("Removed");
    }
    let queue = queue();
    let mut receiver = blocked("recv-interruptibly", &queue, libc::SYS_msgrcv);
    ipc_signal::send(Pid::try_from(receiver.id()).unwrap(), Signal::USR1).unwrap();
    receiver.expect("Interrupted");
    proof!(
        "C3",
        "full by bytes and by count; a sender that waits is woken by room, a signal, and the removal"
    );
}

#[test]
fn c4_killed_sender_or_receiver_loses_one_at_most() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let rounds = repetitions_or_long(500, 2_000, 10_000);
    let (mut received, mut lost) = (0, 0);
    for _ in 0..rounds {
        let queue = queue();
        let noted = RemoveOnDrop::new(Segment::create(Key::PRIVATE, 16).unwrap());
        let memory = noted.attach().unwrap();
        let mut sender = peer!("peer-sysv", "count-up", queue.id(), noted.id());
        let mut receiver = peer!("peer-sysv", "recv-and-count", queue.id(), noted.id());
        sender.expect("ready");
        receiver.expect("ready");
        let far = random.u64(1..50);
        until("some have arrived", || memory.read_value::<u64>(8).unwrap() >= far);
        let last = if random.bool() {
            sender.kill();
            until("the queue is drained", || queue.stat().unwrap().messages == 0);
            until("the receiver waits again", || {
                let number: u64 = memory.read_value(8).unwrap();
                receiver.until_asleep_in(libc::SYS_msgrcv);
                number == memory.read_value::<u64>(8).unwrap()
            });
            let sent: u64 = memory.read_value(0).unwrap();
            let last: u64 = memory.read_value(8).unwrap();
            // What was sent and not noted any more is one at most.
            assert!(last == sent || last == sent + 1, "{last} of {sent} received; seed {seed}");
            last
        } else {
            receiver.kill();
            let noted: u64 = memory.read_value(8).unwrap();
            // Two more, so that what lies in the queue comes to light.
            until("the sender goes on", || {
                let sent: u64 = memory.read_value(0).unwrap();
                sent > noted + 2
            });
            sender.kill();
            let mut buffer = MessageBuffer::new();
            let message = queue.recv(Select::Any, &mut buffer).unwrap();
            let next = u64::from_ne_bytes(message.body()[..8].try_into().unwrap());
            // The killed one took one that it did not note any more, or not.
            assert!(next == noted + 1 || next == noted + 2, "{next} after {noted}; seed {seed}");
            lost += next - noted - 1;
            noted
        };
        queue.remove().unwrap();
        received += last;
    }
    proof!(
        "C4",
        "{rounds} kills of sender or receiver, {received} messages checked, {lost} lost with their receivers, none twice; seed {seed}"
    );
}
