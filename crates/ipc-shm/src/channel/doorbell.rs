//! Waking one waiting process without a fence per message.
//!
//! Two words, each written by one side: the waiter's *bell* (an epoch and a gear) and the waker's *ticket*, the futex
//! word. The futex word belongs to the waker, because the waiter must see that a wake was meant for it even when the
//! kernel was never called. The ticket's upper half says on which CPU the waker was.
//!
//! | gear | the waker, after publishing | the waiter |
//! | --- | --- | --- |
//! | COLD | full fence, looks at the bell | announces PARKED, full fence, looks at the data once more, sleeps |
//! | PARKED | the same, adds one to the ticket, wakes | sleeps on the ticket as it was before PARKED |
//! | POLLED | the same, sends a byte | polls its socket, which it has emptied before the last look |
//! | HOT | looks at the bell, no fence | never sleeps; to leave: PARKED or POLLED, then membarrier, which is the waker's fence |
//!
//! COLD is Dekker's agreement: of "published, then looked at the bell" and "announced, then looked at the data" one sees
//! the other. HOT has no counterpart in Rust's memory model: it is the asymmetric fence of liburcu and folly, the
//! kernel putting a barrier into the waker's instructions on the waiter's demand. It is entered only when both
//! processes are registered for it. A bell is made COLD: zeros would be HOT, before anybody could have promised it.
//!
//! After a crash: a waker killed between its store and its wake leaves the waiter asleep, so a waiter looks again every
//! [`LOOK`]; a killed waiter leaves PARKED behind, which costs its successor's waker one wake too many, or HOT, for which its
//! successor makes the barrier.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ipc_sys::Deadline;
use ipc_sys::futex;

use crate::channel::area::{consumer, producer};
use crate::channel::counters::{self, Counter};
use crate::words::{AtomicU64, Words, fence, is_left_out, own_load, peer_load, publish};
use crate::{Error, Result};

/// How often a sleeper looks whether the other side lives: 60 ms, under 17 times a second.
pub(crate) const LOOK: Duration = Duration::from_millis(60);

/// How a blocking call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Wait {
    /// Polls until something comes: the fastest, for a CPU that has nothing else to do.
    Spin,
    /// Polls for about as long as a wake-up across CPUs takes (some 50 µs), then sleeps; at once where both ends were last
    /// seen on the same CPU.
    #[default]
    SpinThenPark,
    /// Sleeps in the kernel (futex) until it is woken.
    Park,
    /// Sleeps in the kernel (poll) on the socket of a [pollable](crate::ChannelOptions::pollable) channel: a death is seen
    /// at once. Where there is no socket it could not be, and the call fails with [`Error::NoSocket`]; an end that need only be
    /// polled, by an event loop or beside descriptors, needs none ([`Polled`](crate::Polled), [`Select`](crate::Select)).
    Poll,
}

/// What a waiter sleeps on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// The waker's ticket, by futex.
    Ticket,
    /// Its own socket, by poll or epoll; where it has none, the ticket, by a ring that is polled.
    Socket,
}

const GEAR: u64 = 3;
const HOT: u64 = 0;
const COLD: u64 = 1;
const PARKED: u64 = 2;
const POLLED: u64 = 3;
/// The distance between two epochs.
const EPOCH: u64 = 4;

/// After how many messages without sleeping the fence per message is traded for a barrier per sleep.
const STREAK: u32 = 256;
/// How many polls come before the first look, of the message itself and then of what it waits for.
const FIRST_POLLS: u32 = 32;
/// How many polls lie between two looks at the clock; about 50 µs of them.
pub(crate) const POLLS: u32 = 1024;
/// How many wakes without cause, one after another, no honest waker can have made, beside those that it has a cause for and we
/// have not: each part of what we wait for.
const WAKES_FOR_NOTHING: u64 = 1000;

/// What wakes a receiver, and what a receiver waits by.
pub(crate) type ReceiverWaker = Waker<{ producer::TICKET }, { consumer::BELL }>;
pub(crate) type ReceiverWaiter = Waiter<{ consumer::BELL }, { producer::TICKET }>;

/// What wakes a sender, and what a sender waits by.
pub(crate) type SenderWaker = Waker<{ consumer::TICKET }, { producer::BELL }>;
pub(crate) type SenderWaiter = Waiter<{ producer::BELL }, { consumer::TICKET }>;

