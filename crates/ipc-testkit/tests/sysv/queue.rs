//! Rows C1 and C2: which message is received, and that one which does not fit is not lost.

use std::collections::VecDeque;

use ipc_sysv::{Error, Key, MessageBuffer, MessageQueue, MessageType, RemoveOnDrop, Select};
use ipc_testkit::report::seed;
use ipc_testkit::{proof, repetitions};

fn queue() -> RemoveOnDrop<MessageQueue> {
    RemoveOnDrop::new(MessageQueue::create(Key::PRIVATE).unwrap())
}

fn kind(number: i64) -> MessageType {
    MessageType::new(number).unwrap()
}

/// What a queue is, as a list.
#[derive(Default)]
struct Model(VecDeque<(i64, u64)>);

impl Model {
    fn receive(&mut self, select: Select) -> Option<(i64, u64)> {
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
    fn receive_naively(&mut self, select: Select) -> Option<(i64, u64)> {
        let Select::LowestUpTo(highest) = select else { return self.receive(select) };
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
                let expected = model.receive(select);
                twin_wrong += usize::from(twin.receive_naively(select) != expected);
                match queue.try_receive(select, &mut buffer) {
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
        let refused = queue.try_receive(Select::Any, &mut small);
        assert!(matches!(refused, Err(Error::TooLong { max: 16, len: None, .. })), "{refused:?}");
        assert_eq!(queue.stat().unwrap().bytes, body.len() as u64);
        assert_eq!(queue.receive(Select::Any, &mut growing).unwrap().body(), body);
        growing = MessageBuffer::limited(0, 8192);

        // The naive twin, and our own call that says so in its name: what does not fit is gone.
        queue.send(MessageType::ONE, &body).unwrap();
        let truncated = queue.receive_truncated(Select::Any, 16, &mut small).unwrap();
        assert_eq!(truncated.body(), &body[..16]);
        cut += usize::from(queue.stat().unwrap().messages == 0);
    }
    assert_eq!(cut, count);
    proof!(
        "C2",
        "{count} messages too long for the buffer, each received whole after that; naive twin (MSG_NOERROR) cut {cut}; seed {seed}"
    );
}
