//! Questions there and answers back: the algorithm, over any [`Words`].
//!
//! Two tables of as many slots as there may be calls in flight. The client writes question `pos` into slot `pos & mask` of
//! the first, the server its answer into the same slot of the second, in whatever order it likes; `pos` is the
//! correlation. A question's slot holds `pos + 1`, a deadline and the question; an answer's slot `4 (pos + 1)` plus how it
//! ended, and the answer.
//!
//! The client asks question `pos` only when the answer to `pos - capacity` stands: that frees both slots. So neither side
//! ever waits for room in a table, nobody publishes how far he has read, and one line crosses each way. A late answer
//! stands in its own slot, where no later call looks for it.
//!
//! The deadline (nanoseconds of CLOCK_MONOTONIC) is the client's word while the answer does not stand: it takes a call
//! back by writing a moment long past.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use ipc_sys::Deadline;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::channel::LastWords;
use crate::channel::area::{FIRST, consumer, producer};
use crate::channel::doorbell::{self, ReceiverWaiter, ReceiverWaker, SenderWaiter, SenderWaker, Sleep, Wait};
use crate::words::{AtomicU64, Words, is_left_out, peer_load, publish, put, take, words_of};
use crate::{Error, Result};

/// What the deadline's word holds where there is none.
pub(crate) const NO_DEADLINE: u64 = 0;
/// What it holds when the client no longer wants the answer.
const GIVEN_UP: u64 = 1;

/// How a call ended, in the low bits of an answer's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum End {
    /// With an answer.
    Answered = 0,
    /// The server took it and gave it up.
    Unanswered = 1,
    /// Its deadline had passed before the server took it.
    Expired = 2,
}

/// How the two tables lie in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// What an index is of a position: one less than the capacity.
    mask: u64,
    /// The first position, 0 but in tests.
    start: u64,
    /// The first word of the answers.
    answers: usize,
}

impl Shape {
    /// Both tables in one memory. `capacity` is a power of two.
    #[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
    pub(crate) fn common<Q>(capacity: u64, start: u64) -> Self {
        Self { mask: capacity - 1, start, answers: FIRST + capacity as usize * question_stride::<Q>() }
    }

    /// A memory for each table.
    pub(crate) fn apart(capacity: u64, start: u64) -> Self {
        Self { mask: capacity - 1, start, answers: FIRST }
    }

    /// How many slots each table has.
    #[inline]
    fn capacity(self) -> u64 {
        self.mask + 1
    }

    #[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
    fn index(self, pos: u64) -> usize {
        (pos & self.mask) as usize
    }

    /// The word that holds a question's number; its deadline and itself are behind it.
    #[inline]
    fn question_at<Q>(self, pos: u64) -> usize {
        FIRST + self.index(pos) * question_stride::<Q>()
    }

    /// The word that holds an answer's number; the answer is behind it.
    #[inline]
    fn answer_at<A>(self, pos: u64) -> usize {
        self.answers + self.index(pos) * answer_stride::<A>()
    }

    /// Number, deadline and question.
    #[inline]
    fn question<Q, W: Words>(self, words: &W, pos: u64) -> &[AtomicU64] {
        words.words(self.question_at::<Q>(pos), 2 + words_of::<Q>())
    }

    /// Number and answer.
    #[inline]
    fn answer<A, W: Words>(self, words: &W, pos: u64) -> &[AtomicU64] {
        words.words(self.answer_at::<A>(pos), 1 + words_of::<A>())
    }

    /// Makes every question's slot free for its first position: no zeroed memory looks like a question.
    pub(crate) fn init_questions<Q, W: Words>(self, words: &W) {
        doorbell::init(producer::BELL, words);
        words.word(producer::WRITTEN).store(self.start, Ordering::Relaxed);
        for pos in (0..self.capacity()).map(|ahead| self.start.wrapping_add(ahead)) {
            let free = pos.wrapping_add(1).wrapping_sub(self.capacity());
            words.word(self.question_at::<Q>(pos)).store(free, Ordering::Relaxed);
        }
    }

