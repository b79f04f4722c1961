//! What a channel's words say of it, for those who look on.
//!
//! A named channel is read like any file, one page of it, through a descriptor that cannot write. Nothing is mapped, so
//! who truncates it meanwhile cannot kill us; no lock is taken, so nobody mistakes us for an end, and nothing stays. Every
//! number in the page was written by somebody else and is no more than a number to show. (The kernel copies aligned words
//! whole on our targets, so a counter is one moment's; two counters need not be the same moment's.)

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;

use crate::channel::area::{consumer, producer};
use crate::channel::broadcast::lossless::cursor;
use crate::channel::counters::Counter;
use crate::channel::link::{ATTACHED, LEFT, Link, Side};
use crate::channel::mpmc::roll::{self, Role};
use crate::channel::{Payload, request, spsc};
use crate::memory::attach::{self, Seals};
use crate::memory::header::{HEADER, Kind, Layout, Page};
use crate::memory::mode::TRUSTED;
use crate::memory::name::Name;
use crate::memory::{Mode, lock};
use crate::words::{Words, peer_load};
use crate::{Error, Refusal, Result, Tag};

/// A channel, as it was when somebody looked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStat {
    /// The protocol: `spsc`, `bytes`, `latest`, `broadcast`, `request` …
    pub kind: &'static str,
    /// The bytes of a message; 0 where messages have any length; of `request`, of a question.
    pub size: u64,
    /// What the user told apart beyond size and alignment.
    pub tag: Tag,
    /// How many messages it was made for; of `bytes`, how many bytes.
    pub capacity: u64,
    /// The end that sends or writes.
    pub sender: EndStat,
    /// The end that receives; of `latest` and `broadcast`, all that read in common memory; of
    /// [`broadcast::lossless`](crate::broadcast::lossless), the slowest of them.
    pub receiver: EndStat,
}

/// One end of a channel, with what all that ever held it have counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndStat {
    /// Whether anybody holds it; of [`mpmc`](crate::mpmc), whether any of those who ever did.
    pub presence: Presence,
    /// How many hold it, where that is known: not of readers for whom nobody waits. Of readers that are waited for, dead ones
    /// that the writer has not found yet among them.
    pub count: Option<u32>,
    /// Messages sent, or received. A receiver says it a quarter of the ring at a time while messages stream. 0 where readers
    /// keep their place to themselves.
    pub messages: u64,
    /// How often it woke the other side by a system call.
    pub woken: u64,
    /// How often it went to sleep.
    pub parked: u64,
    /// Messages that were overwritten before it had read them.
    pub lagged: u64,
}

/// Whether an end is held, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// Nobody has held it yet.
    Absent,
    /// A process that lives holds it.
    Alive,
    /// It was dropped.
    Left,
    /// Its process died.
    Dead,
    /// Any number of processes, of which none holds the end as such: readers.
    Many,
}

impl EndStat {
    /// One that has counted nothing.
    pub(crate) fn nothing(presence: Presence) -> Self {
        Self { presence, count: count_of(presence), messages: 0, woken: 0, parked: 0, lagged: 0 }
    }
}

impl ChannelStat {
    /// How many messages were sent and not yet received, where the receiver says what it has received.
    #[must_use]
    pub fn lag(&self) -> Option<u64> {
        let known = self.receiver.presence != Presence::Many
            || self.receiver.count.is_some_and(|readers| readers != 0);
        known.then(|| self.sender.messages.saturating_sub(self.receiver.messages))
    }
}

