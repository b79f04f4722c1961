//! A participant's hold on the channel: its place, which is a byte that it has locked, and its watch on the others.
//!
//! The kernel drops the lock when the participant dies. What it had claimed is found by the others within 60 ms, and by
//! who gets its place after it at once.

use std::cell::Cell;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ipc_sys::Deadline;
use ipc_sys::fork::ForkMark;
use ipc_sys::memory::coarse_millis;

use crate::channel::Wait;
use crate::channel::area::{consumer, producer};
use crate::channel::doorbell::LOOK;
use crate::channel::mpmc::bell::{MESSAGES, ROOM};
use crate::channel::mpmc::ring::{Id, Ring, Shape};
use crate::memory::lock::{self, Kind};
use crate::memory::segment::Segment;
use crate::memory::view::View;
use crate::words::Words;
use crate::{Error, Result};

/// What a participant does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Sends,
    Receives,
}

impl Role {
    fn places(self) -> RangeInclusive<u8> {
        match self {
            Self::Sends => 1..=127,
            Self::Receives => 128..=255,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Sends => Self::Receives,
            Self::Receives => Self::Sends,
        }
    }

    /// The word that says whether one of this role has ever been there.
    fn state(self) -> usize {
        match self {
            Self::Sends => producer::STATE,
            Self::Receives => consumer::STATE,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sends => "every place to send from",
            Self::Receives => "every place to receive at",
        }
    }
}

/// The byte that who has this place holds for writing.
fn byte(place: u8) -> libc::off_t {
    lock::PLACES + libc::off_t::from(place)
}

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
            ring.memory.word(role.state()).store(1, Ordering::Release);
            return Ok(Self {
                ring,
                role,
                wait: Wait::default(),
                mark,
                corrupt: None,
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

    /// Takes the claims of the dead away, and looks whether there is anybody to talk to; every 60 ms.
    ///
    /// # Errors
    /// [`Error::Disconnected`], where all of the other role that ever came are gone.
    #[cold]
    pub(super) fn look(&self) -> Result<()> {
        let now = coarse_millis();
        if now.wrapping_sub(self.looked.get()) >= u64::try_from(LOOK.as_millis()).unwrap_or(0) {
            self.looked.set(now);
            self.sweep()?;
            self.alone.set(self.is_alone()?);
        } else if self.alone.get() {
            self.alone.set(self.is_alone()?);
        }
        if self.alone.get() { Err(Error::Disconnected) } else { Ok(()) }
    }

    fn sweep(&self) -> Result<()> {
        let mut known = [None; 256];
        let swept = self.ring.sweep(|id| {
            let known = known.get_mut(usize::from(id.0));
            match known {
                Some(Some(dead)) => Ok(*dead),
                known => {
                    let dead = id != self.ring.id && !self.segment().is_held(byte(id.0))?;
                    if let Some(known) = known {
                        *known = Some(dead);
                    }
                    Ok(dead)
                }
            }
        })?;
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
        let came = self.ring.memory.word(other.state()).load(Ordering::Acquire) != 0;
        let places = other.places();
        Ok(came && !self.segment().is_any_held(byte(*places.start()), places.len())?)
    }

    /// Waits for room, or for a message.
    #[inline(never)]
    pub(super) fn wait(&self, deadline: Deadline) -> Result<()> {
        let (bell, sends) = match self.role {
            Role::Sends => (ROOM, true),
            Role::Receives => (MESSAGES, false),
        };
        let ready = || self.returned.get() || self.ring.is_ready(sends);
        bell.wait(&self.ring.memory, self.wait, deadline, ready, || self.look())
    }
}
