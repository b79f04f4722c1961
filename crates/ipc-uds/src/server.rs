//! Many clients at once: one thread accepts, each connection has a thread of its own, and a stop lets answers go out.
//!
//! The server makes no kernel object but a pair of sockets to wake itself; the listener is the caller's. A connection costs
//! accept4(2) and one ppoll(2), which also waits for the stop; a message costs what the handler does.

mod room;

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use ipc_sys::{Deadline, poll, socket};

use self::room::Room;
use crate::socket::Bare;
use crate::{Budget, Connection, Error, Listener, Result, Socket, Stream};

/// What gives connections: our [`Listener`], and std's for Unix and TCP.
pub trait Accept: AsFd + Sync {
    /// What a client is talked to with.
    type Connection: AsFd + Send + Sync;

    /// The next connection, without waiting: the listener is in non-blocking mode.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EAGAIN: nobody is there | [`Error::WouldBlock`] |
    /// | none: not admitted | [`Error::Denied`] |
    /// | what else accept(2) says | [`Error::System`] |
    fn try_accept(&self) -> Result<Self::Connection>;
}

impl<S: Connection + Send + Sync> Accept for Listener<S> {
    type Connection = S;

    fn try_accept(&self) -> Result<S> {
        Listener::try_accept(self)
    }
}

impl Accept for TcpListener {
    type Connection = TcpStream;

    fn try_accept(&self) -> Result<TcpStream> {
        self.accept().map(|(stream, _)| stream).map_err(|source| Error::of("accept", source))
    }
}

impl Accept for UnixListener {
    type Connection = UnixStream;

    fn try_accept(&self) -> Result<UnixStream> {
        self.accept().map(|(stream, _)| stream).map_err(|source| Error::of("accept", source))
    }
}

impl<L: Accept> Accept for &L {
    type Connection = L::Connection;

    fn try_accept(&self) -> Result<L::Connection> {
        (**self).try_accept()
    }
}

/// Serves the clients of a listener.
///
/// # After a crash
/// The clients see the end of their connections; the listener's name stays as [`Listener`] says.
///
/// # Examples
/// Answers in upper case, over a Unix socket; a `TcpListener` is served by the same code.
/// ```
/// use ipc_uds::{Listener, Server, Stop, Stream};
/// use std::io::{Read, Write};
///
/// let listener: Listener = Listener::bind("@ipc-uds-server-doc")?;
/// let stop = Stop::new()?;
/// std::thread::scope(|threads| {
///     let server = threads.spawn(|| {
///         Server::new(&listener).serve_until(&stop, |mut client: &Stream| {
///             let mut bytes = [0; 4096];
///             loop {
///                 let len = client.read(&mut bytes)?;
///                 if len == 0 {
///                     return Ok(());
///                 }
///                 bytes[..len].make_ascii_uppercase();
///                 client.write_all(&bytes[..len])?;
///             }
///         })
///     });
///     let mut client = Stream::connect("@ipc-uds-server-doc")?;
///     client.write_all(b"hello")?;
///     let mut answer = [0; 5];
///     client.read_exact(&mut answer)?;
///     assert_eq!(&answer, b"HELLO");
///     stop.stop();
///     let served = server.join().expect("the server does not panic")?;
///     assert_eq!((served.clients, served.failed), (1, 0));
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server<L> {
    pub(crate) listener: L,
    pub(crate) clients: usize,
    pub(crate) total: Option<u64>,
    pub(crate) idle: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) buffer: Option<usize>,
    pub(crate) descriptors: bool,
}

/// What a server has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Connections given to the handler.
    pub clients: u64,
    /// Connections that the policy did not admit.
    pub denied: u64,
    /// Handlers that returned an error or panicked, and clients for which there was no thread or no place in the runtime.
    pub failed: u64,
}

impl<L> Server<L> {
    /// A server of at most 1024 clients at once, for ever, with no idle time, that gives answers 5 s to go out and takes no
    /// descriptors.
    pub fn new(listener: L) -> Self {
        Self {
            listener,
            clients: 1024,
            total: None,
            idle: None,
            grace: Duration::from_secs(5),
            buffer: None,
            descriptors: false,
        }
    }

