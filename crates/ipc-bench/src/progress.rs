//! How far a run has come, and how long it will still take: a line at the foot of the terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use crate::block::Pace;
use crate::statistics::FEWEST;

/// Characters of the bar.
const WIDTH: usize = 30;

/// The line; nothing where standard error is no terminal.
pub(crate) struct Progress {
    pace: Pace,
    begin: Instant,
    /// All that was done so far, in all passes.
    steps: usize,
    shown: bool,
}

impl Progress {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, begin: Instant::now(), steps: 0, shown: stderr().is_terminal() }
    }

    pub(crate) fn is_late(&self) -> bool {
        self.begin.elapsed() > self.pace.budget
    }

    /// Step `done` of `count` of a pass begins.
    pub(crate) fn step(&mut self, what: &str, pass: usize, count: usize, done: usize) {
        if self.shown {
            let spent = self.begin.elapsed();
            let left = self.left(spent, pass, count, done);
            let part = spent.as_secs_f64() / (spent + left).as_secs_f64().max(1e-3);
            let filled = ((WIDTH as f64 * part) as usize).min(WIDTH);
            let bar = format!("{}{}", "█".repeat(filled), "░".repeat(WIDTH - filled));
            let left = if self.steps < 3 { String::new() } else { format!("{} left", minutes(left)) };
            let _ = write!(stderr(), "\r\x1b[K{bar} {:3.0} %  {left:<12} {what}", 100.0 * part);
        }
        self.steps += 1;
    }

    /// The few passes without which nothing can be said, and then as many as there is time for: what it will take at most.
    fn left(&self, spent: Duration, pass: usize, count: usize, done: usize) -> Duration {
        let each = spent.div_f64(self.steps.max(1) as f64);
        let until =
            |last: usize| each.mul_f64((last.saturating_sub(pass) * count).saturating_sub(done) as f64);
        let in_time = until(self.pace.most).min(self.pace.budget.saturating_sub(spent));
        in_time.max(until(FEWEST))
    }

    pub(crate) fn end(&self) {
        if self.shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

/// `3:07`.
pub(crate) fn minutes(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_it_takes_at_most() {
        let pace = Pace { most: 10, budget: Duration::from_secs(30), ..Pace::QUICK };
        let progress = Progress { steps: 10, ..Progress::new(pace) };
        let left = |spent, pass, done| progress.left(Duration::from_secs(spent), pass, 10, done).as_secs();
        // A second each: a hundred steps would take longer than there is time.
        assert_eq!(left(10, 1, 0), 20);
        assert_eq!(left(30, 3, 0), 0);
        // Three passes have to be, whatever they take: twenty steps more, of ten seconds each.
        assert_eq!(left(100, 1, 0), 200);
    }
}
