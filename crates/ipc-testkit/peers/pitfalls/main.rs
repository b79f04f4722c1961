//! The roles of tests/pitfalls: what a program of ours does, and its naive twin, which does what the tutorials do.
#![expect(clippy::indexing_slicing, reason = "in a test kit a panic is how a test fails")]

mod naive;

use std::io::Write;

use ipc_signal::{Pid, Signal, on, send};
use ipc_sysv::{Error, Key, MessageQueue, Op, Segment, Semaphore, SemaphoreSet};
use ipc_testkit::role::{self, hear, say};
use ipc_uds::Stream;

fn main() -> role::Result {
    role::play(&[
        ("add", |arguments| add(arguments, false)),
        ("add-with-undo", |arguments| add(arguments, true)),
        ("catch", catch),
        ("connect", connect),
        ("fill", fill),
        ("hold", hold),
        ("naive-catch", naive::catch),
        ("naive-fill", naive::fill),
        ("naive-kill", naive::kill),
        ("naive-queue", naive::queue),
        ("queue", queue),
        ("scribble", scribble),
        ("terminate", terminate),
    ])
}

/// `add ID`: adds 1 to the first semaphore of the set and ends.
fn add(arguments: &[String], undo: bool) -> role::Result {
    let set = SemaphoreSet::from_id(arguments[0].parse()?)?;
    let op = Op::add(0, 1);
    set.op(&[if undo { op.undo() } else { op }])?;
    say(set.value(0)?)
}

/// `hold ID`: takes a permit of the set and keeps it until the test speaks.
fn hold(arguments: &[String]) -> role::Result {
    let set = SemaphoreSet::from_id(arguments[0].parse()?)?;
    let semaphore: Semaphore = set.semaphore(0)?;
    let permit = semaphore.acquire()?;
    say("held")?;
    hear()?;
    drop(permit);
    Ok(())
}

/// `queue PATH PROJECT`: opens the queue of this key.
fn queue(arguments: &[String]) -> role::Result {
    match MessageQueue::open(Key::from_path(&arguments[0], arguments[1].parse()?)?) {
        Ok(queue) => say(queue.id()),
        Err(Error::NotFound { .. }) => say("not found"),
        Err(error) => Err(error.into()),
    }
}

/// `fill ID`: writes A, AB, ABC … with a NUL, until it is told that the segment is full.
fn fill(arguments: &[String]) -> role::Result {
    let attachment = Segment::from_id(arguments[0].parse()?)?.attach()?;
    let mut text = vec![0];
    for letter in (b'A'..=b'Z').cycle() {
        text.insert(text.len() - 1, letter);
        match attachment.write_at(0, &text) {
            Ok(()) => {}
            Err(Error::OutOfRange { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    say(text.len() - 1)
}

/// `scribble ID`: fills the segment with one letter after the other and never writes a NUL, until the test speaks.
fn scribble(arguments: &[String]) -> role::Result {
    let attachment = Segment::from_id(arguments[0].parse()?)?.attach()?;
    attachment.write_at(0, &vec![b'z'; attachment.len()])?;
    say("writing")?;
    let told = std::thread::spawn(|| hear().is_ok());
    while !told.is_finished() {
        for letter in b'a'..=b'z' {
            attachment.write_at(0, &vec![letter; attachment.len()])?;
        }
    }
    Ok(())
}

/// `terminate TEXT`: sends SIGTERM to the process that the text names.
fn terminate(arguments: &[String]) -> role::Result {
    match arguments[0].parse::<Pid>() {
        Ok(pid) => Ok(send(pid, Signal::TERM)?),
        Err(_) => say("no process id"),
    }
}

/// `catch NUMBER`: registers for the signal.
fn catch(arguments: &[String]) -> role::Result {
    let signal = Signal::from_number(arguments[0].parse()?)?;
    match on(signal, &std::sync::Arc::default() as &std::sync::Arc<std::sync::atomic::AtomicBool>) {
        Ok(_registration) => say("registered"),
        Err(ipc_signal::Error::Refused { .. }) => say("refused"),
        Err(error) => Err(error.into()),
    }
}

/// `connect PATH`: says hello to the server there.
fn connect(arguments: &[String]) -> role::Result {
    Ok(Stream::connect(arguments[0].as_str())?.write_all(b"hello")?)
}