/// The waker's side of one bell: its own words hold the ticket, the peer's the bell.
#[derive(Debug)]
pub(crate) struct Waker<const TICKET: usize, const BELL: usize> {
    /// The bell that has been answered.
    woken: u64,
}

impl<const TICKET: usize, const BELL: usize> Waker<TICKET, BELL> {
    pub(crate) fn new() -> Self {
        Self { woken: 0 }
    }

    /// Wakes the waiter if it sleeps or is about to; call it after publishing.
    #[inline]
    pub(crate) fn ring<W: Words>(&mut self, own: &W, peer: &W) {
        compiler_fence();
        if !self.is_hot(peer) {
            self.ring_cold(own, peer);
        }
    }

    /// Whether the waiter has promised not to sleep.
    #[inline]
    pub(crate) fn is_hot<W: Words>(&self, peer: &W) -> bool {
        peer.header(BELL).load(Ordering::Relaxed) & GEAR == HOT
    }

    /// As [`Waker::ring`], whatever the gear: for the last words of an end.
    #[cold]
    pub(crate) fn ring_cold<W: Words>(&mut self, own: &W, peer: &W) {
        // Pairs with the fence in `settle`: either we see PARKED or POLLED, or the waiter sees what we published.
        fence("waker", Ordering::SeqCst);
        let bell = peer_load(peer.word(BELL));
        if bell == self.woken {
            return;
        }
        match bell & GEAR {
            PARKED => {
                self.woken = bell;
                let ticket = own.word(TICKET);
                draw(ticket);
                // All of them: a wait that nobody awaits any more, of a ring that is polled, must not take a wake from another.
                own.wake(TICKET, i32::MAX);
            }
            POLLED => {
                if own.signal() {
                    self.woken = bell;
                }
            }
            _ => return,
        }
        counters::add(own, counters::beside_ticket(TICKET), Counter::Woken, 1);
    }
}

/// The waiter's side of one bell: its own words hold the bell, the peer's the ticket.
#[derive(Debug)]
pub(crate) struct Waiter<const BELL: usize, const TICKET: usize> {
    /// What our bell holds: epoch and gear.
    state: u64,
    /// What the ticket held when we last announced that we sleep on it.
    expected: u32,
    /// Messages since the last sleep.
    streak: u32,
}

impl<const BELL: usize, const TICKET: usize> Waiter<BELL, TICKET> {
    /// Goes on from what the bell holds, which a predecessor may have left.
    pub(crate) fn new<W: Words>(own: &W) -> Self {
        let found = own.word(BELL).load(Ordering::Relaxed);
        let state = (found & !GEAR).wrapping_add(EPOCH) | COLD;
        own.word(BELL).store(state, Ordering::Relaxed);
        if found >= EPOCH && found & GEAR == HOT {
            // It died hot: the waker may have looked, and not have made the fence that it now owes us.
            barrier();
        }
        Self { state, expected: 0, streak: 0 }
    }

    /// Counts `messages` that came without sleeping.
    #[inline]
    pub(crate) fn count<W: Words>(&mut self, messages: u32, own: &W, may_be_hot: impl FnOnce() -> bool) {
        if self.state & GEAR != HOT {
            self.count_cold(messages, own, may_be_hot);
        }
    }

    #[cold]
    fn count_cold<W: Words>(&mut self, messages: u32, own: &W, may_be_hot: impl FnOnce() -> bool) {
        self.streak = self.streak.saturating_add(messages);
        if self.streak >= STREAK {
            self.streak = 0;
            if may_be_hot() {
                self.set(HOT, own);
            }
        }
    }

