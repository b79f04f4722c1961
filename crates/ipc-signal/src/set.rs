//! A set of signals: a value of ours, no kernel object.

use std::fmt;
use std::ops::{BitAnd, BitOr, Not};

use crate::Signal;

/// `sigset_t`: which signals, as a mask, a wait or a handler takes them.
///
/// # Examples
/// ```
/// use ipc_signal::{Signal, SignalSet};
///
/// let both = SignalSet::from([Signal::INT, Signal::TERM]);
/// assert!(both.contains(Signal::INT) && !both.contains(Signal::HUP));
/// assert_eq!((!both).len(), 62);
/// assert_eq!(format!("{both:?}"), "{SIGINT, SIGTERM}");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[doc(alias = "sigset_t")]
pub struct SignalSet(u64);

impl SignalSet {
    /// sigemptyset(3): none.
    #[must_use]
    #[doc(alias = "sigemptyset")]
    pub const fn empty() -> Self {
        Self(0)
    }

    /// sigfillset(3): all 64. Where KILL and STOP mean nothing (in a mask) the kernel leaves them out by itself; the C library's
    /// own (32 and 33, with musl 34 too) are in no mask, wait or [`SignalFd`](crate::SignalFd), whatever the set says.
    #[must_use]
    #[doc(alias = "sigfillset")]
    pub const fn all() -> Self {
        Self(u64::MAX)
    }

    /// sigaddset(3).
    #[doc(alias = "sigaddset")]
    pub const fn insert(&mut self, signal: Signal) {
        self.0 |= signal.bit();
    }

    /// sigdelset(3).
    #[doc(alias = "sigdelset")]
    pub const fn remove(&mut self, signal: Signal) {
        self.0 &= !signal.bit();
    }

    /// sigismember(3).
    #[must_use]
    #[doc(alias = "sigismember")]
    pub const fn contains(&self, signal: Signal) -> bool {
        self.0 & signal.bit() != 0
    }

    /// How many are in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether none is in it.
    #[must_use]
    #[doc(alias = "sigisemptyset")]
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Its signals, lowest number first.
    pub fn iter(&self) -> impl Iterator<Item = Signal> + use<> {
        let set = *self;
        (1..=i32::from(Signal::LAST))
            .filter_map(|number| Signal::from_number(number).ok())
            .filter(move |signal| set.contains(*signal))
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl From<Signal> for SignalSet {
    fn from(signal: Signal) -> Self {
        Self(signal.bit())
    }
}

impl<const N: usize> From<[Signal; N]> for SignalSet {
    fn from(signals: [Signal; N]) -> Self {
        signals.into_iter().collect()
    }
}

impl FromIterator<Signal> for SignalSet {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> Self {
        let mut set = Self::empty();
        set.extend(signals);
        set
    }
}

impl Extend<Signal> for SignalSet {
    fn extend<I: IntoIterator<Item = Signal>>(&mut self, signals: I) {
        signals.into_iter().for_each(|signal| self.insert(signal));
    }
}

impl BitOr for SignalSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for SignalSet {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for SignalSet {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