/// Looks at a named channel without attaching it: open(O_RDONLY), fstat, fstatfs, pread, and a question about each end's lock
/// (F_OFD_GETLK). Its ends notice nothing, and need not even be there. For a handle of one's own, see
/// [`spsc::Sender::stat`](crate::spsc::Sender::stat) and its like.
///
/// # Errors
/// | errno | error |
/// | --- | --- |
/// | ENOENT | [`Error::NotFound`] |
/// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`] |
/// | EACCES | [`Error::PermissionDenied`] |
/// | EMFILE, ELOOP (a symbolic link) | [`Error::System`] |
/// | | [`Error::Refused`], with the [`Refusal`] that says why: [`Refusal::NoChannel`] for memory and locks |
///
/// # After a crash
/// What the ends had counted stands there until the name is removed; each end's [`Presence`] says whether it died.
///
/// # Examples
/// ```
/// # fn main() -> ipc_shm::Result<()> {
/// use ipc_shm::{Presence, spsc};
///
/// let name = format!("/ipc-shm-stat-{}", std::process::id());
/// let mut sender = spsc::Sender::<u64>::create(&name, 16)?;
/// sender.send(&1)?;
/// let stat = ipc_shm::stat(&name)?;
/// assert_eq!((stat.kind, stat.size, stat.lag()), ("spsc", 8, Some(1)));
/// assert_eq!((stat.sender.presence, stat.receiver.presence), (Presence::Alive, Presence::Absent));
/// # Ok(())
/// # }
/// ```
pub fn stat(name: impl AsRef<OsStr>) -> Result<ChannelStat> {
    let name = Name::new(name.as_ref())?;
    let file = name.open(OFlag::O_RDONLY)?;
    let object = name.to_string();
    let len = attach::check(&file, &object, Seals::None, HEADER, usize::MAX)?;
    let refused = |reason| Error::refused(&object, reason);

    let page = || Page::read(&file, &object);
    let mut words = page()?;
    let layout = Layout::read(|index| words.word(index), len as u64).map_err(refused)?;
    if layout.mode != TRUSTED {
        return Err(refused(Refusal::Mode));
    }
    if !layout.kind.is_channel() {
        return Err(refused(Refusal::NoChannel));
    }
    if layout.kind == Kind::Mpmc {
        let ask = |role| {
            roll::presence(
                role,
                |index| words.word(index),
                |first, count| {
                    lock::are_excluded(&file, first, count, lock::Kind::Read)
                        .map_err(Error::system("fcntl(F_OFD_GETLK)", &object))
                },
            )
        };
        let ends = [ask(Role::Sends)?, ask(Role::Receives)?];
        return Ok(of_many(&layout, ends, |index| words.word(index)));
    }
    let mut ends = presences(&layout, &words, &file, &object)?;
    if ends.contains(&Presence::Dead) {
        // Who attached or took leave between the two looks is not dead.
        words = page()?;
        ends = presences(&layout, &words, &file, &object)?;
    }
    if layout.kind == Kind::Lossless {
        // The readers' cursors are behind the first page.
        let cursors = [Page::read_at(&file, &object, 1)?, Page::read_at(&file, &object, 2)?];
        let load = |index: usize| match index.checked_sub(HEADER / 8) {
            None => words.word(index),
            Some(behind) => {
                cursors.get(behind / (HEADER / 8)).map_or(0, |page| page.word(behind % (HEADER / 8)))
            }
        };
        return Ok(of(&layout, ends, load, load));
    }
    Ok(of(&layout, ends, |index| words.word(index), |index| words.word(index)))
}

fn presences(layout: &Layout, page: &Page, file: &OwnedFd, object: &str) -> Result<[Presence; 2]> {
    let ask = |side: Side| {
        let held = lock::is_excluded(file, side.lock(), lock::Kind::Read)
            .map_err(Error::system("fcntl(F_OFD_GETLK)", object))?;
        Ok(presence(page.word(side.state()), held))
    };
    let receiver = if has_readers(layout.kind) { Presence::Many } else { ask(Side::Consumer)? };
    Ok([ask(Side::Producer)?, receiver])
}

/// What a handle sees of its own channel.
pub(crate) fn of_link(link: &Link) -> Result<ChannelStat> {
    link.check_fork()?;
    let load = |side: Side| move |index: usize| peer_load(link.view_of(side).word(index));
    let layout = link.view_of(Side::Producer).segment().layout();
    let ask = |side: Side| {
        if side == link.side() {
            return Ok(Presence::Alive);
        }
        let view = link.view_of(side);
        Ok(presence(peer_load(view.word(side.state())), view.segment().is_held(side.lock())?))
    };
    let receiver = if has_readers(layout.kind) { Presence::Many } else { ask(Side::Consumer)? };
    let ends = [ask(Side::Producer)?, receiver];
    Ok(of(layout, ends, load(Side::Producer), load(Side::Consumer)))
}

impl<T: Payload, M: Mode> spsc::Sender<T, M> {
    /// What the channel's words say of both ends; asks the kernel whether the receiver lives.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        of_link(&self.end.link)
    }
}

impl<T: Payload, M: Mode> spsc::Receiver<T, M> {
    /// What the channel's words say of both ends; asks the kernel whether the sender lives.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        of_link(&self.end.link)
    }
}

