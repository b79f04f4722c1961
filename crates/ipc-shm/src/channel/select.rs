//! Waiting for several channels at once, and for descriptors beside them.
//!
//! Asleep in futex_waitv(2) on the word of each channel (Linux 5.16), or in ppoll(2) on the socket of each where that is
//! asked for, or the kernel has no futex_waitv, or a descriptor is waited for too: one ring then stands for all channels
//! without a socket. No wait but the first beside a descriptor allocates, and nothing of one is left in the channels, which
//! are lent to it and may be used, dropped or changed in between.

use std::os::fd::{AsFd, BorrowedFd};
use std::slice;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ipc_sys::{Deadline, errno, futex, poll};

use crate::channel::Wait;
use crate::channel::doorbell::{POLLS, Sleep, pause, soonest};
use crate::channel::sleeper::{Sleeper, Sleepers, announce_on_each, retract_each, sleep_on_any};
use crate::channel::uring::Uring;
use crate::{Error, Result};

/// The most channels that one wait can sleep on, FUTEX_WAITV_MAX; an [`mpsc::Receiver`](crate::mpsc::Receiver) counts for
/// as many as it has lanes.
pub const SELECT_MAX: usize = futex::ANY_MAX;

/// futex_waitv(2), ppoll(2): waits until one of several ends has something to do.
///
/// Lend it the ends, in the order in which you want them numbered, and use the one that it names with a `try_` call. An
/// end whose other side is gone, or which the other side has spoilt, is something to do as well, each time: take it out.
/// Where several receive ([`mpmc`](crate::mpmc)), another may have been faster; where questions have deadlines
/// ([`request`](crate::request)), the time of the one that came may be over: the `try_` call then says
/// [`Error::Empty`].
///
/// Of several that are ready, the one behind the one named last is named: none can starve the others.
///
/// # Examples
/// ```
/// # fn main() -> ipc_shm::Result<()> {
/// use ipc_shm::{Select, bytes, spsc};
///
/// let (numbers, texts) = (spsc::channel::<u64>(16)?, bytes::channel(1024)?);
/// // Each in its own process:
/// let (mut number, mut text) = (numbers.0.attach()?, texts.0.attach()?);
/// let (mut numbers, mut texts) = (numbers.1.attach()?, texts.1.attach()?);
///
/// let mut select = Select::new();
/// text.send(b"hello")?;
/// assert_eq!(select.wait(&mut [&mut numbers, &mut texts])?, 1);
/// assert_eq!(texts.try_recv(&mut Vec::new())?, 5);
///
/// number.send(&42)?;
/// match select.wait(&mut [&mut numbers, &mut texts])? {
///     0 => assert_eq!(numbers.try_recv()?, 42),
///     _ => unreachable!(),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Select {
    wait: Wait,
    /// Which end is looked at first.
    first: usize,
    /// Whether the kernel has no futex_waitv.
    old_kernel: bool,
    ring: OwnRing,
}

/// The ring of one [`Select`], made when it is needed; a clone makes its own.
#[derive(Debug, Default)]
struct OwnRing(Option<Uring>);

impl OwnRing {
    fn get(&mut self) -> Result<&Uring> {
        // One that came through a fork is the parent's.
        let ring = match self.0.take().filter(Uring::is_ours) {
            Some(ring) => ring,
            None => Uring::new()?,
        };
        Ok(self.0.insert(ring))
    }
}

impl Clone for OwnRing {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What [`Select`] waits for: a receiver that has a message, a sender that has room, a call that has its answer, or a
/// [`Readable`] descriptor.
///
/// The ends of [`request`](crate::request) are lent as `&mut &server`: what they gave out may be held meanwhile.
pub trait Source: private::Source {}

pub(in crate::channel) mod private {
    use super::{BorrowedFd, Result, Sleepers};

    /// What the crate knows of a source that users need not.
    #[expect(private_bounds, reason = "the trait is sealed: who cannot name this trait need not")]
    pub trait Source: Sleepers {
        /// Whether this end can be used in this process.
        #[doc(hidden)]
        fn check(&self) -> Result<()>;

        /// Whether there is something to do, and when it is time whether the other side lives; an end of it is an error.
        #[doc(hidden)]
        fn look(&mut self) -> Result<bool>;

        /// What to poll for it; `None` where there is nothing.
        #[doc(hidden)]
        fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
            visit(None);
        }

