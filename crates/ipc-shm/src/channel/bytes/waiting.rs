//! The two ends beside others, in a select and in an event loop: as those of the ring.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::Result;
use crate::channel::bytes::{Receiver, Sender};
use crate::channel::fd::private as fd;
use crate::channel::select::private as select;
use crate::channel::sleeper::{Sleeper, Sleepers};
use crate::channel::uring::Uring;
use crate::channel::{Pollable, Socket, Source};
use crate::memory::Mode;

impl<M: Mode> Source for Sender<M> {}

impl<M: Mode> Sleepers for Sender<M> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        self.ring.each(visit);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        self.ring.each_mut(visit);
    }
}

impl<M: Mode> select::Source for Sender<M> {
    fn check(&self) -> Result<()> {
        self.ring.check()
    }

    fn look(&mut self) -> Result<bool> {
        select::Source::look(&mut self.ring)
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        self.ring.descriptors(visit);
    }
}

impl<M: Mode> Source for Receiver<M> {}

impl<M: Mode> Sleepers for Receiver<M> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        self.ring.each(visit);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        self.ring.each_mut(visit);
    }
}

impl<M: Mode> select::Source for Receiver<M> {
    fn check(&self) -> Result<()> {
        self.ring.check()
    }

    fn look(&mut self) -> Result<bool> {
        select::Source::look(&mut self.ring)
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        self.ring.descriptors(visit);
    }
}

impl<M: Mode> Pollable for Sender<M> {}
impl<M: Mode> Pollable for Receiver<M> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<M: Mode> fd::Pollable for Sender<M> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        self.ring.socket()
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        self.ring.arm(ring)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<M: Mode> fd::Pollable for Receiver<M> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        self.ring.socket()
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        self.ring.arm(ring)
    }
}
