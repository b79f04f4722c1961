//! The receiver beside others, in a select and in an event loop, and the look in which lanes end.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::channel::fd::{Readiness, private as fd};
use crate::channel::gather::Gather;
use crate::channel::mpsc::Receiver;
use crate::channel::select::{self, Source, private as lookout};
use crate::channel::sleeper::{Sleeper, Sleepers};
use crate::channel::uring::Uring;
use crate::channel::{Payload, Pollable, Socket};
use crate::memory::Mode;
use crate::{Error, Result};

impl<T: Payload, M: Mode> Source for Receiver<T, M> {}

impl<T: Payload, M: Mode> Sleepers for Receiver<T, M> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        self.lanes.iter().for_each(|lane| lane.receiver.each(visit));
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        self.lanes.iter_mut().for_each(|lane| lane.receiver.each_mut(visit));
    }
}

impl<T: Payload, M: Mode> lookout::Source for Receiver<T, M> {
    fn check(&self) -> Result<()> {
        // A lane that is spoilt ends at the next look; a forked one is every lane's.
        match self.lanes.first().map(|lane| lookout::Source::check(&lane.receiver)) {
            Some(Err(Error::Forked)) => Err(Error::Forked),
            _ => Ok(()),
        }
    }

    fn look(&mut self) -> Result<bool> {
        let mut at = 0;
        while let Some(lane) = self.lanes.get_mut(at) {
            match lookout::Source::look(&mut lane.receiver) {
                Ok(true) => return Ok(true),
                Ok(false) => at += 1,
                Err(Error::Forked) => return Err(Error::Forked),
                Err(error) => {
                    let lane = self.lanes.remove(at);
                    if let Some(gather) = self.gather.get() {
                        gather.remove(&lane.receiver);
                    }
                    self.departed.push((lane.id, error));
                    self.first = 0;
                }
            }
        }
        if self.lanes.is_empty() { Err(Error::Disconnected) } else { Ok(false) }
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        self.lanes.iter().for_each(|lane| lane.receiver.descriptors(visit));
    }
}

impl<T: Payload, M: Mode> Pollable for Receiver<T, M> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload, M: Mode> fd::Pollable for Receiver<T, M> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        None
    }

    fn readiness(&self) -> Result<Readiness> {
        let lanes = &self.lanes;
        Gather::once(&self.gather, |gather| lanes.iter().try_for_each(|lane| gather.add(&lane.receiver)))
            .map(Readiness::Several)
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        select::arm(self, ring)
    }
}
