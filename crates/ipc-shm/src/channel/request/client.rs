//! The end that asks: how it is made, and how it asks.
//!
//! Dropping it removes the name that it made. Killed, it leaves questions that the server serves before it is told.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::channel::attached::Attached;
use crate::channel::link::{Link, Plan, Side};
use crate::channel::meet::{self, private};
#[cfg(feature = "tokio")]
use crate::channel::request::caller::Awaited;
use crate::channel::request::caller::{Caller, Until};
use crate::channel::request::exchange::Asking;
use crate::channel::request::pending::PendingCall;
use crate::channel::request::plan::{any_plan, plan, plan_for, shape_of};
use crate::channel::request::server::Server;
use crate::channel::{ChannelOptions, End, Invitation, Offer, Payload, Unattached, Wait, named};
use crate::memory::header::Layout;
use crate::memory::view::View;
use crate::memory::{MemoryOptions, Mode, Origin, Sealed, Trusted};
use crate::{Error, Result};

/// The end that asks.
pub struct Client<Q: Payload, A: Payload, M: Mode = Trusted> {
    pub(super) caller: RefCell<Caller<Q, A>>,
    /// The memory that we write, with our socket, and what the server writes.
    pub(super) own: View,
    pub(super) peer: View,
    capacity: usize,
    mode: PhantomData<fn() -> M>,
}

/// A channel in common memory without a name: two ends, each to be attached in the process that uses it, after the fork
/// or exec.
///
/// # Errors
/// As [`spsc::channel`](crate::spsc::channel).
#[expect(clippy::type_complexity, reason = "two ends")]
pub fn channel<Q: Payload, A: Payload>(
    options: impl Into<ChannelOptions>,
) -> Result<(Unattached<Client<Q, A>>, Unattached<Server<Q, A>>)> {
    meet::unattached(&plan::<Q, A>(&options.into())?)
}

impl<Q: Payload, A: Payload> Client<Q, A, Trusted> {
    /// Makes the channel under a name, which appears when it is complete, and becomes its client. Dropping it removes the
    /// name; see [`Client::persist`].
    ///
    /// # Errors
    /// As [`spsc::Sender::create`](crate::spsc::Sender::create).
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        named::create(name, &plan::<Q, A>(&options.into())?)
    }

    /// Becomes the client of a channel that is there.
    ///
    /// # Errors
    /// As [`spsc::Sender::open`](crate::spsc::Sender::open); [`Error::EndInUse`] where another client is alive.
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Client::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        named::open(name, options)
    }

    /// Becomes the client of a channel that any process alive has attached; else makes it new, in the place of what dead
    /// ones left.
    ///
    /// # Errors
    /// As [`Client::create`] and [`Client::open`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        named::open_or_replace(name, &plan::<Q, A>(&options.into())?)
    }
}

impl<Q: Payload, A: Payload> Client<Q, A, Sealed> {
    /// Makes this process's half of a sealed pair, to ask from, and the invitation for the process that answers.
    ///
    /// # Errors
    /// As [`spsc::Sender::offer`](crate::spsc::Sender::offer).
    #[expect(clippy::type_complexity, reason = "an end and the invitation to the other")]
    pub fn offer(
        options: impl Into<ChannelOptions>,
    ) -> Result<(Offer<Self>, Invitation<Server<Q, A, Sealed>>)> {
        Offer::new(plan::<Q, A>(&options.into())?)
    }
}

impl<Q: Payload, A: Payload, M: Mode> Client<Q, A, M> {
    /// Asks, and waits for the answer.
    ///
    /// # Blocking
    /// Until the answer comes or the server is gone; a signal does not end it. With as many calls in flight as the
    /// capacity says, until the oldest is answered too.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EPIPE | [`Error::Disconnected`]: the server is gone |
    /// | ECANCELED | [`Error::Unanswered`]: it took the question and gave it up, or died with it |
    /// | EAGAIN | [`Error::Full`]: all places are [`PendingCall`]s that this process holds |
    /// | | [`Error::PeerCorrupt`], [`Error::Forked`] |
    #[inline]
    pub fn call(&self, question: &Q) -> Result<A> {
        self.call_until(question, Until::NEVER)
    }

    /// As [`Client::call`], for at most `timeout`, which the server can see.
    ///
    /// # Errors
    /// [`Error::TimedOut`]: the call is given up, and a late answer is dropped; and as [`Client::call`].
    pub fn call_timeout(&self, question: &Q, timeout: Duration) -> Result<A> {
        self.call_until(question, Until::after(timeout))
    }

