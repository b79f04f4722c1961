//! The two ends beside others, in a select.

use std::os::fd::BorrowedFd;

use crate::Result;
use crate::channel::mpmc::{Receiver, Sender};
use crate::channel::select::private;
use crate::channel::sleeper::{Sleeper, Sleepers};
use crate::channel::{Payload, Source};

impl<T: Payload> Source for Sender<T> {}

impl<T: Payload> Sleepers for Sender<T> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        visit(&self.member);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        visit(&mut self.member);
    }
}

impl<T: Payload> private::Source for Sender<T> {
    fn check(&self) -> Result<()> {
        self.member.check()
    }

    fn look(&mut self) -> Result<bool> {
        self.member.look_for_work()
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        visit(None);
    }
}

impl<T: Payload> Source for Receiver<T> {}

impl<T: Payload> Sleepers for Receiver<T> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        visit(&self.member);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        visit(&mut self.member);
    }
}

impl<T: Payload> private::Source for Receiver<T> {
    fn check(&self) -> Result<()> {
        self.member.check()
    }

    fn look(&mut self) -> Result<bool> {
        self.member.look_for_work()
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        visit(None);
    }
}