    /// Says that all questions before the first are answered.
    pub(crate) fn init_answers<A, W: Words>(self, words: &W) {
        doorbell::init(consumer::BELL, words);
        words.word(consumer::READ).store(self.start, Ordering::Relaxed);
        for pos in (0..self.capacity()).map(|ahead| self.start.wrapping_add(ahead)) {
            let before = answered(pos.wrapping_sub(self.capacity()), End::Answered);
            words.word(self.answer_at::<A>(pos)).store(before, Ordering::Relaxed);
        }
    }
}

/// The words from one question to the next.
pub(crate) const fn question_stride<Q>() -> usize {
    stride(2 + words_of::<Q>())
}

/// The words from one answer to the next.
pub(crate) const fn answer_stride<A>() -> usize {
    stride(1 + words_of::<A>())
}

/// Up to a cache line, no message lies in two.
const fn stride(used: usize) -> usize {
    if used <= 8 { used.next_power_of_two() } else { used.next_multiple_of(8) }
}

/// The number of an answer's slot in which the answer to `pos` stands.
fn answered(pos: u64, end: End) -> u64 {
    pos.wrapping_add(1) << 2 | end as u64
}

/// Whether the answer to `pos` stands, by the number in its slot, and how it ended.
///
/// # Errors
/// [`Error::PeerCorrupt`].
#[inline]
fn ended(number: u64, pos: u64, capacity: u64) -> Result<Option<End>> {
    let this = pos.wrapping_add(1) << 2;
    match number ^ this {
        0 => Ok(Some(End::Answered)),
        1 => Ok(Some(End::Unanswered)),
        2 => Ok(Some(End::Expired)),
        _ if number & !3 == this.wrapping_sub(capacity << 2) => Ok(None),
        _ => Err(Error::PeerCorrupt { what: "the number of an answer" }),
    }
}

/// Whether question `pos` stands, by the number in its slot.
///
/// # Errors
/// [`Error::PeerCorrupt`].
#[inline]
fn asked(number: u64, pos: u64, capacity: u64) -> Result<bool> {
    let this = pos.wrapping_add(1);
    if number == this {
        Ok(true)
    } else if number == this.wrapping_sub(capacity) {
        Ok(false)
    } else {
        Err(Error::PeerCorrupt { what: "the number of a question" })
    }
}

/// An answer as the client finds it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer<A> {
    /// Not yet.
    Pending,
    /// It stands.
    Answered(A),
    /// There will be none.
    Unanswered,
    /// The deadline had passed.
    Expired,
}

/// The client's side. `own` is what it writes, `peer` what the server writes.
#[derive(Debug)]
pub(crate) struct Asking<Q, A, W> {
    own: W,
    peer: W,
    shape: Shape,
    /// The position of the next question.
    pos: u64,
    waker: ReceiverWaker,
    waiter: SenderWaiter,
    payload: PhantomData<fn(Q) -> A>,
}

impl<Q, A, W: Words> Asking<Q, A, W> {
    /// Goes on where the last client ended, and takes back what that one was still waiting for.
    pub(crate) fn resume(own: W, peer: W, shape: Shape) -> Self {
        let waker = ReceiverWaker::new();
        let waiter = SenderWaiter::new(&own);
        let mut pos = own.word(producer::WRITTEN).load(Ordering::Relaxed);
        if own.word(shape.question_at::<Q>(pos)).load(Ordering::Relaxed) == pos.wrapping_add(1) {
            // It was killed before counting it.
            pos = pos.wrapping_add(1);
        }
        let mut this = Self { own, peer, shape, pos, waker, waiter, payload: PhantomData };
        this.own.word(producer::WRITTEN).store(pos, Ordering::Relaxed);
        for behind in 1..=shape.capacity() {
            this.give_up(pos.wrapping_sub(behind));
        }
        this.waker.ring(&this.own, &this.peer);
        this
    }

