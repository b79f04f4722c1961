//! What the writer does: it writes, and waits for the slowest reader, or for readers to come.

use std::sync::Arc;
use std::time::Duration;

use ipc_sys::Deadline;
use ipc_sys::memory::coarse_millis;

use crate::channel::attached::{Attached, Patience};
use crate::channel::broadcast::lossless::Writer;
use crate::channel::broadcast::lossless::cursor::{self, PLACES};
use crate::channel::broadcast::lossless::gathering::Gathering;
use crate::channel::broadcast::lossless::log::Log;
use crate::channel::broadcast::lossless::{place, room};
use crate::channel::fd::private as fd;
use crate::channel::select::{self, private};
use crate::channel::sleeper::{Sleeper, Sleepers};
use crate::channel::uring::Uring;
use crate::channel::watch::LOOK_MILLIS;
use crate::channel::{Payload, Pollable, Socket, Source};
use crate::memory::view::View;
use crate::{Error, Result};

impl<T: Payload> Writer<T> {
    /// Writes one message, waiting until the slowest reader has room for it.
    ///
    /// # Blocking
    /// Until there is room; a signal does not end it. A reader that dies is found within 60 ms, one that is stopped is
    /// waited for. Without readers it never waits.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`], [`Error::Forked`].
    #[inline]
    pub fn write(&mut self, message: &T) -> Result<()> {
        self.write_within(message, Patience::ENDLESS)
    }

    /// As [`Writer::write`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Writer::write`].
    #[inline]
    pub fn write_timeout(&mut self, message: &T, timeout: Duration) -> Result<()> {
        self.write_within(message, Patience::For(timeout))
    }

    /// Writes one message if every reader has room for it now.
    ///
    /// # Errors
    /// [`Error::Full`], and as [`Writer::write`].
    #[inline]
    pub fn try_write(&mut self, message: &T) -> Result<()> {
        self.write_within(message, Patience::None)
    }

    /// Writes as many of the messages as there is room for now, seen by each reader all at once, and says how many.
    ///
    /// # Errors
    /// As [`Writer::try_write`]; [`Error::Full`] where there was room for none.
    pub fn try_write_batch(&mut self, messages: &[T]) -> Result<usize> {
        self.write_batch_within(messages, Patience::None)
    }

