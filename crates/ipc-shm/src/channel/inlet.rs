//! A reader's hold on memory that one process writes and any number read.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::channel::area::consumer;
use crate::channel::call::Fences;
use crate::channel::counters::{self, Counter};
use crate::channel::link::{Link, NO_BARRIER, Plan, Side, Watch, register};
use crate::channel::stat::{self, ChannelStat, EndStat, Presence};
use crate::memory::header::Layout;
use crate::memory::segment::Segment;
use crate::memory::view::View;
use crate::words::{Words, peer_load};
use crate::{Error, Result};

/// A segment attached for reading, and a watch on its writer.
#[derive(Debug)]
pub(crate) struct Inlet {
    pub(crate) view: View,
    watch: Watch,
    fences: Fences,
    /// How many messages this reader has lost.
    lagged: u64,
}

impl Inlet {
    /// A named segment.
    pub(crate) fn open(name: &OsStr, plan: &Plan) -> Result<Self> {
        Ok(Self::new(Segment::open(name, &plan.common(), plan.max)?))
    }

    /// Sealed memory, from a descriptor that was received or inherited.
    pub(crate) fn from_fd(descriptor: OwnedFd, plan: &Plan) -> Result<Self> {
        Ok(Self::new(Segment::sealed_from(descriptor, &plan.part(Side::Producer), plan.max)?))
    }

    pub(crate) fn new(segment: Segment) -> Self {
        let fences = fences(segment.layout());
        let view = View::new(Arc::new(segment));
        let watch = Watch::new(Side::Producer, &view);
        Self { view, watch, fences, lagged: 0 }
    }

    pub(crate) fn layout(&self) -> &Layout {
        self.view.segment().layout()
    }

    /// What stands for the writer's fence.
    pub(crate) fn fences(&self) -> Fences {
        self.fences
    }

    #[inline]
    pub(crate) fn check_fork(&self) -> Result<()> {
        self.view.segment().check_fork()
    }

    /// Whether the writer is gone.
    pub(crate) fn look(&mut self) -> Result<()> {
        self.watch.look(&self.view)
    }

    /// Asks the kernel now, however recently it was asked.
    pub(crate) fn writer_is_alive(&self) -> Result<bool> {
        self.check_fork()?;
        Ok(!self.watch.has_left(&self.view) && self.view.segment().is_held(Side::Producer.lock())?)
    }

    /// Counts messages that were overwritten before they were read: for all to see, where we may write.
    pub(crate) fn count_lagged(&mut self, lost: u64) {
        self.lagged = self.lagged.wrapping_add(lost);
        if self.is_common() {
            counters::add_together(&self.view, consumer::COUNTERS, Counter::Lagged, lost);
        }
    }

    /// What the words say of the writer, and of the readers as far as they can say it.
    pub(crate) fn stat(&self) -> Result<ChannelStat> {
        self.check_fork()?;
        let held = self.view.segment().is_held(Side::Producer.lock())?;
        let load = |index| peer_load(self.view.word(index));
        let writer = stat::presence(load(Side::Producer.state()), held);
        let mut stat = stat::of(self.layout(), [writer, Presence::Many], load, load);
        if !self.is_common() {
            stat.receiver = EndStat { lagged: self.lagged, ..EndStat::nothing(Presence::Many) };
        }
        Ok(stat)
    }

    fn is_common(&self) -> bool {
        self.view.segment().mapping().is_writable()
    }

    /// What the end of a writer means: it said goodbye, or died in the middle of a message.
    pub(crate) fn end(&self, unfinished: bool) -> Error {
        if unfinished && !self.watch.has_left(&self.view) { Error::WriterDied } else { Error::Disconnected }
    }
}

/// What a header says of fences.
pub(crate) fn fences(layout: &Layout) -> Fences {
    if layout.flags & NO_BARRIER == 0 { Fences::Asymmetric } else { Fences::Both }
}

/// Decides on fences for a new segment: without membarrier in this process, both sides pay.
pub(crate) fn with_fences(plan: Plan) -> Plan {
    let flags = if register(plan.layout.flags) { plan.layout.flags } else { plan.layout.flags | NO_BARRIER };
    Plan { layout: Layout { flags, ..plan.layout }, ..plan }
}

/// Whether a writer that takes up such a segment can keep what its header promises.
pub(crate) fn check_fences(link: &Link) -> Result<()> {
    let flags = link.own.segment().layout().flags;
    if flags & NO_BARRIER == 0 && !register(flags) {
        return Err(Error::System {
            operation: "membarrier",
            object: "the channel".to_owned(),
            source: std::io::Error::from_raw_os_error(libc::ENOSYS),
        });
    }
    Ok(())
}
