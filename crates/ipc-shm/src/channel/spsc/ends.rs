//! The two ends as users hold them.

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use ipc_sys::Deadline;
use ipc_sys::fork::ForkMark;

use crate::channel::link::{Attached, Link, Plan, Side};
use crate::channel::meet::private;
use crate::channel::slots;
use crate::channel::spsc::plan::{any_plan, plan, plan_for};
use crate::channel::spsc::ring::{Consumer, Producer, Shape};
use crate::channel::{ChannelOptions, End, Invitation, Offer, Payload, Unattached, Wait};
use crate::memory::header::Layout;
use crate::memory::view::View;
use crate::memory::{MemoryOptions, Mode, Origin, Sealed, Trusted};
use crate::{Error, Result};

/// The end that sends.
pub struct Sender<T: Payload, M: Mode = Trusted> {
    pub(in crate::channel) end: Attached<Producer<T, View>>,
    guaranteed: usize,
    wait: Wait,
    /// The process that attached this end; void when the peer wrote nonsense.
    mark: ForkMark,
    /// Set for good when the peer wrote nonsense.
    corrupt: Option<&'static str>,
    mode: PhantomData<fn() -> M>,
}

/// The end that receives.
pub struct Receiver<T: Payload, M: Mode = Trusted> {
    pub(in crate::channel) end: Attached<Consumer<T, View>>,
    wait: Wait,
    /// The process that attached this end; void when the peer wrote nonsense.
    mark: ForkMark,
    /// Set for good when the peer wrote nonsense.
    corrupt: Option<&'static str>,
    mode: PhantomData<fn() -> M>,
}

/// A channel in common memory without a name: two ends, each to be attached in the process that uses it, after the fork
/// or exec.
///
/// # Errors
/// [`Error::InvalidParameter`] for the capacity; [`Error::NoSpace`]; [`Error::System`] (EMFILE, ENOMEM, ENOENT without /proc).
#[expect(clippy::type_complexity, reason = "two ends")]
pub fn channel<T: Payload>(
    options: impl Into<ChannelOptions>,
) -> Result<(Unattached<Sender<T>>, Unattached<Receiver<T>>)> {
    let options = options.into();
    let (sender, receiver) = Link::anonymous(&plan::<T>(&options)?)?;
    Ok((Unattached::new(sender).tag(options.tag), Unattached::new(receiver).tag(options.tag)))
}

impl<T: Payload> Sender<T, Trusted> {
    /// Makes the channel under a name, which appears when it is complete, and holds its sending end. Dropping this end
    /// removes the name; see [`Sender::persist`].
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EEXIST | [`Error::Exists`] |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`], [`Error::InvalidParameter`] (the capacity) |
    /// | ENOSPC | [`Error::NoSpace`]; nothing was made |
    /// | EACCES, EMFILE, ENOENT (/proc is not mounted) | [`Error::System`] |
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        private::End::from_link(Link::create(name.as_ref(), Side::Producer, &plan::<T>(&options.into())?)?)
    }

    /// Attaches the sending end of a channel that is there.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOENT | [`Error::NotFound`] |
    /// | EBUSY | [`Error::EndInUse`]: another sender is alive |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`] |
    /// | EACCES, EMFILE, ELOOP (a symbolic link) | [`Error::System`] |
    /// | | [`Error::Refused`], with the [`Refusal`](crate::Refusal) that says why |
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Sender::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Sender::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        let plan = any_plan::<T>().tagged(options.tag);
        private::End::from_link(Link::open(name.as_ref(), Side::Producer, &plan)?)
    }

    /// Attaches the sending end if any process alive has the channel attached, taking up where the last sender ended; else
    /// makes the channel new, in the place of what dead ones left.
    ///
    /// # Errors
    /// As [`Sender::create`] and [`Sender::open`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        let plan = plan::<T>(&options.into())?;
        let (link, origin) = Link::open_or_replace(name.as_ref(), Side::Producer, &plan)?;
        Ok((private::End::from_link(link)?, origin))
    }
}