    /// Waits until `ready`. `look` is asked whether the peer lives, at every [`LOOK`] and at the end of each spin;
    /// what it had published before it went is still received. An honest peer publishes at most `parts` times before `ready`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], what `look` and `ready` say, [`Error::PeerCorrupt`], [`Error::NoSocket`].
    #[expect(clippy::too_many_arguments, reason = "what is waited for, on what, and for how long")]
    pub(crate) fn wait<W: Words>(
        &mut self,
        own: &W,
        peer: &W,
        wait: Wait,
        deadline: Deadline,
        parts: u64,
        mut ready: impl FnMut() -> Result<bool>,
        mut look: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        // A few polls first: what is nearly there costs no look at clock or CPU.
        let mut polls = first_polls(wait);
        let mut for_nothing: u64 = 0;
        loop {
            for _ in 0..polls {
                // The pause comes after the look: the other way round was slower by a factor of three.
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
            if polls_on(wait, polls, peer.word(TICKET)) {
                polls = POLLS;
                continue;
            }
            polls = 1;
            let on = if wait == Wait::Poll { Sleep::Socket } else { Sleep::Ticket };
            match self.park(own, peer, on, deadline, &mut ready)? {
                futex::Wait::Changed => for_nothing += 1,
                _ => for_nothing = 0,
            }
            if for_nothing > WAKES_FOR_NOTHING.saturating_add(parts) && !ready()? {
                return Err(Error::PeerCorrupt { what: "a wake-up ticket that never rests" });
            }
        }
    }

    /// Announces that we sleep, looks once more, and sleeps until a wake, the deadline or the next look.
    #[cold]
    fn park<W: Words>(
        &mut self,
        own: &W,
        peer: &W,
        on: Sleep,
        deadline: Deadline,
        ready: &mut impl FnMut() -> Result<bool>,
    ) -> Result<futex::Wait> {
        let was_hot = self.announce(on, own, peer);
        settle(was_hot);
        let done = if may_look() { ready() } else { Ok(false) };
        let slept = match (&done, on) {
            (Ok(false), Sleep::Ticket) => peer
                .wait_for(TICKET, self.ticket_of(peer).1, turn(deadline))
                .map_err(Error::system("futex(FUTEX_WAIT)", "the channel")),
            (Ok(false), Sleep::Socket) => own.poll(soonest(deadline)).map_err(Error::no_socket),
            _ => Ok(futex::Wait::Woken),
        };
        self.retract(own);
        done?;
        slept
    }

    /// Announces that we sleep, and says whether we were hot. [`settle`] and another look must follow before sleeping.
    pub(crate) fn announce<W: Words>(&mut self, on: Sleep, own: &W, peer: &W) -> bool {
        self.streak = 0;
        let was_hot = self.state & GEAR == HOT;
        self.state = self.state.wrapping_add(next_epoch());
        self.expected = low(peer_load(peer.word(TICKET)));
        if on == Sleep::Socket && own.has_socket() {
            // Before the last look: whatever sent a byte that is thrown away here is found by that look.
            own.drain();
            self.set(POLLED, own);
        } else {
            self.set(PARKED, own);
        }
        counters::add(own, counters::beside_bell(BELL), Counter::Parked, 1);
        was_hot
    }

    /// Says that we are awake.
    pub(crate) fn retract<W: Words>(&mut self, own: &W) {
        self.set(COLD, own);
    }

    /// The word to sleep on, and what it must hold for that.
    pub(crate) fn ticket_of<'w, W: Words>(&self, peer: &'w W) -> (&'w AtomicU64, u32) {
        let ticket = peer.word(TICKET);
        (ticket, as_announced(ticket, self.expected))
    }

    fn set<W: Words>(&mut self, gear: u64, own: &W) {
        self.state = self.state & !GEAR | gear;
        // What it orders is ordered by the fence or the barrier that follows.
        own.word(BELL).store(self.state, Ordering::Relaxed);
    }
}

/// Makes a new bell COLD, before its owner attaches: zeros would be HOT, and who sends meanwhile would make no fence.
pub(crate) fn init<W: Words>(bell: usize, own: &W) {
    if !is_left_out("cold") {
        own.word(bell).store(COLD, Ordering::Relaxed);
    }
}

/// How often to poll before the first look at clock and CPU.
pub(crate) fn first_polls(wait: Wait) -> u32 {
    if matches!(wait, Wait::Park | Wait::Poll) { 1 } else { FIRST_POLLS }
}

/// As often, where the call polls for the message itself first: what is nearly there is taken as soon as it is seen.
#[inline(always)]
pub(crate) fn poll_for<R>(wait: Wait, mut next: impl FnMut() -> Option<R>) -> Option<R> {
    let polls = if matches!(wait, Wait::Park | Wait::Poll) { 0 } else { FIRST_POLLS };
    for _ in 0..polls {
        if let Some(found) = next() {
            return Some(found);
        }
        pause();
    }
    None
}

