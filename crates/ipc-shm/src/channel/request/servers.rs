//! One process that answers many clients: a channel for each, and a server that goes round.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ipc_sys::Deadline;

use crate::channel::fd::{Readiness, private as fd};
use crate::channel::gather::Gather;
use crate::channel::mpsc::{LANES_MAX, LaneId};
use crate::channel::request::{Request, Server};
use crate::channel::select::{self, private};
use crate::channel::sleeper::{Lent, Sleeper, Sleepers};
use crate::channel::uring::Uring;
use crate::channel::{ChannelStat, Payload, Pollable, Socket, Source, Wait};
use crate::memory::{Mode, Trusted};
use crate::{Error, Result};

/// The server of many clients: a [`Server`] for each, at most [`LANES_MAX`].
///
/// Clients never meet: none slows another, and one that dies or writes nonsense ends its own lane and no other. Each answer
/// goes to who asked, as its [`Request`] knows. They are let in whenever the server [admits](Servers::admit) them, while
/// questions of others are in hand too.
///
/// # After a crash
/// As for each [`Server`]. What ended is told by [`Servers::departed`]; everything that a client had asked is served first.
///
/// # Examples
/// ```
/// # fn main() -> ipc_shm::Result<()> {
/// use ipc_shm::request;
///
/// let servers = request::Servers::<u64, u64>::new();
/// let mut clients = Vec::new();
/// for _ in 0..3 {
///     let (client, server) = request::channel(16)?;
///     servers.admit(server.attach()?)?;
///     clients.push(client.attach()?); // each in its own process
/// }
/// let calls: Vec<_> = (1..).zip(&clients).map(|(number, client)| client.send(&number)).collect::<Result<_, _>>()?;
/// for _ in 0..3 {
///     let (_, request) = servers.recv()?;
///     let doubled = request.question() * 2;
///     request.answer(&doubled)?;
/// }
/// for (number, call) in (1..).zip(calls) {
///     assert_eq!(call.recv()?, number * 2);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Servers<Q: Payload, A: Payload, M: Mode = Trusted> {
    /// Filled from the first on, and emptied by who has all of it: a request borrows its lane.
    lanes: Vec<OnceCell<Lane<Q, A, M>>>,
    used: Cell<usize>,
    /// The lane to look at first.
    first: Cell<usize>,
    admitted: Cell<u64>,
    wait: Wait,
    /// Holds the sockets of the lanes, and what stands for those without, where this server is polled.
    gather: OnceLock<Arc<Gather>>,
}

struct Lane<Q: Payload, A: Payload, M: Mode> {
    id: LaneId,
    server: Server<Q, A, M>,
    /// What its next call would say, for good.
    ended: OnceCell<Error>,
}

impl<Q: Payload, A: Payload, M: Mode> Servers<Q, A, M> {
    /// A server without a client.
    #[must_use]
    pub fn new() -> Self {
        let lanes = std::iter::repeat_with(OnceCell::new).take(LANES_MAX).collect();
        Self {
            lanes,
            used: Cell::new(0),
            first: Cell::new(0),
            admitted: Cell::new(0),
            wait: Wait::default(),
            gather: OnceLock::new(),
        }
    }

    /// Lets one more client in, by the server of its channel.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] where there are [`LANES_MAX`] lanes; those that have ended count until they are taken out
    /// by [`Servers::departed`]. Where this server is [`Polled`](crate::Polled): [`Error::NoUring`], of a channel that is
    /// not [pollable](crate::ChannelOptions::pollable); [`Error::System`] (EMFILE, ENOMEM, ENOSPC).
    pub fn admit(&self, server: Server<Q, A, M>) -> Result<LaneId> {
        let Some(place) = self.lanes.get(self.used.get()) else {
            return Err(Error::InvalidParameter {
                what: "the number of clients",
                value: LANES_MAX as u64 + 1,
                reason: "one server sleeps on at most 127, with those that have ended and not been taken out",
            });
        };
        if let Some(gather) = self.gather.get() {
            gather.add(&&server)?;
        }
        let id = LaneId(self.admitted.get());
        let _ = place.set(Lane { id, server, ended: OnceCell::new() });
        self.used.set(self.used.get() + 1);
        self.admitted.set(id.0 + 1);
        Ok(id)
    }

