//! A message that a receiver works on: a copy, and the claim on its place.
//!
//! Made by [`Receiver::hold`]. The claim ends with [`Held::done`]; dropped, or found dead with it, the receiver gives the
//! message to another.

use std::fmt;

use crate::channel::Payload;
use crate::channel::mpmc::Receiver;
use crate::memory::{Common, Trusted};
use crate::{Error, Result};

/// A message that is being worked on: nobody else gets it, unless this process dies first. [`Held::done`] ends that; if it is
/// dropped before, the message is available to any receiver again within 60 ms.
pub struct Held<'r, T: Payload, M: Common = Trusted> {
    receiver: &'r mut Receiver<T, M>,
    pos: u64,
    message: T,
    done: bool,
}

impl<'r, T: Payload, M: Common> Held<'r, T, M> {
    pub(super) fn new(receiver: &'r mut Receiver<T, M>, pos: u64) -> Self {
        let message = receiver.member.ring.read(pos);
        Self { receiver, pos, message, done: false }
    }

    /// The message.
    pub fn message(&self) -> &T {
        &self.message
    }

    /// The work is done: nobody else gets the message.
    ///
    /// # Errors
    /// [`Error::TakenAway`]: we looked dead, and another receiver may have it; [`Error::Forked`].
    pub fn done(mut self) -> Result<()> {
        self.receiver.member.check()?;
        self.done = true;
        if self.receiver.release(self.pos) { Ok(()) } else { Err(Error::TakenAway) }
    }
}

impl<T: Payload, M: Common> Drop for Held<'_, T, M> {
    fn drop(&mut self) {
        if !self.done {
            self.receiver.give_back(self.pos);
        }
    }
}

impl<T: Payload + fmt::Debug, M: Common> fmt::Debug for Held<'_, T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Held").field(&self.message).finish()
    }
}
