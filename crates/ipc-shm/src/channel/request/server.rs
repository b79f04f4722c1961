//! The end that answers.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use ipc_sys::Deadline;
use ipc_sys::deadline::monotonic_now;

use crate::channel::attached::Attached;
use crate::channel::doorbell::poll_for;
use crate::channel::link::{Link, Plan, Side};
use crate::channel::meet::private;
use crate::channel::request::client::Client;
use crate::channel::request::exchange::{Answering, End as Ending, NO_DEADLINE};
use crate::channel::request::plan::{any_plan, plan, plan_for, shape_of};
use crate::channel::{ChannelOptions, End, Invitation, Offer, Payload, Wait, named};
use crate::memory::header::Layout;
use crate::memory::view::View;
use crate::memory::{MemoryOptions, Mode, Origin, Sealed, Trusted};
use crate::{Error, Result};

/// The end that answers.
pub struct Server<Q: Payload, A: Payload, M: Mode = Trusted> {
    pub(super) end: RefCell<Attached<Answering<Q, A, View>>>,
    /// The memory that we write, with our socket, and what the client writes.
    pub(super) own: View,
    pub(super) peer: View,
    mode: PhantomData<fn() -> M>,
}

/// A question that waits for its answer. Several may be held at once and answered in any order. Dropped without an answer,
/// its client is told [`Error::Unanswered`].
#[must_use = "dropped, the client is told that there is no answer"]
pub struct Request<'s, Q: Payload, A: Payload, M: Mode = Trusted> {
    server: &'s Server<Q, A, M>,
    pos: u64,
    question: Q,
    ended: bool,
}

impl<Q: Payload, A: Payload> Server<Q, A, Trusted> {
    /// Makes the channel under a name, which appears when it is complete, and becomes its server. Dropping it removes the
    /// name; see [`Server::persist`].
    ///
    /// # Errors
    /// As [`spsc::Sender::create`](crate::spsc::Sender::create).
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        named::create(name, &plan::<Q, A>(&options.into())?)
    }

    /// Becomes the server of a channel that is there.
    ///
    /// # Errors
    /// As [`spsc::Sender::open`](crate::spsc::Sender::open); [`Error::EndInUse`] where another server is alive.
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Server::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Server::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        named::open(name, options)
    }

    /// Becomes the server of a channel that any process alive has attached; else makes it new, in the place of what dead
    /// ones left.
    ///
    /// # Errors
    /// As [`Server::create`] and [`Server::open`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        named::open_or_replace(name, &plan::<Q, A>(&options.into())?)
    }
}

impl<Q: Payload, A: Payload> Server<Q, A, Sealed> {
    /// Makes this process's half of a sealed pair, to answer from, and the invitation for the process that asks.
    ///
    /// # Errors
    /// As [`spsc::Sender::offer`](crate::spsc::Sender::offer).
    #[expect(clippy::type_complexity, reason = "an end and the invitation to the other")]
    pub fn offer(
        options: impl Into<ChannelOptions>,
    ) -> Result<(Offer<Self>, Invitation<Client<Q, A, Sealed>>)> {
        Offer::new(plan::<Q, A>(&options.into())?)
    }
}

impl<Q: Payload, A: Payload, M: Mode> Server<Q, A, M> {
    /// Takes the next question, waiting for one.
    ///
    /// # Blocking
    /// Until a question comes or the client is gone; a signal does not end it.
    ///
    /// # Errors
    /// [`Error::Disconnected`], when everything that was asked has been taken; [`Error::PeerCorrupt`], [`Error::Forked`].
    #[inline]
    pub fn recv(&self) -> Result<Request<'_, Q, A, M>> {
        self.recv_until(|| Deadline::NEVER)
    }

    /// As [`Server::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Server::recv`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Request<'_, Q, A, M>> {
        let deadline = Deadline::after(timeout);
        self.recv_until(|| deadline)
    }

    /// Takes the next question if it is there.
    ///
    /// # Errors
    /// [`Error::Empty`], and as [`Server::recv`].
    pub fn try_recv(&self) -> Result<Request<'_, Q, A, M>> {
        let (pos, question) = self.take()?;
        Ok(self.request(pos, question))
    }

    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.get_mut().wait = wait;
    }

    pub(in crate::channel) fn with_link<T>(&self, look: impl FnOnce(&Link) -> T) -> T {
        look(&self.end.borrow().link)
    }

    /// Leaves the name in place when this end is dropped.
    pub fn persist(&self) {
        self.end.borrow().link.persist();
    }

    #[inline(always)]
    fn recv_until(&self, deadline: impl Fn() -> Deadline) -> Result<Request<'_, Q, A, M>> {
        let mut end = self.end.borrow_mut();
        let (pos, question) = match poll_for(end.wait, || next_now(&mut end)) {
            Some(taken) => taken,
            None => next_within(&mut end, deadline)?,
        };
        Ok(self.request(pos, question))
    }

    /// The next question, if it is there by the cheapest look.
    #[inline]
    pub(super) fn next(&self) -> Option<Request<'_, Q, A, M>> {
        let (pos, question) = next(&mut self.end.borrow_mut()).ok().flatten()?;
        Some(self.request(pos, question))
    }

    /// The next question by a closer look, which its [`Server::request`] must follow.
    pub(crate) fn take(&self) -> Result<(u64, Q)> {
        let mut end = self.end.borrow_mut();
        if let Some(taken) = next(&mut end)? {
            return Ok(taken);
        }
        let gone = end.link.look();
        // What the client asked before it left is there now, if it ever was.
        if let Some(taken) = next(&mut end)? {
            return Ok(taken);
        }
        gone?;
        Err(Error::Empty)
    }

    pub(super) fn into_mode<N: Mode>(self) -> Server<Q, A, N> {
        let Self { end, own, peer, mode: _ } = self;
        Server { end, own, peer, mode: PhantomData }
    }

    pub(crate) fn request(&self, pos: u64, question: Q) -> Request<'_, Q, A, M> {
        Request { server: self, pos, question, ended: false }
    }
}

