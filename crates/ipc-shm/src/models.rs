//! The shipped algorithms under loom, which runs every interleaving and every value that the memory model allows:
//! `RUSTFLAGS="--cfg ipc_loom" cargo test -p ipc-shm --release --lib models`.
//!
//! A model that passes proves little by itself, so each names its mutants: the fences and orderings without which it
//! must fail. [`finds`] leaves one out and expects loom to find a torn or lost message, or a sleep without end.
//! Without loom the same models run over a vector and threads of the operating system, for Miri (many seeds) and
//! ThreadSanitizer: `cargo +nightly miri test -p ipc-shm --lib models`.
//! Not modelled: the HOT gear, whose barrier is the kernel's and outside Rust's memory model.
#![cfg_attr(not(test), expect(dead_code, reason = "the models are tests"))]
#![expect(unsafe_code, reason = "what loom cannot drop after a deadlock is left")]

#[cfg(ipc_loom)]
use std::cell::Cell;
use std::io;
use std::mem::ManuallyDrop;
use std::sync::atomic::Ordering;
#[cfg(not(ipc_loom))]
use std::sync::{Arc, Condvar, Mutex};

use ipc_sys::Deadline;
use ipc_sys::futex::Wait;
#[cfg(ipc_loom)]
use loom::sync::{Arc, Condvar, Mutex};

use crate::words::{AtomicU64, Words};

#[cfg(ipc_loom)]
thread_local! {
    /// What is left out; loom runs all threads of a model on the thread of its test.
    static LEFT_OUT: Cell<&'static str> = const { Cell::new("") };
}

/// Whether this fence is left out in this run.
#[cfg(ipc_loom)]
pub(crate) fn is_left_out(name: &'static str) -> bool {
    LEFT_OUT.get() == name
}

/// The store of [`crate::words::publish`].
#[cfg(ipc_loom)]
pub(crate) fn publish(word: &AtomicU64, value: u64) {
    let ordering = if is_left_out("publish") { Ordering::Relaxed } else { Ordering::Release };
    word.store(value, ordering);
}

/// Ends the thread of a participant that is to die after so many steps; what it has locked is its model's business.
#[cfg(ipc_loom)]
pub(crate) fn step(left: &Cell<u32>) {
    match left.get() {
        0 => std::panic::resume_unwind(Box::new("killed")),
        u32::MAX => {}
        more => left.set(more - 1),
    }
}

/// A segment in memory of loom's, or a vector: words, and a kernel's queue of sleepers.
#[derive(Debug, Clone)]
pub(crate) struct Heap {
    words: Kept<Vec<AtomicU64>>,
    queue: Kept<(Mutex<()>, Condvar)>,
    /// The bytes in the socket of the one side that polls.
    socket: Kept<(Mutex<u32>, Condvar)>,
}

/// What a model has in common. When loom has found a deadlock it cannot drop its objects any more: they are left.
#[derive(Debug)]
struct Kept<T> {
    value: ManuallyDrop<Arc<T>>,
}

impl<T> Kept<T> {
    fn new(value: T) -> Self {
        Self { value: ManuallyDrop::new(Arc::new(value)) }
    }
}

impl<T> std::ops::Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone() }
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: dropped here and nowhere else, and not used again.
            unsafe { ManuallyDrop::drop(&mut self.value) }
        }
    }
}

impl Heap {
    pub(crate) fn new(words: usize) -> Self {
        let words = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self {
            words: Kept::new(words),
            queue: Kept::new((Mutex::new(()), Condvar::new())),
            socket: Kept::new((Mutex::new(0), Condvar::new())),
        }
    }

    /// Another segment whose sleepers are the same: who waits for both, waits once.
    #[cfg(test)]
    fn beside(&self, words: usize) -> Self {
        let words = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self { words: Kept::new(words), queue: self.queue.clone(), socket: self.socket.clone() }
    }

    /// futex_waitv: sleeps while each word holds what is expected.
    #[cfg(test)]
    #[expect(clippy::cast_possible_truncation, reason = "the low half")]
    fn wait_any(&self, words: &[(&AtomicU64, u32)]) {
        let sleepers = self.queue.0.lock().unwrap();
        if words.iter().all(|(word, expected)| word.load(Ordering::SeqCst) as u32 == *expected) {
            drop(self.queue.1.wait(sleepers).unwrap());
        }
    }
}