impl<T: Payload> Receiver<T, Trusted> {
    /// As [`Sender::create`], holding the receiving end.
    ///
    /// # Errors
    /// As [`Sender::create`].
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        private::End::from_link(Link::create(name.as_ref(), Side::Consumer, &plan::<T>(&options.into())?)?)
    }

    /// As [`Sender::open`], for the receiving end.
    ///
    /// # Errors
    /// As [`Sender::open`].
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Receiver::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Receiver::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        let plan = any_plan::<T>().tagged(options.tag);
        private::End::from_link(Link::open(name.as_ref(), Side::Consumer, &plan)?)
    }

    /// As [`Sender::open_or_replace`], for the receiving end.
    ///
    /// # Errors
    /// As [`Sender::open_or_replace`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        let plan = plan::<T>(&options.into())?;
        let (link, origin) = Link::open_or_replace(name.as_ref(), Side::Consumer, &plan)?;
        Ok((private::End::from_link(link)?, origin))
    }
}

impl<T: Payload> Sender<T, Sealed> {
    /// Makes this process's half of a sealed pair, to send from, and the invitation for the process that receives.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for the capacity; [`Error::NoSpace`]; [`Error::System`] (EMFILE, ENOMEM, ENOENT without
    /// /proc).
    #[expect(clippy::type_complexity, reason = "an end and the invitation to the other")]
    pub fn offer(
        options: impl Into<ChannelOptions>,
    ) -> Result<(Offer<Self>, Invitation<Receiver<T, Sealed>>)> {
        Offer::new(plan::<T>(&options.into())?)
    }
}

impl<T: Payload> Receiver<T, Sealed> {
    /// Makes this process's half of a sealed pair, to receive by, and the invitation for the process that sends.
    ///
    /// # Errors
    /// As [`Sender::offer`].
    #[expect(clippy::type_complexity, reason = "an end and the invitation to the other")]
    pub fn offer(options: impl Into<ChannelOptions>) -> Result<(Offer<Self>, Invitation<Sender<T, Sealed>>)> {
        Offer::new(plan::<T>(&options.into())?)
    }
}

impl<T: Payload, M: Mode> Sender<T, M> {
    /// Sends a message, waiting for room.
    ///
    /// # Blocking
    /// Until there is room or the receiver is gone; a signal does not end it.
    ///
    /// # Errors
    /// [`Error::Disconnected`], [`Error::PeerCorrupt`], [`Error::Forked`].
    #[inline]
    pub fn send(&mut self, message: &T) -> Result<()> {
        if self.send_now(message) { Ok(()) } else { self.send_waiting(message, None) }
    }