/// Whether to poll [`POLLS`] times more after `polls` in vain: once, unless the waker was last seen on our own CPU.
pub(crate) fn polls_on(wait: Wait, polls: u32, ticket: &AtomicU64) -> bool {
    match wait {
        Wait::Spin => true,
        Wait::SpinThenPark => polls == FIRST_POLLS && ticket.load(Ordering::Relaxed) >> 32 != here(),
        Wait::Park | Wait::Poll => false,
    }
}

/// Moves our ticket on, which must be ours alone to write, and says on which CPU.
pub(crate) fn draw(ticket: &AtomicU64) {
    let next = low(own_load(ticket)).wrapping_add(1);
    publish(ticket, here() << 32 | u64::from(next));
}

/// What stands between announcing and the last look: from here on the waker sees the announcement, or we see what it
/// published before. Once for all the bells that one wait announces on.
pub(crate) fn settle(was_hot: bool) {
    if was_hot {
        // The waker's fence, which it does not make itself while hot.
        barrier();
    }
    // Pairs with the fence in `Waker::ring_cold`.
    fence("waiter", Ordering::SeqCst);
}

/// What makes each announcement another one: a waker answers each once.
fn next_epoch() -> u64 {
    if is_left_out("epoch") { 0 } else { EPOCH }
}

/// What a ticket must hold for a sleep: what it held before the sleep was announced. Read any later, it would include the wake
/// that is to end this very sleep.
pub(crate) fn as_announced(ticket: &AtomicU64, before: u32) -> u32 {
    if is_left_out("ticket") { low(peer_load(ticket)) } else { before }
}

/// Whether a bell says that its owner sleeps, on whatever.
#[inline]
pub(crate) fn is_asleep(bell: u64) -> bool {
    bell & GEAR >= PARKED
}

/// Whether it sleeps on its socket.
pub(crate) fn is_polled(bell: u64) -> bool {
    bell & GEAR == POLLED
}

/// Whether the look that follows [`settle`] is made: always, but in a mutant of the models.
pub(crate) fn may_look() -> bool {
    !is_left_out("look")
}

/// The CPU that we run on, plus one: what the upper half of a ticket says of the last waker. Polling on its CPU would
/// keep it from running.
fn here() -> u64 {
    u64::from(ipc_sys::memory::cpu().wrapping_add(1))
}

/// The half of a ticket that the kernel compares.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
pub(crate) fn low(ticket: u64) -> u32 {
    ticket as u32
}

/// The deadline, or the next look if that comes first.
pub(crate) fn soonest(deadline: Deadline) -> Deadline {
    deadline.or_after(LOOK)
}

/// The same as a time from now: without a deadline nobody looks at the clock.
fn turn(deadline: Deadline) -> Duration {
    deadline.remaining().map_or(LOOK, |left| left.min(LOOK))
}

/// Keeps the compiler from moving the look at the bell before the store that published.
#[inline]
fn compiler_fence() {
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// One `pause` per poll: none, and two, were slower by half.
#[inline]
pub(crate) fn pause() {
    #[cfg(not(ipc_loom))]
    std::hint::spin_loop();
    #[cfg(ipc_loom)]
    loom::thread::yield_now();
}

fn barrier() {
    // It cannot fail in a process that has registered, and HOT is not entered in one that has not.
    let _ = futex::barrier();
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;
    use crate::channel::area::FIRST;
    use crate::models::heap::Heap;

    #[test]
    fn who_waits_for_much_may_be_woken_for_each_part_of_it_and_for_no_more() {
        // Each time that the waiter has announced itself there is one part more, before it sleeps.
        let wait_for = |parts: u64, come: u64| {
            let memory = Heap::new(FIRST);
            let mut waiter = ReceiverWaiter::new(&memory);
            let mut waker = ReceiverWaker::new();
            let mut there = 0;
            let ready = || {
                if is_asleep(memory.word(consumer::BELL).load(Ordering::Relaxed)) {
                    there += 1;
                    waker.ring_cold(&memory, &memory);
                }
                Ok(there == come)
            };
            waiter.wait(&memory, &memory, Wait::Park, Deadline::NEVER, parts, ready, || Ok(()))
        };
        // Miri takes a quarter of a second for each.
        let many = if cfg!(miri) { 20 } else { 3_000 };
        wait_for(many, many).unwrap();
        if !cfg!(miri) {
            assert!(matches!(wait_for(many, 2 * many), Err(Error::PeerCorrupt { .. })));
        }
    }
}