impl Words for Heap {
    #[expect(clippy::indexing_slicing, reason = "a model that looks beyond its memory has failed")]
    fn words(&self, first: usize, count: usize) -> &[AtomicU64] {
        &self.words[first..first + count]
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::unwrap_used,
        reason = "the low half; a poisoned lock is a failed model"
    )]
    fn wait(&self, index: usize, expected: u32, _: Deadline) -> io::Result<Wait> {
        let sleepers = self.queue.0.lock().unwrap();
        // The kernel's look at the word happens under its own lock, which orders it after any wake before.
        if self.word(index).load(Ordering::SeqCst) as u32 != expected {
            return Ok(Wait::Changed);
        }
        drop(self.queue.1.wait(sleepers).unwrap());
        Ok(Wait::Woken)
    }

    #[expect(clippy::unwrap_used, reason = "a poisoned lock is a failed model")]
    fn wake(&self, _: usize, _: i32) {
        let sleepers = self.queue.0.lock().unwrap();
        self.queue.1.notify_all();
        drop(sleepers);
    }

    #[expect(clippy::unwrap_used, reason = "a poisoned lock is a failed model")]
    fn signal(&self) -> bool {
        let mut bytes = self.socket.0.lock().unwrap();
        *bytes += 1;
        self.socket.1.notify_all();
        true
    }

    #[expect(clippy::unwrap_used, reason = "a poisoned lock is a failed model")]
    fn drain(&self) {
        *self.socket.0.lock().unwrap() = 0;
    }

    #[expect(clippy::unwrap_used, reason = "a poisoned lock is a failed model")]
    fn poll(&self, _: Deadline) -> io::Result<Wait> {
        #[cfg(ipc_loom)]
        if is_left_out("drain before the look") {
            self.drain();
        }
        let mut bytes = self.socket.0.lock().unwrap();
        while *bytes == 0 {
            bytes = self.socket.1.wait(bytes).unwrap();
        }
        Ok(Wait::Changed)
    }
}

#[cfg(all(test, ipc_loom))]
mod lossless;

#[cfg(all(test, ipc_loom))]
mod mpmc;

