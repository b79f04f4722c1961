//! Ratios inside one run, pinned: our channels against the bare cache line, the bare futex and rtrb; our calls against
//! the C that one would write by hand.
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
mod pipe;
mod signal;
mod spsc;
mod uds;

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
    for (name, ours, theirs) in [signal::RATIOS, pipe::RATIOS, uds::RATIOS].concat() {
        if is_wanted(name) {
            ratio(name, ours, theirs);
        }
    }
}

/// Ours, theirs and theirs again, many times, in an order that is drawn anew each time, so that what the machine does
/// meanwhile happens to all: the median of ours to theirs, and between which two of the ratios it lies with 95 %
/// confidence (the binomial of a median); the same of theirs to theirs tells what a ratio of this run is worth.
fn ratio(name: &str, ours: fn() -> f64, theirs: fn() -> f64) {
    let cells = [ours, theirs, theirs];
    let (mut ratios, mut controls) = (Vec::new(), Vec::new());
    for _ in 0..101 {
        let (mut order, mut spent) = ([0, 1, 2], [0.0; 3]);
        fastrand::shuffle(&mut order);
        for cell in order {
            spent[cell] = cells[cell]();
        }
        ratios.push(spent[0] / spent[1]);
        controls.push(spent[2] / spent[1]);
    }
    ratios.sort_by(f64::total_cmp);
    controls.sort_by(f64::total_cmp);
    let [median, from, to] = [50, 40, 60].map(|rank| ratios[rank]);
    let [control, least, most] = [50, 40, 60].map(|rank| controls[rank]);
    println!(
        "{name:<48} {median:>7.3}, {from:.3} to {to:.3}   control {control:.3}, {least:.3} to {most:.3}"
    );
}
