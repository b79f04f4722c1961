//! Receiving in a loop.

use super::buffer::MessageBuffer;
use super::handle::MessageQueue;
use super::select::{MessageType, Select};
use crate::error::{Error, Result};

/// Messages of a queue as they come, each with a body of its own; it ends when the queue is removed. Made by
/// [`MessageQueue::messages`].
#[derive(Debug)]
#[must_use = "an iterator receives nothing until it is asked"]
pub struct Messages<'a> {
    queue: &'a MessageQueue,
    select: Select,
    buffer: MessageBuffer,
}

impl<'a> Messages<'a> {
    pub(super) fn new(queue: &'a MessageQueue, select: Select) -> Self {
        Self { queue, select, buffer: MessageBuffer::new() }
    }
}

impl Iterator for Messages<'_> {
    type Item = Result<(MessageType, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.queue.recv(self.select, &mut self.buffer) {
            Ok(message) => Some(Ok((message.kind(), message.body().to_vec()))),
            Err(Error::Removed { .. }) => None,
            Err(error) => Some(Err(error)),
        }
    }
}
