//! Signals in tokio: readiness of the descriptors that this crate has anyway, no thread and no handler of tokio's own. The
//! reactor's registration goes with the value.
#![expect(unsafe_code, reason = "AsyncFd wants a promise that the descriptor stays open")]

use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::{Error, Result, Shutdown, SignalFd, SignalInfo};

/// A [`SignalFd`] as a stream. It ends only by dropping it.
///
/// Block the signals before the runtime is built: its threads inherit the mask, and one that did not would take the signal.
///
/// # Examples
/// ```
/// use ipc_signal::{queue, MaskGuard, Pid, Signal, SignalFd, SignalStream};
///
/// let signal = Signal::realtime(3)?;
/// let _blocked = MaskGuard::block(signal)?;
/// tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
///     let signals = SignalStream::new(SignalFd::new(signal)?)?;
///     queue(Pid::own(), signal, 5)?;
///     assert_eq!(signals.recv().await?.value().map(|value| value.as_i32()), Some(5));
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })
/// # ?; Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SignalStream(AsyncFd<SignalFd>);

impl SignalStream {
    /// Registers the descriptor with the runtime that is running.
    ///
    /// # Errors
    /// [`Error::System`]: ENOMEM, ENOSPC of epoll_ctl(2).
    ///
    /// # Panics
    /// Outside of a tokio runtime, or in one without I/O enabled.
    pub fn new(signals: SignalFd) -> Result<Self> {
        // SAFETY: a SignalFd owns its descriptor, never changes it, and is not handed out again.
        let registered = unsafe { AsyncFd::register_with_interest(signals, Interest::READABLE) };
        registered.map(Self).map_err(|error| Error::system("epoll_ctl")(error.into()))
    }

    /// The next signal. Dropped before it is ready, it has taken none.
    ///
    /// # Errors
    /// [`Error::System`]: the runtime is shutting down.
    pub async fn recv(&self) -> Result<SignalInfo> {
        std::future::poll_fn(|context| self.poll_recv(context)).await
    }

    fn poll_recv(&self, context: &mut Context<'_>) -> Poll<Result<SignalInfo>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(context)).map_err(Error::system("epoll_wait"))?;
            match self.0.get_ref().try_recv() {
                Err(Error::WouldBlock) => ready.clear_ready(),
                done => return Poll::Ready(done),
            }
        }
    }
}

impl Stream for SignalStream {
    type Item = Result<SignalInfo>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(context).map(Some)
    }
}

impl Shutdown {
    /// Waits in a task until the program is asked; any number of tasks may.
    ///
    /// # Errors
    /// [`Error::System`]: EMFILE, ENFILE, ENOMEM, ENOSPC.
    ///
    /// # Panics
    /// Outside of a tokio runtime, or in one without I/O enabled.
    pub async fn asked_async(&self) -> Result<()> {
        // A descriptor of its own for each wait: epoll takes the same one only once.
        let event = self.as_fd().try_clone_to_owned().map_err(Error::system("fcntl"))?;
        // SAFETY: an OwnedFd owns its descriptor, never changes it, and is not handed out again.
        let registered = unsafe { AsyncFd::register_with_interest(event, Interest::READABLE) };
        let event = registered.map_err(|error| Error::system("epoll_ctl")(error.into()))?;
        while !self.asked() {
            // The event is never read: it stays readable.
            event.readable().await.map_err(Error::system("epoll_wait"))?.retain_ready();
        }
        Ok(())
    }
}
