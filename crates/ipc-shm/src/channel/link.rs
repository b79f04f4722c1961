//! Two ends of one channel: what each writes, what it reads of the other, and whether the other lives.
//!
//! Sealed: each end made the memory that it writes, in the process that uses it, and received the other's for reading.
//! Trusted: both have one common segment attached. Either way an end holds a write lock on its byte, which the kernel
//! drops when it dies.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ipc_sys::fork::ForkMark;
use ipc_sys::futex;
use nix::fcntl::OFlag;

use crate::channel::Socket;
use crate::channel::area::{consumer, producer};
use crate::channel::watch::Watch;
use crate::memory::header::{HEADER, Layout};
use crate::memory::lock::{self, Kind};
use crate::memory::mapping::Mapping;
use crate::memory::mode::{SEALED, SEALED_RECEIVER, TRUSTED};
use crate::memory::segment::{Origin, Permissions, Segment};
use crate::memory::view::View;
use crate::words::{Words, peer_load};
use crate::{Error, Refusal, Result};

/// Which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Producer,
    Consumer,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Producer => Self::Consumer,
            Self::Consumer => Self::Producer,
        }
    }

    pub(crate) fn lock(self) -> libc::off_t {
        match self {
            Self::Producer => lock::PRODUCER,
            Self::Consumer => lock::CONSUMER,
        }
    }

    pub(crate) fn state(self) -> usize {
        match self {
            Self::Producer => producer::STATE,
            Self::Consumer => consumer::STATE,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Producer => "the sending end",
            Self::Consumer => "the receiving end",
        }
    }

    /// What the header of the part that this side writes in a sealed pair says.
    fn sealed_mode(self) -> u64 {
        match self {
            Self::Producer => SEALED,
            Self::Consumer => SEALED_RECEIVER,
        }
    }
}

/// The bits of a side's state word.
pub(crate) const ATTACHED: u64 = 1;
const REGISTERED: u64 = 2;
pub(crate) const LEFT: u64 = 4;

/// The bit of a header's flags that forbids membarrier: isolated CPUs must not be interrupted.
pub(crate) const NO_BARRIER: u64 = 1;

/// The bit of a header's flags that says that each end has a socket.
pub(crate) const POLLABLE: u64 = 2;

/// What travels of an end: memory, and a socket where the channel is pollable.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) memory: OwnedFd,
    pub(crate) socket: Option<OwnedFd>,
}

impl Parcel {
    /// The socket, checked, if the header wants one.
    pub(crate) fn socket_for(socket: Option<OwnedFd>, layout: &Layout) -> Result<Option<Arc<Socket>>> {
        if layout.flags & POLLABLE == 0 {
            return Ok(None);
        }
        let missing = || Error::refused("the message", Refusal::NotSocket);
        Socket::received(socket.ok_or_else(missing)?).map(Some)
    }
}

/// What the two ends agree upon before either is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The header; the mode is filled in here.
    pub(crate) layout: Layout,
    pub(crate) permissions: Permissions,
    /// Writes what one side's words must hold before anybody can look.
    pub(crate) init: fn(&Layout, &Mapping, Side),
    /// The longest memory to attach.
    pub(crate) max: usize,
    /// How long the part of a sealed pair is that a side writes; 0 where that is not known.
    pub(crate) part: fn(&Layout, Side) -> u64,
}

impl Plan {
    pub(crate) fn common(&self) -> Layout {
        Layout { mode: TRUSTED, ..self.layout }
    }

    /// The part that `side` writes of a sealed pair.
    pub(crate) fn part(&self, side: Side) -> Layout {
        Layout { mode: side.sealed_mode(), len: (self.part)(&self.layout, side), ..self.layout }
    }

    /// The same, with the tag that the user named.
    pub(crate) fn tagged(self, tag: u64) -> Self {
        Self { layout: Layout { tag, ..self.layout }, ..self }
    }

    /// The plan, if it can have a name.
    fn named(self) -> Result<Self> {
        self.without_sockets(
            "a channel with a name",
            "pollable: nothing carries a socket to who opens the name, and polling needs none",
        )
    }

