//! The two ends beside others, in a select.

use crate::Result;
use crate::channel::mpmc::{Receiver, Sender};
use crate::channel::select::private;
use crate::channel::sleeper::{Sleeper, Sleepers};
use crate::channel::{Payload, Source};
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
