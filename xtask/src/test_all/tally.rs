//! How many checks of a step passed, and what is to be told of the others.

use std::time::Duration;

use crate::process::Ran;
use crate::table::Paint;

/// The sum of a step.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Name and reason.
    pub(crate) skips: Vec<(String, String)>,
    /// What failed, each with all that one needs to see.
    pub(crate) faults: Vec<String>,
    /// The lines that begin with PROOF.
    pub(crate) proofs: Vec<String>,
}

impl Tally {
    pub(crate) fn passed(count: usize) -> Self {
        Self { passed: count, ..Self::default() }
    }

    pub(crate) fn fault(text: String) -> Self {
        Self { failed: 1, faults: vec![text], ..Self::default() }
    }

    /// One check, which is that a command succeeds.
    pub(crate) fn of(ran: &Ran) -> Self {
        if ran.succeeded() { Self::passed(1) } else { Self::fault(ran.account()) }
    }

    pub(crate) fn pass(&mut self) {
        self.passed += 1;
    }

    pub(crate) fn fail(&mut self, text: String) {
        self.failed += 1;
        self.faults.push(text);
    }

    pub(crate) fn skip(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.skips.push((name.into(), reason.into()));
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skips.extend(other.skips);
        self.faults.extend(other.faults);
        self.proofs.extend(other.proofs);
    }

    /// Prints the proofs, the skips, and of each failure what it is: its account stands further up.
    pub(crate) fn tell(&self, paint: Paint) {
        if !self.proofs.is_empty() {
            println!("\n{}", paint.bold("== proofs"));
            for proof in &self.proofs {
                println!("{proof}");
            }
        }
        if !self.skips.is_empty() {
            println!("\n{}", paint.bold("== skipped"));
            for (name, reason) in &self.skips {
                println!("{} {reason}", paint.warning(&format!("{name}:")));
            }
        }
        if !self.faults.is_empty() {
            println!("\n{}", paint.bold("== failed"));
            for fault in &self.faults {
                println!("{}", paint.bad(fault.lines().next().unwrap_or_default()));
            }
        }
    }

    /// The row of the table.
    pub(crate) fn row(&self, name: &str, took: Duration, paint: Paint) -> Vec<String> {
        let count = |number: usize, painted: &dyn Fn(&str) -> String| match number {
            0 => paint.faint("0"),
            some => painted(&some.to_string()),
        };
        vec![
            name.to_owned(),
            count(self.passed, &|text| paint.good(text)),
            count(self.failed, &|text| paint.bad(text)),
            count(self.skips.len(), &|text| paint.warning(text)),
            format!("{:.1} s", took.as_secs_f64()),
        ]
    }
}
