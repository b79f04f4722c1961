//! A server whose clients are tasks.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Async, Watched};
use crate::socket::Bare;
use crate::{Connection, Error, Listener, Result, Served, Server, Socket};

impl<S: Connection + Watched + Send + Sync + 'static> Server<Listener<S>> {
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
    pub async fn serve_async<H, F>(self, stop: impl Future<Output = ()>, handler: H) -> Result<Served>
    where
        H: Fn(Arc<Async<S>>) -> F,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let _ = Bare(std::os::fd::AsFd::as_fd(&self.listener)).set_pass_descriptors(self.descriptors);
        let listener = Async::new(self.listener)?;
        let mut served = Served::default();
        let mut tasks: JoinSet<io::Result<()>> = JoinSet::new();
        let mut open: Vec<Weak<Async<S>>> = Vec::new();
        let mut stop = pin!(stop);
        loop {
            let done = self.total.is_some_and(|total| served.clients >= total);
            if done && tasks.is_empty() {
                break;
            }
            let full = done || tasks.len() >= self.clients;
            let mut accepted = pin!(listener.accept());
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
                    if let Some(bytes) = self.buffer {
                        connection.set_send_buffer(bytes)?;
                        connection.set_receive_buffer(bytes)?;
                    }
                    let connection = Arc::new(Async::new(connection)?);
                    open.push(Arc::downgrade(&connection));
                    let handled = handler(Arc::clone(&connection));
                    tasks.spawn(watched(handled, Arc::downgrade(&connection), self.idle));
                }
                Next::Accepted(Err(Error::Denied(_))) => served.denied += 1,
                Next::Accepted(Err(error)) => match error.errno() {
                    Some(libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP | libc::EBADF) => {
                        return Err(error);
                    }
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    _ => {}
                },
            }
        }
        served.failed += close(&mut tasks, &open, self.grace).await;
        Ok(served)
    }
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
async fn close<S: Watched + Socket>(
    tasks: &mut JoinSet<io::Result<()>>,
    open: &[Weak<Async<S>>],
    grace: Duration,
) -> u64 {
    let mut failed = 0;
    for connection in open.iter().filter_map(Weak::upgrade) {
        // ENOTCONN: a peer that has gone already.
        let _ = connection.get_ref().shutdown(std::net::Shutdown::Read);
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
