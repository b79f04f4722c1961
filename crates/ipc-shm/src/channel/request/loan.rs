//! Questions and answers written where they will be read: the client's loan, and the server's.
//!
//! Sound in sealed memory, which nobody else can write, and in memory that was vouched for. What was loaned and not sent leaves
//! nothing: a question was never asked, a request is dropped without an answer. Touching a loan in a forked child is
//! SIGSEGV, in the child alone.
#![expect(unsafe_code, reason = "a loan is a reference into the mapping")]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::time::Duration;

use crate::Result;
use crate::channel::Payload;
use crate::channel::request::caller::Until;
use crate::channel::request::{Client, PendingCall, Request, Server};
use crate::channel::spsc::Lends;
use crate::memory::{Trusted, Vouched};

/// A question that is being written where the server will read it; it holds some earlier one's bytes at first.
/// [`QuestionLoan::send`] asks it; dropped, it was never there. It has the next place of its client, which asks nothing else
/// meanwhile.
#[must_use = "dropped, it was never asked"]
pub struct QuestionLoan<'c, Q: Payload, A: Payload, M: Lends> {
    client: &'c Client<Q, A, M>,
    place: NonNull<Q>,
}

/// An answer that is being written where the client will read it; it holds some earlier one's bytes at first.
/// [`AnswerLoan::commit`] gives it; dropped, its client is told that there is none.
#[must_use = "dropped, the client is told that there is no answer"]
pub struct AnswerLoan<'s, Q: Payload, A: Payload, M: Lends> {
    request: Request<'s, Q, A, M>,
    place: NonNull<A>,
}

impl<Q: Payload, A: Payload> Client<Q, A, Trusted> {
    /// Allows loans.
    ///
    /// # Safety
    /// As [`crate::SharedMemory::trust`]: every process that can write this memory keeps to the protocol of this channel.
    #[must_use]
    pub unsafe fn trust(self) -> Client<Q, A, Vouched> {
        self.into_mode()
    }
}

impl<Q: Payload, A: Payload> Server<Q, A, Trusted> {
    /// Allows loans.
    ///
    /// # Safety
    /// As [`Client::trust`].
    #[must_use]
    pub unsafe fn trust(self) -> Server<Q, A, Vouched> {
        self.into_mode()
    }
}

impl<Q: Payload, A: Payload, M: Lends> Client<Q, A, M> {
    /// A place to write the next question in, waiting for one.
    ///
    /// # Blocking
    /// As [`Client::send`].
    ///
    /// # Errors
    /// As [`Client::send`]; [`Error::Full`](crate::Error::Full) too while another loan is out.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> ipc_shm::Result<()> {
    /// use ipc_shm::request;
    ///
    /// let (offer, invitation) = request::Client::<[u64; 64], u64, _>::offer(16)?;
    /// let (server, acceptance) = invitation.accept()?; // in its own process
    /// let client = offer.complete(acceptance)?;
    ///
    /// let mut question = client.loan()?;
    /// question.fill(2);
    /// let call = question.send()?;
    ///
    /// let request = server.recv()?;
    /// let sum = request.question().iter().sum();
    /// let mut answer = request.loan()?;
    /// *answer = sum;
    /// answer.commit()?;
    /// assert_eq!(call.recv()?, 128);
    /// # Ok(())
    /// # }
    /// ```
    pub fn loan(&self) -> Result<QuestionLoan<'_, Q, A, M>> {
        Ok(self.lend(self.lend_next(Some(Until::NEVER))?))
    }

    /// As [`Client::loan`], waiting for at most `timeout`. The answer is waited for as [`QuestionLoan::send_timeout`] says.
    ///
    /// # Errors
    /// [`Error::TimedOut`](crate::Error::TimedOut), and as [`Client::loan`].
    pub fn loan_timeout(&self, timeout: Duration) -> Result<QuestionLoan<'_, Q, A, M>> {
        Ok(self.lend(self.lend_next(Some(Until::after(timeout)))?))
    }

    /// A place to write the next question in, if there is one now.
    ///
    /// # Errors
    /// As [`Client::try_send`]; [`Error::Full`](crate::Error::Full) too while another loan is out.
    pub fn try_loan(&self) -> Result<QuestionLoan<'_, Q, A, M>> {
        Ok(self.lend(self.lend_next(None)?))
    }

    fn lend(&self, offset: usize) -> QuestionLoan<'_, Q, A, M> {
        const { assert!(align_of::<Q>() <= 16, "a question that is loaned, aligned to more than 16") };
        QuestionLoan { client: self, place: self.own.segment().mapping().at(offset).cast() }
    }
}

