//! Framed messages for tokio.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tokio::io::Interest;

use super::{Async, Watched};
use crate::framed::{Incoming, Message, Outgoing};
use crate::wait::Wait;
use crate::{Ancillary, Budget, Error, Framed, Result};

/// As [`Framed`], of the same bytes.
///
/// `H` is how it has its socket: of its own, or, for a handler of [`Server::serve_async`](crate::Server::serve_async), an
/// [`Arc`](std::sync::Arc) of a shared one ([`AsyncFramed::over`]).
///
/// # Examples
/// ```
/// use ipc_uds::{AsyncFramed, Framed, SeqPacket};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
/// let (ours, theirs) = SeqPacket::pair()?;
/// let mut ours = AsyncFramed::new(Framed::new(ours, 1024, 0)?)?;
/// let mut theirs = AsyncFramed::new(Framed::new(theirs, 1024, 0)?)?;
/// ours.send(b"hello").await?;
/// let message = theirs.recv().await?.ok_or("the end")?;
/// assert_eq!(message.bytes, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncFramed<T: AsFd, H: Borrow<Async<T>> = Async<T>> {
    socket: H,
    incoming: Incoming,
    outgoing: Outgoing,
    max_descriptors: usize,
    watched: PhantomData<fn() -> T>,
}

impl<T: Watched + Ancillary> AsyncFramed<T> {
    /// epoll_ctl(EPOLL_CTL_ADD): has the runtime watch the socket. What has been received of a message is kept.
    ///
    /// # Errors
    /// As [`Async::new`].
    ///
    /// # Panics
    /// As [`Async::new`].
    pub fn new(framed: Framed<T>) -> Result<Self> {
        let Framed { socket, incoming, outgoing, max_descriptors } = framed;
        Ok(Self { socket: Async::new(socket)?, incoming, outgoing, max_descriptors, watched: PhantomData })
    }
}

impl<T: Watched + Ancillary, H: Borrow<Async<T>>> AsyncFramed<T, H> {
    /// Messages over a socket that is watched already: an `Async`, a reference to one, or an `Arc` of one, as a server's
    /// handler gets it. Whoever else has it must not send or receive beside this.
    ///
    /// # Errors
    /// As [`Framed::new`].
    ///
    /// # Examples
    /// ```
    /// use ipc_uds::{Async, AsyncFramed, Framed, Listener, Server, Stream};
    /// use std::sync::Arc;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let listener: Listener = Listener::bind("@ipc-uds-async-framed-doc")?;
    /// let server = Server::new(listener).clients(100).total(1);
    /// let budget = server.budget(16 << 20, 0);
    /// let served = server.serve_async(std::future::pending(), |client: Arc<Async<Stream>>| {
    ///     let budget = budget.clone();
    ///     async move {
    ///         let mut client = AsyncFramed::over(client, 1 << 20, 0)?.within(&budget);
    ///         while let Some(message) = client.recv().await? {
    ///             let answer = message.bytes.to_vec();
    ///             client.send(&answer).await?;
    ///         }
    ///         Ok(())
    ///     }
    /// });
    /// let client = async {
    ///     let stream = Stream::connect("@ipc-uds-async-framed-doc")?;
    ///     let mut client = AsyncFramed::new(Framed::new(stream, 1024, 0)?)?;
    ///     client.send(b"hello").await?;
    ///     assert_eq!(client.recv().await?.ok_or("the end")?.bytes, b"hello");
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// };
    /// let (served, answered) = tokio::join!(served, client);
    /// answered?;
    /// assert_eq!(served?.failed, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    pub fn over(socket: H, max_bytes: usize, max_descriptors: usize) -> Result<Self> {
        let framed = Framed::new(socket.borrow().get_ref(), max_bytes, max_descriptors)?;
        let Framed { incoming, outgoing, max_descriptors, .. } = framed;
        Ok(Self { socket, incoming, outgoing, max_descriptors, watched: PhantomData })
    }

    /// As [`Framed::within`].
    #[must_use]
    pub fn within(mut self, budget: &Budget) -> Self {
        self.incoming.set_budget(budget);
        self
    }

    /// As [`Framed::send`]. Dropped, it has sent the message or nothing of it; what is left over of one that was sent in part
    /// goes out with the next, or with [`AsyncFramed::flush`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.send_borrowed(bytes, &[]).await
    }

    /// As [`Framed::send_with`].
    ///
    /// # Errors
    /// As there.
    pub async fn send_with(&mut self, bytes: &[u8], descriptors: impl Into<Vec<OwnedFd>>) -> Result<()> {
        let descriptors = descriptors.into();
        let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        self.send_borrowed(bytes, &borrowed).await
    }

    /// As [`Framed::send_borrowed`].
    ///
    /// # Errors
    /// As there.
    pub async fn send_borrowed(&mut self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        if descriptors.len() > self.max_descriptors {
            return Err(Error::TooManyDescriptors { count: descriptors.len(), max: self.max_descriptors });
        }
        self.flush().await?;
        let outgoing = &mut self.outgoing;
        let socket = self.socket.borrow();
        socket.run(Interest::WRITABLE, |socket| outgoing.send(socket, bytes, descriptors, Wait::Try)).await?;
        self.flush().await
    }

    /// As [`Framed::flush`].
    ///
    /// # Errors
    /// As there.
    pub async fn flush(&mut self) -> Result<()> {
        let outgoing = &mut self.outgoing;
        if outgoing.is_empty() {
            return Ok(());
        }
        self.socket.borrow().run(Interest::WRITABLE, |socket| outgoing.flush(socket, Wait::Try)).await
    }

    /// As [`Framed::recv`]. Dropped, it has taken nothing: what came of a message is kept.
    ///
    /// # Errors
    /// As there.
    pub async fn recv(&mut self) -> Result<Option<Message<'_>>> {
        let (socket, incoming) = (self.socket.borrow(), &mut self.incoming);
        while !incoming.is_ready() {
            match socket.run(Interest::READABLE, |socket| incoming.fill(socket, Wait::Try)).await {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => return Err(incoming.judge(socket.get_ref(), error)),
            }
        }
        incoming.pop(socket.get_ref()).map(Some)
    }

    /// The socket, to ask for its peer.
    pub fn socket(&self) -> &T {
        self.socket.borrow().get_ref()
    }
}
