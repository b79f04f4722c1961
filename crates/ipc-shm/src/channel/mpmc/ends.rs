//! The ends as users hold them, and a message that is being worked on.

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::time::Duration;

use ipc_sys::Deadline;
use nix::fcntl::OFlag;

use crate::channel::link::{POLLABLE, Plan, Side};
use crate::channel::mpmc::bell::{MESSAGES, ROOM};
use crate::channel::mpmc::member::Member;
use crate::channel::mpmc::ring::{Claim, Shape};
use crate::channel::mpmc::roll::Role;
use crate::channel::slots::{self, Slots};
use crate::channel::{ChannelOptions, ChannelStat, Payload, Wait};
use crate::memory::header::Kind;
use crate::memory::mapping::Mapping;
use crate::memory::segment::Segment;
use crate::memory::{Common, MemoryOptions, Origin, Trusted};
use crate::{Error, Result};

/// One of those that send.
pub struct Sender<T: Payload, M: Common = Trusted> {
    pub(super) member: Member<T>,
    mode: PhantomData<fn() -> M>,
}

/// One of those that receive.
pub struct Receiver<T: Payload, M: Common = Trusted> {
    pub(super) member: Member<T>,
    mode: PhantomData<fn() -> M>,
}

/// A message that is being worked on: nobody else gets it, unless this process dies first. [`Held::done`] is its end;
/// dropped before, it stands again, for any receiver, within 60 ms.
pub struct Held<'r, T: Payload, M: Common = Trusted> {
    receiver: &'r mut Receiver<T, M>,
    pos: u64,
    message: T,
    done: bool,
}

impl<T: Payload> Sender<T> {
    /// Makes the channel under a name, which appears when it is complete, and sends into it. Dropping this end removes the
    /// name; see [`Sender::persist`].
    ///
    /// # Errors
    /// As [`spsc::Sender::create`](crate::spsc::Sender::create).
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        Self::join(create::<T>(name.as_ref(), &options.into())?)
    }

    /// Makes the channel without a name, for who is given a descriptor of it: [`Sender::share`].
    ///
    /// # Errors
    /// As [`spsc::channel`](crate::spsc::channel).
    pub fn anonymous(options: impl Into<ChannelOptions>) -> Result<Self> {
        Self::join(anonymous::<T>(&options.into())?)
    }

    /// Sends into a channel that is there.
    ///
    /// # Errors
    /// As [`spsc::Sender::open`](crate::spsc::Sender::open); [`Error::EndInUse`] where 127 senders are alive.
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Sender::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Sender::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        Self::join(open::<T>(name.as_ref(), options.tag)?)
    }

    /// Sends into a channel that any process alive has attached; else makes it new, in the place of what dead ones left.
    ///
    /// # Errors
    /// As [`Sender::create`] and [`Sender::open`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        let (segment, origin) = open_or_replace::<T>(name.as_ref(), &options.into())?;
        Ok((Self::join(segment)?, origin))
    }

    /// Sends into a channel without a name, by a descriptor that was received or inherited.
    ///
    /// # Errors
    /// [`Error::Refused`]; [`Error::EndInUse`] where 127 senders are alive; [`Error::System`] (EMFILE, ENOMEM).
    pub fn from_fd(descriptor: impl Into<OwnedFd>) -> Result<Self> {
        Self::from_fd_with(descriptor, &MemoryOptions::new())
    }

    /// As [`Sender::from_fd`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Sender::from_fd`].
    pub fn from_fd_with(descriptor: impl Into<OwnedFd>, options: &MemoryOptions) -> Result<Self> {
        Self::join(from_fd::<T>(descriptor.into(), options.tag)?)
    }

    fn join(segment: Segment) -> Result<Self> {
        let shape = slots::shape_of::<T, Shape>(segment.layout())?;
        Ok(Self { member: Member::join(segment, shape, Role::Sends)?, mode: PhantomData })
    }
}

impl<T: Payload, M: Common> Sender<T, M> {
    /// Sends a message, waiting for room.
    ///
    /// # Blocking
    /// Until there is room or no receiver is left; a signal does not end it.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EPIPE | [`Error::Disconnected`]: every receiver that ever came is gone |
    /// | ESTALE | [`Error::TakenAway`]: we looked dead; the message was not sent |
    /// | | [`Error::PeerCorrupt`], [`Error::Forked`] |
    #[inline]
    pub fn send(&mut self, message: &T) -> Result<()> {
        self.send_within(message, || Deadline::NEVER)
    }