        /// Whether it can only be polled.
        #[doc(hidden)]
        fn must_be_polled(&self) -> bool {
            false
        }
    }
}

impl Select {
    /// Waits as [`Wait::SpinThenPark`] says, but whatever CPU the other ends were last seen on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How it waits from now on. [`Wait::Poll`] needs ends that are [pollable](crate::ChannelOptions::pollable), and sees
    /// their deaths at once.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }

    /// Waits for ends of different types, and says which has something to do.
    ///
    /// # Blocking
    /// Until one has; a signal does not end it. The other side of each is looked at every 60 ms.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EINVAL | [`Error::InvalidParameter`]: no end at all, or more than [`SELECT_MAX`] |
    /// | EOPNOTSUPP | [`Error::NotInvited`]: a sealed reader that the writer does not know of; [`Error::NoSocket`]: [`Wait::Poll`] of an end that is not pollable |
    /// | ENOSYS | [`Error::System`]: Linux before 5.16 has no futex_waitv, and not all ends are pollable |
    /// | ENOSYS, EPERM, EOPNOTSUPP | [`Error::NoUring`]: a [`Readable`] beside an end that is not pollable, and there is no io_uring here |
    /// | EMFILE, ENOMEM | [`Error::System`] |
    /// | | [`Error::Forked`] |
    pub fn wait(&mut self, sources: &mut [&mut dyn Source]) -> Result<usize> {
        self.until(sources, Deadline::NEVER)
    }

    /// As [`Select::wait`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Select::wait`].
    pub fn wait_timeout(&mut self, sources: &mut [&mut dyn Source], timeout: Duration) -> Result<usize> {
        self.until(sources, Deadline::after(timeout))
    }

    /// As [`Select::wait`], for any number of ends of one type.
    ///
    /// # Errors
    /// As [`Select::wait`].
    pub fn wait_among<S: Source>(&mut self, sources: &mut [S]) -> Result<usize> {
        self.until(sources, Deadline::NEVER)
    }

    /// As [`Select::wait_among`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Select::wait`].
    pub fn wait_among_timeout<S: Source>(&mut self, sources: &mut [S], timeout: Duration) -> Result<usize> {
        self.until(sources, Deadline::after(timeout))
    }

    fn until<S: Source>(&mut self, sources: &mut [S], deadline: Deadline) -> Result<usize> {
        for (index, source) in sources.iter().enumerate() {
            match source.check() {
                Ok(()) => {}
                Err(error @ (Error::Forked | Error::NotInvited)) => return Err(error),
                Err(_) => return Ok(index),
            }
        }
        let mut polls = if matches!(self.wait, Wait::Park | Wait::Poll) { 1 } else { POLLS };
        loop {
            for _ in 0..polls {
                if let Some(index) = self.ready(sources) {
                    return Ok(index);
                }
                pause();
            }
            if let Some(index) = self.look(sources)? {
                return Ok(index);
            }
            if deadline.has_passed() {
                return Err(Error::TimedOut);
            }
            if self.wait != Wait::Spin {
                polls = 1;
                self.sleep(sources, deadline)?;
            }
        }
    }

    /// The first that has something to do by the cheapest look.
    fn ready<S: Source>(&mut self, sources: &[S]) -> Option<usize> {
        let found = round(self.first, sources.len()).find(|index| sources.get(*index).is_some_and(is_ready));
        self.named(found)
    }

    /// The first that has something to do by a closer look.
    fn look<S: Source>(&mut self, sources: &mut [S]) -> Result<Option<usize>> {
        for index in round(self.first, sources.len()) {
            let Some(source) = sources.get_mut(index) else { continue };
            match source.look() {
                Ok(false) => {}
                Err(error @ (Error::Forked | Error::PermissionDenied { .. } | Error::System { .. })) => {
                    return Err(error);
                }
                // What it ended with is for its next call to say.
                Ok(true) | Err(_) => return Ok(self.named(Some(index))),
            }
        }
        Ok(None)
    }

    fn named(&mut self, found: Option<usize>) -> Option<usize> {
        if let Some(index) = found {
            self.first = index + 1;
        }
        found
    }