    /// How many clients there are.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.living().count()
    }

    /// Takes the lanes out that have ended, and says why: [`Error::Disconnected`], [`Error::PeerCorrupt`].
    pub fn departed(&mut self) -> Vec<(LaneId, Error)> {
        let all: Vec<_> = self.lanes.iter_mut().filter_map(OnceCell::take).collect();
        let mut places = self.lanes.iter();
        let mut departed = Vec::new();
        for Lane { id, server, ended } in all {
            match ended.into_inner() {
                Some(error) => departed.push((id, error)),
                None => {
                    let lane = Lane { id, server, ended: OnceCell::new() };
                    if let Some(place) = places.next() {
                        let _ = place.set(lane);
                    }
                }
            }
        }
        self.used.set(LANES_MAX - places.len());
        departed
    }

    /// What each lane's words say of its two ends: [`Server::stat`].
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<Vec<(LaneId, ChannelStat)>> {
        self.living().map(|lane| Ok((lane.id, lane.server.stat()?))).collect()
    }

    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }

    /// Takes the next question of any client, waiting for one, and says whose it is.
    ///
    /// # Blocking
    /// Until a question comes or the last client has gone; a signal does not end it. It sleeps by futex_waitv (Linux 5.16);
    /// where that is missing, [`Wait::Spin`] waits, and [`Wait::Poll`] over pollable lanes.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EPIPE | [`Error::Disconnected`]: there is no client, or none any more |
    /// | ENOSYS | [`Error::System`]: no futex_waitv |
    /// | | [`Error::Forked`] |
    pub fn recv(&self) -> Result<(LaneId, Request<'_, Q, A, M>)> {
        self.recv_until(|| Deadline::NEVER)
    }

    /// As [`Servers::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Servers::recv`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<(LaneId, Request<'_, Q, A, M>)> {
        self.recv_until(|| Deadline::after(timeout))
    }

    /// Takes the next question of any client, if there is one.
    ///
    /// # Errors
    /// [`Error::Empty`], and as [`Servers::recv`].
    pub fn try_recv(&self) -> Result<(LaneId, Request<'_, Q, A, M>)> {
        self.next().map_or_else(|| self.closer(), Ok)
    }

    fn recv_until(&self, deadline: impl FnOnce() -> Deadline) -> Result<(LaneId, Request<'_, Q, A, M>)> {
        match self.next() {
            Some(found) => Ok(found),
            None => select::until(&mut &*self, self.wait, deadline(), |_| self.next(), |_| self.closer()),
        }
    }

    /// One round of the cheapest look.
    fn next(&self) -> Option<(LaneId, Request<'_, Q, A, M>)> {
        self.round().find_map(|(at, lane)| {
            let request = lane.server.next()?;
            self.first.set(at + 1);
            Some((lane.id, request))
        })
    }

    /// One round of closer looks, in which lanes end.
    fn closer(&self) -> Result<(LaneId, Request<'_, Q, A, M>)> {
        self.request(self.take()?)
    }

    /// The same, of which [`Servers::request`] makes the request: a lane, a position and a question.
    pub(crate) fn take(&self) -> Result<(usize, u64, Q)> {
        for (at, lane) in self.round() {
            match lane.server.take() {
                Ok((pos, question)) => {
                    self.first.set(at + 1);
                    return Ok((at, pos, question));
                }
                Err(error) => self.note(lane, error)?,
            }
        }
        if self.lanes() == 0 { Err(Error::Disconnected) } else { Err(Error::Empty) }
    }

    pub(crate) fn request(&self, taken: (usize, u64, Q)) -> Result<(LaneId, Request<'_, Q, A, M>)> {
        let (at, pos, question) = taken;
        // Nobody has taken the lane out meanwhile: that needs all of the server.
        let lane = self.lanes.get(at).and_then(OnceCell::get).ok_or(Error::Empty)?;
        Ok((lane.id, lane.server.request(pos, question)))
    }

    /// Each lane that has not ended, the one behind the last that had a question first.
    fn round(&self) -> impl Iterator<Item = (usize, &Lane<Q, A, M>)> {
        let used = self.used.get();
        select::round(self.first.get(), used).filter_map(|at| {
            let lane = self.lanes.get(at)?.get()?;
            lane.lives().then_some((at, lane))
        })
    }

    /// Keeps what ended a lane.
    ///
    /// # Errors
    /// What is every lane's: [`Error::Forked`].
    fn note(&self, lane: &Lane<Q, A, M>, error: Error) -> Result<()> {
        match error {
            Error::Empty => Ok(()),
            Error::Forked => Err(Error::Forked),
            error => {
                if let Some(gather) = self.gather.get() {
                    gather.remove(&&lane.server);
                }
                let _ = lane.ended.set(error);
                Ok(())
            }
        }
    }

    fn living(&self) -> impl Iterator<Item = &Lane<Q, A, M>> {
        self.lanes.iter().map_while(OnceCell::get).filter(|lane| lane.lives())
    }
}