    /// Writes all of the messages, in as large batches as there is room for.
    ///
    /// # Blocking
    /// As [`Writer::write`].
    ///
    /// # Errors
    /// As [`Writer::write`]. How many went before is not said: write them one by one where it matters.
    pub fn write_batch(&mut self, mut messages: &[T]) -> Result<()> {
        while !messages.is_empty() {
            let written = self.write_batch_within(messages, Patience::ENDLESS)?;
            messages = messages.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Waits until at least `count` readers have joined and live: what is written from then on, they all get.
    ///
    /// # Blocking
    /// Until they are there; a signal does not end it.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`]: more than 64; [`Error::Forked`].
    pub fn wait_for_readers(&mut self, count: usize) -> Result<()> {
        self.gather(count, Deadline::NEVER)
    }

    /// As [`Writer::wait_for_readers`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Writer::wait_for_readers`].
    pub fn wait_for_readers_timeout(&mut self, count: usize, timeout: Duration) -> Result<()> {
        self.gather(count, Deadline::after(timeout))
    }

    /// Whether a message fits now; what is free stays so until we write.
    #[cfg(feature = "tokio")]
    pub(crate) fn check_room(&mut self) -> Result<()> {
        self.room(1, Patience::None)
    }

    #[inline(always)]
    fn write_within(&mut self, message: &T, patience: Patience) -> Result<()> {
        if self.end.is_usable() && self.end.ring.write(message) {
            return Ok(());
        }
        self.room_for_one(patience)?;
        self.end.ring.write(message);
        Ok(())
    }

    /// The way of a message for which there was no room by the last look.
    #[inline(never)]
    fn room_for_one(&mut self, patience: Patience) -> Result<()> {
        self.room(1, patience)
    }

    fn write_batch_within(&mut self, messages: &[T], patience: Patience) -> Result<usize> {
        self.end.check()?;
        if messages.is_empty() {
            return Ok(0);
        }
        self.room(messages.len() as u64, patience)?;
        Ok(self.end.ring.write_batch(messages))
    }

    /// Room for one message at least, of `wanted` if it is there.
    ///
    /// # Errors
    /// [`Error::Full`] without patience, [`Error::TimedOut`], and as [`Writer::write`].
    fn room(&mut self, wanted: u64, patience: Patience) -> Result<()> {
        self.end.check()?;
        let mut deadline = None;
        let mut looked_closer = false;
        loop {
            let found = self.end.ring.space(wanted);
            if self.end.note(found)? != 0 {
                return Ok(());
            }
            deadline = deadline.or_else(|| patience.deadline());
            let Self { end: Attached { ring, link, wait, .. }, looked } = self;
            let view = &link.own;
            let waited = match deadline {
                Some(deadline) => room::wait(ring, view, *wait, deadline, |log| look(log, view, looked)),
                None if looked_closer => return Err(Error::Full),
                None => look(ring, view, looked),
            };
            looked_closer = true;
            self.end.note(waited)?;
        }
    }

    fn gather(&mut self, count: usize, deadline: Deadline) -> Result<()> {
        self.end.check()?;
        if count > PLACES {
            let (what, value) = ("the number of readers", count as u64);
            return Err(Error::InvalidParameter { what, value, reason: "there are never more than 64" });
        }
        let Self { end: Attached { ring, link, wait, .. }, looked } = self;
        let view = &link.own;
        let sweep = || {
            let mut places = cursor::places(cursor::members(view));
            places.try_for_each(|place| place::sweep(view, place).map(drop))
        };
        let mut gathering = Gathering { log: ring, count };
        loop {
            room::wait(&mut gathering, view, *wait, deadline, |_| {
                if is_time(looked) { sweep() } else { Ok(()) }
            })?;
            // Those who have died since the last look do not count.
            sweep()?;
            if gathering.is_ready() {
                return Ok(());
            }
        }
    }
}

/// Whether it is 60 ms since the last look, which this one is then.
fn is_time(looked: &mut u64) -> bool {
    let now = coarse_millis();
    let due = now.wrapping_sub(*looked) >= LOOK_MILLIS;
    if due {
        *looked = now;
    }
    due
}

/// Frees the place of whoever holds us up, and of the next one, as long as they are dead; every 60 ms.
fn look<T>(log: &mut Log<T, View>, view: &View, looked: &mut u64) -> Result<()> {
    if is_time(looked) {
        while log.space(1)? == 0 {
            match log.slowest() {
                // As it would have told us itself, had it left: by now we may have announced that we wait for it.
                Some(place) if place::sweep(view, place)? => room::tell(view, log.room.fences, place),
                _ => break,
            }
        }
    }
    Ok(())
}

impl<T: Payload> Source for Writer<T> {}

impl<T: Payload> Sleepers for Writer<T> {
    fn each<'s>(&'s self, visit: &mut dyn FnMut(&'s dyn Sleeper)) {
        visit(&self.end.ring);
    }

    fn each_mut(&mut self, visit: &mut dyn FnMut(&mut dyn Sleeper)) {
        visit(&mut self.end.ring);
    }
}

impl<T: Payload> private::Source for Writer<T> {
    fn check(&self) -> Result<()> {
        self.end.check()
    }

    fn look(&mut self) -> Result<bool> {
        match self.room(1, Patience::None) {
            Ok(()) => Ok(true),
            Err(Error::Full) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl<T: Payload> Pollable for Writer<T> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> fd::Pollable for Writer<T> {
    fn socket(&self) -> Option<&Arc<Socket>> {
        None
    }

    fn arm(&mut self, ring: Option<&Uring>) -> Result<bool> {
        select::arm(self, ring)
    }
}
