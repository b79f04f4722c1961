//! Senders and receivers.

use ipc_sysv::{Error, MessageBuffer, MessageQueue, Select};
use ipc_testkit::role::{Result, say};

use super::argument;

/// Sends to itself until the queue is removed.
pub(crate) fn send_and_receive(arguments: &[String]) -> Result {
    let queue = MessageQueue::from_id(argument(arguments, 0)?)?;
    let mut buffer = MessageBuffer::new();
    say("ready")?;
    for turn in 0_u64.. {
        let done = queue
            .send(ipc_sysv::MessageType::ONE, &turn.to_ne_bytes())
            .and_then(|()| queue.receive(Select::Any, &mut buffer).map(drop));
        match done {
            Ok(()) => {}
            Err(Error::Removed { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    say("removed")
}