    /// The plan, if it asks for no sockets, which nothing would carry.
    pub(crate) fn without_sockets(self, what: &'static str, reason: &'static str) -> Result<Self> {
        if self.layout.flags & POLLABLE == 0 {
            return Ok(self);
        }
        Err(Error::InvalidParameter { what, value: self.layout.capacity, reason })
    }

    /// A socket for each side, where it is to be pollable.
    pub(crate) fn sockets(&self) -> Result<(Option<OwnedFd>, Option<OwnedFd>)> {
        if self.layout.flags & POLLABLE == 0 {
            return Ok((None, None));
        }
        let (one, other) = Socket::pair()?;
        Ok((Some(one), Some(other)))
    }

    pub(crate) fn init_common(&self, mapping: &Mapping) -> Result<()> {
        (self.init)(&self.common(), mapping, Side::Producer);
        (self.init)(&self.common(), mapping, Side::Consumer);
        Ok(())
    }
}

/// Where only the sender writes messages, the receiver's part is a header page.
pub(crate) fn one_way(layout: &Layout, side: Side) -> u64 {
    match side {
        Side::Producer => layout.len,
        Side::Consumer => HEADER as u64,
    }
}

/// One end's hold on its channel.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) own: View,
    pub(crate) peer: View,
    side: Side,
    /// What our state word says.
    state: u64,
    watch: Watch,
}

impl Link {
    /// A new named segment, of which we hold one end.
    pub(crate) fn create(name: &OsStr, side: Side, plan: &Plan) -> Result<Self> {
        let registered = register(plan.named()?.layout.flags);
        let init = |mapping: &Mapping| plan.init_common(mapping);
        let segment = Segment::create(name, plan.permissions, plan.common(), init)?;
        Self::common(segment, side, registered, None)
    }

    /// One end of a named segment that is there.
    pub(crate) fn open(name: &OsStr, side: Side, plan: &Plan) -> Result<Self> {
        let registered = register(plan.layout.flags);
        Self::common(Segment::open(name, &plan.common(), plan.max)?, side, registered, None)
    }

    /// One end of a named segment that somebody alive has attached, or of a new one.
    pub(crate) fn open_or_replace(name: &OsStr, side: Side, plan: &Plan) -> Result<(Self, Origin)> {
        let registered = register(plan.named()?.layout.flags);
        let init = |mapping: &Mapping| plan.init_common(mapping);
        let (segment, origin) =
            Segment::open_or_replace(name, plan.permissions, plan.common(), plan.max, init)?;
        Ok((Self::common(segment, side, registered, None)?, origin))
    }

    /// Common memory without a name: what each end travels as, neither attached yet.
    pub(crate) fn anonymous(plan: &Plan) -> Result<(Parcel, Parcel)> {
        let segment = Segment::common(plan.common(), |mapping| plan.init_common(mapping))?;
        let (one, other) = plan.sockets()?;
        let parcel = |socket| Ok(Parcel { memory: segment.share(OFlag::O_RDWR)?, socket });
        Ok((parcel(one)?, parcel(other)?))
    }

    /// One end of common memory, from what it travelled as.
    pub(crate) fn attach(parcel: Parcel, side: Side, plan: &Plan) -> Result<Self> {
        let registered = register(plan.layout.flags);
        let segment = Segment::common_from(parcel.memory, &plan.common(), plan.max)?;
        let socket = Parcel::socket_for(parcel.socket, segment.layout())?;
        Self::common(segment, side, registered, socket)
    }

    /// The part of a sealed pair that `side` writes, and its descriptor for the other process.
    pub(crate) fn part(side: Side, plan: &Plan) -> Result<(Segment, OwnedFd)> {
        register(plan.layout.flags);
        let segment = Segment::sealed(plan.part(side), |mapping| {
            (plan.init)(&plan.part(side), mapping, side);
            Ok(())
        })?;
        segment.try_take(side.lock(), Kind::Write)?;
        let shared = segment.share(OFlag::O_RDONLY)?;
        Ok((segment, shared))
    }

    /// Checks the other process's part of a sealed pair.
    pub(crate) fn other_part(descriptor: OwnedFd, side: Side, plan: &Plan) -> Result<Segment> {
        Segment::sealed_from(descriptor, &plan.part(side.other()), plan.max)
    }

