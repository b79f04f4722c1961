//! The ring for any number of senders and receivers: the algorithm, over any [`Words`].
//!
//! A slot's word says for which position it is and, in its upper 8 bits, who has claimed it:
//!
//! | word of the slot of `pos` | what it says | next |
//! | --- | --- | --- |
//! | `pos` | free | a sender claims it |
//! | `pos`, id | claimed by the sender id, who writes | it commits; where it died, the place is passed over: `pos + capacity` |
//! | `pos + 1` | holds message `pos` | a receiver claims it |
//! | `pos + 1`, id | claimed by the receiver id, who reads | it releases; where it died, the message stands again: `pos + 1` |
//! | `pos + capacity` | free, a lap later | |
//!
//! Every step is a compare-and-swap from what the one before has written, so a claim that was taken away can neither be
//! committed nor released, however late. `tail` and `head` follow: who finds the slot there claimed helps them on. A batch
//! claims position after position, and moves them once, at its end. An id is used again only when no slot names it
//! ([`Ring::sweep`]). Positions have 56 bits.
//!
//! A message that a dead receiver had claimed lies behind `head`: [`Ring::returned`] finds it.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::channel::area::{FIRST, consumer, producer};
use crate::words::{AtomicU64, Words, acquire, is_left_out, put, take, words_of};
use crate::{Error, Result};

/// The position that the next sender claims.
const TAIL: usize = producer::WRITTEN;
/// The position that the next receiver claims.
const HEAD: usize = consumer::READ;

/// How many bits of a slot's word are the position.
const BITS: u32 = 56;
const POSITION: u64 = (1 << BITS) - 1;

/// Who claims: 1 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) u8);

impl Id {
    /// A word that this one has claimed.
    fn on(self, position: u64) -> u64 {
        u64::from(self.0) << BITS | position
    }
}

/// How a ring lies in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    capacity: u64,
    /// The first position, 0 but in tests.
    start: u64,
}

/// What a claim finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The position that is ours now.
    Ours(u64),
    /// No room, or no message; or the next one is still being written or read.
    Nothing,
}

impl Shape {
    /// `capacity` is a power of two, at least 2.
    pub(crate) const fn new(capacity: u64, start: u64) -> Self {
        Self { capacity, start: start & POSITION }
    }

    /// Where in a slot the payload begins, in words.
    const fn offset<T>() -> usize {
        const { assert!(align_of::<T>() <= 64, "a payload type aligned to more than a cache line") };
        if align_of::<T>() <= 8 { 1 } else { align_of::<T>() / 8 }
    }

    /// The words from one slot to the next.
    pub(crate) const fn stride<T>() -> usize {
        let used = Self::offset::<T>() + words_of::<T>();
        if used <= 8 { used.next_power_of_two() } else { used.next_multiple_of(8) }
    }

    /// The bytes of header page and slots; `None` where that does not fit.
    pub(crate) fn len<T>(self) -> Option<u64> {
        (Self::stride::<T>() as u64).checked_mul(8)?.checked_mul(self.capacity)?.checked_add(4096)
    }

    #[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
    fn slot<T>(self, pos: u64) -> usize {
        FIRST + (pos & (self.capacity - 1)) as usize * Self::stride::<T>()
    }

    /// Makes every slot free for its first position.
    pub(crate) fn init<T, W: Words>(self, memory: &W) {
        memory.word(TAIL).store(self.start, Ordering::Relaxed);
        memory.word(HEAD).store(self.start, Ordering::Relaxed);
        for ahead in 0..self.capacity {
            let pos = behind(self.start, ahead);
            memory.word(self.slot::<T>(pos)).store(pos, Ordering::Relaxed);
        }
    }
}

/// The position `ahead` behind another.
fn behind(pos: u64, ahead: u64) -> u64 {
    pos.wrapping_add(ahead) & POSITION
}

/// How far a word's position is ahead of `pos`, negative where it is of an earlier one.
fn ahead(word: u64, pos: u64) -> i64 {
    let shifted = word.wrapping_sub(pos) << (64 - BITS);
    i64::from_ne_bytes(shifted.to_ne_bytes()) >> (64 - BITS)
}

