//! Lost wake-ups, told from a machine that has other things to do.
//!
//! Who is not woken finds what came at its next look at the peer, 60 ms later. Who is woken and gets no CPU for so long takes
//! any time, shorter ones more often: those are the control.

use std::fmt;
use std::time::Duration;

/// The waits of one test that took long.
#[derive(Debug, Default)]
pub(crate) struct Slow {
    /// Too short for a look at the peer: somebody woke us, and there was no CPU.
    starved: u32,
    /// As long as one look, or the work of a loaded machine.
    looked: u32,
}

impl Slow {
    pub(crate) fn note(&mut self, took: Duration) {
        match took.as_millis() {
            0..30 => {}
            30..58 => self.starved += 1,
            58..90 => self.looked += 1,
            _ => {}
        }
    }

    pub(crate) fn check(&self) {
        assert!(self.looked <= 3 + self.starved, "wake-ups were lost: {self}");
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} waits as long as a look, {} of half that time", self.looked, self.starved)
    }
}
