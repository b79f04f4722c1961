//! Ends in tokio: readiness of what an end is polled by (epoll), its socket or a ring; no thread and no timer of ours.
//!
//! Every future here may be dropped at any time: a message that was not returned is still in the channel, and one whose
//! send was not `Ok` was not sent. After a crash nothing is left: the registration is the runtime's, and goes with the end.
#![expect(unsafe_code, reason = "AsyncFd wants a promise that the descriptor stays open")]

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::consume_budget;

use crate::channel::{Pollable, Polled};
use crate::{Error, Result};

mod receivers;
mod requests;
mod senders;

/// An end of any channel for tokio: a [`Stream`](futures_core::Stream) where it
/// receives, a [`Sink`](futures_sink::Sink) where it sends, each with its `async` call beside. The ends of
/// [`request`](crate::request) are taken as they are, for one call at a time and tasks that move between threads, or by
/// reference, for any number at a time.
///
/// A message that is there, or fits, costs no system call. The stream ends when the other side is gone and everything it
/// had sent was received, or after any error but [`Error::Lagged`] and [`Error::Contended`].
///
/// An end of a [pollable](crate::ChannelOptions::pollable) channel sleeps on its socket, any other on an io_uring of its own,
/// as a [`Polled`] end does.
///
/// # After a crash
/// As for [`Polled`]: without a socket a death is seen within 100 ms, by a look every 60 ms for which the task is woken. With
/// one it is seen at once, unless somebody else holds a copy of the dead process's socket; there is no timer then that would
/// look: give the end a pidfd ([`spsc::Receiver::watch`](crate::spsc::Receiver::watch)) where that may be, before or after it
/// became `Async`.
///
/// # Examples
/// ```
/// use ipc_shm::{Async, ChannelOptions, spsc};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
/// let (sender, receiver) = spsc::channel::<u64>(ChannelOptions::new(16).pollable())?;
/// // Each in its own process:
/// let mut sender = Async::new(sender.attach()?)?;
/// let mut receiver = Async::new(receiver.attach()?)?;
/// sender.send(&42).await?;
/// assert_eq!(receiver.recv().await?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })
/// # }
/// ```
pub struct Async<E: Pollable> {
    end: AsyncFd<Polled<E>>,
    /// The process at the other side, where it is watched.
    process: Option<AsyncFd<Arc<OwnedFd>>>,
    /// Whether the stream has told its last error.
    ended: bool,
    /// What the sink of [`bytes`](crate::bytes) was given when there was no room.
    unsent: Option<Vec<u8>>,
}

impl<E: Pollable> Async<E> {
    /// epoll_ctl(EPOLL_CTL_ADD): has the runtime watch what this end is polled by.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOSYS, EPERM, EOPNOTSUPP | [`Error::NoUring`]: the channel is not [pollable](crate::ChannelOptions::pollable), and there is no io_uring here |
    /// | EOPNOTSUPP | [`Error::NotInvited`]: a sealed reader that the writer does not know of |
    /// | EMFILE; ENOMEM, ENOSPC: the user's /proc/sys/fs/epoll/max_user_watches | [`Error::System`] |
    ///
    /// # Panics
    /// Outside of a tokio runtime, or in one without I/O enabled; so does the first wait of an end that is watched.
    pub fn new(end: E) -> Result<Self> {
        // SAFETY: a Polled keeps the descriptor that it was made with open as long as it lives, and never shows another.
        let end = unsafe { AsyncFd::register_with_interest(Polled::new(end)?, Interest::READABLE) };
        Ok(Self { end: end.map_err(epoll_ctl)?, process: None, ended: false, unsent: None })
    }

    /// The end, for its `try_` calls.
    pub fn get_mut(&mut self) -> &mut E {
        self.end.get_mut()
    }

    /// The end, watched by the runtime no more. Flush a sink before: what it could not send yet is lost.
    #[must_use]
    pub fn into_inner(self) -> E {
        self.end.into_inner().into_inner()
    }

    /// Tries until it is neither [`Error::Empty`] nor [`Error::Full`], and sleeps in between.
    fn poll_with<R>(
        &mut self,
        context: &mut Context<'_>,
        mut attempt: impl FnMut(&mut E) -> Result<R>,
    ) -> Poll<Result<R>> {
        loop {
            // Else a stream that always has something, or a peer that always promises something, would keep the other tasks
            // from running.
            ready!(pin!(consume_budget()).poll(context));
            match attempt(self.end.get_mut()) {
                Err(Error::Empty | Error::Full) => {}
                done => return Poll::Ready(done),
            }
            self.poll_process(context)?;
            // What made it ready by now is found by the look that arms it, or makes it ready again.
            let _ = self.poll_ready(context)?;
            if self.end.get_mut().arm()? {
                ready!(self.poll_ready(context)?);
            }
        }
    }

    /// Whether the descriptor has become readable since this was last asked.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Result<Poll<()>> {
        let Poll::Ready(ready) = self.end.poll_read_ready(context) else { return Ok(Poll::Pending) };
        ready.map_err(Error::system("epoll_wait", "the channel"))?.clear_ready();
        Ok(Poll::Ready(()))
    }

    /// Has the task woken when the process at the other side ends, if that is watched. Whether it has ended, `arm` asks.
    fn poll_process(&mut self, context: &mut Context<'_>) -> Result<()> {
        if self.process.is_none() {
            let Some(process) = self.end.get_ref().watched() else { return Ok(()) };
            // SAFETY: the descriptor is owned by the Arc that is handed over, and never changes.
            let process = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) };
            self.process = Some(process.map_err(epoll_ctl)?);
        }
        if let Some(process) = &self.process {
            let _ = process.poll_read_ready(context);
        }
        Ok(())
    }

    async fn with<R>(&mut self, mut attempt: impl FnMut(&mut E) -> Result<R>) -> Result<R> {
        poll_fn(|context| self.poll_with(context, &mut attempt)).await
    }

    fn poll_stream<R>(
        &mut self,
        context: &mut Context<'_>,
        attempt: impl FnMut(&mut E) -> Result<R>,
    ) -> Poll<Option<Result<R>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let item = ready!(self.poll_with(context, attempt));
        self.ended = !matches!(item, Ok(_) | Err(Error::Lagged(_) | Error::Contended));
        Poll::Ready(match item {
            Err(Error::Disconnected) => None,
            item => Some(item),
        })
    }
}

impl<E: Pollable + fmt::Debug> fmt::Debug for Async<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Async").field(self.end.get_ref()).finish()
    }
}

fn epoll_ctl(error: impl Into<io::Error>) -> Error {
    Error::system("epoll_ctl", "the channel")(error.into())
}