/// One participant's view of the ring.
#[derive(Debug)]
pub(crate) struct Ring<T, W> {
    pub(crate) memory: W,
    shape: Shape,
    pub(crate) id: Id,
    payload: PhantomData<fn(T) -> T>,
    /// After how many steps a model kills this one.
    #[cfg(any(ipc_loom, test))]
    pub(crate) steps: std::cell::Cell<u32>,
}

impl<T, W: Words> Ring<T, W> {
    pub(crate) fn new(memory: W, shape: Shape, id: Id) -> Self {
        Self {
            memory,
            shape,
            id,
            payload: PhantomData,
            #[cfg(any(ipc_loom, test))]
            steps: std::cell::Cell::new(u32::MAX),
        }
    }

    /// Claims the next position to write.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`].
    pub(crate) fn claim_to_write(&self) -> Result<Claim> {
        let mut lost = Lost::default();
        loop {
            let pos = self.tail();
            if is_left_out("attributed") {
                // The naive twin: the position first, then the name on it.
                if self.word(pos) == pos && self.swap(TAIL, pos, behind(pos, 1)) {
                    self.swap(self.shape.slot::<T>(pos), pos, self.id.on(pos));
                    return Ok(Claim::Ours(pos));
                }
            }
            let word = self.word(pos);
            match self.step(word, pos, &mut lost)? {
                0 if word == pos && self.swap(self.shape.slot::<T>(pos), pos, self.id.on(pos)) => {
                    self.swap(TAIL, pos, behind(pos, 1));
                    return Ok(Claim::Ours(pos));
                }
                0.. => {
                    // Claimed for this position, by now at least, or beyond it already: the tail lags.
                    self.swap(TAIL, pos, behind(pos, 1));
                }
                _ if self.tail() == pos => return Ok(Claim::Nothing),
                _ => {}
            }
        }
    }

    /// Claims the next message.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`].
    pub(crate) fn claim_to_read(&self) -> Result<Claim> {
        let mut lost = Lost::default();
        loop {
            let pos = self.head();
            let word = self.word(pos);
            match self.step(word, pos, &mut lost)? {
                1 if word == behind(pos, 1) && self.take(pos) => {
                    self.swap(HEAD, pos, behind(pos, 1));
                    return Ok(Claim::Ours(pos));
                }
                1.. => {
                    // Claimed by another receiver by now, given back, or passed over: the head lags.
                    self.swap(HEAD, pos, behind(pos, 1));
                }
                _ if self.head() == pos => return Ok(Claim::Nothing),
                _ => {}
            }
        }
    }

    /// Moves an end over a batch that was claimed behind `first`, up to `last`, unless others have helped it on.
    fn move_on(&self, end: usize, first: u64, last: u64) {
        if first != last {
            self.swap(end, behind(first, 1), behind(last, 1));
        }
    }

    /// Claims a message behind the head, which some dead receiver had claimed: all slots are looked at.
    pub(crate) fn returned(&self) -> Claim {
        if is_left_out("returned") {
            return Claim::Nothing;
        }
        self.standing().find(|pos| self.take(*pos)).map_or(Claim::Nothing, Claim::Ours)
    }

    /// Whether there is such a message.
    #[cfg(not(ipc_loom))]
    pub(crate) fn has_returned(&self) -> bool {
        self.standing().next().is_some()
    }

    /// The messages that stand behind the head.
    fn standing(&self) -> impl Iterator<Item = u64> {
        let head = self.head();
        let behind_head = (1..=self.shape.capacity).rev().map(move |back| head.wrapping_sub(back) & POSITION);
        behind_head.filter(|pos| self.word(*pos) == behind(*pos, 1))
    }

    /// Claims message `pos`, if it stands.
    fn take(&self, pos: u64) -> bool {
        let full = behind(pos, 1);
        self.swap(self.shape.slot::<T>(pos), full, self.id.on(full))
    }

