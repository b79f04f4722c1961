//! What becomes of several children, one event after another. A pidfd and an epoll entry for each, closed with the handle;
//! the zombies themselves are left to whoever waits for them.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use ipc_sys::fork::ForkMark;
use ipc_sys::{Deadline, event};

use crate::{
    Action, ChildState, Error, Pid, ProcessFd, Registration, Result, Signal, Waiting, on, try_wait_child,
};

/// The epoll tag of SIGCHLD, which is no process id.
const STOPS: u64 = 0;

/// The ends, stops and continuations of children as they happen.
///
/// Every end is reported, however SIGCHLD coalesces: each child has a pidfd, which is readable when it has ended. Nothing is
/// reaped, so `std::process::Child::wait` works as if nobody had looked. Where somebody else has reaped a child (a library
/// that waits for all of them) its end is remembered by the pidfd from Linux 6.15 on, and is [`Error::NoChild`] before.
///
/// Stops and continuations are what the kernel holds when it is asked: of two that follow each other at once the later one
/// is left, as waitid(2) has it.
///
/// # Fork
/// A forked child has none of its parent's children: its copy is good for nothing but to be dropped, which the parent does not
/// notice, and every call of it is an error (EINVAL).
///
/// # After a crash
/// The children live on; whoever they fall to (init, or a subreaper) reaps them.
///
/// # Examples
/// ```
/// use ipc_signal::{ChildEvents, ChildState};
/// use std::process::Command;
///
/// let mut events = ChildEvents::new()?;
/// let mut children = Vec::new();
/// for status in 1..=3 {
///     let child = Command::new("sh").args(["-c", &format!("exit {status}")]).spawn()?;
///     events.watch(&child)?;
///     children.push(child);
/// }
/// let mut sum = 0;
/// for event in &mut events {
///     let (_pid, state) = event?;
///     sum += if let ChildState::Exited(status) = state { status } else { 0 };
/// }
/// assert_eq!(sum, 6); // the iterator ends with the last child
/// for child in &mut children {
///     child.wait()?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[doc(alias = "SIGCHLD")]
pub struct ChildEvents {
    epoll: OwnedFd,
    stops: OwnedFd,
    watched: BTreeMap<Pid, ProcessFd>,
    found: VecDeque<Result<(Pid, ChildState)>>,
    mark: ForkMark,
    _registration: Registration,
}

impl ChildEvents {
    /// epoll_create1(2), eventfd(2) and sigaction(2) for SIGCHLD, which tells of stops and continuations.
    ///
    /// # Errors
    /// [`Error::System`]: EMFILE, ENFILE, ENOMEM.
    pub fn new() -> Result<Self> {
        let stops = event::eventfd().map_err(Error::system("eventfd"))?;
        let epoll = event::epoll().map_err(Error::system("epoll_create1"))?;
        event::epoll_add(&epoll, &stops, STOPS).map_err(Error::system("epoll_ctl"))?;
        let woken = stops.try_clone().map_err(Error::system("fcntl"))?;
        let registration = on(Signal::CHLD, Action::Wake(woken))?;
        Ok(Self {
            epoll,
            stops,
            watched: BTreeMap::new(),
            found: VecDeque::new(),
            mark: ForkMark::new().map_err(Error::system("mmap"))?,
            _registration: registration,
        })
    }

    /// pidfd_open(2): from now on this child as well. What has happened to it before and nobody has waited for counts.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ESRCH | [`Error::NoSuchProcess`] |
    /// | EMFILE, ENFILE, ENOMEM, ENOSPC (fs.epoll.max_user_watches); EINVAL in a forked child | [`Error::System`] |
    pub fn watch(&mut self, child: impl Into<Pid>) -> Result<()> {
        self.of_this_process()?;
        let pid = child.into();
        let process = ProcessFd::open(pid)?;
        event::epoll_add(&self.epoll, &process, u64::from(pid.number()))
            .map_err(Error::system("epoll_ctl"))?;
        if let Some(former) = self.watched.insert(pid, process) {
            // It was added: it cannot fail.
            let _ = event::epoll_remove(&self.epoll, &former);
        }
        // It may have stopped before SIGCHLD was ours.
        event::write(&self.stops, &1_u64.to_ne_bytes());
        Ok(())
    }

    /// How many children have not ended yet, as far as has been told.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.watched.len()
    }

    /// The next event; `None` when all children that were watched have ended.
    ///
    /// # Blocking
    /// For ever; EINTR is retried.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ECHILD (somebody else has reaped it, before Linux 6.15) | [`Error::NoChild`] |
    /// | ENOMEM; EINVAL in a forked child | [`Error::System`] |
    pub fn recv(&mut self) -> Result<Option<(Pid, ChildState)>> {
        self.until(Deadline::NEVER)
    }

    /// As [`ChildEvents::recv`], without waiting.
    ///
    /// # Errors
    /// As [`ChildEvents::recv`], and [`Error::WouldBlock`].
    pub fn try_recv(&mut self) -> Result<Option<(Pid, ChildState)>> {
        self.until(Deadline::after(Duration::ZERO)).map_err(|error| match error {
            Error::TimedOut => Error::WouldBlock,
            other => other,
        })
    }

    /// As [`ChildEvents::recv`], for `timeout` at most.
    ///
    /// # Errors
    /// As [`ChildEvents::recv`], and [`Error::TimedOut`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<(Pid, ChildState)>> {
        self.until(Deadline::after(timeout))
    }

    /// What epoll watches and tells is shared with the parent.
    fn of_this_process(&self) -> Result<()> {
        if self.mark.is_ours() { Ok(()) } else { Err(Error::of_parent("children of the parent")) }
    }

    fn until(&mut self, deadline: Deadline) -> Result<Option<(Pid, ChildState)>> {
        self.of_this_process()?;
        loop {
            if let Some(found) = self.found.pop_front() {
                return found.map(Some);
            }
            if self.watched.is_empty() {
                return Ok(None);
            }
            let ready = event::epoll_wait(&self.epoll, deadline).map_err(Error::system("epoll_wait"))?;
            if ready.is_empty() {
                return Err(Error::TimedOut);
            }
            // Pauses first: an end that is ready hides none that came before it.
            if ready.contains(&STOPS) {
                event::drain(&self.stops);
                self.look_for_pauses();
            }
            self.look_for_ends(&ready);
        }
    }

    fn look_for_pauses(&mut self) {
        for pid in self.watched.keys() {
            if let Ok(event) = try_wait_child(*pid, Waiting::PAUSES) {
                self.found.push_back(Ok(event));
            }
        }
    }

    fn look_for_ends(&mut self, ready: &[u64]) {
        for tag in ready {
            let Some(pid) = u32::try_from(*tag).ok().and_then(|number| Pid::try_from(number).ok()) else {
                continue;
            };
            let Some(process) = self.watched.get(&pid) else { continue };
            match process.end() {
                Ok(None) => continue,
                Ok(Some(state)) => self.found.push_back(Ok((pid, state))),
                Err(error) => self.found.push_back(Err(error)),
            }
            if let Some(process) = self.watched.remove(&pid) {
                // It was added: it cannot fail.
                let _ = event::epoll_remove(&self.epoll, &process);
            }
        }
    }
}

impl Iterator for ChildEvents {
    type Item = Result<(Pid, ChildState)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.recv().transpose()
    }
}

/// Readable when an event may be there: then [`ChildEvents::try_recv`] until it would block.
impl AsFd for ChildEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl AsRawFd for ChildEvents {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}
