//! A server whose clients are tasks.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use ipc_sys::socket;
use tokio::io::Interest;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Async, Watched};
use crate::socket::Bare;
use crate::{Accept, Connection, Error, Listener, Result, Served, Server, Socket};

/// What [`Server::serve_async`] takes: our [`Listener`], and std's and tokio's for Unix and TCP.
///
/// The handlers of tokio's get std's connections in [`Async`], which counts their idle time.
pub trait AcceptAsync {
    /// What a client is talked to with.
    type Connection: Watched + Send + Sync + 'static;
    /// What the runtime watches.
    type Listener: Accept<Connection = Self::Connection> + Watched;

    /// The listener, non-blocking.
    ///
    /// # Errors
    /// What the runtime says when it lets go of its own → [`Error::System`].
    fn into_listener(self) -> Result<Self::Listener>;
}

impl<S: Connection + Watched + Send + Sync + 'static> AcceptAsync for Listener<S> {
    type Connection = S;
    type Listener = Self;

    fn into_listener(self) -> Result<Self> {
        Ok(self)
    }
}

impl AcceptAsync for TcpListener {
    type Connection = TcpStream;
    type Listener = Self;

    fn into_listener(self) -> Result<Self> {
        self.set_nonblocking(true).map_err(|source| Error::of("FIONBIO", source))?;
        Ok(self)
    }
}

impl AcceptAsync for UnixListener {
    type Connection = UnixStream;
    type Listener = Self;

    fn into_listener(self) -> Result<Self> {
        self.set_nonblocking(true).map_err(|source| Error::of("FIONBIO", source))?;
        Ok(self)
    }
}

impl AcceptAsync for tokio::net::TcpListener {
    type Connection = TcpStream;
    type Listener = TcpListener;

    fn into_listener(self) -> Result<TcpListener> {
        self.into_std().map_err(|source| Error::of("epoll_ctl", source))
    }
}

impl AcceptAsync for tokio::net::UnixListener {
    type Connection = UnixStream;
    type Listener = UnixListener;

    fn into_listener(self) -> Result<UnixListener> {
        self.into_std().map_err(|source| Error::of("epoll_ctl", source))
    }
}

impl<L: AcceptAsync> Server<L> {
    /// As [`Server::serve_until`], with a task for each connection instead of a thread, until `stop` is done. A client that
    /// is silent for the idle time is cut off at the latest when twice that has passed.
    ///
    /// Needs a runtime with time. Dropped, it cuts every connection.
    ///
    /// # Errors
    /// As [`Server::serve_until`].
    ///
    /// # Panics
    /// As [`Async::new`].
    ///
    /// # Examples
    /// tokio's own listener, and its own way to copy.
    /// ```
    /// use ipc_uds::Server;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio::net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// client.write_all(b"hello").await?;
    /// client.shutdown().await?;
    /// let never = std::future::pending();
    /// let served = Server::new(listener).total(1).serve_async(never, |client| async move {
    ///     tokio::io::copy(&mut &*client, &mut &*client).await?;
    ///     Ok(())
    /// });
    /// assert_eq!(served.await?.clients, 1);
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer).await?;
    /// assert_eq!(answer, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    pub async fn serve_async<H, F>(self, stop: impl Future<Output = ()>, handler: H) -> Result<Served>
    where
        H: Fn(Arc<Async<L::Connection>>) -> F,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = self.listener.into_listener()?;
        // Connections inherit it. Older kernels do not know it, TCP has no descriptors to pass.
        let _ = Bare(listener.as_fd()).set_pass_descriptors(self.descriptors);
        let listener = Async::new(listener)?;
        let mut served = Served::default();
        let mut tasks: JoinSet<io::Result<()>> = JoinSet::new();
        let mut open: Vec<Weak<Async<L::Connection>>> = Vec::new();
        let mut stop = pin!(stop);
        loop {
            let done = self.total.is_some_and(|total| served.clients >= total);
            if done && tasks.is_empty() {
                break;
            }
            let full = done || tasks.len() >= self.clients;
            let mut accepted = pin!(listener.run(Interest::READABLE, Accept::try_accept));
            let next = poll_fn(|context| {
                if stop.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Next::Stop);
                }
                if let Poll::Ready(Some(ended)) = tasks.poll_join_next(context) {
                    return Poll::Ready(Next::Ended(matches!(ended, Ok(Ok(())))));
                }
                if full { Poll::Pending } else { accepted.as_mut().poll(context).map(Next::Accepted) }
            });
            match next.await {
                Next::Stop => break,
                Next::Ended(well) => {
                    served.failed += u64::from(!well);
                    open.retain(|connection| connection.strong_count() > 0);
                }
                Next::Accepted(Ok(connection)) => {
                    served.clients += 1;
                    // What is wrong with one connection ends that one.
                    let Ok(connection) = prepared(connection, self.buffer) else {
                        served.failed += 1;
                        continue;
                    };
                    open.push(Arc::downgrade(&connection));
                    // A panic before the future is there ends this connection, as one in it does.
                    let Ok(handled) = catch_unwind(AssertUnwindSafe(|| handler(Arc::clone(&connection))))
                    else {
                        served.failed += 1;
                        continue;
                    };
                    tasks.spawn(watched(handled, Arc::downgrade(&connection), self.idle));
                }
                Next::Accepted(Err(Error::Denied(_))) => served.denied += 1,
                Next::Accepted(Err(error)) => match error.errno() {
                    Some(libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP | libc::EBADF) => {
                        return Err(error);
                    }
                    Some(libc::EAGAIN | libc::ECONNABORTED) => {}
                    _ => tokio::time::sleep(Duration::from_millis(100)).await,
                },
            }
        }
        served.failed += close(&mut tasks, &open, self.grace).await;
        Ok(served)
    }
}

fn prepared<S: Watched>(connection: S, buffer: Option<usize>) -> Result<Arc<Async<S>>> {
    if let Some(bytes) = buffer {
        let connection = Bare(connection.as_fd());
        connection.set_send_buffer(bytes)?;
        connection.set_receive_buffer(bytes)?;
    }
    Async::new(connection).map(Arc::new)
}

enum Next<S> {
    Stop,
    Ended(bool),
    Accepted(Result<S>),
}

/// Runs a handler; gives up when its connection has been silent for the idle time.
async fn watched<S: Watched>(
    handled: impl Future<Output = io::Result<()>>,
    connection: Weak<Async<S>>,
    idle: Option<Duration>,
) -> io::Result<()> {
    let Some(idle) = idle else { return handled.await };
    let mut handled = pin!(handled);
    loop {
        if let Ok(done) = timeout(idle, handled.as_mut()).await {
            return done;
        }
        let active = connection.upgrade().is_some_and(|open| open.active.swap(false, Ordering::Relaxed));
        if !active {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// Lets what has arrived be answered, then cuts; gives how many failed.
async fn close<S: Watched>(
    tasks: &mut JoinSet<io::Result<()>>,
    open: &[Weak<Async<S>>],
    grace: Duration,
) -> u64 {
    let mut failed = 0;
    for connection in open.iter().filter_map(Weak::upgrade) {
        // ENOTCONN: a peer that has gone already.
        let _ = socket::shutdown(connection, libc::SHUT_RD);
    }
    let rest = async {
        while let Some(ended) = tasks.join_next().await {
            failed += u64::from(!matches!(ended, Ok(Ok(()))));
        }
    };
    if timeout(grace, rest).await.is_err() {
        failed += tasks.len() as u64;
        tasks.shutdown().await;
    }
    failed
}