    /// Takes the claims of the dead away: what they were writing is passed over, what they were reading stands again. The
    /// result says whether it did.
    pub(crate) fn sweep(&self, mut is_dead: impl FnMut(Id) -> Result<bool>) -> Result<bool> {
        let mut swept = false;
        if is_left_out("sweep") {
            return Ok(swept);
        }
        for index in 0..self.shape.capacity {
            let word = self.word(index);
            let Some(id) = u8::try_from(word >> BITS).ok().filter(|id| *id != 0).map(Id) else { continue };
            if is_dead(id)? {
                let position = word & POSITION;
                let writes = position & (self.shape.capacity - 1) == index;
                let next = if writes { behind(position, self.shape.capacity) } else { position };
                swept |= self.swap(self.shape.slot::<T>(index), word, next);
            }
        }
        Ok(swept)
    }

    /// Says that message `pos` is whole; false where the claim was taken away.
    pub(crate) fn commit(&self, pos: u64) -> bool {
        let slot = self.shape.slot::<T>(pos);
        if is_left_out("commit") {
            self.memory.word(slot).store(behind(pos, 1), Ordering::Release);
            return true;
        }
        self.swap(slot, self.id.on(pos), behind(pos, 1))
    }

    /// Frees the slot of message `pos`; false where the claim was taken away, and so the message was given to another.
    pub(crate) fn release(&self, pos: u64) -> bool {
        let slot = self.shape.slot::<T>(pos);
        let free = behind(pos, self.shape.capacity);
        if is_left_out("release") {
            self.memory.word(slot).store(free, Ordering::Release);
            return true;
        }
        self.swap(slot, self.id.on(behind(pos, 1)), free)
    }

    /// Gives the place of message `pos`, which is claimed, up: nothing is sent in it.
    pub(crate) fn pass_over(&self, pos: u64) {
        if is_left_out("pass over") {
            let next = behind(pos, self.shape.capacity);
            return self.number(pos).store(next, Ordering::Release);
        }
        self.swap(self.shape.slot::<T>(pos), self.id.on(pos), behind(pos, self.shape.capacity));
    }

    /// Where the payload of `pos` lies, in bytes.
    #[cfg(not(ipc_loom))]
    pub(crate) fn payload_offset(&self, pos: u64) -> usize {
        (self.shape.slot::<T>(pos) + Shape::offset::<T>()) * 8
    }

    /// Lets message `pos` stand again, for whoever claims it next.
    pub(crate) fn give_back(&self, pos: u64) {
        let full = behind(pos, 1);
        self.swap(self.shape.slot::<T>(pos), self.id.on(full), full);
    }

    /// Whether there is a message, or room, or the end lags behind a claim: who made it may be stopped before it moves the end
    /// on, so whoever finds that does it.
    pub(crate) fn is_ready(&self, to_write: bool) -> bool {
        let (pos, wanted) = if to_write { (self.tail(), 0) } else { (self.head(), 1) };
        let word = self.word(pos);
        let step = ahead(word, pos);
        if is_left_out("lagging head") && !to_write {
            return word == behind(pos, 1) || step > 1;
        }
        step >= wanted
    }

    /// How far the word of `pos` is ahead of it, where that makes sense.
    fn step(&self, word: u64, pos: u64, lost: &mut Lost) -> Result<i64> {
        let step = ahead(word, pos);
        let lap = i64::try_from(self.shape.capacity).unwrap_or(i64::MAX);
        let corrupt = Err(Error::PeerCorrupt { what: "the word of a slot" });
        if !matches!(step.rem_euclid(lap), 0 | 1) || step < -lap || pos > POSITION {
            return corrupt;
        }
        // A lap further than ours can be means that we slept; time and again, that it is not so.
        lost.times = if step > lap + 1 { lost.times + 1 } else { 0 };
        if lost.times > LOST { corrupt } else { Ok(step) }
    }

    fn tail(&self) -> u64 {
        self.memory.word(TAIL).load(acquire("tail"))
    }

    fn head(&self) -> u64 {
        self.memory.word(HEAD).load(acquire("head"))
    }

    /// What the slot of `pos` says. Whoever acts upon it swaps the word, which acquires; and as the position was acquired, it
    /// is not so old that it would look like a lie.
    fn word(&self, pos: u64) -> u64 {
        self.number(pos).load(Ordering::Relaxed)
    }

    fn number(&self, pos: u64) -> &AtomicU64 {
        self.memory.word(self.shape.slot::<T>(pos))
    }

