//! Questions and answers in tokio. An end by itself is for tasks that move between threads, and makes or serves one call at a
//! time; a reference to it is for any number.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::asynchronous::Async;
use crate::channel::Payload;
use crate::channel::mpsc::LaneId;
use crate::channel::request::{Client, PendingCall, Request, Server, Servers, Until};
use crate::memory::Mode;
use crate::{Error, Result};

/// A question, given up when this is dropped before its answer came.
struct Asked<'a, Q: Payload, A: Payload, M: Mode> {
    client: &'a mut Async<Client<Q, A, M>>,
    pos: u64,
}

impl<Q: Payload, A: Payload, M: Mode> Drop for Asked<'_, Q, A, M> {
    fn drop(&mut self) {
        self.client.get_mut().abandon(self.pos);
    }
}

impl<Q: Payload, A: Payload, M: Mode> Async<Client<Q, A, M>> {
    /// Asks, and waits for the answer. Dropped before it is ready, the call is given up: a server that has not taken it yet
    /// never will.
    ///
    /// # Errors
    /// As [`Client::call`]; [`Error::System`]: the runtime is shutting down.
    pub async fn call(&mut self, question: &Q) -> Result<A> {
        let pos = self.with(|client| client.ask_waiting(question)).await?.ok_or(Error::Full)?;
        let asked = Asked { client: self, pos };
        asked.client.with(|client| client.answer_waiting(pos)).await
    }
}

impl<'c, Q: Payload, A: Payload, M: Mode> Async<&'c Client<Q, A, M>> {
    /// Asks, waiting for a place among the calls in flight. Dropped before it is ready, it has asked nothing.
    ///
    /// # Errors
    /// As [`Client::send`]; [`Error::System`]: the runtime is shutting down.
    pub async fn send(&mut self, question: &Q) -> Result<PendingCall<'c, Q, A, M>> {
        let client = *self.get_mut();
        let pos = self.with(|client| client.ask_waiting(question)).await?.ok_or(Error::Full)?;
        Ok(client.pending(pos, Until::NEVER))
    }

    /// Waits for the answer to one of them. Dropped before it is ready, the call stays in flight.
    ///
    /// # Errors
    /// As [`PendingCall::try_recv`], but [`Error::Empty`] only where the answer has been received; [`Error::System`]: the
    /// runtime is shutting down.
    pub async fn recv(&mut self, call: &mut PendingCall<'c, Q, A, M>) -> Result<A> {
        if call.is_taken() {
            return Err(Error::Empty);
        }
        self.with(|_| call.recv_waiting()).await
    }

    /// Asks, and waits for the answer. Dropped before it is ready, the call is given up.
    ///
    /// # Errors
    /// As [`Client::call`]; [`Error::System`]: the runtime is shutting down.
    pub async fn call(&mut self, question: &Q) -> Result<A> {
        let mut call = self.send(question).await?;
        self.recv(&mut call).await
    }
}

impl<Q: Payload, A: Payload, M: Mode> Async<Server<Q, A, M>> {
    /// Takes the next question, waiting for one. Dropped before it is ready, it has taken none.
    ///
    /// # Errors
    /// As [`Server::recv`]; [`Error::System`]: the runtime is shutting down.
    pub async fn recv(&mut self) -> Result<Request<'_, Q, A, M>> {
        let (pos, question) = self.with(|server| server.take()).await?;
        Ok(self.get_mut().request(pos, question))
    }
}

impl<'s, Q: Payload, A: Payload, M: Mode> Async<&'s Server<Q, A, M>> {
    /// Takes the next question, waiting for one. Dropped before it is ready, it has taken none.
    ///
    /// # Errors
    /// As [`Server::recv`]; [`Error::System`]: the runtime is shutting down.
    pub async fn recv(&mut self) -> Result<Request<'s, Q, A, M>> {
        self.with(|server| server.try_recv()).await
    }
}

impl<'s, Q: Payload, A: Payload, M: Mode> Stream for Async<&'s Server<Q, A, M>> {
    type Item = Result<Request<'s, Q, A, M>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_stream(context, |server| server.try_recv())
    }
}

impl<Q: Payload, A: Payload, M: Mode> Async<Servers<Q, A, M>> {
    /// Takes the next question of any client, waiting for one. Dropped before it is ready, it has taken none.
    ///
    /// # Errors
    /// As [`Servers::recv`]; [`Error::System`]: the runtime is shutting down.
    pub async fn recv(&mut self) -> Result<(LaneId, Request<'_, Q, A, M>)> {
        let taken = self.with(|servers| servers.take()).await?;
        self.get_mut().request(taken)
    }
}

impl<'s, Q: Payload, A: Payload, M: Mode> Async<&'s Servers<Q, A, M>> {
    /// Takes the next question of any client, waiting for one. Dropped before it is ready, it has taken none.
    ///
    /// # Errors
    /// As [`Servers::recv`]; [`Error::System`]: the runtime is shutting down.
    pub async fn recv(&mut self) -> Result<(LaneId, Request<'s, Q, A, M>)> {
        self.with(|servers| servers.try_recv()).await
    }
}

/// Clients come ([`Servers::admit`]) and go while it runs; it ends with the last.
impl<'s, Q: Payload, A: Payload, M: Mode> Stream for Async<&'s Servers<Q, A, M>> {
    type Item = Result<(LaneId, Request<'s, Q, A, M>)>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_stream(context, |servers| servers.try_recv())
    }
}
