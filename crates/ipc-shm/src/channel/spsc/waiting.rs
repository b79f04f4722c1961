//! The two ends beside others: in a select, and in an event loop.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::channel::attached::Patience;
use crate::channel::fd::private as fd;
use crate::channel::select::{self, private};
use crate::channel::sleeper::{Sleeper, Sleepers};
use crate::channel::spsc::{Receiver, Sender};
use crate::channel::uring::Uring;
use crate::channel::{Payload, Pollable, Socket, Source};
use crate::memory::Mode;
use crate::{Error, Result};

impl<T: Payload, M: Mode> Sender<T, M> {
    /// Watches the process at the other side by its pidfd: [`spsc::Receiver::watch`](crate::spsc::Receiver::watch).
    ///
    /// # Errors
    /// As there.
    pub fn watch(&mut self, process: impl Into<OwnedFd>) -> Result<()> {
        self.end.link.watch(process.into())
    }

    /// Whether a message fits now; what is free stays so until we send.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn check_room(&mut self) -> Result<()> {
        self.room(1, Patience::None)
    }
}

impl<T: Payload, M: Mode> Receiver<T, M> {
    /// poll(2) of a pidfd: watches the process at the other side, whose death is then seen even where a child that it forked
    /// keeps its lock and its socket: at once where the socket is polled ([`Wait::Poll`](crate::Wait::Poll),
    /// [`Select`](crate::Select)), else at the next look, every 60 ms. [`Polled`](crate::Polled) ends: poll
    /// [the pidfd](crate::Polled::watched) beside them.
    ///
    /// SO_PEERPIDFD names the process that connected (or called socketpair), SCM_PIDFD the one that sent: neither need be
    /// the one that accepted the invitation and now uses the other end.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EINVAL | [`Error::InvalidParameter`]: it is no pidfd |
    /// | | [`Error::Forked`] |
    pub fn watch(&mut self, process: impl Into<OwnedFd>) -> Result<()> {
        self.end.link.watch(process.into())
    }
}

impl<T: Payload, M: Mode> Source for Sender<T, M> {}

impl<T: Payload, M: Mode> Sleepers for Sender<T, M> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        visit(&self.end.ring);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        visit(&mut self.end.ring);
    }
}

impl<T: Payload, M: Mode> private::Source for Sender<T, M> {
    fn check(&self) -> Result<()> {
        self.end.check()
    }

    fn look(&mut self) -> Result<bool> {
        self.end.check()?;
        if self.end.ring.is_ready() {
            return Ok(true);
        }
        match self.full() {
            Error::Full => Ok(false),
            error => Err(error),
        }
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        self.end.link.descriptors(visit);
    }
}

impl<T: Payload, M: Mode> Source for Receiver<T, M> {}

impl<T: Payload, M: Mode> Sleepers for Receiver<T, M> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        visit(&self.end.ring);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        visit(&mut self.end.ring);
    }
}

impl<T: Payload, M: Mode> private::Source for Receiver<T, M> {
    fn check(&self) -> Result<()> {
        self.end.check()
    }

    fn look(&mut self) -> Result<bool> {
        match self.message(Patience::None) {
            Ok(()) => Ok(true),
            Err(Error::Empty) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        self.end.link.descriptors(visit);
    }
}

impl<T: Payload, M: Mode> Pollable for Sender<T, M> {}
impl<T: Payload, M: Mode> Pollable for Receiver<T, M> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload, M: Mode> fd::Pollable for Sender<T, M> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        self.end.link.own.socket()
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        select::arm(self, ring)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload, M: Mode> fd::Pollable for Receiver<T, M> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        self.end.link.own.socket()
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        select::arm(self, ring)
    }
}
