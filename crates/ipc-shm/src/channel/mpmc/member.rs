//! A participant's hold on the channel: its place, which is a byte that it has locked, and its watch on the others.
//!
//! The kernel drops the lock when the participant dies. What it had claimed is found by the others within 60 ms, and by
//! who gets its place after it at once.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ipc_sys::Deadline;
use ipc_sys::fork::ForkMark;
use ipc_sys::memory::coarse_millis;

use crate::channel::doorbell::{LOOK, Sleep};
use crate::channel::mpmc::bell::{MESSAGES, ROOM};
use crate::channel::mpmc::ring::{Id, Ring, Shape};
use crate::channel::mpmc::roll::{self, Role, byte};
use crate::channel::sleeper::Sleeper;
use crate::channel::stat;
use crate::channel::{ChannelStat, Presence, Wait};
use crate::memory::lock::Kind;
use crate::memory::segment::Segment;
use crate::memory::view::View;
use crate::words::{AtomicU64, Words};
use crate::{Error, Result};

/// One participant.
#[derive(Debug)]
pub(super) struct Member<T> {
    pub(super) ring: Ring<T, View>,
    role: Role,
    pub(super) wait: Wait,
    /// The process that attached this end; void when another wrote nonsense.
    mark: ForkMark,
    /// Set for good when another wrote nonsense.
    corrupt: Option<&'static str>,
    /// What the ticket held when we last announced that we sleep on it.
    expected: u32,
    /// How many of the other role had left when we last looked.
    heard: Cell<u64>,
    /// When the others were last looked at, in milliseconds.
    looked: Cell<u64>,
    /// Whether nobody is there to talk to any more.
    alone: Cell<bool>,
    /// Whether there may be messages that the dead gave back.
    pub(super) returned: Cell<bool>,
}

impl<T> Member<T> {
    /// Takes a free place, and the claims that its last holder died with away.
    pub(super) fn join(segment: Segment, shape: Shape, role: Role) -> Result<Self> {
        for place in role.places() {
            if !segment.try_take(byte(place), Kind::Write)? {
                continue;
            }
            let mark = segment.mapping().mark();
            let ring = Ring::new(View::new(Arc::new(segment)), shape, Id(place));
            // Before we claim anything: nobody may take what the dead one left for ours.
            ring.sweep(|id| Ok(id == ring.id))?;
            roll::enter(&ring.memory, role, place);
            return Ok(Self {
                ring,
                role,
                wait: Wait::default(),
                mark,
                corrupt: None,
                expected: 0,
                heard: Cell::new(0),
                looked: Cell::new(coarse_millis()),
                alone: Cell::new(false),
                returned: Cell::new(role == Role::Receives),
            });
        }
        Err(Error::EndInUse { object: "the channel".to_owned(), end: role.name() })
    }

    pub(super) fn segment(&self) -> &Segment {
        self.ring.memory.segment()
    }

    /// Whether this handle may be used.
    #[inline]
    pub(super) fn check(&self) -> Result<()> {
        match self.corrupt {
            _ if self.mark.is_ours() => Ok(()),
            None => Err(Error::Forked),
            Some(what) => Err(Error::PeerCorrupt { what }),
        }
    }

    #[cold]
    pub(super) fn note(&mut self, error: Error) -> Error {
        if let Error::PeerCorrupt { what } = error {
            self.corrupt = Some(what);
            self.mark = self.mark.void();
        }
        error
    }

    /// What `claim` claims, a place or a message, waiting for one.
    #[inline]
    pub(super) fn claim_within(
        &mut self,
        deadline: impl Fn() -> Deadline,
        claim: impl Fn(&mut Self) -> Result<Option<u64>>,
    ) -> Result<u64> {
        let mut last = false;
        loop {
            if let Some(pos) = claim(self)? {
                return Ok(pos);
            }
            if last {
                return Err(Error::TimedOut);
            }
            let deadline = deadline();
            self.wait(deadline)?;
            // Others may be faster each time.
            last = deadline.has_passed();
        }
    }

    /// The same, if there is one by a closer look.
    pub(super) fn claim_looking(
        &mut self,
        claim: impl Fn(&mut Self) -> Result<Option<u64>>,
    ) -> Result<Option<u64>> {
        if let Some(pos) = claim(self)? {
            return Ok(Some(pos));
        }
        let gone = self.look();
        // The look may have made room; what was sent or given back before is there now, if it ever was.
        match claim(self)? {
            Some(pos) => Ok(Some(pos)),
            None => gone.map(|()| None),
        }
    }

    /// Looks whether there is anybody to talk to, when one has left or it is time; every 60 ms, and takes the claims of the
    /// dead away.
    ///
    /// # Errors
    /// [`Error::Disconnected`], where all of the other role that ever came are gone.
    #[cold]
    pub(super) fn look(&self) -> Result<()> {
        let now = coarse_millis();
        let is_time = now.wrapping_sub(self.looked.get()) >= u64::try_from(LOOK.as_millis()).unwrap_or(0);
        let departures = self.role.bell().departures(&self.ring.memory);
        if is_time {
            self.looked.set(now);
            self.sweep()?;
        }
        if is_time || self.alone.get() || departures != self.heard.get() {
            self.heard.set(departures);
            self.alone.set(self.is_alone()?);
        }
        if self.alone.get() { Err(Error::Disconnected) } else { Ok(()) }
    }

    fn sweep(&self) -> Result<()> {
        let mut dead = Seized { segment: self.segment(), ours: self.ring.id, known: [None; 256] };
        let swept = self.ring.sweep(|id| dead.is_dead(id))?;
        drop(dead);
        self.returned.set(self.role == Role::Receives);
        if swept {
            // Whoever waits may have waited for this.
            MESSAGES.ring(&self.ring.memory);
            ROOM.ring(&self.ring.memory);
        }
        Ok(())
    }

