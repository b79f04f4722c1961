//! Waking any number of readers, without a fence per write.
//!
//! In common memory: one word, `asleep`, which any reader sets before it sleeps and the writer clears before it wakes all; and the writer's
//! ticket, the futex word. The reader pays for both: it sets `asleep`, has the kernel put a barrier into the writer's
//! instructions (membarrier), looks once more, and sleeps on the ticket as it was before. Where barriers are forbidden
//! or missing, both sides pay a full fence each time.
//!
//! In sealed memory the readers write nothing of the writer's, so each that sleeps has a bell of its own, as in
//! [`doorbell`](crate::channel::doorbell), which is never hot; the writer looks at each after a write. The ticket is common, and all
//! are woken.
//!
//! After a crash: a reader killed asleep costs the writer one wake too many; a writer killed between its store and its
//! wake is found by the readers' look, every 60 ms.

use std::sync::atomic::Ordering;

use ipc_sys::{Deadline, futex};

use crate::channel::area::{consumer, producer};
use crate::channel::counters::{self, Counter};
use crate::channel::doorbell::{
    POLLS, ReceiverWaiter, Sleep, Wait, as_announced, draw, first_polls, is_asleep, is_polled, low, may_look,
    pause, polls_on, settle, soonest,
};
use crate::words::{AtomicU64, Words, fence, is_left_out, peer_load};
use crate::{Error, Result};

/// Whether a sleeper's barrier stands for the writer's fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fences {
    /// The kernel's, at each sleep.
    Asymmetric,
    /// One at each write, one at each sleep.
    Both,
}

impl Fences {
    /// What stands between publishing and the look who sleeps.
    #[inline]
    pub(crate) fn before_look(self) {
        match self {
            Self::Asymmetric => std::sync::atomic::compiler_fence(Ordering::SeqCst),
            Self::Both => fence("caller", Ordering::SeqCst),
        }
    }
}

/// Wakes whoever sleeps; the writer calls it after publishing.
#[inline]
pub(crate) fn call<W: Words>(memory: &W, fences: Fences) {
    fences.before_look();
    if memory.header(consumer::ASLEEP).load(Ordering::Relaxed) != 0 {
        wake(memory);
    }
}

#[cold]
fn wake<W: Words>(memory: &W) {
    // Cleared before the ticket moves: who sets it after that has seen the new ticket, or finds it changed. In sealed
    // memory nobody sets it.
    let clear = || memory.word(consumer::ASLEEP).store(0, Ordering::Relaxed);
    if !is_left_out("clear first") {
        clear();
    }
    draw(memory.word(producer::TICKET));
    if is_left_out("clear first") {
        clear();
    }
    memory.wake(producer::TICKET, i32::MAX);
    counters::add(memory, producer::COUNTERS, Counter::Woken, 1);
}

/// A reader's side of the call: its own words hold the bell, where it has any; else all share the word `asleep`.
#[derive(Debug)]
pub(crate) struct Called<W> {
    fences: Fences,
    /// What the ticket held when we last announced that we sleep on it.
    expected: u32,
    bell: Option<(W, ReceiverWaiter)>,
}

impl<W: Words> Called<W> {
    /// One of the readers of common memory.
    pub(crate) fn together(fences: Fences) -> Self {
        Self { fences, expected: 0, bell: None }
    }

    /// A reader with a bell of its own, in memory that only it writes.
    pub(crate) fn alone(fences: Fences, own: W) -> Self {
        let waiter = ReceiverWaiter::new(&own);
        Self { fences, expected: 0, bell: Some((own, waiter)) }
    }

    /// The memory that only we write.
    pub(crate) fn own(&self) -> Option<&W> {
        self.bell.as_ref().map(|(own, _)| own)
    }