    /// A step that only one can make.
    fn swap(&self, index: usize, from: u64, to: u64) -> bool {
        #[cfg(any(ipc_loom, test))]
        crate::models::step(&self.steps);
        let success = if is_left_out("swap") { Ordering::Relaxed } else { Ordering::AcqRel };
        self.memory.word(index).compare_exchange(from, to, success, Ordering::Relaxed).is_ok()
    }

    fn message(&self, pos: u64) -> &[AtomicU64] {
        self.memory.words(self.shape.slot::<T>(pos) + Shape::offset::<T>(), words_of::<T>())
    }
}

/// How often, one after another, a position was found to be laps behind.
#[derive(Debug, Default)]
struct Lost {
    times: u32,
}

/// How often that happens to nobody who is honest.
const LOST: u32 = 64;

impl<T: IntoBytes + Immutable, W: Words> Ring<T, W> {
    /// Writes message `pos`, which is claimed.
    pub(crate) fn write(&self, pos: u64, message: &T) {
        put(self.message(pos), message);
    }

    /// Writes and commits as many of the messages as there is room for from `first` on, which is claimed, and says how many; at
    /// a claim that was taken away it ends.
    pub(crate) fn write_batch(&self, first: u64, messages: &[T]) -> usize {
        let (mut last, mut claimed, mut count) = (first, Some(first), 0);
        while let (Some(pos), Some(message)) = (claimed, messages.get(count)) {
            last = pos;
            self.write(pos, message);
            if !self.commit(pos) {
                break;
            }
            count += 1;
            claimed = if count < messages.len() { self.claim_next_to_write(pos) } else { None };
        }
        self.move_on(TAIL, first, last);
        count
    }

    /// Claims the position behind `last`, which was ours, if it is free.
    fn claim_next_to_write(&self, last: u64) -> Option<u64> {
        let pos = behind(last, 1);
        (self.word(pos) == pos && self.swap(self.shape.slot::<T>(pos), pos, self.id.on(pos))).then_some(pos)
    }
}

impl<T: FromBytes + IntoBytes, W: Words> Ring<T, W> {
    /// Copies message `pos`, which is claimed.
    pub(crate) fn read(&self, pos: u64) -> T {
        take(self.message(pos))
    }

    /// Copies and releases message `first`, which is claimed, and as many as stand right behind it, and says how many; one
    /// that was taken away from us is another's, and does not count.
    pub(crate) fn read_batch(&self, first: u64, buffer: &mut [T]) -> usize {
        let (mut last, mut claimed, mut count) = (first, Some(first), 0);
        while let (Some(pos), Some(place)) = (claimed, buffer.get_mut(count)) {
            last = pos;
            *place = self.read(pos);
            count += usize::from(self.release(pos));
            claimed = if count < buffer.len() { self.claim_next_to_read(pos) } else { None };
        }
        self.move_on(HEAD, first, last);
        count
    }

    /// Claims the message behind `last`, which was ours, if it stands.
    fn claim_next_to_read(&self, last: u64) -> Option<u64> {
        let pos = behind(last, 1);
        (self.word(pos) == behind(pos, 1) && self.take(pos)).then_some(pos)
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;
    use crate::models::heap::Heap;

    #[test]
    fn what_stands_behind_a_message_that_another_is_just_taking_is_news() {
        let shape = Shape::new(2, 0);
        let memory = Heap::new(FIRST + 2 * Shape::stride::<u64>());
        shape.init::<u64, _>(&memory);
        let [sender, other, receiver] =
            [1, 200, 201].map(|id| Ring::<u64, _>::new(memory.clone(), shape, Id(id)));
        for message in [10, 11] {
            assert!(matches!(sender.claim_to_write(), Ok(Claim::Ours(pos)) if {
                sender.write(pos, &message);
                sender.commit(pos)
            }));
        }
        // It is stopped before it moves the head.
        assert!(other.take(0));
        assert!(receiver.is_ready(false), "it sleeps beside a message");
        assert_eq!(receiver.claim_to_read().unwrap(), Claim::Ours(1));
        assert!(!receiver.is_ready(false));
    }
}