    /// Asks, and does not wait for the answer.
    ///
    /// # Blocking
    /// As [`Client::call`], for a place among the calls in flight.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn send(&self, question: &Q) -> Result<PendingCall<'_, Q, A, M>> {
        self.send_until(question, Until::NEVER)
    }

    /// As [`Client::send`], for an answer within `timeout`, which the server can see.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Client::send`].
    pub fn send_timeout(&self, question: &Q, timeout: Duration) -> Result<PendingCall<'_, Q, A, M>> {
        self.send_until(question, Until::after(timeout))
    }

    /// Asks if there is a place among the calls in flight now.
    ///
    /// # Errors
    /// [`Error::Full`], and as [`Client::send`].
    pub fn try_send(&self, question: &Q) -> Result<PendingCall<'_, Q, A, M>> {
        let pos = self.ask(question)?;
        Ok(self.pending(pos, Until::NEVER))
    }

    /// How many calls may be in flight.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.caller.get_mut().end.wait = wait;
    }

    pub(in crate::channel) fn with_link<T>(&self, look: impl FnOnce(&Link) -> T) -> T {
        look(&self.caller.borrow().end.link)
    }

    /// Leaves the name in place when this end is dropped.
    pub fn persist(&self) {
        self.caller.borrow().end.link.persist();
    }

    #[inline]
    fn call_until(&self, question: &Q, until: Until) -> Result<A> {
        let mut caller = self.caller.borrow_mut();
        if !caller.has_place()? {
            caller.wait_for_place(until)?;
        }
        let pos = caller.end.ring.pos();
        caller.end.ring.ask(until.0, question);
        let answer = caller.answer(pos, || until.deadline());
        if let Err(Error::TimedOut | Error::Disconnected) = answer {
            caller.end.ring.give_up(pos);
        }
        answer
    }

    fn send_until(&self, question: &Q, until: Until) -> Result<PendingCall<'_, Q, A, M>> {
        let mut caller = self.caller.borrow_mut();
        if !caller.has_place()? {
            caller.wait_for_place(until)?;
        }
        let pos = caller.ask(question, until);
        Ok(self.pending(pos, until))
    }

    /// Asks in a place that [`Client::pending`], or [`Client::abandon`] after it, gives back.
    pub(crate) fn ask(&self, question: &Q) -> Result<u64> {
        let mut caller = self.caller.borrow_mut();
        if !caller.has_place()? {
            caller.end.link.look()?;
            return Err(Error::Full);
        }
        Ok(caller.ask(question, Until::NEVER))
    }

    /// Gives the place of the next question out, and says where it is, in bytes; waits for it until then, or not at all.
    pub(super) fn lend_next(&self, until: Option<Until>) -> Result<usize> {
        let mut caller = self.caller.borrow_mut();
        if !caller.has_place()? {
            let Some(until) = until else {
                caller.end.link.look()?;
                return Err(Error::Full);
            };
            caller.wait_for_place(until)?;
        }
        caller.lent = true;
        Ok(caller.end.ring.next_payload_offset())
    }

    /// Asks what was written there.
    pub(super) fn ask_lent(&self, until: Until) -> Result<PendingCall<'_, Q, A, M>> {
        let mut caller = self.caller.borrow_mut();
        caller.end.check()?;
        caller.lent = false;
        let pos = caller.end.ring.pos();
        caller.end.ring.ask_written(until.0);
        caller.hold(pos, true);
        Ok(self.pending(pos, until))
    }

    /// The place is free again.
    pub(super) fn take_back(&self) {
        self.caller.borrow_mut().lent = false;
    }

    pub(super) fn into_mode<N: Mode>(self) -> Client<Q, A, N> {
        let Self { caller, own, peer, capacity, mode: _ } = self;
        Client { caller, own, peer, capacity, mode: PhantomData }
    }

    /// As [`Client::ask`], for a task that waits for a place: `None` where it would wait for itself.
    #[cfg(feature = "tokio")]
    pub(crate) fn ask_waiting(&self, question: &Q) -> Result<Option<u64>> {
        let asked = self.ask(question);
        let mut caller = self.caller.borrow_mut();
        match asked {
            Err(Error::Full) if caller.has_next() => Ok(None),
            Err(Error::Full) => {
                caller.awaited = Some(Awaited::Place);
                Err(Error::Full)
            }
            asked => asked.map(Some),
        }
    }

    /// The answer to `pos`, for a task that waits for it.
    #[cfg(feature = "tokio")]
    pub(crate) fn answer_waiting(&self, pos: u64) -> Result<A> {
        let mut caller = self.caller.borrow_mut();
        let answer = caller.answer_now(pos);
        if let Err(Error::Empty) = answer {
            caller.awaited = Some(Awaited::Answer(pos));
        }
        answer
    }

    /// Gives the place of a question back; if the server has not taken it yet, it never will.
    pub(crate) fn abandon(&self, pos: u64) {
        let mut caller = self.caller.borrow_mut();
        caller.hold(pos, false);
        if caller.end.link.check_fork().is_ok() {
            caller.end.ring.give_up(pos);
        }
    }

    pub(crate) fn pending(&self, pos: u64, until: Until) -> PendingCall<'_, Q, A, M> {
        PendingCall::new(self, pos, until)
    }
}

impl<Q: Payload, A: Payload, M: Mode> End for Client<Q, A, M> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<Q: Payload, A: Payload, M: Mode> private::End for Client<Q, A, M> {
    const SIDE: Side = Side::Producer;

    fn plan() -> Plan {
        any_plan::<Q, A>()
    }

    fn plan_for(layout: &Layout) -> Result<Plan> {
        plan_for::<Q, A>(layout)
    }

    fn from_link(link: Link) -> Result<Self> {
        // Both parts are looked at before either is touched.
        let shape = shape_of::<Q, A>(link.own.segment().layout(), Side::Producer)?;
        shape_of::<Q, A>(link.peer.segment().layout(), Side::Consumer)?;
        let capacity = link.own.segment().capacity();
        let (own, peer) = (link.own.clone(), link.peer.clone());
        let ring = Asking::resume(own.clone(), peer.clone(), shape);
        link.announce();
        let caller = Caller::new(Attached::new(ring, link), capacity);
        Ok(Self { caller: RefCell::new(caller), own, peer, capacity, mode: PhantomData })
    }
}

impl<Q: Payload, A: Payload, M: Mode> fmt::Debug for Client<Q, A, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}
