//! Ending on request: the first signal asks, the second insists. Flags of this process and an eventfd; nothing is left.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use ipc_sys::fork::ForkMark;
use ipc_sys::{Deadline, event, poll};

use crate::handler::{Asked, Effect};
use crate::{Error, HandlerOptions, Registration, Result, Signal, SignalSet};

/// Asked by the program itself, no signal.
const ITSELF: i32 = -1;

/// Whether the program has been asked to end, by Ctrl-C for instance.
///
/// The first of the signals asks: every way to look below says so, in all threads and clones, from then on. The second,
/// of any of them, has its default effect: whoever is impatient gets his will, even where the program is stuck.
///
/// A call that is blocked when the first arrives fails with EINTR unless it is retried, as this workspace's calls and most
/// of std's are: where one can, wait in [`Shutdown::asked_within`], or poll [`Shutdown::as_fd`] beside the others.
///
/// # Fork
/// A forked child has a copy of the flag, which its own signals set and [`Shutdown::asked`] and [`Shutdown::asked_within`] tell; the
/// parent is not asked by them, nor the child by the parent's. The other ways to wait are errors there (EINVAL): it makes one of its
/// own.
///
/// # After a crash
/// Nothing is left: dispositions end with the process.
///
/// # Examples
/// ```
/// use ipc_signal::{raise, Shutdown, Signal};
/// use std::time::Duration;
///
/// let shutdown = Shutdown::on([Signal::INT, Signal::TERM])?;
/// let mut turns = 0;
/// while !shutdown.asked_within(Duration::from_millis(1)) {
///     turns += 1;
///     if turns == 3 {
///         raise(Signal::TERM)?;
///     }
/// }
/// assert_eq!((turns, shutdown.signal()), (3, Some(Signal::TERM)));
/// # Ok::<(), ipc_signal::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Shutdown {
    asked: Arc<Asked>,
    /// Whose eventfd it is.
    mark: ForkMark,
    _registrations: Arc<[Registration]>,
}

impl Shutdown {
    /// sigaction(2) for each of `signals`. When the last clone is dropped, the former dispositions are in force again.
    ///
    /// # Errors
    /// As [`on`](crate::on).
    pub fn on(signals: impl Into<SignalSet>) -> Result<Self> {
        let event = event::eventfd().map_err(Error::system("eventfd"))?;
        let asked = Arc::new(Asked { by: AtomicI32::new(0), event });
        let mark = ForkMark::new().map_err(Error::system("mmap"))?;
        let options = HandlerOptions::new().restart(false);
        let register = |signal: Signal| {
            if signal.is_fault() {
                return Err(Error::Refused { signal, reason: "a failed instruction asks for nothing" });
            }
            options.register(signal, Effect::Ask(Arc::clone(&asked)), None)
        };
        let registrations = signals.into().iter().map(register).collect::<Result<Arc<[_]>, _>>()?;
        Ok(Self { asked, mark, _registrations: registrations })
    }

    /// Whether the program has been asked. One load; async-signal-safe.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.asked.by.load(Ordering::SeqCst) != 0
    }

    /// Which signal asked; `None` before, and where the program asked itself.
    #[must_use]
    pub fn signal(&self) -> Option<Signal> {
        Signal::from_number(self.asked.by.load(Ordering::SeqCst)).ok()
    }

    /// Asks from inside the program. A signal afterwards insists. Async-signal-safe.
    pub fn ask(&self) {
        let first = self.asked.by.compare_exchange(0, ITSELF, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if first && self.mark.is_ours() {
            event::write(&self.asked.event, &1_u64.to_ne_bytes());
        }
    }

    /// Waits until the program is asked.
    ///
    /// # Blocking
    /// For ever; EINTR is retried.
    ///
    /// # Errors
    /// [`Error::System`]: ENOMEM of ppoll(2); EINVAL in a forked child.
    pub fn wait(&self) -> Result<()> {
        self.until(Deadline::NEVER)
    }

    /// As [`Shutdown::wait`], for `timeout` at most.
    ///
    /// # Errors
    /// [`Error::TimedOut`]; [`Error::System`]: ENOMEM of ppoll(2), EINVAL in a forked child.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<()> {
        self.until(Deadline::after(timeout))
    }

    /// Whether the program is asked within `pause`: the sleep of a loop that does something every so often.
    #[must_use]
    pub fn asked_within(&self, pause: Duration) -> bool {
        match self.wait_timeout(pause) {
            Ok(()) => true,
            Err(Error::TimedOut) => self.asked(),
            // In a forked child, and short of memory for ppoll, the flag still tells the truth, and the loop is paced.
            Err(_) => {
                poll::pause(pause);
                self.asked()
            }
        }
    }

    fn until(&self, deadline: Deadline) -> Result<()> {
        while !self.asked() {
            if !self.mark.is_ours() {
                return Err(Error::of_parent("shutdown of the parent"));
            }
            if poll::wait(self, libc::POLLIN, deadline).map_err(Error::system("ppoll"))?.is_none() {
                return Err(Error::TimedOut);
            }
        }
        Ok(())
    }
}

/// Readable from the moment that the program is asked. Do not read from it.
impl AsFd for Shutdown {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.asked.event.as_fd()
    }
}

impl AsRawFd for Shutdown {
    fn as_raw_fd(&self) -> RawFd {
        self.asked.event.as_raw_fd()
    }
}
