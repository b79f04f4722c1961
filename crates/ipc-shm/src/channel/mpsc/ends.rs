//! The receiver as users hold it: the lanes that it lets in, and those that have ended.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::channel::gather::Gather;
use crate::channel::{ChannelStat, Payload, Wait, spsc};
use crate::memory::{Mode, Trusted};
use crate::{Error, Result};

/// The most lanes of one receiver: what futex_waitv sleeps on, less one.
pub const LANES_MAX: usize = 127;

/// The receiver of several lanes.
pub struct Receiver<T: Payload, M: Mode = Trusted> {
    pub(super) lanes: Vec<Lane<T, M>>,
    /// The lane to look at first.
    pub(super) first: usize,
    admitted: u64,
    pub(super) departed: Vec<(LaneId, Error)>,
    pub(super) wait: Wait,
    /// Holds the sockets of the lanes, and what stands for those without, where this receiver is polled.
    pub(super) gather: OnceLock<Arc<Gather>>,
}

/// A lane as its receiver counts them: never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub(in crate::channel) u64);

pub(super) struct Lane<T: Payload, M: Mode> {
    pub(super) id: LaneId,
    pub(super) receiver: spsc::Receiver<T, M>,
}

impl<T: Payload, M: Mode> Receiver<T, M> {
    /// A receiver without a lane.
    #[must_use]
    pub fn new() -> Self {
        Self {
            lanes: Vec::new(),
            first: 0,
            admitted: 0,
            departed: Vec::new(),
            wait: Wait::default(),
            gather: OnceLock::new(),
        }
    }

    /// Lets one more sender in.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] where there are [`LANES_MAX`] lanes. Where this receiver is [`Polled`](crate::Polled):
    /// [`Error::NoUring`], of a lane that is not [pollable](crate::ChannelOptions::pollable); [`Error::System`] (EMFILE, ENOMEM,
    /// ENOSPC).
    pub fn admit(&mut self, lane: spsc::Receiver<T, M>) -> Result<LaneId> {
        if self.lanes.len() == LANES_MAX {
            return Err(Error::InvalidParameter {
                what: "the number of lanes",
                value: LANES_MAX as u64 + 1,
                reason: "one receiver sleeps on at most 127",
            });
        }
        if let Some(gather) = self.gather.get() {
            gather.add(&lane)?;
        }
        let id = LaneId(self.admitted);
        self.admitted += 1;
        self.lanes.push(Lane { id, receiver: lane });
        Ok(id)
    }

    /// How many lanes there are.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// The lanes that have ended since the last call, and why: [`Error::Disconnected`], [`Error::PeerCorrupt`].
    pub fn departed(&mut self) -> Vec<(LaneId, Error)> {
        std::mem::take(&mut self.departed)
    }

    /// What each lane's words say of its two ends: [`spsc::Sender::stat`].
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<Vec<(LaneId, ChannelStat)>> {
        self.lanes.iter().map(|lane| Ok((lane.id, lane.receiver.stat()?))).collect()
    }

    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }
}

impl<T: Payload, M: Mode> Default for Receiver<T, M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Payload, M: Mode> fmt::Debug for Receiver<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").field("lanes", &self.lanes.len()).finish_non_exhaustive()
    }
}
