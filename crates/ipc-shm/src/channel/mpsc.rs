//! Several senders and one receiver: a ring for each sender, which the receiver reads in turn.
//!
//! Each sender has a *lane*: an [`spsc`](crate::spsc) ring, made in any of the ways there are, trusted or sealed; its sending end
//! is an [`spsc::Sender`](crate::spsc::Sender). Senders share nothing: none slows another, and one that dies or writes nonsense
//! ends its own lane and no other. A sender joins when the receiver [admits](Receiver::admit) its lane, and leaves when it is
//! dropped. The messages of one sender come in order; there is no order between senders.
//!
//! A receiver that is [polled](crate::Polled) or waited for by a task takes lanes with and without sockets
//! ([pollable](crate::ChannelOptions::pollable)) side by side.
//!
//! # After a crash
//! As for each lane ([`spsc`](crate::spsc)). [`Receiver::departed`] reports the lanes that have ended; everything that a sender
//! had sent is received first.
//!
//! # Examples
//! ```
//! # fn main() -> ipc_shm::Result<()> {
//! use ipc_shm::{mpsc, spsc};
//!
//! let mut receiver = mpsc::Receiver::new();
//! let mut senders = Vec::new();
//! for _ in 0..3 {
//!     let (sender, lane) = spsc::channel::<u64>(16)?;
//!     receiver.admit(lane.attach()?)?;
//!     senders.push(sender.attach()?); // each in its own process
//! }
//! for (message, sender) in (0..).zip(&mut senders) {
//!     sender.send(&message)?;
//! }
//! let mut received = [receiver.recv()?, receiver.recv()?, receiver.recv()?];
//! received.sort();
//! assert_eq!(received, [0, 1, 2]);
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ipc_sys::Deadline;

use crate::channel::fd::{Readiness, private as fd};
use crate::channel::gather::Gather;
use crate::channel::select::private as lookout;
use crate::channel::select::{self, Source};
use crate::channel::sleeper::{Sleeper, Sleepers};
use crate::channel::uring::Uring;
use crate::channel::{ChannelStat, Payload, Pollable, Socket, Wait, spsc};
use crate::memory::{Mode, Trusted};
use crate::{Error, Result};

/// The most lanes of one receiver: what futex_waitv sleeps on, less one.
pub const LANES_MAX: usize = 127;

/// The receiver of several lanes.
pub struct Receiver<T: Payload, M: Mode = Trusted> {
    lanes: Vec<Lane<T, M>>,
    /// The lane to look at first.
    first: usize,
    admitted: u64,
    departed: Vec<(LaneId, Error)>,
    wait: Wait,
    /// Holds the sockets of the lanes, and what stands for those without, where this receiver is polled.
    gather: OnceLock<Arc<Gather>>,
}

/// A lane as its receiver counts them: never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub(in crate::channel) u64);

struct Lane<T: Payload, M: Mode> {
    id: LaneId,
    receiver: spsc::Receiver<T, M>,
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

