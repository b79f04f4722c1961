//! Ends that receive, in tokio: each a [`Stream`], which ends where the call would say `Disconnected`.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::Result;
use crate::asynchronous::Async;
use crate::channel::broadcast::lossless;
use crate::channel::{Payload, broadcast, bytes, latest, mpmc, mpsc, spsc};
use crate::memory::{Common, Mode};

impl<T: Payload, M: Mode> Async<spsc::Receiver<T, M>> {
    /// Receives the next message, waiting for one. Dropped before it is ready, it has taken none.
    ///
    /// # Errors
    /// As [`spsc::Receiver::recv`]; [`Error::System`](crate::Error::System): the runtime is shutting down.
    pub async fn recv(&mut self) -> Result<T> {
        self.with(spsc::Receiver::try_recv).await
    }
}

impl<T: Payload, M: Mode> Stream for Async<spsc::Receiver<T, M>> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.get_mut().poll_stream(context, spsc::Receiver::try_recv)
    }
}

impl<T: Payload, M: Mode> Async<mpsc::Receiver<T, M>> {
    /// Receives the next message of any lane, waiting for one. Dropped before it is ready, it has taken none.
    ///
    /// # Errors
    /// As [`mpsc::Receiver::recv`]; [`Error::System`](crate::Error::System): the runtime is shutting down.
    pub async fn recv(&mut self) -> Result<T> {
        self.with(mpsc::Receiver::try_recv).await
    }
}

/// Lanes come ([`Async::get_mut`], [`mpsc::Receiver::admit`]) and go while it runs; it ends with the last.
impl<T: Payload, M: Mode> Stream for Async<mpsc::Receiver<T, M>> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.get_mut().poll_stream(context, mpsc::Receiver::try_recv)
    }
}

impl<T: Payload, M: Common> Async<mpmc::Receiver<T, M>> {
    /// Receives the next message that no other receiver takes, waiting for one. Dropped before it is ready, it has taken none.
    ///
    /// # Errors
    /// As [`mpmc::Receiver::recv`]; [`Error::System`](crate::Error::System): the runtime is shutting down.
    pub async fn recv(&mut self) -> Result<T> {
        self.with(mpmc::Receiver::try_recv).await
    }
}

impl<T: Payload, M: Common> Stream for Async<mpmc::Receiver<T, M>> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.get_mut().poll_stream(context, mpmc::Receiver::try_recv)
    }
}

impl<M: Mode> Async<bytes::Receiver<M>> {
    /// Receives the next message into `message`, waiting for one. Dropped before it is ready, it has taken none.
    ///
    /// # Errors
    /// As [`bytes::Receiver::recv`]; [`Error::System`](crate::Error::System): the runtime is shutting down.
    pub async fn recv(&mut self, message: &mut Vec<u8>) -> Result<usize> {
        self.with(|receiver| receiver.try_recv(message)).await
    }
}

impl<M: Mode> Stream for Async<bytes::Receiver<M>> {
    type Item = Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Vec<u8>>>> {
        self.get_mut().poll_stream(context, |receiver| {
            let mut message = Vec::new();
            receiver.try_recv(&mut message).map(|_| message)
        })
    }
}

impl<T: Payload, M: Mode> Async<broadcast::Reader<T, M>> {
    /// Copies the next message, waiting for one. Dropped before it is ready, it has taken none.
    ///
    /// # Errors
    /// As [`broadcast::Reader::recv`]; [`Error::System`](crate::Error::System): the runtime is shutting down.
    pub async fn recv(&mut self) -> Result<T> {
        self.with(broadcast::Reader::try_recv).await
    }
}

/// [`Error::Lagged`](crate::Error::Lagged) does not end the stream.
impl<T: Payload, M: Mode> Stream for Async<broadcast::Reader<T, M>> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.get_mut().poll_stream(context, broadcast::Reader::try_recv)
    }
}

impl<T: Payload, M: Common> Async<lossless::Reader<T, M>> {
    /// Copies the next message, waiting for one. Dropped before it is ready, it has taken none.
    ///
    /// # Errors
    /// As [`lossless::Reader::recv`]; [`Error::System`](crate::Error::System): the runtime is shutting down.
    pub async fn recv(&mut self) -> Result<T> {
        self.with(lossless::Reader::try_recv).await
    }
}

impl<T: Payload, M: Common> Stream for Async<lossless::Reader<T, M>> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.get_mut().poll_stream(context, lossless::Reader::try_recv)
    }
}

impl<T: Payload, M: Mode> Async<latest::Reader<T, M>> {
    /// Waits until the value has been replaced since the last read, and copies it.
    ///
    /// # Errors
    /// As [`latest::Reader::wait`]; [`Error::System`](crate::Error::System): the runtime is shutting down.
    pub async fn wait(&mut self) -> Result<T> {
        self.with(latest::Reader::try_wait).await
    }
}

impl<T: Payload, M: Mode> Stream for Async<latest::Reader<T, M>> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.get_mut().poll_stream(context, latest::Reader::try_wait)
    }
}
