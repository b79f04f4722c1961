//! A reader's hold on memory that one process writes and any number read.

use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use ipc_sys::Deadline;
use ipc_sys::fork::ForkMark;

use crate::channel::area::{consumer, producer};
use crate::channel::call::{self, Bell, Called, Fences};
use crate::channel::counters::{self, Counter};
use crate::channel::doorbell::Sleep;
use crate::channel::fd::{Readiness, private as fd};
use crate::channel::link::{self, Link, NO_BARRIER, Parcel, Plan, Side, register};
use crate::channel::select::{self, Sleeps};
use crate::channel::sleeper::Sleeper;
use crate::channel::stat::{self, ChannelStat, EndStat, Presence};
use crate::channel::uring::Uring;
use crate::channel::watch::Watch;
use crate::channel::{Acceptance, Socket, Wait};
use crate::memory::header::Layout;
use crate::memory::segment::Segment;
use crate::memory::view::View;
use crate::words::{AtomicU64, Words, peer_load};
use crate::{Error, Result};

/// A segment attached for reading, and a watch on its writer.
#[derive(Debug)]
pub(crate) struct Inlet {
    pub(crate) view: View,
    /// The process that attached this reader.
    mark: ForkMark,
    watch: Watch,
    /// How the writer wakes us; `None` where it does not know of us.
    called: Option<Called<View>>,
    wait: Wait,
    /// Tells the writer that we leave, where it knows of us.
    _invited: Option<Invited>,
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
        let called = segment.mapping().is_writable().then(|| Called::together(fences(segment.layout())));
        let view = View::new(Arc::new(segment));
        Self::over(view, called, None)
    }

    /// Sealed memory whose writer will know of us: our half of the pair is our bell.
    pub(crate) fn invited(link: Link) -> Self {
        let called = Some(Called::alone(fences(link.peer.segment().layout()), link.own.clone()));
        let view = link.peer.clone();
        link.announce();
        Self::over(view, called, Some(Invited(link)))
    }

    fn over(view: View, called: Option<Called<View>>, invited: Option<Invited>) -> Self {
        let (mark, watch) = (view.segment().mapping().mark(), Watch::new(Side::Producer, &view));
        Self { view, mark, watch, called, wait: Wait::default(), _invited: invited, lagged: 0 }
    }

    /// Our socket, if the writer knows of us and the channel is pollable.
    pub(crate) fn socket(&self) -> Option<&Arc<Socket>> {
        self.called.as_ref().and_then(Called::own).and_then(View::socket)
    }

    pub(crate) fn layout(&self) -> &Layout {
        self.view.segment().layout()
    }

    /// How a blocking call waits from now on.
    pub(crate) fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }

    /// Waits until `ready`, or the writer is gone.
    ///
    /// # Errors
    /// [`Error::NotInvited`], and as [`Called::wait`].
    pub(crate) fn wait(&mut self, deadline: Deadline, ready: impl FnMut() -> Result<bool>) -> Result<()> {
        let Self { view, watch, called, wait, .. } = self;
        let called = called.as_mut().ok_or(Error::NotInvited)?;
        let socket = called.own().and_then(View::socket).cloned();
        called.wait(view, *wait, deadline, ready, || look(watch, view, socket.as_ref()))
    }

    /// Whether this reader can sleep at all, in this process.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::NotInvited`].
    pub(crate) fn check_wait(&self) -> Result<()> {
        self.check_fork()?;
        if self.called.is_some() { Ok(()) } else { Err(Error::NotInvited) }
    }

    /// What to poll for this reader.
    pub(crate) fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        link::descriptors(self.socket(), visit);
    }

    /// Has the writer's process watched.
    pub(crate) fn watch(&mut self, process: OwnedFd) -> Result<()> {
        self.check_fork()?;
        let socket = self.called.as_ref().and_then(Called::own).and_then(View::socket);
        self.watch.watch(process, socket)
    }

    #[inline]
    pub(crate) fn check_fork(&self) -> Result<()> {
        if self.mark.is_ours() { Ok(()) } else { Err(Error::Forked) }
    }

    /// Whether the writer is gone.
    pub(crate) fn look(&mut self) -> Result<()> {
        let socket = self.called.as_ref().and_then(Called::own).and_then(View::socket);
        look(&mut self.watch, &self.view, socket)
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

/// A reader over an [`Inlet`]: it sleeps and is polled in one way, whatever the writer writes.
pub(crate) trait Reads {
    /// Its hold on the memory.
    fn inlet(&self) -> &Inlet;

    /// The same, to be changed.
    fn inlet_mut(&mut self) -> &mut Inlet;

    /// Whether there is something that it has not read, for all that the words say.
    fn has_news(&self) -> bool;
}

impl<R: Reads> Sleeper for R {
    fn is_ready(&self) -> bool {
        self.has_news()
    }

    fn announce(&mut self, on: Sleep) -> bool {
        let Inlet { view, called, .. } = self.inlet_mut();
        called.as_mut().is_some_and(|called| called.announce(on, view))
    }

    fn retract(&mut self) {
        if let Some(called) = &mut self.inlet_mut().called {
            called.retract();
        }
    }

    fn ticket(&self) -> (&AtomicU64, u32) {
        let Inlet { view, called, .. } = self.inlet();
        match called {
            Some(called) => called.ticket(view),
            None => (view.word(producer::TICKET), 0),
        }
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<R: Reads + Sleeps> fd::Pollable for R {
    fn socket(&self) -> Option<&Arc<Socket>> {
        self.inlet().socket()
    }

    fn readiness(&self) -> Result<Readiness> {
        self.inlet().check_wait()?;
        Readiness::of(self.socket())
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        select::arm(self, ring)
    }
}

/// Whether the writer is gone, by its words, its lock, its process or its socket.
fn look(watch: &mut Watch, view: &View, socket: Option<&Arc<Socket>>) -> Result<()> {
    if socket.is_some_and(|socket| socket.hung_up()) {
        return Err(Error::Disconnected);
    }
    watch.look(view)
}

/// Our half of a pair whose other half is the writer's.
#[derive(Debug)]
struct Invited(Link);

impl Drop for Invited {
    fn drop(&mut self) {
        if self.0.check_fork().is_ok() {
            self.0.leave();
        }
    }
}

/// Has the writer of `memory` wake one more reader, and forget those that are gone. `plan` is for any such memory.
///
/// # Errors
/// [`Error::Refused`] where the acceptance is of something else; [`Error::Forked`]; [`Error::System`].
pub(crate) fn admit(
    bells: &mut Vec<Bell<View>>,
    acceptance: Acceptance,
    memory: &View,
    plan: &Plan,
) -> Result<()> {
    memory.segment().check_fork()?;
    let Parcel { memory: bell, socket } = acceptance.parcel;
    let plan = Plan { layout: *memory.segment().layout(), ..*plan };
    let segment = Link::other_part(bell, Side::Producer, &plan)?;
    let socket = Parcel::socket_for(socket, segment.layout())?;
    bells.retain(|bell| lives(bell.reader()).unwrap_or(true));
    bells.push(Bell::new(View::new(Arc::new(segment)).with_socket(socket)));
    // It may sleep already.
    call::call_each(memory, Fences::Both, bells);
    Ok(())
}

fn lives(reader: &View) -> Result<bool> {
    Ok(!Watch::new(Side::Consumer, reader).has_left(reader)
        && reader.segment().is_held(Side::Consumer.lock())?)
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

/// Whether an end that takes up such a segment can keep what its header promises.
pub(crate) fn check_fences(layout: &Layout) -> Result<()> {
    let flags = layout.flags;
    if flags & NO_BARRIER == 0 && !register(flags) {
        return Err(Error::System {
            operation: "membarrier",
            object: "the channel".to_owned(),
            source: std::io::Error::from_raw_os_error(libc::ENOSYS),
        });
    }
    Ok(())
}