    /// Our part and the other one of a sealed pair.
    pub(crate) fn sealed(own: Segment, peer: Segment, side: Side, socket: Option<Arc<Socket>>) -> Self {
        let registered = register(own.layout().flags);
        let own = View::new(Arc::new(own)).with_socket(socket);
        Self::new(own, View::new(Arc::new(peer)), side, registered)
    }

    pub(crate) fn common(
        segment: Segment,
        side: Side,
        registered: bool,
        socket: Option<Arc<Socket>>,
    ) -> Result<Self> {
        if !segment.try_take(side.lock(), Kind::Write)? {
            return Err(Error::EndInUse { object: "the channel".to_owned(), end: side.name() });
        }
        let view = View::new(Arc::new(segment)).with_socket(socket);
        Ok(Self::new(view.clone(), view, side, registered))
    }

    /// The writer of sealed memory whose readers write nothing.
    pub(crate) fn alone(own: Segment, side: Side) -> Self {
        let registered = register(own.layout().flags);
        let view = View::new(Arc::new(own));
        Self::new(view.clone(), view, side, registered)
    }

    fn new(own: View, peer: View, side: Side, registered: bool) -> Self {
        let state = if registered { ATTACHED | REGISTERED } else { ATTACHED };
        let watch = Watch::new(side.other(), &peer);
        Self { own, peer, side, state, watch }
    }

    /// Tells the other side that we are there, once our words stand.
    pub(crate) fn announce(&self) {
        self.own.word(self.side.state()).store(self.state, Ordering::Release);
    }

    /// Whether this is the process that attached this end.
    #[inline]
    pub(crate) fn check_fork(&self) -> Result<()> {
        self.own.segment().check_fork()
    }

    /// The process that attached this end.
    pub(crate) fn mark(&self) -> ForkMark {
        self.own.segment().mapping().mark()
    }

    /// Which end this is.
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// The words that a side writes.
    pub(crate) fn view_of(&self, side: Side) -> &View {
        if side == self.side { &self.own } else { &self.peer }
    }

    /// Whether a barrier reaches both processes.
    pub(crate) fn may_be_hot(&self) -> bool {
        self.state & REGISTERED != 0 && peer_load(self.peer.word(self.side.other().state())) & REGISTERED != 0
    }

    /// Whether the other side is gone. A side that has not come yet is not gone.
    ///
    /// # Errors
    /// [`Error::Disconnected`].
    pub(crate) fn look(&mut self) -> Result<()> {
        // Nobody is left who could wake us by it, nor come.
        if self.own.socket().is_some_and(|socket| socket.hung_up()) {
            return Err(Error::Disconnected);
        }
        self.watch.look(&self.peer)
    }

    /// What to poll for this end: its socket, and the peer's process where it is watched.
    pub(crate) fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        descriptors(self.own.socket(), visit);
    }

    /// Has the process at the other side watched.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] where this is no pidfd; [`Error::Forked`].
    pub(crate) fn watch(&mut self, process: OwnedFd) -> Result<()> {
        self.check_fork()?;
        self.watch.watch(process, self.own.socket())
    }

    /// Our last word, after which the other side is told that we left as soon as it has received everything.
    pub(crate) fn leave(&self) {
        self.own.word(self.side.state()).store(self.state | LEFT, Ordering::Release);
    }

    /// Leaves the name in place when this end is dropped.
    pub(crate) fn persist(&self) {
        self.own.segment().persist();
    }
}

/// What to poll beside a socket, and the socket.
pub(crate) fn descriptors<'s>(
    socket: Option<&'s Arc<Socket>>,
    visit: &mut dyn FnMut(Option<BorrowedFd<'s>>),
) {
    visit(socket.map(|socket| socket.as_fd()));
    if let Some(process) = socket.and_then(|socket| socket.watched()) {
        visit(Some(process.as_fd()));
    }
}

/// Registers this process for the other side's barriers, unless the channel forbids them or the kernel has none.
pub(crate) fn register(flags: u64) -> bool {
    flags & NO_BARRIER == 0 && futex::register_barrier().is_ok()
}