impl<'c, Q: Payload, A: Payload, M: Lends> QuestionLoan<'c, Q, A, M> {
    /// Asks the question, and does not wait for the answer.
    ///
    /// # Errors
    /// [`Error::Forked`](crate::Error::Forked).
    pub fn send(self) -> Result<PendingCall<'c, Q, A, M>> {
        self.client.ask_lent(Until::NEVER)
    }

    /// As [`QuestionLoan::send`], for an answer within `timeout`, which the server can see.
    ///
    /// # Errors
    /// As [`QuestionLoan::send`].
    pub fn send_timeout(self, timeout: Duration) -> Result<PendingCall<'c, Q, A, M>> {
        self.client.ask_lent(Until::after(timeout))
    }
}

impl<Q: Payload, A: Payload, M: Lends> Deref for QuestionLoan<'_, Q, A, M> {
    type Target = Q;

    fn deref(&self) -> &Q {
        // SAFETY: shared memory: the place is one slot's question, aligned for Q (`lend`), mapped while the client is borrowed,
        // and any bytes are a Q. Nobody else writes it: the seals forbid it, or the caller of `trust` has vouched for it;
        // this client writes no question while the loan is out; the server reads it only after `send`.
        unsafe { self.place.as_ref() }
    }
}

impl<Q: Payload, A: Payload, M: Lends> DerefMut for QuestionLoan<'_, Q, A, M> {
    fn deref_mut(&mut self) -> &mut Q {
        // SAFETY: as above, and there is one loan at a time, borrowed mutably, so this is the only reference.
        unsafe { self.place.as_mut() }
    }
}

impl<Q: Payload, A: Payload, M: Lends> Drop for QuestionLoan<'_, Q, A, M> {
    fn drop(&mut self) {
        self.client.take_back();
    }
}

impl<'s, Q: Payload, A: Payload, M: Lends> Request<'s, Q, A, M> {
    /// The place of the answer, to write it where the client will read it. It never waits.
    ///
    /// # Errors
    /// [`Error::Forked`](crate::Error::Forked).
    pub fn loan(self) -> Result<AnswerLoan<'s, Q, A, M>> {
        const { assert!(align_of::<A>() <= 8, "an answer that is loaned, aligned to more than 8") };
        let (offset, own) = self.lend()?;
        let place = own.segment().mapping().at(offset).cast();
        Ok(AnswerLoan { request: self, place })
    }
}

impl<Q: Payload, A: Payload, M: Lends> AnswerLoan<'_, Q, A, M> {
    /// What was asked.
    pub fn question(&self) -> &Q {
        self.request.question()
    }

    /// Gives the answer. It never waits; what became of the client does not matter.
    ///
    /// # Errors
    /// [`Error::Forked`](crate::Error::Forked).
    pub fn commit(self) -> Result<()> {
        self.request.commit_lent()
    }
}

impl<Q: Payload, A: Payload, M: Lends> Deref for AnswerLoan<'_, Q, A, M> {
    type Target = A;

    fn deref(&self) -> &A {
        // SAFETY: shared memory: the place is one slot's answer, aligned for A (`Request::loan`), mapped while the server is
        // borrowed, and any bytes are an A. Nobody else writes it: the seals forbid it, or the caller of `trust` has vouched
        // for it; it belongs to this request alone until that has ended; the client reads it only then.
        unsafe { self.place.as_ref() }
    }
}

impl<Q: Payload, A: Payload, M: Lends> DerefMut for AnswerLoan<'_, Q, A, M> {
    fn deref_mut(&mut self) -> &mut A {
        // SAFETY: as above, and the loan is borrowed mutably, so this is the only reference.
        unsafe { self.place.as_mut() }
    }
}

impl<Q: Payload + fmt::Debug, A: Payload, M: Lends> fmt::Debug for QuestionLoan<'_, Q, A, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("QuestionLoan").field(&**self).finish()
    }
}

impl<Q: Payload, A: Payload + fmt::Debug, M: Lends> fmt::Debug for AnswerLoan<'_, Q, A, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("AnswerLoan").field(&**self).finish()
    }
}
