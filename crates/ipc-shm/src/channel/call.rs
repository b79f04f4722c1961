//! Waking any number of readers, in common memory, without a fence per write.
//!
//! One word, `asleep`, which any reader sets before it sleeps and the writer clears before it wakes all; and the writer's
//! ticket, the futex word. The reader pays for both: it sets `asleep`, has the kernel put a barrier into the writer's
//! instructions (membarrier), looks once more, and sleeps on the ticket as it was before. Where barriers are forbidden
//! or missing, both sides pay a full fence each time.
//!
//! After a crash: a reader killed asleep costs the writer one wake too many; a writer killed between its store and its
//! wake is found by the readers' look, every 60 ms.

use std::sync::atomic::Ordering;

use ipc_sys::{Deadline, futex};

use crate::channel::area::{consumer, producer};
use crate::channel::counters::{self, Counter};
use crate::channel::doorbell::{pause, soonest};
use crate::words::{Words, fence, peer_load, publish};
use crate::{Error, Result};

/// Whether a sleeper's barrier stands for the writer's fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fences {
    /// The kernel's, at each sleep.
    Asymmetric,
    /// One at each write, one at each sleep.
    Both,
}

/// Wakes whoever sleeps; the writer calls it after publishing.
#[inline]
pub(crate) fn call<W: Words>(memory: &W, fences: Fences) {
    match fences {
        Fences::Asymmetric => std::sync::atomic::compiler_fence(Ordering::SeqCst),
        Fences::Both => fence("caller", Ordering::SeqCst),
    }
    if memory.word(consumer::ASLEEP).load(Ordering::Relaxed) != 0 {
        wake(memory);
    }
}

#[cold]
fn wake<W: Words>(memory: &W) {
    // Cleared before the ticket moves: who sets it after that has seen the new ticket, or finds it changed.
    memory.word(consumer::ASLEEP).store(0, Ordering::Relaxed);
    let ticket = memory.word(producer::TICKET);
    publish(ticket, ticket.load(Ordering::Relaxed).wrapping_add(1));
    memory.wake(producer::TICKET, i32::MAX);
    counters::add(memory, producer::COUNTERS, Counter::Woken, 1);
}

/// Polls `polls` times, then sleeps, until `ready`; `look` says every 60 ms whether the writer lives.
///
/// # Errors
/// [`Error::TimedOut`], and what `ready` and `look` say.
pub(crate) fn wait<W: Words>(
    memory: &W,
    fences: Fences,
    polls: u32,
    deadline: Deadline,
    mut ready: impl FnMut() -> Result<bool>,
    mut look: impl FnMut() -> Result<()>,
) -> Result<()> {
    for _ in 0..polls {
        if ready()? {
            return Ok(());
        }
        pause();
    }
    loop {
        let gone = look();
        if ready()? {
            return Ok(());
        }
        gone?;
        if deadline.has_passed() {
            return Err(Error::TimedOut);
        }
        let ticket = low(peer_load(memory.word(producer::TICKET)));
        memory.word(consumer::ASLEEP).store(1, Ordering::Relaxed);
        match fences {
            Fences::Asymmetric => {
                let _ = futex::barrier();
            }
            Fences::Both => fence("sleeper", Ordering::SeqCst),
        }
        if ready()? {
            return Ok(());
        }
        counters::add_together(memory, consumer::COUNTERS, Counter::Parked, 1);
        memory
            .wait(producer::TICKET, ticket, soonest(deadline))
            .map_err(Error::system("futex(FUTEX_WAIT)", "the channel"))?;
    }
}

/// The half of a ticket that the kernel compares.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
fn low(ticket: u64) -> u32 {
    ticket as u32
}
