//! Once every interval, for a count of times or until Ctrl-C, which ends the interval too.

use std::time::Duration;

use ipc_example::Pace;
use ipc_signal::{Error, Shutdown, Signal};

pub(crate) struct Turns {
    left: Option<u64>,
    interval: Duration,
    first: bool,
    pub(crate) shutdown: Shutdown,
}

impl Turns {
    /// From now on Ctrl-C and SIGTERM end the turns instead of the program; a second one ends that.
    pub(crate) fn new(left: Option<u64>, pace: &Pace) -> Result<Self, Error> {
        let shutdown = Shutdown::on([Signal::INT, Signal::TERM])?;
        Ok(Self { left, interval: pace.interval(), first: true, shutdown })
    }
}

impl Iterator for Turns {
    type Item = ();

    fn next(&mut self) -> Option<()> {
        if self.left == Some(0) {
            return None;
        }
        self.left = self.left.map(|left| left - 1);
        let pause = if self.first { Duration::ZERO } else { self.interval };
        self.first = false;
        (!self.shutdown.asked_within(pause)).then_some(())
    }
}