    /// The position of the next question.
    pub(crate) fn pos(&self) -> u64 {
        self.pos
    }

    /// The position whose answer must stand before the next question.
    pub(crate) fn oldest(&self) -> u64 {
        self.pos.wrapping_sub(self.shape.capacity())
    }

    /// Whether the next question may be asked.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`].
    #[inline]
    pub(crate) fn has_room(&self) -> Result<bool> {
        Ok(is_left_out("window") || self.stands(self.oldest())?)
    }

    /// Whether the answer to `pos`, one of the last questions, stands.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`].
    #[inline]
    pub(crate) fn stands(&self, pos: u64) -> Result<bool> {
        let number = peer_load(self.peer.word(self.shape.answer_at::<A>(pos)));
        Ok(ended(number, pos, self.shape.capacity())?.is_some())
    }

    /// Where the next question is to be written, in bytes; there must be room.
    pub(crate) fn next_payload_offset(&self) -> usize {
        (self.shape.question_at::<Q>(self.pos) + 2) * 8
    }

    /// Asks what has been written there.
    #[inline]
    pub(crate) fn ask_written(&mut self, deadline: u64) {
        if let [number, until] = self.own.words(self.shape.question_at::<Q>(self.pos), 2) {
            until.store(deadline, Ordering::Relaxed);
            self.pos = self.pos.wrapping_add(1);
            publish(number, self.pos);
        }
        // For our successor, and those who look on.
        self.own.header(producer::WRITTEN).store(self.pos, Ordering::Relaxed);
        self.waker.ring(&self.own, &self.peer);
    }

    /// Takes back a question that may not be answered yet.
    pub(crate) fn give_up(&mut self, pos: u64) {
        self.own.word(self.shape.question_at::<Q>(pos) + 1).store(GIVEN_UP, Ordering::Relaxed);
    }

    /// Counts an answer that came without sleeping; enough of them buy the server's fence off.
    #[inline]
    pub(crate) fn count(&mut self, may_be_hot: impl FnOnce() -> bool) {
        self.waiter.count(1, &self.own, may_be_hot);
    }

    /// Waits until the answer to `pos` stands.
    ///
    /// # Errors
    /// As [`Waiter::wait`].
    pub(crate) fn wait(
        &mut self,
        pos: u64,
        wait: Wait,
        deadline: Deadline,
        look: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let Self { own, peer, shape, waiter, .. } = self;
        let ready = || {
            let number = peer_load(peer.word(shape.answer_at::<A>(pos)));
            Ok(ended(number, pos, shape.capacity())?.is_some())
        };
        // The answers to all other calls.
        waiter.wait(own, peer, wait, deadline, shape.capacity(), ready, look)
    }

    /// See [`Sleeper::announce`](crate::channel::sleeper::Sleeper::announce).
    pub(crate) fn announce(&mut self, on: Sleep) -> bool {
        self.waiter.announce(on, &self.own, &self.peer)
    }

    /// See [`Sleeper::retract`](crate::channel::sleeper::Sleeper::retract).
    pub(crate) fn retract(&mut self) {
        self.waiter.retract(&self.own);
    }

    /// See [`Sleeper::ticket`](crate::channel::sleeper::Sleeper::ticket); the word is in `peer`, which is the other side's
    /// memory.
    pub(crate) fn ticket_of<'w>(&self, peer: &'w W) -> (&'w AtomicU64, u32) {
        self.waiter.ticket_of(peer)
    }
}

impl<Q: IntoBytes + Immutable, A: FromBytes + IntoBytes, W: Words> Asking<Q, A, W> {
    /// Asks; there must be room.
    #[inline]
    pub(crate) fn ask(&mut self, deadline: u64, question: &Q) {
        if let [_, _, payload @ ..] = self.shape.question::<Q, W>(&self.own, self.pos) {
            put(payload, question);
        }
        self.ask_written(deadline);
    }

