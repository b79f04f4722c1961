//! A question that was asked, and the place among the calls in flight that it holds.
//!
//! Made by [`Client::send`]. The place is free again when the answer is received, or the call is given up.

use std::cell::{Cell, RefMut};
use std::fmt;
use std::time::Duration;

use ipc_sys::Deadline;

use crate::channel::Payload;
use crate::channel::request::Client;
use crate::channel::request::caller::{Caller, Until};
use crate::memory::{Mode, Trusted};
use crate::{Error, Result};

/// A question that was asked. Dropped, it is given up: if the server has not taken it yet, it never will. One that is
/// forgotten ([`std::mem::forget`]) keeps its place among the calls in flight.
#[must_use = "dropped, the call is given up"]
pub struct PendingCall<'c, Q: Payload, A: Payload, M: Mode = Trusted> {
    pub(super) client: &'c Client<Q, A, M>,
    pub(super) pos: u64,
    until: Until,
    taken: Cell<bool>,
}

impl<'c, Q: Payload, A: Payload, M: Mode> PendingCall<'c, Q, A, M> {
    pub(super) fn new(client: &'c Client<Q, A, M>, pos: u64, until: Until) -> Self {
        Self { client, pos, until, taken: Cell::new(false) }
    }

    /// Waits for the answer.
    ///
    /// # Blocking
    /// Until the answer comes, the time of [`Client::send_timeout`] is over, or the server is gone.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Client::call`].
    pub fn recv(self) -> Result<A> {
        let mut caller = self.ready()?;
        let answer = caller.answer(self.pos, || self.until.deadline());
        self.note(&mut caller, answer)
    }

    /// As [`PendingCall::recv`], for at most `timeout`; the call stays in flight when it times out.
    ///
    /// # Errors
    /// As [`PendingCall::recv`]; [`Error::Empty`] where the answer has been received.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<A> {
        let mut caller = self.ready()?;
        let answer = caller.answer(self.pos, || Deadline::after(timeout));
        self.note(&mut caller, answer)
    }

    /// Receives the answer if it is there.
    ///
    /// # Errors
    /// [`Error::Empty`] where it is not there, or has been received; and as [`PendingCall::recv`].
    pub fn try_recv(&mut self) -> Result<A> {
        let mut caller = self.ready()?;
        let answer = caller.answer_now(self.pos);
        self.note(&mut caller, answer)
    }

    /// As [`PendingCall::try_recv`], for a task that waits.
    #[cfg(feature = "tokio")]
    pub(crate) fn recv_waiting(&mut self) -> Result<A> {
        let answer = self.client.answer_waiting(self.pos);
        self.note(&mut self.client.caller.borrow_mut(), answer)
    }

    /// Whether the answer has been received.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_taken(&self) -> bool {
        self.taken.get()
    }

    fn ready(&self) -> Result<RefMut<'_, Caller<Q, A>>> {
        if self.taken.get() { Err(Error::Empty) } else { Ok(self.client.caller.borrow_mut()) }
    }

    /// Gives the place back with the answer.
    fn note(&self, caller: &mut Caller<Q, A>, answer: Result<A>) -> Result<A> {
        if let Ok(_) | Err(Error::Unanswered) = answer {
            caller.hold(self.pos, false);
            self.taken.set(true);
        }
        answer
    }
}

impl<Q: Payload, A: Payload, M: Mode> Drop for PendingCall<'_, Q, A, M> {
    fn drop(&mut self) {
        if !self.taken.get() {
            self.client.abandon(self.pos);
        }
    }
}

impl<Q: Payload, A: Payload, M: Mode> fmt::Debug for PendingCall<'_, Q, A, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PendingCall").field("number", &self.pos).finish_non_exhaustive()
    }
}
