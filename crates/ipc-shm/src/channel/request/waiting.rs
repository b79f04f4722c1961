//! The two ends, and a call in flight, beside others: in a select, and in an event loop.
//!
//! An end is lent shared: the questions and calls that it gave out borrow it.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::Result;
use crate::channel::doorbell::Sleep;
use crate::channel::fd::private as fd;
use crate::channel::link;
use crate::channel::request::{Client, PendingCall, Server};
use crate::channel::select::{self, private};
use crate::channel::sleeper::{Lent, Shared, Sleeper, Sleepers};
use crate::channel::uring::Uring;
use crate::channel::{Payload, Pollable, Socket, Source};
use crate::memory::Mode;
use crate::words::AtomicU64;

impl<Q: Payload, A: Payload, M: Mode> Server<Q, A, M> {
    /// Watches the process at the other side by its pidfd: [`spsc::Receiver::watch`](crate::spsc::Receiver::watch).
    ///
    /// # Errors
    /// As there.
    pub fn watch(&mut self, process: impl Into<OwnedFd>) -> Result<()> {
        self.end.get_mut().link.watch(process.into())
    }

    pub(super) fn check(&self) -> Result<()> {
        self.end.borrow().check()
    }

    /// Whether there is a question, and when it is time whether the client lives.
    pub(super) fn look(&self) -> Result<bool> {
        self.check()?;
        let is_ready = || self.end.borrow().ring.is_ready();
        if is_ready() {
            return Ok(true);
        }
        let gone = self.end.borrow_mut().link.look();
        // What the client asked before it left is there now, if it ever was.
        if is_ready() { Ok(true) } else { gone.map(|()| false) }
    }

    pub(super) fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        link::descriptors(self.own.socket(), visit);
    }
}

/// Waits for a question.
impl<Q: Payload, A: Payload, M: Mode> Sleeper for Server<Q, A, M> {
    fn is_ready(&self) -> bool {
        self.end.borrow().ring.is_ready()
    }

    fn announce(&mut self, on: Sleep) -> bool {
        self.announce_shared(on)
    }

    fn retract(&mut self) {
        self.retract_shared();
    }

    fn ticket(&self) -> (&AtomicU64, u32) {
        self.end.borrow().ring.ticket_of(&self.peer)
    }
}

impl<Q: Payload, A: Payload, M: Mode> Shared for Server<Q, A, M> {
    fn announce_shared(&self, on: Sleep) -> bool {
        self.end.borrow_mut().ring.announce(on)
    }

    fn retract_shared(&self) {
        self.end.borrow_mut().ring.retract();
    }
}

impl<Q: Payload, A: Payload, M: Mode> Source for &Server<Q, A, M> {}

impl<Q: Payload, A: Payload, M: Mode> Sleepers for &Server<Q, A, M> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        visit(*self);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        visit(&mut Lent(*self));
    }
}

impl<Q: Payload, A: Payload, M: Mode> private::Source for &Server<Q, A, M> {
    fn check(&self) -> Result<()> {
        Server::check(self)
    }

    fn look(&mut self) -> Result<bool> {
        Server::look(self)
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        Server::descriptors(self, visit);
    }
}

impl<Q: Payload, A: Payload, M: Mode> Client<Q, A, M> {
    /// Watches the process at the other side by its pidfd: [`spsc::Receiver::watch`](crate::spsc::Receiver::watch).
    ///
    /// # Errors
    /// As there.
    pub fn watch(&mut self, process: impl Into<OwnedFd>) -> Result<()> {
        self.caller.get_mut().end.link.watch(process.into())
    }

    fn check(&self) -> Result<()> {
        self.caller.borrow().end.check()
    }

    /// Whether `is_ready`, and when it is time whether the server lives.
    fn look(&self, is_ready: impl Fn() -> bool) -> Result<bool> {
        self.check()?;
        if is_ready() {
            return Ok(true);
        }
        let gone = self.caller.borrow_mut().end.link.look();
        // What the server answered before it left is there now, if it ever was.
        if is_ready() { Ok(true) } else { gone.map(|()| false) }
    }
}