    /// The answer to `pos`, if it stands. `None` says nothing about what a closer look finds.
    #[inline(always)]
    pub(crate) fn next(&self, pos: u64) -> Option<A> {
        let (number, payload) = self.shape.answer::<A, W>(&self.peer, pos).split_first()?;
        (peer_load(number) == answered(pos, End::Answered)).then(|| take(payload))
    }

    /// The answer to `pos`, by a closer look.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`].
    #[inline]
    pub(crate) fn answer(&self, pos: u64) -> Result<Answer<A>> {
        let Some((number, payload)) = self.shape.answer::<A, W>(&self.peer, pos).split_first() else {
            return Ok(Answer::Pending);
        };
        Ok(match ended(peer_load(number), pos, self.shape.capacity())? {
            None => Answer::Pending,
            Some(End::Answered) => Answer::Answered(take(payload)),
            Some(End::Unanswered) => Answer::Unanswered,
            Some(End::Expired) => Answer::Expired,
        })
    }
}

impl<Q, A, W: Words> LastWords for Asking<Q, A, W> {
    fn release(&mut self) {}

    fn wake(&mut self) {
        self.waker.ring_cold(&self.own, &self.peer);
    }
}

/// The server's side. `own` is what it writes, `peer` what the client writes.
#[derive(Debug)]
pub(crate) struct Answering<Q, A, W> {
    own: W,
    peer: W,
    shape: Shape,
    /// The position of the next question.
    pos: u64,
    waker: SenderWaker,
    waiter: ReceiverWaiter,
    payload: PhantomData<fn(A) -> Q>,
}

impl<Q, A, W: Words> Answering<Q, A, W> {
    /// Goes on where the last server ended, and tells the client which questions that one took and did not answer.
    pub(crate) fn resume(own: W, peer: W, shape: Shape) -> Self {
        let pos = own.word(consumer::READ).load(Ordering::Relaxed);
        let waker = SenderWaker::new();
        let waiter = ReceiverWaiter::new(&own);
        let mut this = Self { own, peer, shape, pos, waker, waiter, payload: PhantomData };
        for taken in (1..=shape.capacity()).rev().map(|behind| pos.wrapping_sub(behind)) {
            let end = this.own.word(this.shape.answer_at::<A>(taken));
            let before = answered(taken.wrapping_sub(shape.capacity()), End::Answered);
            if end.load(Ordering::Relaxed) & !3 == before {
                publish(end, answered(taken, End::Unanswered));
            }
        }
        this.waker.ring(&this.own, &this.peer);
        this
    }

    /// Until when the client wants the answer to a question that was taken, as it says now.
    pub(crate) fn deadline(&self, pos: u64) -> u64 {
        self.peer.word(self.shape.question_at::<Q>(pos) + 1).load(Ordering::Relaxed)
    }

    /// Where the answer to a question that was taken is to be written, in bytes.
    pub(crate) fn payload_offset(&self, pos: u64) -> usize {
        (self.shape.answer_at::<A>(pos) + 1) * 8
    }

    /// Ends a call: with the answer that has been written there, or without one.
    pub(crate) fn end(&mut self, pos: u64, end: End) {
        publish(self.own.word(self.shape.answer_at::<A>(pos)), answered(pos, end));
        self.waker.ring(&self.own, &self.peer);
    }

    /// Counts a question that came without sleeping.
    #[inline]
    pub(crate) fn count(&mut self, may_be_hot: impl FnOnce() -> bool) {
        self.waiter.count(1, &self.own, may_be_hot);
    }

    /// Waits until there is a question.
    ///
    /// # Errors
    /// As [`Waiter::wait`].
    pub(crate) fn wait(
        &mut self,
        wait: Wait,
        deadline: Deadline,
        look: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let Self { own, peer, shape, pos, waiter, .. } = self;
        let number = peer.word(shape.question_at::<Q>(*pos));
        let ready = || asked(peer_load(number), *pos, shape.capacity());
        waiter.wait(own, peer, wait, deadline, 1, ready, look)
    }

