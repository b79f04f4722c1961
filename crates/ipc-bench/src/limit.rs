//! What no implementation can go below on this machine, measured next to it: a cache line handed over, a sleeper woken, a
//! bare system call, a copy.
#![expect(unsafe_code, reason = "slots are used by turns, as in C; a bare system call")]

use std::sync::atomic::AtomicU64;

use crate::cell::{Cell, Cores, Kind, Wait};
use crate::end::{End, Side, check, fill};
use crate::meet::Meet;
use crate::raw::memory::{Word, place, shared};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The payload in place and a flag; 16 places in turn, each on lines of its own.
    Rotating,
    /// The same with one place each way: two flags.
    TwoFlags,
    /// A word, and a futex on which the other side sleeps.
    Futex,
    /// The bytes written, copied and read by one core.
    Copy,
    /// As many bare system calls as a message takes on the slower of the two cores, or on the only one, and the copy.
    Call,
}

impl Limit {
    pub(crate) fn of(cell: &Cell) -> Self {
        match (cell.kind, cell.wait) {
            (Kind::Latency, Wait::Spin) => Self::Rotating,
            (Kind::Latency, Wait::Park | Wait::Block) => Self::Futex,
            (Kind::Stream, Wait::Spin | Wait::Park) => Self::Copy,
            (Kind::Stream, Wait::Block) => Self::Call,
        }
    }

    /// What frames a block: it tells whether the host has moved or slowed the cores meanwhile.
    pub(crate) fn control(cell: &Cell) -> Self {
        if cell.cores == Cores::Two { Self::TwoFlags } else { Self::Call }
    }

    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::Rotating => "cache lines handed over, 16 places in turn",
            Self::TwoFlags => "cache lines handed over, two flags",
            Self::Futex => "bare futex",
            Self::Copy => "memcpy",
            Self::Call => "bare system call and memcpy",
        }
    }

    pub(crate) fn side(self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        match self {
            Self::Rotating => Handover::side(cell, meet, 16),
            Self::TwoFlags | Self::Futex => Handover::side(cell, meet, 1),
            Self::Copy => Alone::side(cell, 0),
            Self::Call => Alone::side(cell, if cell.cores == Cores::One { 2 } else { 1 }),
        }
    }
}

/// The payload in place, the turn beside it. A payload of one word is its own flag.
struct Handover {
    near: bool,
    memory: &'static [AtomicU64],
    words: usize,
    stride: usize,
    places: u64,
    wait: Wait,
}

/// A flag takes four pairs of lines' room: its word, and whether somebody sleeps.
const FLAG: usize = 32;

impl Handover {
    fn side(cell: &Cell, meet: &mut Meet, places: usize) -> Box<dyn Side> {
        let words = cell.words();
        let stride = FLAG + if words == 1 { 0 } else { words.next_multiple_of(16) };
        let memory = shared(meet, 2 * stride * places);
        Box::new(Self { near: meet.is_near(), memory, words, stride, places: places as u64, wait: cell.wait })
    }

    /// The place of this turn in one direction.
    #[inline]
    fn place(&self, turn: u64, from_near: bool) -> &'static [AtomicU64] {
        let at = ((turn % self.places) * 2 + u64::from(from_near)) as usize * self.stride;
        &self.memory[at..at + self.stride]
    }

    #[inline]
    fn payload(&mut self, at: &'static [AtomicU64]) -> &mut [u64] {
        // SAFETY: the flag says whose turn it is.
        unsafe { place(&at[FLAG..FLAG + self.words]) }
    }
}

impl End for Handover {
    #[inline]
    fn send(&mut self, turn: u64) {
        let place = self.place(turn, self.near);
        if self.words > 1 {
            fill(self.payload(place), turn);
        }
        Word::at(place).change(self.wait, turn);
    }

    #[inline]
    fn receive(&mut self, turn: u64) {
        let place = self.place(turn, !self.near);
        Word::at(place).until(self.wait, |value| value == turn);
        if self.words > 1 {
            check(self.payload(place), turn);
        }
    }
}

/// What the near side does alone while the far one has nothing to do.
struct Alone {
    from: Vec<u64>,
    to: Vec<u64>,
    calls: u32,
}

impl Alone {
    fn side(cell: &Cell, calls: u32) -> Box<dyn Side> {
        Box::new(Self { from: vec![0; cell.words()], to: vec![0; cell.words()], calls })
    }
}

impl End for Alone {
    fn send(&mut self, _: u64) {}

    #[inline]
    fn receive(&mut self, turn: u64) {
        fill(std::hint::black_box(&mut self.from), turn);
        for _ in 0..self.calls {
            // SAFETY: takes nothing and cannot fail.
            unsafe { libc::syscall(libc::SYS_getppid) };
        }
        std::hint::black_box(&mut self.to).copy_from_slice(&self.from);
        check(std::hint::black_box(&self.to), turn);
    }
}