impl<Q: Payload, A: Payload, M: Mode> Lane<Q, A, M> {
    fn lives(&self) -> bool {
        self.ended.get().is_none()
    }
}

impl<Q: Payload, A: Payload, M: Mode> Source for &Servers<Q, A, M> {}

impl<Q: Payload, A: Payload, M: Mode> Sleepers for &Servers<Q, A, M> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        self.living().for_each(|lane| visit(&lane.server));
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        self.living().for_each(|lane| visit(&mut Lent(&lane.server)));
    }
}

impl<Q: Payload, A: Payload, M: Mode> private::Source for &Servers<Q, A, M> {
    fn check(&self) -> Result<()> {
        // A lane that is spoilt ends at the next look; a forked one is every lane's.
        match self.living().next().map(|lane| lane.server.check()) {
            Some(Err(Error::Forked)) => Err(Error::Forked),
            _ => Ok(()),
        }
    }

    fn look(&mut self) -> Result<bool> {
        for (_, lane) in self.round() {
            match lane.server.look() {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => self.note(lane, error)?,
            }
        }
        if self.lanes() == 0 { Err(Error::Disconnected) } else { Ok(false) }
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        self.living().for_each(|lane| lane.server.descriptors(visit));
    }
}

impl<Q: Payload, A: Payload, M: Mode> Pollable for Servers<Q, A, M> {}
impl<Q: Payload, A: Payload, M: Mode> Pollable for &Servers<Q, A, M> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<Q: Payload, A: Payload, M: Mode> fd::Pollable for Servers<Q, A, M> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        None
    }

    fn readiness(&self) -> Result<Readiness> {
        Gather::once(&self.gather, |gather| self.living().try_for_each(|lane| gather.add(&&lane.server)))
            .map(Readiness::Several)
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        select::arm(&mut &*self, ring)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<Q: Payload, A: Payload, M: Mode> fd::Pollable for &Servers<Q, A, M> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        None
    }

    fn readiness(&self) -> Result<Readiness> {
        fd::Pollable::readiness(*self)
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        select::arm(self, ring)
    }
}

impl<Q: Payload, A: Payload, M: Mode> Default for Servers<Q, A, M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Q: Payload, A: Payload, M: Mode> fmt::Debug for Servers<Q, A, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Servers").field("lanes", &self.lanes()).finish_non_exhaustive()
    }
}