    /// Receives the next message of any lane, waiting for one.
    ///
    /// # Blocking
    /// Until a message comes or the last lane has ended; a signal does not end it. It sleeps by futex_waitv (Linux 5.16);
    /// where that is missing, [`Wait::Spin`] waits, and [`Wait::Poll`] over pollable lanes.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EPIPE | [`Error::Disconnected`]: there is no lane, or none any more |
    /// | ENOSYS | [`Error::System`]: no futex_waitv |
    /// | | [`Error::Forked`] |
    #[inline]
    pub fn recv(&mut self) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.recv_until(Deadline::NEVER),
        }
    }

    /// As [`Receiver::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Receiver::recv`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.recv_until(Deadline::after(timeout)),
        }
    }

    /// Receives the next message of any lane, if there is one.
    ///
    /// # Errors
    /// [`Error::Empty`], and as [`Receiver::recv`].
    pub fn try_recv(&mut self) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.look(),
        }
    }

    /// Receives what is there, lane after lane, as much as `buffer` holds, and says how many. The messages of one lane come in
    /// order; the next call begins with the lane behind the last one that had any.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`]; [`Error::Empty`] where there was nothing.
    pub fn try_recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.recv_batch_by(buffer, Self::try_recv)
    }

    /// As [`Receiver::try_recv_batch`], waiting for the first message.
    ///
    /// # Blocking
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.recv_batch_by(buffer, Self::recv)
    }

    /// As [`Receiver::recv_batch`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv_timeout`].
    pub fn recv_batch_timeout(&mut self, buffer: &mut [T], timeout: Duration) -> Result<usize> {
        self.recv_batch_by(buffer, |receiver| receiver.recv_timeout(timeout))
    }

    fn recv_batch_by(
        &mut self,
        buffer: &mut [T],
        recv: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<usize> {
        let count = self.fill(buffer);
        match buffer.split_first_mut() {
            Some((first, rest)) if count == 0 => {
                *first = recv(self)?;
                Ok(1 + self.fill(rest))
            }
            _ => Ok(count),
        }
    }

    /// One round of the cheapest look, at all that each lane has: what is wrong with one is for a closer look to say.
    fn fill(&mut self, buffer: &mut [T]) -> usize {
        let lanes = self.lanes.len();
        let mut filled = 0;
        for turn in self.first..self.first + lanes {
            let Some(free @ [_, ..]) = buffer.get_mut(filled..) else { break };
            let Some(lane) = self.lanes.get_mut(turn % lanes) else { break };
            let count = lane.receiver.fill(free).unwrap_or(0);
            if count != 0 {
                filled += count;
                self.first = (turn + 1) % lanes;
            }
        }
        filled
    }

    /// One round of the cheapest look.
    #[inline]
    fn next(&mut self) -> Option<T> {
        let (before, from_first) = self.lanes.split_at_mut_checked(self.first)?;
        let found = from_first.iter_mut().chain(before).enumerate().find_map(|(turn, lane)| {
            let message = lane.receiver.next()?;
            Some((turn, message))
        });
        let (turn, message) = found?;
        // The lane behind the one that had a message comes first next time.
        self.first = (self.first + turn + 1) % self.lanes.len();
        Some(message)
    }

    /// One round of closer looks, in which lanes end.
    #[cold]
    fn look(&mut self) -> Result<T> {
        while lookout::Source::look(self)? {
            if let Some(message) = self.next() {
                return Ok(message);
            }
        }
        Err(Error::Empty)
    }

    fn recv_until(&mut self, deadline: Deadline) -> Result<T> {
        let how = self.wait;
        select::until(self, how, deadline, Self::next, Self::look)
    }
}

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
        let gather = match self.gather.get() {
            Some(gather) => gather,
            None => {
                let lanes = &self.lanes;
                let gather =
                    Gather::of(|gather| lanes.iter().try_for_each(|lane| gather.add(&lane.receiver)))?;
                self.gather.get_or_init(|| gather)
            }
        };
        Ok(Readiness::Several(gather.clone()))
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        select::arm(self, ring)
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

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_size_is_found_by_the_look_that_a_spinning_receiver_repeats() {
        fn check<T: Payload + Copy + PartialEq + fmt::Debug>(message: T) {
            let mut receiver = Receiver::new();
            let mut senders = Vec::new();
            for _ in 0..2 {
                let (sender, lane) = spsc::channel::<T>(16).unwrap();
                receiver.admit(lane.attach().unwrap()).unwrap();
                senders.push(sender.attach().unwrap());
            }
            for turn in 0..40 {
                assert_eq!(receiver.next(), None);
                senders[turn % 2].send(&message).unwrap();
                assert_eq!(receiver.next(), Some(message), "{} bytes, message {turn}", size_of::<T>());
            }
        }
        check(7_u64);
        check([7_u64; 7]);
        check([7_u64; 8]);
        check([7_u64; 512]);
    }
}