    /// How many clients at once; more of them wait in the backlog of the listener, and then in connect(2).
    #[must_use]
    pub fn clients(mut self, clients: usize) -> Self {
        self.clients = clients.max(1);
        self
    }

    /// Ends after this many clients, when the last of them has gone.
    #[must_use]
    pub fn total(mut self, clients: u64) -> Self {
        self.total = Some(clients);
        self
    }

    /// SO_RCVTIMEO and SO_SNDTIMEO of each connection: a client that is silent, or does not read its answers, for this long
    /// makes the handler's read or write fail with `WouldBlock`.
    #[must_use]
    pub fn idle(mut self, timeout: Duration) -> Self {
        self.idle = Some(timeout);
        self
    }

    /// SO_SNDBUF and SO_RCVBUF of each connection: what of answers, and over TCP of questions, may wait in the kernel on our
    /// account. What a Unix client has sent is on the client's own.
    #[must_use]
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = Some(bytes);
        self
    }

    /// Whether clients may send descriptors. They may not unless this says so: a Unix client that tries gets EPERM
    /// (SO_PASSRIGHTS, Linux 6.16). Where they may, [`Framed`](crate::Framed) caps those of one message, and the kernel
    /// those in flight at the client's RLIMIT_NOFILE.
    #[must_use]
    pub fn descriptors(mut self, pass: bool) -> Self {
        self.descriptors = pass;
        self
    }

    /// A limit on the bytes and descriptors that all clients together have in flight, divided among as many clients as
    /// [`Server::clients`] says. The handlers count on it by [`Framed::within`](crate::Framed::within); tasks by
    /// `AsyncFramed::over` and `within`.
    ///
    /// # Examples
    /// ```
    /// use ipc_uds::{Framed, Listener, Server, Stream};
    ///
    /// # let client = std::thread::spawn(|| loop {
    /// #     let Ok(client) = Stream::connect("@ipc-uds-budget-doc") else { continue };
    /// #     let mut client = Framed::new(client, 1 << 20, 8)?;
    /// #     client.send(b"hello")?;
    /// #     return Ok::<bool, ipc_uds::Error>(client.recv()?.is_some());
    /// # });
    /// let listener: Listener = Listener::bind("@ipc-uds-budget-doc")?;
    /// let server = Server::new(listener).clients(100).total(1).descriptors(true);
    /// let budget = server.budget(16 << 20, 400);
    /// server.serve(|client: &Stream| {
    ///     let mut client = Framed::new(client, 1 << 20, 8)?.within(&budget);
    ///     while let Some(message) = client.recv()? {
    ///         let answer = message.bytes.to_vec();
    ///         client.send(&answer)?;
    ///     }
    ///     Ok(())
    /// })?;
    /// # assert!(client.join().expect("no panic")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn budget(&self, max_bytes: usize, max_descriptors: usize) -> Budget {
        Budget::new(self.clients, max_bytes, max_descriptors)
    }

    /// How long a stop waits for handlers that are still answering before their connections are cut.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

impl<L: Accept> Server<L> {
    /// Serves for ever, or until [`Server::total`] clients have been served.
    ///
    /// # Errors
    /// Those of [`Server::serve_until`].
    pub fn serve<H>(self, handler: H) -> Result<Served>
    where
        H: Fn(&L::Connection) -> io::Result<()> + Sync,
    {
        self.serve_until(&Stop::new()?, handler)
    }