/// Waits for the answer to any call in flight, and for a place where the last question found none.
impl<Q: Payload, A: Payload, M: Mode> Sleeper for Client<Q, A, M> {
    fn is_ready(&self) -> bool {
        self.caller.borrow().is_ready()
    }

    fn announce(&mut self, on: Sleep) -> bool {
        self.announce_shared(on)
    }

    fn retract(&mut self) {
        self.retract_shared();
    }

    fn ticket(&self) -> (&AtomicU64, u32) {
        self.caller.borrow().end.ring.ticket_of(&self.peer)
    }
}

impl<Q: Payload, A: Payload, M: Mode> Shared for Client<Q, A, M> {
    fn announce_shared(&self, on: Sleep) -> bool {
        self.caller.borrow_mut().end.ring.announce(on)
    }

    fn retract_shared(&self) {
        self.caller.borrow_mut().end.ring.retract();
    }
}

impl<Q: Payload, A: Payload, M: Mode> Source for &Client<Q, A, M> {}

impl<Q: Payload, A: Payload, M: Mode> Sleepers for &Client<Q, A, M> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        visit(*self);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        visit(&mut Lent(*self));
    }
}

impl<Q: Payload, A: Payload, M: Mode> private::Source for &Client<Q, A, M> {
    fn check(&self) -> Result<()> {
        Client::check(self)
    }

    fn look(&mut self) -> Result<bool> {
        Client::look(self, || Sleeper::is_ready(*self))
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        link::descriptors(self.own.socket(), visit);
    }
}

/// Waits for its answer.
impl<Q: Payload, A: Payload, M: Mode> Sleeper for PendingCall<'_, Q, A, M> {
    fn is_ready(&self) -> bool {
        self.client.caller.borrow().is_answered(self.pos)
    }

    fn announce(&mut self, on: Sleep) -> bool {
        self.announce_shared(on)
    }

    fn retract(&mut self) {
        self.retract_shared();
    }

    fn ticket(&self) -> (&AtomicU64, u32) {
        self.client.ticket()
    }
}

impl<Q: Payload, A: Payload, M: Mode> Shared for PendingCall<'_, Q, A, M> {
    fn announce_shared(&self, on: Sleep) -> bool {
        self.client.announce_shared(on)
    }

    fn retract_shared(&self) {
        self.client.retract_shared();
    }
}

impl<Q: Payload, A: Payload, M: Mode> Source for PendingCall<'_, Q, A, M> {}

impl<Q: Payload, A: Payload, M: Mode> Sleepers for PendingCall<'_, Q, A, M> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        visit(self);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        visit(self);
    }
}

impl<Q: Payload, A: Payload, M: Mode> private::Source for PendingCall<'_, Q, A, M> {
    fn check(&self) -> Result<()> {
        self.client.check()
    }

    fn look(&mut self) -> Result<bool> {
        self.client.look(|| Sleeper::is_ready(self))
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        link::descriptors(self.client.own.socket(), visit);
    }
}

impl<Q: Payload, A: Payload, M: Mode> Pollable for Server<Q, A, M> {}
impl<Q: Payload, A: Payload, M: Mode> Pollable for &Server<Q, A, M> {}
impl<Q: Payload, A: Payload, M: Mode> Pollable for Client<Q, A, M> {}
impl<Q: Payload, A: Payload, M: Mode> Pollable for &Client<Q, A, M> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<Q: Payload, A: Payload, M: Mode> fd::Pollable for Server<Q, A, M> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        self.own.socket()
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        select::arm(&mut &*self, ring)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<Q: Payload, A: Payload, M: Mode> fd::Pollable for &Server<Q, A, M> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        self.own.socket()
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        select::arm(self, ring)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<Q: Payload, A: Payload, M: Mode> fd::Pollable for Client<Q, A, M> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        self.own.socket()
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        fd::Pollable::arm(&mut &*self, ring)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<Q: Payload, A: Payload, M: Mode> fd::Pollable for &Client<Q, A, M> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        self.own.socket()
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        let armed = select::arm(self, ring);
        // The next wait may be for something else.
        self.caller.borrow_mut().awaited = None;
        armed
    }
}