#[cfg(test)]
mod waiting;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::area::FIRST;
    use crate::channel::broadcast::log::{self, Found, Log, Reading};
    use crate::channel::bytes::block::{self, Block, Claim};
    use crate::channel::call::{self, Called, Fences};
    use crate::channel::latest::cells::{self, Cells};
    use crate::channel::request::exchange::{self, Answer, Answering, Asking};
    use crate::channel::spsc::ring::{Consumer, Producer, Shape};
    use crate::channel::{LastWords, Wait as Strategy};

    #[cfg(ipc_loom)]
    use loom::thread;
    #[cfg(not(ipc_loom))]
    use std::thread;

    /// Once for Miri, which takes another way for each seed.
    #[cfg(not(ipc_loom))]
    pub(super) fn check(_: usize, model: impl Fn() + Sync + Send + 'static) {
        for _ in 0..if cfg!(miri) { 1 } else { 200 } {
            model();
        }
    }

    #[cfg(ipc_loom)]
    pub(super) fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.max_branches = 20_000;
        builder.check(model);
    }

    /// Runs the model without `name`, and fails if it still passes.
    #[cfg(ipc_loom)]
    pub(super) fn finds(name: &'static str, preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
        LEFT_OUT.set(name);
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(preemptions, model)));
        LEFT_OUT.set("");
        assert!(failed.is_err(), "the model passes without {name:?}: it proves nothing about it");
    }

    /// Three messages through a ring of two, so that both sides sleep; `T` decides between slots and packed.
    fn ring<T: crate::channel::Payload + PartialEq + std::fmt::Debug + 'static>(make: fn(u64) -> T) {
        let shape = Shape::new(2, u64::MAX - 1);
        let memory = Heap::new(FIRST + 2 * Shape::stride::<T>());
        shape.init_producer::<T, _>(&memory);
        shape.init_consumer(&memory);
        let mut producer = Producer::<T, _>::resume(memory.clone(), memory.clone(), shape).unwrap();
        let mut consumer = Consumer::<T, _>::resume(memory.clone(), memory, shape);
        let sending = thread::spawn(move || {
            for turn in 0..3 {
                while !producer.send(&make(turn)) {
                    producer.wait(1, Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
                }
            }
        });
        for turn in 0..3 {
            let message = loop {
                if let Some(message) = consumer.next() {
                    break message;
                }
                consumer.wait(Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
            };
            assert_eq!(message, make(turn));
        }
        LastWords::release(&mut consumer);
        sending.join().unwrap();
    }

    /// One message, then the sender's last words: nothing else wakes the receiver.
    fn bell() {
        let shape = Shape::new(2, 0);
        let memory = Heap::new(FIRST + 2 * Shape::stride::<u64>());
        shape.init_producer::<u64, _>(&memory);
        shape.init_consumer(&memory);
        let mut producer = Producer::<u64, _>::resume(memory.clone(), memory.clone(), shape).unwrap();
        let mut consumer = Consumer::<u64, _>::resume(memory.clone(), memory, shape);
        let sending = thread::spawn(move || {
            assert!(producer.send(&7));
        });
        consumer.wait(Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
        assert_eq!(consumer.next(), Some(7));
        sending.join().unwrap();
    }

    #[test]
    fn spsc_slots() {
        check(2, || ring::<u64>(|turn| turn + 100));
    }

    #[test]
    fn spsc_packed() {
        check(2, || ring::<[u64; 8]>(|turn| [turn + 100; 8]));
    }

    #[cfg(ipc_loom)]
    #[test]
    fn spsc_mutants() {
        finds("publish", 2, || ring::<u64>(|turn| turn + 100));
        finds("peer_load", 2, || ring::<u64>(|turn| turn + 100));
    }

    /// Messages of one block, two and none, through a ring of four, whose end is passed over twice, each whole or not there.
    fn messages(at_once: bool) {
        let shape = Shape::new(4, u64::MAX - 1);
        let memory = Heap::new(FIRST + 4 * Shape::stride::<Block>());
        shape.init_producer::<Block, _>(&memory);
        shape.init_consumer(&memory);
        let mut producer = Producer::<Block, _>::resume(memory.clone(), memory.clone(), shape).unwrap();
        let mut consumer = Consumer::<Block, _>::resume(memory.clone(), memory, shape);
        let texts = [vec![1; 9], vec![2; 70], Vec::new(), vec![3; 120]];
        let sent = texts.clone();
        let sending = thread::spawn(move || {
            for text in &sent {
                let wanted = block::blocks(text.len() as u64).unwrap();
                let pad = block::pad(&producer, 0, wanted);
                let needed = pad + wanted;
                while producer.space(needed).unwrap() < needed {
                    producer.wait(needed, Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
                }
                if pad != 0 {
                    block::write_pad(&producer, 0);
                }
                block::write(&producer, pad, wanted, text);
                if at_once {
                    producer.publish(needed);
                } else {
                    (0..needed).for_each(|_| producer.publish(1));
                }
            }
        });
        for text in &texts {
            let (len, taken) = loop {
                while consumer.available(1).unwrap() == 0 {
                    consumer.wait(Strategy::Park, Deadline::NEVER, || Ok(())).unwrap();
                }
                match block::claim(&consumer, consumer.to_end(), 4) {
                    Claim::Message { len, blocks } => break (len, blocks),
                    Claim::Pad { blocks } => {
                        assert!(consumer.available(blocks).unwrap() >= blocks, "a pad without its blocks");
                        consumer.advance(blocks);
                    }
                    Claim::Nonsense => panic!("no head of a message"),
                }
            };
            assert!(consumer.available(taken).unwrap() >= taken, "a length without its message");
            let mut received = vec![0; len];
            block::read(&consumer, taken, &mut received);
            consumer.advance(taken);
            assert_eq!(received, *text);
        }
        LastWords::release(&mut consumer);
        sending.join().unwrap();
    }

    #[test]
    fn bytes() {
        check(1, || messages(true));
    }

    #[cfg(ipc_loom)]
    #[test]
    fn bytes_mutants() {
        finds("publish", 1, || messages(true));
        finds("peer_load", 1, || messages(true));
        // A message whose blocks are published one by one.
        finds("", 1, || messages(false));
    }

    #[test]
    fn doorbell() {
        check(3, bell);
    }

    #[cfg(ipc_loom)]
    #[test]
    fn doorbell_mutants() {
        finds("waker", 3, bell);
        finds("waiter", 3, bell);
    }

    /// Five values over four cells, read twice meanwhile: whole, and never older than one seen before.
    fn cells() {
        let memory = Heap::new(FIRST + 4 * cells::stride::<[u64; 2]>());
        let mut writer = Cells::<[u64; 2], _>::resume(memory.clone());
        let writing = thread::spawn(move || {
            for turn in 1..=5 {
                writer.write(&[turn; 2]);
            }
        });
        let mut last = 0;
        for _ in 0..2 {
            if let Ok(Some((version, [first, second]))) = cells::read::<[u64; 2], _>(&memory) {
                assert!(first == version && second == version, "torn: {first} {second} at {version}");
                assert!(version >= last);
                last = version;
            }
        }
        writing.join().unwrap();
    }

    /// Four messages through two slots: each one that is read is whole and the one that stands there.
    fn log() {
        let shape = log::Shape::new(2, 0);
        let memory = Heap::new(FIRST + 2 * log::Shape::stride::<[u64; 2]>());
        shape.init::<[u64; 2], _>(&memory);
        let mut writer = Log::<[u64; 2], _>::resume(memory.clone(), shape);
        let mut reader = Reading::<[u64; 2], _>::new(memory, shape);
        let writing = thread::spawn(move || {
            for turn in 1..=4 {
                writer.write(&[turn; 2]);
            }
        });
        let mut next = 1;
        for _ in 0..3 {
            match reader.next() {
                Found::Message(message) => {
                    assert_eq!(message, [next; 2]);
                    next += 1;
                }
                Found::Lapped => next += reader.skip(),
                Found::Nothing | Found::Unfinished => {}
            }
        }
        writing.join().unwrap();
    }

    /// One message and one sleeper: the call wakes it.
    fn sleeper() {
        let shape = log::Shape::new(2, 0);
        let memory = Heap::new(FIRST + 2 * log::Shape::stride::<u64>());
        shape.init::<u64, _>(&memory);
        let mut writer = Log::<u64, _>::resume(memory.clone(), shape);
        let mut reader = Reading::<u64, _>::new(memory, shape);
        let writing = thread::spawn(move || {
            writer.write(&7);
            call::call(&writer.memory, Fences::Both);
        });
        let mut called = Called::together(Fences::Both);
        let ready = || Ok(reader.is_ready());
        called.wait(&reader.memory, Strategy::Park, Deadline::NEVER, ready, || Ok(())).unwrap();
        assert_eq!(reader.next(), Found::Message(7));
        writing.join().unwrap();
    }

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
            assert_eq!(client.answer(pos).unwrap(), Answer::Answered(answer));
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
        for name in ["waker", "waiter"] {
            finds(name, 3, question);
            finds(name, 3, answer);
        }
    }

    #[test]
    fn latest() {
        check(3, cells);
    }

    #[cfg(ipc_loom)]
    #[test]
    fn latest_mutants() {
        for name in ["cell", "reader", "slack", "publish", "peer_load"] {
            finds(name, 3, cells);
        }
    }

    #[test]
    fn broadcast() {
        check(3, log);
    }

    #[cfg(ipc_loom)]
    #[test]
    fn broadcast_mutants() {
        for name in ["log", "reader", "publish", "peer_load"] {
            finds(name, 3, log);
        }
    }

    #[test]
    fn common_bell() {
        check(3, sleeper);
    }

    #[cfg(ipc_loom)]
    #[test]
    fn common_bell_mutants() {
        finds("caller", 3, sleeper);
        finds("waiter", 3, sleeper);
        finds("look", 3, sleeper);
    }
}