    /// As [`Sender::send`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Sender::send`].
    pub fn send_timeout(&mut self, message: &T, timeout: Duration) -> Result<()> {
        let deadline = Deadline::after(timeout);
        self.send_within(message, || deadline)
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    /// [`Error::Full`], and as [`Sender::send`].
    pub fn try_send(&mut self, message: &T) -> Result<()> {
        let pos = self.claim_looking()?;
        self.member.ring.write(pos, message);
        self.commit(pos)
    }

    /// How many messages fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        usize::try_from(self.member.segment().layout().capacity).unwrap_or(usize::MAX)
    }

    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.member.wait = wait;
    }

    /// Leaves the name in place when this end is dropped.
    pub fn persist(&self) {
        self.member.segment().persist();
    }

    /// What the channel's words say of both sides; asks the kernel how many of each are there.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        self.member.stat()
    }

    /// A descriptor of a channel without a name, for another process or another end in this one.
    ///
    /// # Errors
    /// [`Error::System`] (EMFILE, ENFILE, ENOENT without /proc), [`Error::Forked`].
    pub fn share(&self) -> Result<OwnedFd> {
        self.member.segment().share(OFlag::O_RDWR)
    }

    pub(super) fn into_mode<N: Common>(self) -> Sender<T, N> {
        Sender { member: self.member, mode: PhantomData }
    }

    #[inline]
    fn send_within(&mut self, message: &T, deadline: impl Fn() -> Deadline) -> Result<()> {
        let pos = self.claim_within(deadline)?;
        self.member.ring.write(pos, message);
        self.commit(pos)
    }

    /// A place for a message, waiting for one.
    #[inline]
    pub(super) fn claim_within(&mut self, deadline: impl Fn() -> Deadline) -> Result<u64> {
        let mut last = false;
        loop {
            if let Some(pos) = self.claim()? {
                return Ok(pos);
            }
            if last {
                return Err(Error::TimedOut);
            }
            let deadline = deadline();
            self.member.wait(deadline)?;
            // Others may be faster each time.
            last = deadline.has_passed();
        }
    }

    /// A place for a message, if there is one by a closer look.
    pub(super) fn claim_looking(&mut self) -> Result<u64> {
        if let Some(pos) = self.claim()? {
            return Ok(pos);
        }
        let gone = self.member.look();
        // The look may have made room.
        if let Some(pos) = self.claim()? {
            return Ok(pos);
        }
        gone?;
        Err(Error::Full)
    }

    #[inline]
    fn claim(&mut self) -> Result<Option<u64>> {
        self.member.check()?;
        match self.member.ring.claim_to_write() {
            Ok(Claim::Nothing) => Ok(None),
            Ok(Claim::Ours(pos)) => Ok(Some(pos)),
            Err(error) => Err(self.member.note(error)),
        }
    }

    /// Sends what was written in the place that was claimed.
    #[inline]
    pub(super) fn commit(&self, pos: u64) -> Result<()> {
        let ring = &self.member.ring;
        if !ring.commit(pos) {
            return Err(Error::TakenAway);
        }
        MESSAGES.ring(&ring.memory);
        Ok(())
    }
}

impl<T: Payload> Receiver<T> {
    /// As [`Sender::create`], to receive.
    ///
    /// # Errors
    /// As [`Sender::create`].
    pub fn create(name: impl AsRef<OsStr>, options: impl Into<ChannelOptions>) -> Result<Self> {
        Self::join(create::<T>(name.as_ref(), &options.into())?)
    }

    /// As [`Sender::anonymous`], to receive.
    ///
    /// # Errors
    /// As [`Sender::anonymous`].
    pub fn anonymous(options: impl Into<ChannelOptions>) -> Result<Self> {
        Self::join(anonymous::<T>(&options.into())?)
    }

    /// Receives from a channel that is there.
    ///
    /// # Errors
    /// As [`Sender::open`]; [`Error::EndInUse`] where 128 receivers are alive.
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`Receiver::open`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Receiver::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        Self::join(open::<T>(name.as_ref(), options.tag)?)
    }

    /// As [`Sender::open_or_replace`], to receive.
    ///
    /// # Errors
    /// As [`Sender::open_or_replace`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        options: impl Into<ChannelOptions>,
    ) -> Result<(Self, Origin)> {
        let (segment, origin) = open_or_replace::<T>(name.as_ref(), &options.into())?;
        Ok((Self::join(segment)?, origin))
    }

    /// As [`Sender::from_fd`], to receive.
    ///
    /// # Errors
    /// As [`Sender::from_fd`].
    pub fn from_fd(descriptor: impl Into<OwnedFd>) -> Result<Self> {
        Self::from_fd_with(descriptor, &MemoryOptions::new())
    }

    /// As [`Receiver::from_fd`], of a channel that was made with this tag.
    ///
    /// # Errors
    /// As [`Receiver::from_fd`].
    pub fn from_fd_with(descriptor: impl Into<OwnedFd>, options: &MemoryOptions) -> Result<Self> {
        Self::join(from_fd::<T>(descriptor.into(), options.tag)?)
    }

    fn join(segment: Segment) -> Result<Self> {
        let shape = slots::shape_of::<T, Shape>(segment.layout())?;
        Ok(Self { member: Member::join(segment, shape, Role::Receives)?, mode: PhantomData })
    }
}