    #[cold]
    fn sleep<S: Source>(&mut self, sources: &mut [S], deadline: Deadline) -> Result<()> {
        let beside = sources.iter().any(private::Source::must_be_polled);
        let polled = self.old_kernel || self.wait == Wait::Poll || beside;
        let ring = match beside && self.wait != Wait::Poll && !sources.iter().all(is_pollable) {
            true => Some(self.ring.get()?),
            false => None,
        };
        match sleep(sources, if polled { Sleep::Socket } else { Sleep::Ticket }, ring, deadline) {
            Err(Error::System { source, .. })
                if errno::is(&source, libc::ENOSYS) && sources.iter().all(is_pollable) =>
            {
                self.old_kernel = true;
                Ok(())
            }
            slept => slept,
        }
    }
}

/// Every index below `len` once, from `first` on.
pub(in crate::channel) fn round(first: usize, len: usize) -> impl Iterator<Item = usize> {
    let first = first.checked_rem(len).unwrap_or(0);
    (first..len).chain(0..first)
}

/// Sleeps until a wake, the deadline or the next look; whatever ended it, the caller looks again.
///
/// # Errors
/// As [`Select::wait`].
fn sleep<S: Sleeps>(sources: &mut [S], on: Sleep, ring: Option<&Uring>, deadline: Deadline) -> Result<()> {
    let slept = sleep_on_any(sources, on, |sources| match on {
        Sleep::Ticket => sleep_on_words(sources, soonest(deadline)),
        Sleep::Socket => sleep_on_descriptors(sources, ring, soonest(deadline)),
    });
    slept.unwrap_or(Ok(()))
}

/// Polls and then sleeps, as `how` says, until `next`, the cheapest look, or `look`, a closer one, finds something.
///
/// # Errors
/// [`Error::TimedOut`], and what `look` says but [`Error::Empty`].
#[cold]
pub(in crate::channel) fn until<S: Sleeps, R>(
    source: &mut S,
    how: Wait,
    deadline: Deadline,
    mut next: impl FnMut(&mut S) -> Option<R>,
    mut look: impl FnMut(&mut S) -> Result<R>,
) -> Result<R> {
    let mut polls = if matches!(how, Wait::Park | Wait::Poll) { 1 } else { POLLS };
    loop {
        for _ in 0..polls {
            if let Some(found) = next(source) {
                return Ok(found);
            }
            pause();
        }
        match look(source) {
            Err(Error::Empty) => {}
            done => return done,
        }
        if deadline.has_passed() {
            return Err(Error::TimedOut);
        }
        if how != Wait::Spin {
            polls = 1;
            let on = if how == Wait::Poll { Sleep::Socket } else { Sleep::Ticket };
            sleep(slice::from_mut(source), on, None, deadline)?;
        }
    }
}

/// Announces on every side that its socket is polled, or has the ring wait for its word: false, and nothing announced, where
/// there is something to do now, an end too.
pub(in crate::channel) fn arm<S: Sleeps>(source: &mut S, ring: Option<&Uring>) -> Result<bool> {
    source.check()?;
    if !announce_on_each(slice::from_mut(source), Sleep::Socket) {
        return Ok(false);
    }
    let armed = match source.look() {
        Ok(false) => ring.map_or(Ok(true), |ring| wait_by_ring(slice::from_ref(source), ring, true)),
        // What it ended with is for its next call to say.
        Ok(true) | Err(_) => Ok(false),
    };
    if !matches!(armed, Ok(true)) {
        retract_each(slice::from_mut(source));
    }
    armed
}

/// Has the ring wait for the word of every side (nobody moves that of one with a socket), until the next look if nobody else
/// ends the wait for it: false where one has been moved by now.
fn wait_by_ring<S: Sleeps>(sources: &[S], ring: &Uring, looks: bool) -> Result<bool> {
    let words = words(sources);
    // A receiver of lanes may have lost its last one.
    if words.len == 0 { Ok(true) } else { ring.wait_for(words.get()?, looks) }
}

fn sleep_on_words<S: Sleeps>(sources: &[S], deadline: Deadline) -> Result<()> {
    futex::wait_any(words(sources).get()?, deadline)
        .map(drop)
        .map_err(Error::system("futex_waitv", "the channels"))
}

/// The word of every side, and what it must hold for a wait.
fn words<S: Sleeps>(sources: &[S]) -> List<(&AtomicU64, u32), SELECT_MAX> {
    /// What an unused place of the list leads to.
    static NOTHING: AtomicU64 = AtomicU64::new(0);
    let mut list = List::new((&NOTHING, 0));
    for source in sources {
        source.each(&mut |side| list.push(side.ticket()));
    }
    list
}