    /// As [`Sender::send`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Sender::send`].
    #[inline]
    pub fn send_timeout(&mut self, message: &T, timeout: Duration) -> Result<()> {
        if self.send_now(message) { Ok(()) } else { self.send_waiting(message, Some(timeout)) }
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    /// [`Error::Full`], and as [`Sender::send`].
    #[inline]
    pub fn try_send(&mut self, message: &T) -> Result<()> {
        if self.send_now(message) { Ok(()) } else { self.send_looking(message) }
    }

    /// Sends as many of the messages as there is room for now, seen by the receiver all at once, and says how many.
    ///
    /// # Errors
    /// As [`Sender::try_send`]; [`Error::Full`] where there was room for none.
    pub fn try_send_batch(&mut self, messages: &[T]) -> Result<usize> {
        self.check()?;
        if messages.is_empty() {
            return Ok(0);
        }
        let count = self.space(messages.len() as u64)?.min(messages.len() as u64);
        if count == 0 {
            return Err(self.full());
        }
        for (ahead, message) in (0..count).zip(messages) {
            self.end.ring.write(ahead, message);
        }
        self.publish(count);
        Ok(as_usize(count))
    }

    /// Sends all of the messages, in as large batches as there is room for.
    ///
    /// # Errors
    /// As [`Sender::send`]. How many went before is not said: send them one by one where it matters.
    pub fn send_batch(&mut self, mut messages: &[T]) -> Result<()> {
        while !messages.is_empty() {
            match self.try_send_batch(messages) {
                Ok(sent) => messages = messages.get(sent..).unwrap_or_default(),
                Err(Error::Full) => self.wait_for_space(1, None)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How many messages are guaranteed to fit before [`Sender::send`] waits: about three quarters of what was asked for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.guaranteed
    }

    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }

    /// Leaves the name in place when this end is dropped.
    pub fn persist(&self) {
        self.end.link.persist();
    }

    pub(in crate::channel) fn into_mode<N: Mode>(self) -> Sender<T, N> {
        let Self { end, guaranteed, wait, mark, corrupt, mode: _ } = self;
        Sender { end, guaranteed, wait, mark, corrupt, mode: PhantomData }
    }

    /// Sends if this handle is ours and there was room by the last look.
    #[inline(always)]
    fn send_now(&mut self, message: &T) -> bool {
        let sent = self.mark.is_ours() && self.end.ring.send(message);
        if sent {
            self.end.ring.count(1, || self.end.link.may_be_hot());
        }
        sent
    }

    #[inline(never)]
    fn send_waiting(&mut self, message: &T, timeout: Option<Duration>) -> Result<()> {
        self.check()?;
        if self.space(1)? == 0 {
            self.wait_for_space(1, timeout)?;
        }
        self.send_now(message);
        Ok(())
    }

    #[inline(never)]
    fn send_looking(&mut self, message: &T) -> Result<()> {
        self.check_room()?;
        self.send_now(message);
        Ok(())
    }

    #[inline]
    pub(in crate::channel) fn publish(&mut self, count: u64) {
        self.end.ring.publish(count);
        self.end.ring.count(streak(count), || self.end.link.may_be_hot());
    }

    #[inline]
    pub(in crate::channel) fn check(&self) -> Result<()> {
        match self.corrupt {
            _ if self.mark.is_ours() => Ok(()),
            None => Err(Error::Forked),
            Some(what) => Err(Error::PeerCorrupt { what }),
        }
    }

    #[inline]
    pub(in crate::channel) fn space(&mut self, wanted: u64) -> Result<u64> {
        self.end.ring.space(wanted).map_err(|error| self.note(error))
    }

    /// Why there is no room: the receiver is slow, or gone.
    #[cold]
    pub(in crate::channel) fn full(&mut self) -> Error {
        match self.end.link.look() {
            Ok(()) => Error::Full,
            Err(error) => error,
        }
    }

    #[cold]
    pub(in crate::channel) fn wait_for_space(
        &mut self,
        wanted: u64,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let deadline = timeout.map_or(Deadline::NEVER, Deadline::after);
        let link = &mut self.end.link;
        self.end.ring.wait(wanted, self.wait, deadline, || link.look()).map_err(|error| self.note(error))
    }

    #[cold]
    pub(in crate::channel) fn note(&mut self, error: Error) -> Error {
        if let Error::PeerCorrupt { what } = error {
            self.corrupt = Some(what);
            self.mark = self.mark.void();
        }
        error
    }
}

impl<T: Payload, M: Mode> Receiver<T, M> {
    /// Receives the next message, waiting for one.
    ///
    /// # Blocking
    /// Until a message comes or the sender is gone; a signal does not end it.
    ///
    /// # Errors
    /// [`Error::Disconnected`], when everything sent has been received; [`Error::PeerCorrupt`], [`Error::Forked`].
    #[inline]
    pub fn recv(&mut self) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.recv_waiting(None),
        }
    }