    fn is_alone(&self) -> Result<bool> {
        let other = self.role.other();
        let load = |index| self.ring.memory.word(index).load(Ordering::Acquire);
        let held = |first, count| self.segment().is_any_held(first, count);
        Ok(roll::came(other, load) && !roll::is_anybody(other, load, held)?)
    }

    /// Whether there is room, or a message, for all that the words say.
    fn is_ready(&self) -> bool {
        if self.returned.get() {
            // There may be none: then nobody is woken for it, nor looks a second time.
            self.returned.set(self.ring.has_returned());
        }
        self.returned.get() || self.ring.is_ready(self.role == Role::Sends)
    }

    /// The same, looking when it is time whether anybody is left.
    pub(super) fn look_for_work(&self) -> Result<bool> {
        self.check()?;
        if self.is_ready() {
            return Ok(true);
        }
        let gone = self.look();
        // What was sent or given back before is there now, if it ever was.
        if self.is_ready() { Ok(true) } else { gone.map(|()| false) }
    }

    /// Where the payload of `pos` lies, for who may have a reference to it.
    pub(super) fn place(&self, pos: u64) -> NonNull<T> {
        self.segment().mapping().at(self.ring.payload_offset(pos)).cast()
    }

    /// Waits for room, or for a message.
    #[inline(never)]
    pub(super) fn wait(&self, deadline: Deadline) -> Result<()> {
        if self.wait == Wait::Poll {
            return Err(Error::NoSocket);
        }
        let (bell, memory) = (self.role.bell(), &self.ring.memory);
        bell.wait(memory, self.wait, deadline, &self.heard, || self.is_ready(), || self.look())
    }

    /// What the words say of both sides, and how many are there by their locks.
    pub(super) fn stat(&self) -> Result<ChannelStat> {
        self.segment().check_fork()?;
        let load = |index| self.ring.memory.word(index).load(Ordering::Relaxed);
        let ask = |role| roll::presence(role, load, |first, count| self.segment().is_any_held(first, count));
        let ours = |role| {
            // Our own lock does not exclude us.
            let (presence, count) = ask(role)?;
            Ok(if role == self.role { (Presence::Alive, count + 1) } else { (presence, count) })
        };
        Ok(stat::of_many(self.segment().layout(), [ours(Role::Sends)?, ours(Role::Receives)?], load))
    }
}

/// The places of the dead, held as long as their claims are taken away: a claim that bears the name of one is then nobody's
/// who lives. Else who joined there meanwhile, and claimed the very message that the dead one had, would lose it.
struct Seized<'m> {
    segment: &'m Segment,
    ours: Id,
    /// Who was looked at: dead, and held, or alive.
    known: [Option<bool>; 256],
}

impl Seized<'_> {
    fn is_dead(&mut self, id: Id) -> Result<bool> {
        let Some(known) = self.known.get_mut(usize::from(id.0)) else { return Ok(false) };
        if let Some(dead) = *known {
            return Ok(dead);
        }
        let dead = id != self.ours && self.segment.try_take(byte(id.0), Kind::Write)?;
        *known = Some(dead);
        Ok(dead)
    }
}

impl Drop for Seized<'_> {
    fn drop(&mut self) {
        for (place, _) in (0..=u8::MAX).zip(self.known).filter(|(_, dead)| *dead == Some(true)) {
            // What stays held looks alive until we are gone.
            let _ = self.segment.give_back(byte(place));
        }
    }
}

/// Waits for room, or for a message, or for somebody's end.
impl<T> Sleeper for Member<T> {
    fn is_ready(&self) -> bool {
        Member::is_ready(self) || self.role.bell().departures(&self.ring.memory) != self.heard.get()
    }

    fn announce(&mut self, _: Sleep) -> bool {
        self.expected = self.role.bell().announce(&self.ring.memory);
        false
    }

    /// Others may sleep: the word stays.
    fn retract(&mut self) {}

    fn ticket(&self) -> (&AtomicU64, u32) {
        (self.role.bell().ticket(&self.ring.memory), self.expected)
    }
}

impl<T> Drop for Member<T> {
    fn drop(&mut self) {
        if self.segment().check_fork().is_ok() {
            roll::leave(&self.ring.memory, self.role, self.ring.id.0);
            // The last close would let it go, too; but what another thread has just forked, and has not come to its exec yet,
            // holds every descriptor of ours until then.
            let _ = self.segment().give_back(byte(self.ring.id.0));
        }
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::channel::mpmc::{Receiver, Sender};

    #[test]
    fn nobody_joins_at_a_dead_one_s_place_while_its_claims_are_taken_away() {
        let mut sender = Sender::<u64>::anonymous(16).unwrap();
        let join = || Receiver::<u64>::from_fd(sender.share().unwrap()).unwrap();
        let (dead, living) = (join(), join());
        let (place, ours) = (dead.member.ring.id, sender.member.ring.id);
        assert_eq!(place, Id(128));
        // As the kernel does when it dies.
        dead.member.segment().give_back(byte(place.0)).unwrap();
        let mut seized = Seized { segment: sender.member.segment(), ours, known: [None; 256] };
        for (id, expected) in [(place, true), (living.member.ring.id, false), (ours, false), (place, true)] {
            assert_eq!(seized.is_dead(id).unwrap(), expected, "{id:?}");
        }
        assert_eq!(join().member.ring.id, Id(130));
        drop(seized);
        assert_eq!(join().member.ring.id, place);
        std::mem::forget(dead);
        sender.send(&1).unwrap();
    }
}