impl<T: Payload, M: Common> Receiver<T, M> {
    /// Receives the next message, waiting for one.
    ///
    /// # Blocking
    /// Until a message comes or no sender is left; a signal does not end it.
    ///
    /// # Errors
    /// [`Error::Disconnected`], when every sender that ever came is gone and everything sent has been received;
    /// [`Error::PeerCorrupt`], [`Error::Forked`].
    #[inline]
    pub fn recv(&mut self) -> Result<T> {
        self.recv_within(|| Deadline::NEVER)
    }

    /// As [`Receiver::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Receiver::recv`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T> {
        let deadline = Deadline::after(timeout);
        self.recv_within(|| deadline)
    }

    /// Receives the next message if it is there.
    ///
    /// # Errors
    /// [`Error::Empty`], and as [`Receiver::recv`].
    pub fn try_recv(&mut self) -> Result<T> {
        loop {
            let pos = self.claim_looking()?;
            let message = self.member.ring.read(pos);
            if self.release(pos) {
                return Ok(message);
            }
        }
    }

    /// Takes the next message to work on it, waiting for one: should this process die before [`Held::done`], another
    /// receiver gets it.
    ///
    /// # Blocking
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn hold(&mut self) -> Result<Held<'_, T, M>> {
        let pos = self.claim_within(|| Deadline::NEVER)?;
        Ok(self.held(pos))
    }

    /// As [`Receiver::hold`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Receiver::recv`].
    pub fn hold_timeout(&mut self, timeout: Duration) -> Result<Held<'_, T, M>> {
        let deadline = Deadline::after(timeout);
        let pos = self.claim_within(|| deadline)?;
        Ok(self.held(pos))
    }

    /// Takes the next message to work on it, if it is there.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`].
    pub fn try_hold(&mut self) -> Result<Held<'_, T, M>> {
        let pos = self.claim_looking()?;
        Ok(self.held(pos))
    }

    /// How a blocking call waits from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.member.wait = wait;
    }

    /// Leaves the name in place when this end is dropped.
    pub fn persist(&self) {
        self.member.segment().persist();
    }

    /// What the channel's words say of both sides; asks the kernel how many of each are there.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        self.member.stat()
    }

    /// As [`Sender::share`].
    ///
    /// # Errors
    /// As [`Sender::share`].
    pub fn share(&self) -> Result<OwnedFd> {
        self.member.segment().share(OFlag::O_RDWR)
    }

    #[inline]
    fn recv_within(&mut self, deadline: impl Fn() -> Deadline) -> Result<T> {
        loop {
            let pos = self.claim_within(&deadline)?;
            let message = self.member.ring.read(pos);
            if self.release(pos) {
                return Ok(message);
            }
        }
    }

    fn held(&mut self, pos: u64) -> Held<'_, T, M> {
        let message = self.member.ring.read(pos);
        Held { receiver: self, pos, message, done: false }
    }

    pub(super) fn into_mode<N: Common>(self) -> Receiver<T, N> {
        Receiver { member: self.member, mode: PhantomData }
    }

    /// Claims a message, waiting for one.
    #[inline]
    pub(super) fn claim_within(&mut self, deadline: impl Fn() -> Deadline) -> Result<u64> {
        let mut last = false;
        loop {
            if let Some(pos) = self.claim()? {
                return Ok(pos);
            }
            if last {
                return Err(Error::TimedOut);
            }
            let deadline = deadline();
            self.member.wait(deadline)?;
            // Others may be faster each time.
            last = deadline.has_passed();
        }
    }

    /// Claims a message, if there is one by a closer look.
    pub(super) fn claim_looking(&mut self) -> Result<u64> {
        if let Some(pos) = self.claim()? {
            return Ok(pos);
        }
        let gone = self.member.look();
        // What was sent or given back before is there now, if it ever was.
        if let Some(pos) = self.claim()? {
            return Ok(pos);
        }
        gone?;
        Err(Error::Empty)
    }

    #[inline]
    fn claim(&mut self) -> Result<Option<u64>> {
        self.member.check()?;
        let Member { ring, returned, .. } = &self.member;
        if returned.get() {
            if let Claim::Ours(pos) = ring.returned() {
                return Ok(Some(pos));
            }
            returned.set(false);
        }
        match ring.claim_to_read() {
            Ok(Claim::Nothing) => Ok(None),
            Ok(Claim::Ours(pos)) => Ok(Some(pos)),
            Err(error) => Err(self.member.note(error)),
        }
    }

    /// Lets a message that was claimed stand again, for any receiver.
    pub(super) fn give_back(&self, pos: u64) {
        let member = &self.member;
        if member.check().is_ok() {
            member.ring.give_back(pos);
            member.returned.set(true);
            MESSAGES.ring(&member.ring.memory);
        }
    }

    /// Frees the place of a message; false where we looked dead and another has got it.
    #[inline]
    pub(super) fn release(&self, pos: u64) -> bool {
        let released = self.member.ring.release(pos);
        ROOM.ring(&self.member.ring.memory);
        released
    }
}

