//! Ends that send, in tokio: each a [`Sink`], with an `async` send that lends the message.
//!
//! To flush or close a sink is to have handed everything to the channel; that nothing more comes, the receiver learns when
//! the end is dropped.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_sink::Sink;

use crate::asynchronous::Async;
use crate::channel::broadcast::lossless;
use crate::channel::{Payload, bytes, mpmc, spsc};
use crate::memory::{Common, Mode};
use crate::{Error, Result};

impl<T: Payload, M: Mode> Async<spsc::Sender<T, M>> {
    /// Sends a message, waiting for room. Dropped before it is ready, it has sent nothing.
    ///
    /// # Errors
    /// As [`spsc::Sender::send`]; [`Error::System`]: the runtime is shutting down.
    pub async fn send(&mut self, message: &T) -> Result<()> {
        self.with(|sender| sender.try_send(message)).await
    }
}

/// A message is in the channel once `start_send` has returned.
impl<T: Payload, M: Mode> Sink<T> for Async<spsc::Sender<T, M>> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_with(context, spsc::Sender::check_room)
    }

    fn start_send(self: Pin<&mut Self>, message: T) -> Result<()> {
        self.get_mut().get_mut().try_send(&message)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl<M: Mode> Async<bytes::Sender<M>> {
    /// Sends a message, waiting for room. Dropped before it is ready, it has sent nothing.
    ///
    /// # Errors
    /// As [`bytes::Sender::send`]; [`Error::System`]: the runtime is shutting down.
    pub async fn send(&mut self, message: &[u8]) -> Result<()> {
        poll_fn(|context| self.poll_unsent(context)).await?;
        self.with(|sender| sender.try_send(message)).await
    }

    /// Sends what the sink was given when there was no room for it.
    fn poll_unsent(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(message) = self.unsent.take() else { return Poll::Ready(Ok(())) };
        let sent = self.poll_with(context, |sender| sender.try_send(&message));
        if sent.is_pending() {
            self.unsent = Some(message);
        }
        sent
    }
}

/// Whether a message fits is known when it is there: the sink keeps one that does not, and sends it before the next, or when
/// it is flushed.
impl<M: Mode> Sink<Vec<u8>> for Async<bytes::Sender<M>> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_unsent(context)
    }

    fn start_send(self: Pin<&mut Self>, message: Vec<u8>) -> Result<()> {
        let this = self.get_mut();
        if this.unsent.is_some() {
            return Err(Error::Full);
        }
        match this.get_mut().try_send(&message) {
            Err(Error::Full) => {
                this.unsent = Some(message);
                Ok(())
            }
            done => done,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_unsent(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_unsent(context)
    }
}

impl<T: Payload, M: Common> Async<mpmc::Sender<T, M>> {
    /// Sends a message, waiting for room. Dropped before it is ready, it has sent nothing.
    ///
    /// # Errors
    /// As [`mpmc::Sender::send`]; [`Error::System`]: the runtime is shutting down.
    pub async fn send(&mut self, message: &T) -> Result<()> {
        poll_fn(|context| self.poll_unsent_message(context)).await?;
        self.with(|sender| sender.try_send(message)).await
    }

    /// Sends what the sink was given when there was no room for it.
    fn poll_unsent_message(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(bytes) = self.unsent.take() else { return Poll::Ready(Ok(())) };
        let mut message = T::new_zeroed();
        message.as_mut_bytes().iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
        let sent = self.poll_with(context, |sender| sender.try_send(&message));
        if sent.is_pending() {
            self.unsent = Some(bytes);
        }
        sent
    }
}

/// Another sender may take the room that was there: the sink keeps a message for which there is none, and sends it before the
/// next, or when it is flushed.
impl<T: Payload, M: Common> Sink<T> for Async<mpmc::Sender<T, M>> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_unsent_message(context)
    }

    fn start_send(self: Pin<&mut Self>, message: T) -> Result<()> {
        let this = self.get_mut();
        if this.unsent.is_some() {
            return Err(Error::Full);
        }
        match this.get_mut().try_send(&message) {
            Err(Error::Full) => {
                this.unsent = Some(message.as_bytes().to_vec());
                Ok(())
            }
            done => done,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_unsent_message(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_unsent_message(context)
    }
}

impl<T: Payload> Async<lossless::Writer<T>> {
    /// Writes a message, waiting until the slowest reader has room for it. Dropped before it is ready, it has written nothing.
    ///
    /// # Errors
    /// As [`lossless::Writer::write`]; [`Error::System`]: the runtime is shutting down.
    pub async fn write(&mut self, message: &T) -> Result<()> {
        self.with(|writer| writer.try_write(message)).await
    }
}

/// A message is in the channel once `start_send` has returned.
impl<T: Payload> Sink<T> for Async<lossless::Writer<T>> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_with(context, lossless::Writer::check_room)
    }

    fn start_send(self: Pin<&mut Self>, message: T) -> Result<()> {
        self.get_mut().get_mut().try_write(&message)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}