    /// Whether a question stands; one that cannot be is for the next call to find.
    pub(crate) fn is_ready(&self) -> bool {
        let number = peer_load(self.peer.word(self.shape.question_at::<Q>(self.pos)));
        !matches!(asked(number, self.pos, self.shape.capacity()), Ok(false))
    }

    /// See [`Sleeper::announce`](crate::channel::sleeper::Sleeper::announce).
    pub(crate) fn announce(&mut self, on: Sleep) -> bool {
        self.waiter.announce(on, &self.own, &self.peer)
    }

    /// See [`Sleeper::retract`](crate::channel::sleeper::Sleeper::retract).
    pub(crate) fn retract(&mut self) {
        self.waiter.retract(&self.own);
    }

    /// See [`Sleeper::ticket`](crate::channel::sleeper::Sleeper::ticket); the word is in `peer`, which is the other side's
    /// memory.
    pub(crate) fn ticket_of<'w>(&self, peer: &'w W) -> (&'w AtomicU64, u32) {
        self.waiter.ticket_of(peer)
    }
}

impl<Q: FromBytes + IntoBytes, A: IntoBytes + Immutable, W: Words> Answering<Q, A, W> {
    /// Takes the next question, if it is there and its deadline, if it has one, has not passed. `None` says nothing about what
    /// a closer look finds.
    #[inline(always)]
    pub(crate) fn next_now(&mut self, has_passed: impl FnOnce(u64) -> bool) -> Option<(u64, Q)> {
        let [number, until, payload @ ..] = self.shape.question::<Q, W>(&self.peer, self.pos) else {
            return None;
        };
        let (pos, next) = (self.pos, self.pos.wrapping_add(1));
        if peer_load(number) != next || !self.is_free(pos) {
            return None;
        }
        let deadline = until.load(Ordering::Relaxed);
        if deadline != NO_DEADLINE && has_passed(deadline) {
            return None;
        }
        let question = take(payload);
        self.pos = next;
        // As in `next`.
        self.own.header(consumer::READ).store(next, Ordering::Relaxed);
        Some((pos, question))
    }

    /// Whether the answer before the one to `pos` stands in its place.
    #[inline]
    fn is_free(&self, pos: u64) -> bool {
        let before = answered(pos.wrapping_sub(self.shape.capacity()), End::Answered);
        self.own.word(self.shape.answer_at::<A>(pos)).load(Ordering::Relaxed) & !3 == before
    }

    /// Takes the next question, if it is there: its position, its deadline and itself.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`].
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u64, u64, Q)>> {
        let [number, until, payload @ ..] = self.shape.question::<Q, W>(&self.peer, self.pos) else {
            return Ok(None);
        };
        let (pos, next) = (self.pos, self.pos.wrapping_add(1));
        if !asked(peer_load(number), pos, self.shape.capacity())? {
            return Ok(None);
        }
        if !self.is_free(pos) {
            return Err(Error::PeerCorrupt { what: "a question in the place of one that is not answered" });
        }
        let (deadline, question) = (until.load(Ordering::Relaxed), take(payload));
        self.pos = next;
        // Who is killed from here on has taken it: a successor does not serve it again.
        self.own.header(consumer::READ).store(next, Ordering::Relaxed);
        Ok(Some((pos, deadline, question)))
    }

    /// Answers a question that was taken.
    #[inline]
    pub(crate) fn answer(&mut self, pos: u64, answer: &A) {
        if let Some((number, payload)) = self.shape.answer::<A, W>(&self.own, pos).split_first() {
            put(payload, answer);
            publish(number, answered(pos, End::Answered));
        }
        self.waker.ring(&self.own, &self.peer);
    }
}

impl<Q, A, W: Words> LastWords for Answering<Q, A, W> {
    fn release(&mut self) {}

    fn wake(&mut self) {
        self.waker.ring_cold(&self.own, &self.peer);
    }
}
