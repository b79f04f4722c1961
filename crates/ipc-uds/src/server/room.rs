//! The connections that a server is serving: a thread each, counted, waited for, and cut in the end.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ipc_sys::{Deadline, poll, socket};

use crate::socket::Bare;
use crate::{Error, Result, Socket, Stream};

/// The connections that are being served.
pub(super) struct Room<C> {
    open: Mutex<HashMap<u64, Arc<C>>>,
    empty: Condvar,
    idle: Option<Duration>,
    buffer: Option<usize>,
    /// Whether the accepting thread waits for somebody to leave; a byte through `wake` then tells it.
    waiting: AtomicBool,
    wake: (Stream, Stream),
    pub(super) entered: AtomicU64,
    pub(super) failed: AtomicU64,
}

impl<C: AsFd + Send + Sync> Room<C> {
    pub(super) fn new(idle: Option<Duration>, buffer: Option<usize>) -> Result<Self> {
        Ok(Self {
            open: Mutex::new(HashMap::new()),
            empty: Condvar::new(),
            idle,
            buffer,
            waiting: AtomicBool::new(false),
            wake: Stream::pair()?,
            entered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<C>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.open().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn enter<'scope, H>(
        &'scope self,
        connection: C,
        threads: &'scope thread::Scope<'scope, '_>,
        handler: &'scope H,
    ) where
        H: Fn(&C) -> io::Result<()> + Sync,
        C: 'scope,
    {
        let number = self.entered.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(connection);
        self.open().insert(number, Arc::clone(&connection));
        let started =
            thread::Builder::new().name(format!("client {number}")).spawn_scoped(threads, move || {
                let served = catch_unwind(AssertUnwindSafe(|| self.serve(&connection, handler)));
                if !matches!(served, Ok(Ok(()))) {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                }
                drop(connection);
                self.leave(number);
            });
        if started.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
            self.leave(number);
        }
    }

    fn serve(&self, connection: &C, handler: &impl Fn(&C) -> io::Result<()>) -> io::Result<()> {
        if let Some(idle) = self.idle {
            crate::stream::set_timeout(connection, libc::SO_RCVTIMEO, Some(idle))?;
            crate::stream::set_timeout(connection, libc::SO_SNDTIMEO, Some(idle))?;
        }
        if let Some(bytes) = self.buffer {
            let connection = Bare(connection.as_fd());
            connection.set_send_buffer(bytes)?;
            connection.set_receive_buffer(bytes)?;
        }
        handler(connection)
    }

    fn leave(&self, number: u64) {
        let mut open = self.open();
        // The last owner: this closes the connection.
        open.remove(&number);
        if open.is_empty() {
            self.empty.notify_all();
        }
        drop(open);
        if self.waiting.swap(false, Ordering::SeqCst) {
            let _ = (&self.wake.0).write(&[1]);
        }
    }

    /// Waits until the number of those left is `enough`, or the deadline has passed; true when `stop` came first.
    pub(super) fn wait(
        &self,
        enough: impl Fn(usize) -> bool,
        stop: &impl AsFd,
        deadline: Deadline,
    ) -> Result<bool> {
        loop {
            self.waiting.store(true, Ordering::SeqCst);
            if enough(self.len()) {
                self.waiting.store(false, Ordering::SeqCst);
                return Ok(false);
            }
            let (stopped, woken) = poll::wait_either(stop, &self.wake.1, libc::POLLIN, deadline)
                .map_err(|source| Error::of("ppoll", source))?;
            if stopped != 0 {
                return Ok(true);
            }
            if woken == 0 {
                return Ok(false);
            }
            let _ = (&self.wake.1).read(&mut [0]);
        }
    }

    /// Lets what has arrived be answered, then cuts.
    pub(super) fn close(&self, grace: Duration) {
        self.shut_down(libc::SHUT_RD);
        let open = self.open();
        let waited = self.empty.wait_timeout_while(open, grace, |open| !open.is_empty());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.shut_down(libc::SHUT_RDWR);
    }

    fn shut_down(&self, how: libc::c_int) {
        for connection in self.open().values() {
            // ENOTCONN: a peer that has gone already.
            let _ = socket::shutdown(connection.as_ref(), how);
        }
    }
}
