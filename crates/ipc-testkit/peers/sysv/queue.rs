//! Senders and receivers.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ipc_signal::Signal;
use ipc_sysv::{Error, MessageBuffer, MessageQueue, MessageType, Segment, Select};
use ipc_testkit::role::{Result, say};

use super::argument;

/// Sends to itself until the queue is removed.
pub(crate) fn send_and_recv(arguments: &[String]) -> Result {
    let queue = MessageQueue::from_id(argument(arguments, 0)?)?;
    let mut buffer = MessageBuffer::new();
    say("ready")?;
    for turn in 0_u64.. {
        let done = queue
            .send(MessageType::ONE, &turn.to_ne_bytes())
            .and_then(|()| queue.recv(Select::Any, &mut buffer).map(drop));
        match done {
            Ok(()) => {}
            Err(Error::Removed { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    say("removed")
}

/// Sends one message, however long it has to wait.
pub(crate) fn send(arguments: &[String]) -> Result {
    let queue = MessageQueue::from_id(argument(arguments, 0)?)?;
    say("ready")?;
    say(match queue.send(MessageType::ONE, b"late") {
        Ok(()) => "sent",
        Err(Error::Removed { .. }) => "Removed",
        Err(error) => return Err(error.into()),
    })
}

/// Waits for room, or for a signal.
pub(crate) fn send_interruptibly(arguments: &[String]) -> Result {
    let queue = MessageQueue::from_id(argument(arguments, 0)?)?;
    let _registration = ipc_signal::on(Signal::USR1, &Arc::new(AtomicU64::new(0)))?;
    say("ready")?;
    interrupted(queue.send_interruptible(MessageType::ONE, b"late"))
}

/// Waits for a message, or for a signal.
pub(crate) fn recv_interruptibly(arguments: &[String]) -> Result {
    let queue = MessageQueue::from_id(argument(arguments, 0)?)?;
    let _registration = ipc_signal::on(Signal::USR1, &Arc::new(AtomicU64::new(0)))?;
    say("ready")?;
    interrupted(queue.recv_interruptible(Select::Any, &mut MessageBuffer::new()).map(drop))
}

fn interrupted(ended: ipc_sysv::Result<()>) -> Result {
    match ended {
        Err(Error::Interrupted { .. }) => say("Interrupted"),
        other => Err(format!("{other:?}").into()),
    }
}

/// A message of `count_up`: its number, its CRC, and bytes that make it as long as the number says.
fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_ne_bytes().to_vec();
    body.resize(8 + usize::try_from(number % 57).unwrap(), u8::try_from(number % 251).unwrap());
    let check = crc32fast::hash(&body);
    body.extend(check.to_ne_bytes());
    body
}

/// Sends 1, 2, 3 … and notes in the segment how far it is.
pub(crate) fn count_up(arguments: &[String]) -> Result {
    let queue = MessageQueue::from_id(argument(arguments, 0)?)?;
    let memory = Segment::from_id(argument(arguments, 1)?)?.attach()?;
    say("ready")?;
    for number in 1_u64.. {
        queue.send(MessageType::ONE, &body(number))?;
        memory.write_value(0, &number)?;
    }
    Ok(())
}

/// Receives what `count_up` sent, checks it, and notes in the segment which number was the last; a message that is not
/// the next one is an error.
pub(crate) fn recv_and_count(arguments: &[String]) -> Result {
    let queue = MessageQueue::from_id(argument(arguments, 0)?)?;
    let memory = Segment::from_id(argument(arguments, 1)?)?.attach()?;
    say("ready")?;
    let mut buffer = MessageBuffer::new();
    let first: u64 = memory.read_value(8)?;
    for number in first + 1.. {
        let received = match queue.recv(Select::Any, &mut buffer) {
            Err(Error::Removed { .. }) => break,
            received => received?,
        };
        if received.body() != body(number) {
            return Err(format!("not message {number}: {received:?}").into());
        }
        memory.write_value(8, &number)?;
    }
    say(memory.read_value::<u64>(8)?)
}

/// Sends and receives under a storm of signals without SA_RESTART; says how often the naive call was interrupted.
pub(crate) fn storm(arguments: &[String]) -> Result {
    let queue = MessageQueue::from_id(argument(arguments, 0)?)?;
    let answers = MessageQueue::from_id(argument(arguments, 1)?)?;
    let count: u64 = argument(arguments, 2)?;
    let registration = ipc_signal::HandlerOptions::new().restart(false);
    let _registration = registration.on(Signal::ALRM, &Arc::new(AtomicU64::new(0)))?;
    let every = Duration::from_micros(100);
    ipc_signal::IntervalTimer::Real.set(ipc_signal::Schedule::every(every))?;
    let mut buffer = MessageBuffer::new();
    for number in 0..count {
        let received = queue.recv(Select::Any, &mut buffer)?.value::<u64>()?;
        if received != number {
            return Err(format!("{received} instead of {number}").into());
        }
        answers.send(MessageType::ONE, &received.to_ne_bytes())?;
    }
    // The naive twin takes EINTR for an end.
    let naive = queue.recv_interruptible(Select::Any, &mut buffer);
    ipc_signal::IntervalTimer::Real.set(ipc_signal::Schedule::stopped())?;
    let interrupted = matches!(naive, Err(Error::Interrupted { .. }));
    say(interrupted)
}

/// Sends so many messages of its own type, each with its number and bytes that follow from both.
pub(crate) fn send_all(arguments: &[String]) -> Result {
    let queue = MessageQueue::from_id(argument(arguments, 0)?)?;
    let kind: i64 = argument(arguments, 1)?;
    for number in 0..argument::<u64>(arguments, 2)? {
        queue.send(MessageType::new(kind).unwrap(), &body(number * 31 + kind.unsigned_abs()))?;
    }
    Ok(())
}

/// Receives the messages of one type, and checks each byte and the order.
pub(crate) fn recv_all(arguments: &[String]) -> Result {
    let queue = MessageQueue::from_id(argument(arguments, 0)?)?;
    let kind: i64 = argument(arguments, 1)?;
    let (select, mut buffer) = (Select::Type(MessageType::new(kind).unwrap()), MessageBuffer::new());
    for number in 0..argument::<u64>(arguments, 2)? {
        let message = queue.recv(select, &mut buffer)?;
        if message.body() != body(number * 31 + kind.unsigned_abs()) {
            return Err(format!("not message {number} of type {kind}: {message:?}").into());
        }
    }
    say("all")
}
