//! What the grid names and is not there yet.

use crate::cell::{Cell, Cores, Wait};
use crate::end::Side;
use crate::mechanism::Mechanism;
use crate::meet::Meet;

/// A mechanism that has no cells.
pub(crate) struct Absent(pub(crate) &'static str);

impl Mechanism for Absent {
    fn name(&self) -> &'static str {
        self.0
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        &[(Cores::Two, Wait::Spin)]
    }

    fn lacks(&self, _: &Cell) -> Option<&'static str> {
        Some("ipc-shm does not offer it yet")
    }

    fn ours(&self, cell: &Cell, _: &mut Meet) -> Box<dyn Side> {
        unreachable!("{cell}")
    }

    fn raw(&self, cell: &Cell, _: &mut Meet) -> Box<dyn Side> {
        unreachable!("{cell}")
    }
}
