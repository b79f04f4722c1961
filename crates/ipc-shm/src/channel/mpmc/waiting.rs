//! The two ends beside others, in a select and in an event loop.

use std::sync::Arc;

use crate::Result;
use crate::channel::fd::private as fd;
use crate::channel::mpmc::{Receiver, Sender};
use crate::channel::select::{self, private};
use crate::channel::sleeper::{Sleeper, Sleepers};
use crate::channel::uring::Uring;
use crate::channel::{Payload, Pollable, Socket, Source};
use crate::memory::Common;

impl<T: Payload, M: Common> Source for Sender<T, M> {}

impl<T: Payload, M: Common> Sleepers for Sender<T, M> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        visit(&self.member);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        visit(&mut self.member);
    }
}

impl<T: Payload, M: Common> private::Source for Sender<T, M> {
    fn check(&self) -> Result<()> {
        self.member.check()
    }

    fn look(&mut self) -> Result<bool> {
        self.member.look_for_work()
    }
}

impl<T: Payload, M: Common> Source for Receiver<T, M> {}

impl<T: Payload, M: Common> Sleepers for Receiver<T, M> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        visit(&self.member);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        visit(&mut self.member);
    }
}

impl<T: Payload, M: Common> private::Source for Receiver<T, M> {
    fn check(&self) -> Result<()> {
        self.member.check()
    }

    fn look(&mut self) -> Result<bool> {
        self.member.look_for_work()
    }
}

impl<T: Payload, M: Common> Pollable for Sender<T, M> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload, M: Common> fd::Pollable for Sender<T, M> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        None
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        select::arm(self, ring)
    }
}

impl<T: Payload, M: Common> Pollable for Receiver<T, M> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload, M: Common> fd::Pollable for Receiver<T, M> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        None
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        select::arm(self, ring)
    }
}