impl<T: Payload, M: Common> Held<'_, T, M> {
    /// The message.
    pub fn message(&self) -> &T {
        &self.message
    }

    /// The work is done: nobody else gets the message.
    ///
    /// # Errors
    /// [`Error::TakenAway`]: we looked dead, and another receiver may have it; [`Error::Forked`].
    pub fn done(mut self) -> Result<()> {
        self.receiver.member.check()?;
        self.done = true;
        if self.receiver.release(self.pos) { Ok(()) } else { Err(Error::TakenAway) }
    }
}

impl<T: Payload, M: Common> Drop for Held<'_, T, M> {
    fn drop(&mut self) {
        if !self.done {
            self.receiver.give_back(self.pos);
        }
    }
}

impl<T: Payload, M: Common> fmt::Debug for Sender<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").field("place", &self.member.ring.id.0).finish_non_exhaustive()
    }
}

impl<T: Payload, M: Common> fmt::Debug for Receiver<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").field("place", &self.member.ring.id.0).finish_non_exhaustive()
    }
}

impl<T: Payload + fmt::Debug, M: Common> fmt::Debug for Held<'_, T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Held").field(&self.message).finish()
    }
}

fn plan<T: Payload>(options: &ChannelOptions) -> Result<Plan> {
    let plan = slots::plan::<T, Shape>(options)?;
    if plan.layout.flags & POLLABLE == 0 {
        return Ok(plan);
    }
    Err(Error::InvalidParameter {
        what: "a queue for many",
        value: plan.layout.capacity,
        reason: "pollable: nothing carries a socket to all who come",
    })
}

fn create<T: Payload>(name: &OsStr, options: &ChannelOptions) -> Result<Segment> {
    let plan = plan::<T>(options)?;
    Segment::create(name, plan.permissions, plan.common(), |mapping| init_all(&plan, mapping))
}

fn anonymous<T: Payload>(options: &ChannelOptions) -> Result<Segment> {
    let plan = plan::<T>(options)?;
    Segment::common(plan.common(), |mapping| init_all(&plan, mapping))
}

fn open<T: Payload>(name: &OsStr, tag: u64) -> Result<Segment> {
    let plan = slots::any_plan::<T, Shape>().tagged(tag);
    Segment::open(name, &plan.common(), plan.max)
}

fn open_or_replace<T: Payload>(name: &OsStr, options: &ChannelOptions) -> Result<(Segment, Origin)> {
    let plan = plan::<T>(options)?;
    let init = |mapping: &Mapping| init_all(&plan, mapping);
    Segment::open_or_replace(name, plan.permissions, plan.common(), plan.max, init)
}

fn from_fd<T: Payload>(descriptor: OwnedFd, tag: u64) -> Result<Segment> {
    let plan = slots::any_plan::<T, Shape>().tagged(tag);
    Segment::common_from(descriptor, &plan.common(), plan.max)
}

fn init_all(plan: &Plan, mapping: &Mapping) -> Result<()> {
    (plan.init)(&plan.layout, mapping, Side::Producer);
    Ok(())
}

impl<T: Payload> Slots<T> for Shape {
    const KIND: Kind = Kind::Mpmc;
    const STRIDE: usize = Self::stride::<T>();

    fn new(capacity: u64, start: u64) -> Self {
        Self::new(capacity, start)
    }

    fn bytes(&self) -> Option<u64> {
        self.len::<T>()
    }

    fn init(&self, mapping: &Mapping, _: Side) {
        Self::init::<T, _>(*self, mapping);
    }
}
