//! Waking any number of waiters by any number of wakers, in common memory.
//!
//! Two words, and a count of who has left: *asleep*, which a waiter sets before it sleeps, and the *ticket*, the futex word, which a waker moves when it
//! finds that somebody is asleep. Both sides pay a full fence, so that of "published, then looked who sleeps" and
//! "announced, then looked at the data" one sees the other.
//!
//! After a crash: a waiter killed asleep costs one wake too many; a waker killed between its store and its wake is found
//! by the waiters' look, every 60 ms.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use ipc_sys::Deadline;

use crate::channel::area::{consumer, producer};
use crate::channel::doorbell::{POLLS, Wait, as_announced, low, may_look, pause, soonest};
use crate::words::{AtomicU64, Words, acquire, fence, is_left_out};
use crate::{Error, Result};

/// Where a bell's words are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bell {
    asleep: usize,
    ticket: usize,
    /// How many of those who ring it have left.
    pub(super) departures: usize,
}

/// Rung for messages.
pub(crate) const MESSAGES: Bell =
    Bell { asleep: consumer::BELL, ticket: producer::TICKET, departures: producer::DEPARTURES };
/// Rung for room.
pub(crate) const ROOM: Bell =
    Bell { asleep: producer::BELL, ticket: consumer::TICKET, departures: consumer::DEPARTURES };

impl Bell {
    /// Wakes whoever sleeps; call it after publishing.
    #[inline]
    pub(crate) fn ring<W: Words>(self, memory: &W) {
        fence("caller", Ordering::SeqCst);
        if memory.word(self.asleep).load(Ordering::Relaxed) != 0 {
            self.wake(memory);
        }
    }

    /// Tells whoever sleeps that one of those who ring is gone; its place says so by now.
    pub(crate) fn leave<W: Words>(self, memory: &W) {
        memory.word(self.departures).fetch_add(1, Ordering::Release);
        if !is_left_out("leave") {
            self.ring(memory);
        }
    }

    /// How many have left.
    pub(crate) fn departures<W: Words>(self, memory: &W) -> u64 {
        memory.word(self.departures).load(acquire("departure"))
    }

    /// Announces that somebody sleeps, and says what the ticket must hold for that. A fence and another look must follow.
    pub(crate) fn announce<W: Words>(self, memory: &W) -> u32 {
        let ticket = low(memory.word(self.ticket).load(acquire("new ticket")));
        memory.word(self.asleep).store(1, Ordering::Relaxed);
        ticket
    }

    /// The word to sleep on.
    pub(crate) fn ticket<W: Words>(self, memory: &W) -> &AtomicU64 {
        memory.word(self.ticket)
    }

    #[cold]
    fn wake<W: Words>(self, memory: &W) {
        // Cleared before the ticket moves: who sets it after that has seen the new ticket, or finds it changed.
        let clear = || memory.word(self.asleep).store(0, Ordering::Relaxed);
        if !is_left_out("clear first") {
            clear();
        }
        memory.word(self.ticket).fetch_add(1, Ordering::Release);
        if is_left_out("clear first") {
            clear();
        }
        memory.wake(self.ticket, i32::MAX);
    }

    /// Polls and then sleeps, as `wait` says, until `ready`; `look` is asked at every turn, at least every 60 ms, and as soon
    /// as more have left than it has `heard` of.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and what `look` says.
    pub(crate) fn wait<W: Words>(
        self,
        memory: &W,
        wait: Wait,
        deadline: Deadline,
        heard: &Cell<u64>,
        mut ready: impl FnMut() -> bool,
        mut look: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let mut polls = if wait == Wait::Park { 0 } else { POLLS };
        loop {
            for _ in 0..polls {
                if ready() {
                    return Ok(());
                }
                pause();
            }
            let gone = look();
            if ready() {
                return Ok(());
            }
            gone?;
            if deadline.has_passed() {
                return Err(Error::TimedOut);
            }
            if wait == Wait::Spin {
                continue;
            }
            polls = 0;
            let ticket = self.announce(memory);
            fence("sleeper", Ordering::SeqCst);
            if may_look() && ready() {
                return Ok(());
            }
            if !is_left_out("departures") && self.departures(memory) != heard.get() {
                continue;
            }
            let ticket = as_announced(self.ticket(memory), ticket);
            memory
                .wait(self.ticket, ticket, soonest(deadline))
                .map_err(Error::system("futex(FUTEX_WAIT)", "the channel"))?;
        }
    }
}