/// The next question that its client still wants answered. `None` comes too after many that nobody waits for any more: who
/// asks nothing else must not keep us.
#[inline]
fn next<Q: Payload, A: Payload>(end: &mut Attached<Answering<Q, A, View>>) -> Result<Option<(u64, Q)>> {
    end.check()?;
    for _ in 0..PASSED_OVER {
        let Some((pos, until, question)) = end.ring.next().map_err(|error| end.condemn(error))? else {
            return Ok(None);
        };
        if until == NO_DEADLINE || !remaining(until).is_zero() {
            end.ring.count(|| end.link.may_be_hot());
            return Ok(Some((pos, question)));
        }
        end.ring.end(pos, Ending::Expired);
    }
    Ok(None)
}

/// How many questions one look passes over.
const PASSED_OVER: usize = 64;

/// The next question, if this end may be used and it was there by the cheapest look.
#[inline(always)]
fn next_now<Q: Payload, A: Payload>(end: &mut Attached<Answering<Q, A, View>>) -> Option<(u64, Q)> {
    let taken = if end.is_usable() { end.ring.next_now(|until| remaining(until).is_zero()) } else { None };
    if taken.is_some() {
        end.ring.count(|| end.link.may_be_hot());
    }
    taken
}

#[inline(never)]
fn next_within<Q: Payload, A: Payload>(
    end: &mut Attached<Answering<Q, A, View>>,
    deadline: impl Fn() -> Deadline,
) -> Result<(u64, Q)> {
    if let Some(taken) = next(end)? {
        return Ok(taken);
    }
    loop {
        let deadline = deadline();
        let (wait, link) = (end.wait, &mut end.link);
        let waited = end.ring.wait(wait, deadline, || link.look());
        end.note(waited)?;
        // What woke us may be a question whose time is over, each time.
        let last = deadline.has_passed();
        if let Some(taken) = next(end)? {
            return Ok(taken);
        }
        if last {
            return Err(Error::TimedOut);
        }
    }
}

/// How long it is until this many nanoseconds of CLOCK_MONOTONIC.
fn remaining(until: u64) -> Duration {
    Duration::from_nanos(until).saturating_sub(monotonic_now())
}

impl<Q: Payload, A: Payload, M: Mode> Request<'_, Q, A, M> {
    /// What was asked.
    pub fn question(&self) -> &Q {
        &self.question
    }

    /// How long the client will wait from now: `None` for as long as it takes, zero when its time is over or it has given
    /// the call up meanwhile.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn remaining(&self) -> Result<Option<Duration>> {
        let end = self.server.end.borrow();
        end.link.check_fork()?;
        let until = end.ring.deadline(self.pos);
        Ok((until != NO_DEADLINE).then(|| remaining(until)))
    }

    /// Answers. It never waits; what became of the client does not matter.
    ///
    /// # Errors
    /// [`Error::Forked`].
    #[inline]
    pub fn answer(mut self, answer: &A) -> Result<()> {
        let mut end = self.server.end.borrow_mut();
        end.link.check_fork()?;
        self.ended = true;
        end.ring.answer(self.pos, answer);
        Ok(())
    }
}

impl<'s, Q: Payload, A: Payload, M: Mode> Request<'s, Q, A, M> {
    /// Where the answer is to be written, in bytes of this memory.
    pub(super) fn lend(&self) -> Result<(usize, &'s View)> {
        let end = self.server.end.borrow();
        end.link.check_fork()?;
        Ok((end.ring.payload_offset(self.pos), &self.server.own))
    }

    /// Answers with what was written there.
    pub(super) fn commit_lent(mut self) -> Result<()> {
        let mut end = self.server.end.borrow_mut();
        end.link.check_fork()?;
        self.ended = true;
        end.ring.end(self.pos, Ending::Answered);
        Ok(())
    }
}

impl<Q: Payload, A: Payload, M: Mode> Drop for Request<'_, Q, A, M> {
    fn drop(&mut self) {
        if !self.ended {
            let mut end = self.server.end.borrow_mut();
            if end.link.check_fork().is_ok() {
                end.ring.end(self.pos, Ending::Unanswered);
            }
        }
    }
}

impl<Q: Payload, A: Payload, M: Mode> End for Server<Q, A, M> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<Q: Payload, A: Payload, M: Mode> private::End for Server<Q, A, M> {
    const SIDE: Side = Side::Consumer;

    fn plan() -> Plan {
        any_plan::<Q, A>()
    }

    fn plan_for(layout: &Layout) -> Result<Plan> {
        plan_for::<Q, A>(layout)
    }

    fn from_link(link: Link) -> Result<Self> {
        // Both parts are looked at before either is touched.
        let shape = shape_of::<Q, A>(link.own.segment().layout(), Side::Consumer)?;
        shape_of::<Q, A>(link.peer.segment().layout(), Side::Producer)?;
        let (own, peer) = (link.own.clone(), link.peer.clone());
        let ring = Answering::resume(own.clone(), peer.clone(), shape);
        link.announce();
        Ok(Self { end: RefCell::new(Attached::new(ring, link)), own, peer, mode: PhantomData })
    }
}

impl<Q: Payload, A: Payload, M: Mode> fmt::Debug for Server<Q, A, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").finish_non_exhaustive()
    }
}

impl<Q: Payload, A: Payload, M: Mode> fmt::Debug for Request<'_, Q, A, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Request").field("number", &self.pos).finish_non_exhaustive()
    }
}
