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
mod signal;
mod spsc;

/// A case: its name and what measures it, in nanoseconds per unit.
type Case = (&'static str, fn() -> f64);

/// Two measures in nanoseconds per unit, whose ratio is what counts.
type Ratio = (&'static str, fn() -> f64, fn() -> f64);

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|prefix| name.starts_with(prefix.as_str()));
    let cases: Vec<Case> = [limit::CASES, signal::CASES, spsc::CASES].concat();
    for (name, measure) in cases {
        if is_wanted(name) {
            let mut rounds: Vec<f64> = (0..7).map(|_| measure()).collect();
            rounds.sort_by(f64::total_cmp);
            println!("{name:<44} best {:>8.1} ns   median {:>8.1} ns", rounds[0], rounds[rounds.len() / 2]);
        }
    }
    for (name, ours, theirs) in signal::RATIOS {
        if is_wanted(name) {
            ratio(name, *ours, *theirs);
        }
    }
}

/// Both in turn, many times, so that what the machine does meanwhile happens to both: the median of the ratios, and
/// between which two of them it lies with 95 % confidence (the binomial of a median).
fn ratio(name: &str, ours: fn() -> f64, theirs: fn() -> f64) {
    let mut ratios: Vec<f64> = (0..101)
        .map(|turn| {
            if turn % 2 == 0 {
                let ours = ours();
                ours / theirs()
            } else {
                let theirs = theirs();
                ours() / theirs
            }
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!("{name:<44} ratio {:.3}, {:.3} to {:.3}", ratios[50], ratios[40], ratios[60]);
}