    /// Announces that we sleep, and says whether [`settle`] must interrupt the writer.
    pub(crate) fn announce(&mut self, on: Sleep, memory: &W) -> bool {
        match &mut self.bell {
            Some((own, waiter)) => {
                waiter.announce(on, own, memory);
            }
            None => {
                self.expected = low(peer_load(memory.word(producer::TICKET)));
                memory.word(consumer::ASLEEP).store(1, Ordering::Relaxed);
                counters::add_together(memory, consumer::COUNTERS, Counter::Parked, 1);
            }
        }
        self.fences == Fences::Asymmetric
    }

    /// Says that we are awake; the common word stays, as others may sleep.
    pub(crate) fn retract(&mut self) {
        if let Some((own, waiter)) = &mut self.bell {
            waiter.retract(own);
        }
    }

    /// The word to sleep on, and what it must hold for that.
    pub(crate) fn ticket<'w>(&self, memory: &'w W) -> (&'w AtomicU64, u32) {
        match &self.bell {
            Some((_, waiter)) => waiter.ticket_of(memory),
            None => {
                let ticket = memory.word(producer::TICKET);
                (ticket, as_announced(ticket, self.expected))
            }
        }
    }

    /// Polls, then sleeps, until `ready`; `look` says every 60 ms whether the writer lives.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::NoSocket`], and what `ready` and `look` say.
    pub(crate) fn wait(
        &mut self,
        memory: &W,
        how: Wait,
        deadline: Deadline,
        mut ready: impl FnMut() -> Result<bool>,
        mut look: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let mut polls = first_polls(how);
        loop {
            for _ in 0..polls {
                if ready()? {
                    return Ok(());
                }
                pause();
            }
            let gone = look();
            if ready()? {
                return Ok(());
            }
            gone?;
            if deadline.has_passed() {
                return Err(Error::TimedOut);
            }
            if polls_on(how, polls, self.ticket(memory).0) {
                polls = POLLS;
                continue;
            }
            polls = 1;
            let on = if how == Wait::Poll { Sleep::Socket } else { Sleep::Ticket };
            let was_hot = self.announce(on, memory);
            settle(was_hot);
            let done = if may_look() { ready() } else { Ok(false) };
            let slept = match (&done, on) {
                (Ok(false), Sleep::Ticket) => memory
                    .wait(producer::TICKET, self.ticket(memory).1, soonest(deadline))
                    .map_err(Error::system("futex(FUTEX_WAIT)", "the channel")),
                (Ok(false), Sleep::Socket) => self.own().map_or(Err(Error::NoSocket), |own| {
                    own.poll(soonest(deadline)).map_err(Error::no_socket)
                }),
                _ => Ok(futex::Wait::Woken),
            };
            self.retract();
            if done? {
                return Ok(());
            }
            slept?;
        }
    }
}

/// The writer's side of one reader's own bell.
#[derive(Debug)]
pub(crate) struct Bell<W> {
    reader: W,
    /// The bell that has been answered.
    woken: u64,
}

impl<W: Words> Bell<W> {
    pub(crate) fn new(reader: W) -> Self {
        Self { reader, woken: 0 }
    }

    /// The reader's memory.
    pub(crate) fn reader(&self) -> &W {
        &self.reader
    }
}

/// As [`call`], of the readers that have bells of their own too: one load each.
#[inline]
pub(crate) fn call_each<W: Words>(memory: &W, fences: Fences, bells: &mut [Bell<W>]) {
    call(memory, fences);
    for bell in bells {
        let rung = bell.reader.header(consumer::BELL).load(Ordering::Relaxed);
        if is_asleep(rung) && rung != bell.woken {
            answer(memory, bell, rung);
        }
    }
}

#[cold]
fn answer<W: Words>(memory: &W, bell: &mut Bell<W>, rung: u64) {
    if !is_polled(rung) {
        bell.woken = rung;
        // All of them: a wake of one could be taken by whoever else holds this memory.
        wake(memory);
    } else if bell.reader.signal() {
        bell.woken = rung;
        counters::add(memory, producer::COUNTERS, Counter::Woken, 1);
    }
}