    /// Serves until `stop` is readable: a [`Stop`], a signalfd, a pidfd, a timerfd, an eventfd.
    ///
    /// `handler` runs in a thread of its own for each connection, which is closed when it returns. An error or a panic of it
    /// ends that connection and no other. The listening socket is set to O_NONBLOCK.
    ///
    /// # Blocking
    /// Until it is stopped. Then nobody is accepted any more, the receiving half of each connection is shut down, so that
    /// handlers read what has arrived, then the end, and their answers go out; after the grace time the rest is cut.
    /// A handler that neither reads nor writes is waited for.
    ///
    /// # Errors
    /// What accept(2) says of a listener that is none (EINVAL, ENOTSOCK, EOPNOTSUPP) → [`Error::System`]. Other errors (EMFILE,
    /// ENFILE, ENOBUFS, ENOMEM, a security module's EACCES) end nothing: the server waits until a client has gone, or 100 ms.
    pub fn serve_until<H>(self, stop: impl AsFd, handler: H) -> Result<Served>
    where
        H: Fn(&L::Connection) -> io::Result<()> + Sync,
    {
        socket::set_nonblocking(&self.listener, true).map_err(|source| Error::of("FIONBIO", source))?;
        // Connections inherit it. Older kernels do not know it, TCP has no descriptors to pass.
        let _ = Bare(self.listener.as_fd()).set_pass_descriptors(self.descriptors);
        let room = Room::new(self.idle, self.buffer)?;
        let result = thread::scope(|threads| {
            let accepted = self.accept_all(&stop, &room, threads, &handler);
            room.close(if accepted.is_ok() { self.grace } else { Duration::ZERO });
            accepted
        });
        let denied = result?;
        Ok(Served {
            clients: room.entered.load(Ordering::Relaxed),
            denied,
            failed: room.failed.load(Ordering::Relaxed),
        })
    }

    /// Accepts until stopped, or until the last of [`Server::total`] clients has gone; gives how many were denied.
    fn accept_all<'scope, H>(
        &'scope self,
        stop: &impl AsFd,
        room: &'scope Room<L::Connection>,
        threads: &'scope thread::Scope<'scope, '_>,
        handler: &'scope H,
    ) -> Result<u64>
    where
        H: Fn(&L::Connection) -> io::Result<()> + Sync,
    {
        // How long accept is left alone when none of our own clients is there to go.
        const PAUSE: Duration = Duration::from_millis(100);
        let mut denied = 0;
        loop {
            let entered = room.entered.load(Ordering::Relaxed);
            let done = self.total.is_some_and(|total| entered >= total);
            if done && room.is_empty() {
                return Ok(denied);
            }
            if done || room.len() >= self.clients {
                let enough = |left| if done { left == 0 } else { left < self.clients };
                if room.wait(enough, stop, Deadline::NEVER)? {
                    return Ok(denied);
                }
                continue;
            }
            let (stopped, _) = poll::wait_either(stop, &self.listener, libc::POLLIN, Deadline::NEVER)
                .map_err(|source| Error::of("ppoll", source))?;
            if stopped != 0 {
                return Ok(denied);
            }
            match self.listener.try_accept() {
                Ok(connection) => room.enter(connection, threads, handler),
                Err(Error::Denied(_)) => denied += 1,
                Err(error) => match error.errno() {
                    Some(libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP | libc::EBADF) => {
                        return Err(error);
                    }
                    // Another acceptor was faster, or the client has gone.
                    Some(libc::EAGAIN | libc::ECONNABORTED) => {}
                    // The connection may still be there, so that the listener is readable.
                    _ => {
                        let now = room.len();
                        if room.wait(|left| left < now, stop, Deadline::after(PAUSE))? {
                            return Ok(denied);
                        }
                    }
                },
            }
        }
    }
}

/// What ends [`Server::serve_until`] from another thread: readable from the moment of [`Stop::stop`] on.
#[derive(Debug)]
pub struct Stop {
    write: Stream,
    read: Stream,
}

impl Stop {
    /// socketpair(2).
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM → [`Error::System`].
    pub fn new() -> Result<Self> {
        let (write, read) = Stream::pair()?;
        Ok(Self { write, read })
    }

    /// shutdown(2): from now on it is readable. To stop twice is to stop. Async-signal-safe.
    pub fn stop(&self) {
        // A pair is connected: there is nothing that could fail.
        let _ = self.write.shutdown(Shutdown::Write);
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