fn sleep_on_descriptors<S: Sleeps>(sources: &[S], ring: Option<&Uring>, deadline: Deadline) -> Result<()> {
    let mut list = List::<_, { poll::MANY_MAX }>::new(None);
    for source in sources {
        source.descriptors(&mut |descriptor| list.push(descriptor));
    }
    if list.get()?.iter().any(Option::is_none) {
        let ring = ring.ok_or(Error::NoSocket)?;
        if !wait_by_ring(sources, ring, false)? {
            return Ok(());
        }
        list.push(Some(ring.as_fd()));
    }
    poll::wait_many(list.get()?.iter().flatten().copied(), libc::POLLIN, deadline)
        .map(drop)
        .map_err(Error::system("ppoll", "the channels"))
}

/// What a wait sleeps on, in the order of the channels, without an allocation.
struct List<I, const N: usize> {
    items: [I; N],
    len: usize,
}

impl<I: Copy, const N: usize> List<I, N> {
    fn new(unused: I) -> Self {
        Self { items: [unused; N], len: 0 }
    }

    fn push(&mut self, item: I) {
        if let Some(place) = self.items.get_mut(self.len) {
            *place = item;
        }
        self.len += 1;
    }

    fn get(&self) -> Result<&[I]> {
        let refuse = |reason| {
            Err(Error::InvalidParameter { what: "the number of channels", value: self.len as u64, reason })
        };
        match self.items.get(..self.len) {
            Some([]) => refuse("there is nothing to wait for"),
            Some(items) => Ok(items),
            None => refuse("one wait sleeps on at most 128"),
        }
    }
}

/// What [`sleep`] needs of a source, a lane of an mpsc receiver too.
pub(in crate::channel) use private::Source as Sleeps;

fn is_ready<S: Sleeps>(source: &S) -> bool {
    let mut ready = false;
    source.each(&mut |side| ready |= side.is_ready());
    ready
}

fn is_pollable<S: Sleeps>(source: &S) -> bool {
    let mut all = true;
    source.descriptors(&mut |descriptor| all &= descriptor.is_some());
    all
}

impl<S: Source + ?Sized> Source for &mut S {}

impl<S: Sleepers + ?Sized> Sleepers for &mut S {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        (**self).each(visit);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        (**self).each_mut(visit);
    }
}

impl<S: private::Source + ?Sized> private::Source for &mut S {
    fn check(&self) -> Result<()> {
        (**self).check()
    }

    fn look(&mut self) -> Result<bool> {
        (**self).look()
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        (**self).descriptors(visit);
    }

    fn must_be_polled(&self) -> bool {
        (**self).must_be_polled()
    }
}

/// Any descriptor beside the channels of a [`Select`]: it has something to do when poll(2) says POLLIN, POLLHUP or POLLERR.
///
/// For channels beside it that are not [pollable](crate::ChannelOptions::pollable) the [`Select`] makes an io_uring at the first
/// such wait (Linux 6.7; elsewhere [`Error::NoUring`]), and keeps it. A wait that the
/// descriptor has ended may still interrupt this thread once, as that of a [`Polled`](crate::Polled) end does.
#[derive(Debug)]
pub struct Readable<F: AsFd>(pub F);

impl<F: AsFd> Source for Readable<F> {}

impl<F: AsFd> Sleepers for Readable<F> {
    fn each<'s>(&'s self, _: &mut dyn FnMut(&'s dyn Sleeper)) {}

    fn each_mut(&mut self, _: &mut dyn FnMut(&mut dyn Sleeper)) {}
}

impl<F: AsFd> private::Source for Readable<F> {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn look(&mut self) -> Result<bool> {
        let now = Deadline::after(Duration::ZERO);
        let found =
            poll::wait(&self.0, libc::POLLIN, now).map_err(Error::system("ppoll", "the descriptor"))?;
        Ok(found.is_some())
    }

    fn descriptors<'s>(&'s self, visit: &mut dyn FnMut(Option<BorrowedFd<'s>>)) {
        visit(Some(self.0.as_fd()));
    }

    fn must_be_polled(&self) -> bool {
        true
    }
}