    /// As [`Receiver::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Receiver::recv`].
    #[inline]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.recv_waiting(Some(timeout)),
        }
    }

    /// Receives the next message if it is there.
    ///
    /// # Errors
    /// [`Error::Empty`], and as [`Receiver::recv`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.recv_looking(),
        }
    }

    /// Receives what is there, as much as `buffer` holds, and says how many.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`]; [`Error::Empty`] where there was nothing.
    pub fn try_recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.check()?;
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut count = self.available(buffer.len() as u64)?;
        if count == 0 {
            self.empty()?;
            count = self.available(buffer.len() as u64)?;
        }
        for (ahead, place) in (0..count).zip(buffer) {
            *place = self.end.ring.read(ahead);
        }
        self.advance(count);
        Ok(as_usize(count))
    }

    /// As [`Receiver::try_recv_batch`], waiting for the first message.
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        loop {
            match self.try_recv_batch(buffer) {
                Err(Error::Empty) => self.wait_for_message(None)?,
                done => return done,
            }
        }
    }

    /// Gives all space back to the sender now, not a quarter of the ring at a time.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn release(&mut self) -> Result<()> {
        self.check()?;
        self.end.ring.release();
        Ok(())
    }

    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }

    /// Leaves the name in place when this end is dropped.
    pub fn persist(&self) {
        self.end.link.persist();
    }

    pub(in crate::channel) fn into_mode<N: Mode>(self) -> Receiver<T, N> {
        let Self { end, wait, mark, corrupt, mode: _ } = self;
        Receiver { end, wait, mark, corrupt, mode: PhantomData }
    }

    /// The next message, if this handle is ours and it was there by the cheapest look.
    #[inline(always)]
    pub(in crate::channel) fn next(&mut self) -> Option<T> {
        if !self.mark.is_ours() {
            return None;
        }
        let message = self.end.ring.next();
        if message.is_some() {
            self.end.ring.count(1, || self.end.link.may_be_hot());
        }
        message
    }

    #[inline(never)]
    fn recv_waiting(&mut self, timeout: Option<Duration>) -> Result<T> {
        self.check()?;
        if self.available(1)? == 0 {
            self.wait_for_message(timeout)?;
        }
        Ok(self.take())
    }

    #[inline(never)]
    fn recv_looking(&mut self) -> Result<T> {
        self.check()?;
        if self.available(1)? == 0 {
            self.empty()?;
        }
        Ok(self.take())
    }

    fn take(&mut self) -> T {
        let message = self.end.ring.read(0);
        self.advance(1);
        message
    }

    #[inline]
    pub(in crate::channel) fn advance(&mut self, count: u64) {
        self.end.ring.advance(count);
        self.end.ring.count(streak(count), || self.end.link.may_be_hot());
    }

    #[inline]
    pub(in crate::channel) fn check(&self) -> Result<()> {
        match self.corrupt {
            _ if self.mark.is_ours() => Ok(()),
            None => Err(Error::Forked),
            Some(what) => Err(Error::PeerCorrupt { what }),
        }
    }

    #[inline]
    pub(in crate::channel) fn available(&mut self, wanted: u64) -> Result<u64> {
        self.end.ring.available(wanted).map_err(|error| self.note(error))
    }

    /// Why there is nothing: `Ok` where there is by now something after all.
    #[cold]
    pub(in crate::channel) fn empty(&mut self) -> Result<()> {
        self.end.ring.release();
        let gone = self.end.link.look();
        // What the sender published before it left is there now, if it ever was.
        if self.available(1)? != 0 {
            return Ok(());
        }
        self.end.ring.check_empty().map_err(|error| self.note(error))?;
        gone?;
        Err(Error::Empty)
    }

    #[cold]
    pub(in crate::channel) fn wait_for_message(&mut self, timeout: Option<Duration>) -> Result<()> {
        let deadline = timeout.map_or(Deadline::NEVER, Deadline::after);
        let link = &mut self.end.link;
        self.end.ring.wait(self.wait, deadline, || link.look()).map_err(|error| self.note(error))
    }

    #[cold]
    pub(in crate::channel) fn note(&mut self, error: Error) -> Error {
        if let Error::PeerCorrupt { what } = error {
            self.corrupt = Some(what);
            self.mark = self.mark.void();
        }
        error
    }
}

impl<T: Payload, M: Mode> End for Sender<T, M> {}
impl<T: Payload, M: Mode> End for Receiver<T, M> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload, M: Mode> private::End for Sender<T, M> {
    const SIDE: Side = Side::Producer;

    fn plan() -> Plan {
        any_plan::<T>()
    }

    fn plan_for(layout: &Layout) -> Result<Plan> {
        plan_for::<T>(layout)
    }

    fn from_link(link: Link) -> Result<Self> {
        let shape = slots::shape_of::<T, Shape>(link.own.segment().layout())?;
        let ring = Producer::resume(link.own.clone(), link.peer.clone(), shape)?;
        link.announce();
        let guaranteed = as_usize(shape.guaranteed());
        let mark = link.mark();
        let end = Attached { ring, link };
        Ok(Self { end, guaranteed, wait: Wait::default(), mark, corrupt: None, mode: PhantomData })
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload, M: Mode> private::End for Receiver<T, M> {
    const SIDE: Side = Side::Consumer;

    fn plan() -> Plan {
        any_plan::<T>()
    }

    fn plan_for(layout: &Layout) -> Result<Plan> {
        plan_for::<T>(layout)
    }

    fn from_link(link: Link) -> Result<Self> {
        let shape = slots::shape_of::<T, Shape>(link.peer.segment().layout())?;
        let ring = Consumer::resume(link.own.clone(), link.peer.clone(), shape);
        link.announce();
        let mark = link.mark();
        let end = Attached { ring, link };
        Ok(Self { end, wait: Wait::default(), mark, corrupt: None, mode: PhantomData })
    }
}

impl<T: Payload, M: Mode> fmt::Debug for Sender<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").field("sent", &self.end.ring.pos()).finish_non_exhaustive()
    }
}

impl<T: Payload, M: Mode> fmt::Debug for Receiver<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").field("received", &self.end.ring.pos()).finish_non_exhaustive()
    }
}

/// A count of messages of one call, for the doorbell.
fn streak(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A count that began as one.
#[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
fn as_usize(count: u64) -> usize {
    count as usize
}
