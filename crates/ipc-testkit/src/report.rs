//! What a test says about itself besides passing: `cargo xtask test-all` runs the binaries with `--show-output` and
//! collects these lines.

use std::fmt::Arguments;

/// One proof of docs/testing.md: its row (`A1`), then how often, with which seed, and how the naive twin failed.
///
/// `proof!("A1", "10000 records, 0 torn; twin: 4097 bytes torn 91 %; seed {seed}")`
#[macro_export]
macro_rules! proof {
    ($row:literal, $($text:tt)+) => { $crate::report::proof($row, format_args!($($text)+)) };
}

/// Ends the test as skipped, for a reason that is printed and counted: `skip!("no strace on this machine")`.
#[macro_export]
macro_rules! skip {
    ($($text:tt)+) => {{
        $crate::report::skip(format_args!($($text)+));
        return;
    }};
}

/// See [`proof!`].
pub fn proof(row: &str, text: Arguments<'_>) {
    println!("PROOF {row}: {text}");
}

/// See [`skip!`].
pub fn skip(text: Arguments<'_>) {
    let thread = std::thread::current();
    println!("SKIP {}: {text}", thread.name().unwrap_or("?"));
}

/// The seed of this run, `IPC_SEED` or a fresh one: print it in the proof.
#[must_use]
pub fn seed() -> u64 {
    std::env::var("IPC_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| fastrand::u64(..))
}
