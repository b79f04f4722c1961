//! Ratios inside one run, two pinned processes: our channels against the bare cache line, the bare futex and rtrb.
//!
//! `ipc-bench [NAME…]` runs the cases whose names begin so, each for well under a second, and prints medians. Absolute
//! numbers depend on where the host puts the two CPUs at the moment: believe ratios of neighbouring lines.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a program that measures: it forks, maps raw memory, and may die of a surprise"
)]

mod limit;
mod pair;
mod spsc;

/// A case: its name and what measures it, in nanoseconds per unit.
type Case = (&'static str, fn() -> f64);

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let cases: Vec<Case> = [limit::CASES, spsc::CASES].concat();
    for (name, measure) in cases {
        if wanted.is_empty() || wanted.iter().any(|prefix| name.starts_with(prefix.as_str())) {
            let mut rounds: Vec<f64> = (0..7).map(|_| measure()).collect();
            rounds.sort_by(f64::total_cmp);
            println!("{name:<44} best {:>8.1} ns   median {:>8.1} ns", rounds[0], rounds[rounds.len() / 2]);
        }
    }
}
