//! What is measured: a mechanism, how long its messages are, what is asked of it, on how many cores and how it waits.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One cell of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    /// As in the JSON: `uds-stream`.
    pub(crate) mechanism: &'static str,
    /// Bytes a message, a multiple of eight.
    pub(crate) payload: usize,
    pub(crate) kind: Kind,
    pub(crate) cores: Cores,
    pub(crate) wait: Wait,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// To and fro; one way is half.
    Latency,
    /// One after another, one way.
    Stream,
}

/// Where the two processes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cores {
    One,
    Two,
}

/// What a side does while there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wait {
    /// Looks again and again.
    Spin,
    /// Sleeps on a futex in shared memory.
    Park,
    /// Sleeps in the mechanism's own call.
    Block,
}

macro_rules! words {
    ($($type:ident { $($variant:ident = $word:literal),+ })+) => {$(
        impl $type {
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub(crate) fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    )+};
}

words! {
    Kind { Latency = "latency", Stream = "stream" }
    Cores { One = "one", Two = "two" }
    Wait { Spin = "spin", Park = "park", Block = "block" }
}

impl Cell {
    /// What a process is told on its command line.
    pub(crate) fn arguments(&self) -> [String; 5] {
        let Self { mechanism, payload, kind, cores, wait } = self;
        [
            (*mechanism).to_owned(),
            payload.to_string(),
            kind.word().to_owned(),
            cores.word().to_owned(),
            wait.word().to_owned(),
        ]
    }

    pub(crate) fn from_arguments(arguments: &[String]) -> Option<Self> {
        let [mechanism, payload, kind, cores, wait] = arguments else { return None };
        Some(Self {
            mechanism: crate::mechanism::named(mechanism)?.name(),
            payload: payload.parse().ok()?,
            kind: Kind::from_word(kind)?,
            cores: Cores::from_word(cores)?,
            wait: Wait::from_word(wait)?,
        })
    }

    /// The words of the payload.
    pub(crate) const fn words(&self) -> usize {
        self.payload / 8
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mechanism, payload, kind, cores, wait } = self;
        let (kind, cores, wait) = (kind.word(), cores.word(), wait.word());
        write!(f, "{mechanism} {} {kind} {cores} {wait}", bytes(*payload))
    }
}

/// `64 B`, `4 Ki`.
pub(crate) fn bytes(count: usize) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..0x10_0000 => format!("{} Ki", count >> 10),
        _ => format!("{} Mi", count >> 20),
    }
}
