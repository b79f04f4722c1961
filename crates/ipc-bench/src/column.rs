//! The columns of the table: ours, the same by hand, the limit, the rivals.

use crate::cell::Cell;
use crate::end::Side;
use crate::limit::Limit;
use crate::mechanism;
use crate::meet::Meet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Ours,
    Raw,
    Limit,
    /// What frames each block: two flags, or on one core a bare call.
    Control,
    #[cfg(feature = "peers")]
    /// By its place among them.
    Peer(usize),
}

impl Column {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Raw => "raw",
            Self::Limit => "limit",
            Self::Control => "control",
            #[cfg(feature = "peers")]
            Self::Peer(place) => crate::peers::ALL[place].name(),
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "ours" => Some(Self::Ours),
            "raw" => Some(Self::Raw),
            "limit" => Some(Self::Limit),
            "control" => Some(Self::Control),
            #[cfg(feature = "peers")]
            name => crate::peers::named(name).map(Self::Peer),
            #[cfg(not(feature = "peers"))]
            _ => None,
        }
    }

    /// This process's side of it.
    pub(crate) fn side(self, cell: &Cell, meet: &mut Meet, cpus: [usize; 2]) -> Box<dyn Side> {
        let _ = cpus;
        let mechanism = || mechanism::named(cell.mechanism).unwrap();
        match self {
            Self::Ours => mechanism().ours(cell, meet),
            Self::Raw => mechanism().raw(cell, meet),
            Self::Limit => mechanism().limit(cell).side(cell, meet),
            Self::Control => Limit::control(cell).side(cell, meet),
            #[cfg(feature = "peers")]
            Self::Peer(place) => crate::peers::ALL[place].side(cell, meet, cpus),
        }
    }
}
