//! A System V message queue, one for both ways: the message's type says which.
#![expect(unsafe_code, reason = "the C that is measured beside ours")]

use ipc_sysv::{Key, MessageBuffer, MessageQueue, MessageType, RemoveOnDrop, Select};
use zerocopy::IntoBytes;

use crate::cell::{Cell, Cores, Wait};
use crate::end::{End, Side, check, fill};
use crate::mechanism::{BLOCKS, Mechanism};
use crate::meet::Meet;

pub(crate) struct SysvQueue;

impl Mechanism for SysvQueue {
    fn name(&self) -> &'static str {
        "sysv-queue"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        BLOCKS
    }

    fn lacks(&self, cell: &Cell) -> Option<&'static str> {
        // The limits as a new IPC namespace has them; a machine may have been told otherwise.
        let max = ipc_sysv::limits().map_or(8192, |limits| limits.queues.message_len);
        (cell.payload as u64 > max).then_some("msgmax: the most bytes of a System V message")
    }

    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let (queue, owner) = queue(meet);
        let [to, from] = types(meet);
        let message = vec![0; cell.words()];
        Box::new(Ours {
            queue,
            to,
            from: Select::from(from.get()),
            message,
            buffer: MessageBuffer::new(),
            _owner: owner,
        })
    }

    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let (queue, owner) = queue(meet);
        let [to, from] = types(meet).map(MessageType::get);
        Box::new(Raw { id: queue.id(), to, from, message: vec![0; 1 + cell.words()], _owner: owner })
    }
}

/// Near makes it and removes it.
fn queue(meet: &mut Meet) -> (MessageQueue, Option<RemoveOnDrop<MessageQueue>>) {
    let made = meet.is_near().then(|| MessageQueue::create(Key::PRIVATE).unwrap());
    let [id] = meet.numbers(|| [made.as_ref().map_or(0, |queue| queue.id() as u64)]);
    let queue = made.clone().unwrap_or_else(|| MessageQueue::from_id(id as i32).unwrap());
    (queue, made.map(RemoveOnDrop::new))
}

/// Of what we send and of what we receive.
fn types(meet: &Meet) -> [MessageType; 2] {
    let types = [1, 2].map(|number| MessageType::new(number).unwrap());
    if meet.is_near() { types } else { [types[1], types[0]] }
}

struct Ours {
    queue: MessageQueue,
    to: MessageType,
    from: Select,
    message: Vec<u64>,
    buffer: MessageBuffer,
    _owner: Option<RemoveOnDrop<MessageQueue>>,
}

impl End for Ours {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        self.queue.send(self.to, self.message.as_bytes()).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        let message = self.queue.recv(self.from, &mut self.buffer).unwrap();
        self.message.as_mut_bytes().copy_from_slice(message.body());
        check(&self.message, turn);
    }
}

struct Raw {
    id: i32,
    to: i64,
    from: i64,
    /// struct msgbuf: the type, and then the body.
    message: Vec<u64>,
    _owner: Option<RemoveOnDrop<MessageQueue>>,
}

impl End for Raw {
    fn send(&mut self, turn: u64) {
        self.message[0] = self.to as u64;
        fill(&mut self.message[1..], turn);
        let len = (self.message.len() - 1) * 8;
        // SAFETY: a type and `len` bytes to read from.
        let sent = unsafe { libc::msgsnd(self.id, self.message.as_ptr().cast(), len, 0) };
        assert_eq!(sent, 0);
    }

    fn receive(&mut self, turn: u64) {
        let len = (self.message.len() - 1) * 8;
        // SAFETY: room for a type and `len` bytes.
        let got = unsafe { libc::msgrcv(self.id, self.message.as_mut_ptr().cast(), len, self.from, 0) };
        assert_eq!(usize::try_from(got), Ok(len));
        check(&self.message[1..], turn);
    }
}