impl<Q: Payload, A: Payload, M: Mode> request::Client<Q, A, M> {
    /// What the channel's words say of both ends; asks the kernel whether the server lives.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        self.with_link(of_link)
    }
}

impl<Q: Payload, A: Payload, M: Mode> request::Server<Q, A, M> {
    /// What the channel's words say of both ends; asks the kernel whether the client lives.
    ///
    /// # Errors
    /// [`Error::Forked`], [`Error::System`].
    pub fn stat(&self) -> Result<ChannelStat> {
        self.with_link(of_link)
    }
}

/// Whether any number read, and none of them holds the receiving end.
fn has_readers(kind: Kind) -> bool {
    matches!(kind, Kind::Latest | Kind::Broadcast | Kind::Lossless)
}

pub(crate) fn presence(state: u64, held: bool) -> Presence {
    match (state & ATTACHED != 0, state & LEFT != 0, held) {
        // It took the lock and has not announced itself yet, or its successor has.
        (_, _, true) => Presence::Alive,
        (_, true, false) => Presence::Left,
        (true, false, false) => Presence::Dead,
        (false, false, false) => Presence::Absent,
    }
}

/// The same of a channel whose ends several hold.
pub(in crate::channel) fn of_many(
    layout: &Layout,
    [(sender, senders), (receiver, receivers)]: [(Presence, u32); 2],
    load: impl Fn(usize) -> u64,
) -> ChannelStat {
    let mut stat = of(layout, [sender, receiver], &load, &load);
    (stat.sender.count, stat.receiver.count) = (Some(senders), Some(receivers));
    stat
}

fn count_of(presence: Presence) -> Option<u32> {
    (presence != Presence::Many).then(|| u32::from(presence == Presence::Alive))
}

/// What the words say; `sends` and `receives` give those that each side writes.
pub(crate) fn of(
    layout: &Layout,
    [sender, receiver]: [Presence; 2],
    sends: impl Fn(usize) -> u64,
    receives: impl Fn(usize) -> u64,
) -> ChannelStat {
    let counter = |load: &dyn Fn(usize) -> u64, line: usize, counter: Counter| load(line + counter as usize);
    let end = |presence, load: &dyn Fn(usize) -> u64, line, messages| EndStat {
        presence,
        count: count_of(presence),
        messages,
        woken: counter(load, line, Counter::Woken),
        parked: counter(load, line, Counter::Parked),
        lagged: counter(load, line, Counter::Lagged),
    };
    let passed = |position: u64| position.wrapping_sub(layout.start);
    let (sent, received) = match layout.kind {
        Kind::Bytes => (
            counter(&sends, producer::COUNTERS, Counter::Messages),
            counter(&receives, consumer::COUNTERS, Counter::Messages),
        ),
        Kind::Lossless => {
            let sent = passed(sends(producer::WRITTEN));
            let (_, behind) = cursor::slowest(sends(producer::WRITTEN), &receives);
            (sent, sent.saturating_sub(behind))
        }
        // Its readers write no position.
        kind if has_readers(kind) => (passed(sends(producer::WRITTEN)), 0),
        _ => (passed(sends(producer::WRITTEN)), passed(receives(consumer::READ))),
    };
    let readers = (layout.kind == Kind::Lossless).then(|| cursor::slowest(0, &receives).0);
    let (size, unit) = match layout.kind {
        Kind::Bytes => (0, layout.size),
        // The upper half is the question's, the lower the answer's.
        Kind::Request => (layout.size >> 32, 1),
        _ => (layout.size, 1),
    };
    ChannelStat {
        kind: layout.kind.name(),
        size,
        tag: layout.tag.into(),
        capacity: layout.capacity.saturating_mul(unit),
        sender: end(sender, &sends, producer::COUNTERS, sent),
        receiver: EndStat {
            count: readers.or(count_of(receiver)),
            ..end(receiver, &receives, consumer::COUNTERS, received)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_dead_only_where_it_came_and_did_not_take_leave() {
        for (state, held, expected) in [
            (0, false, Presence::Absent),
            (0, true, Presence::Alive),
            (ATTACHED, true, Presence::Alive),
            (ATTACHED, false, Presence::Dead),
            (ATTACHED | LEFT, false, Presence::Left),
            (u64::MAX, false, Presence::Left),
        ] {
            assert_eq!(presence(state, held), expected, "{state:#x}");
        }
    }
}
