//! What a test binary says, run with `--show-output`: libtest's own lines, and ours among what the tests print:
//! `SKIP name: reason` counts a test as skipped that libtest counts as passed, `PROOF row: …` is kept.

use std::collections::BTreeSet;

use super::tally::Tally;
use crate::process::Ran;

/// Counts what `ran` reports, of one binary or of several in a row. What failed comes into the tally as names only:
/// the account of the whole run holds the rest.
pub(crate) fn read(ran: &Ran) -> Tally {
    let mut tally = Tally::default();
    let mut skipped = BTreeSet::new();
    for line in ran.stdout.lines() {
        if let Some(text) = line.strip_prefix("SKIP ") {
            let (name, reason) = text.split_once(": ").unwrap_or((text, ""));
            if skipped.insert(name) {
                tally.skip(name, reason);
            }
        } else if line.starts_with("PROOF ") {
            tally.proofs.push(line.to_owned());
        } else if let Some(text) = line.strip_prefix("test result: ") {
            let count = |what: &str| count(text, what);
            tally.passed += count("passed");
            tally.failed += count("failed");
            for _ in 0..count("ignored") {
                tally.skip("ignored", "#[ignore]");
            }
        }
    }
    if !ran.stdout.contains("\ntest result: ") {
        // It came to no result: what is known is what had ended by then.
        tally.passed = ran.stdout.lines().filter(|line| line.ends_with(" ... ok")).count();
        tally.failed = failed(&ran.stdout).len();
    }
    tally.passed = tally.passed.saturating_sub(skipped.len());
    tally
}

/// The number in front of `what`: `ok. 15 passed; 0 failed; …`.
fn count(text: &str, what: &str) -> usize {
    let mut words = text.split([' ', ';']).filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        if words.peek() == Some(&what) {
            return word.parse().unwrap_or(0);
        }
    }
    0
}

/// The tests that have a result: `test name ... ok`.
pub(crate) fn reported(stdout: &str) -> BTreeSet<&str> {
    let name = |line| str::strip_prefix(line, "test ")?.split_once(" ... ").map(|(name, _)| name);
    stdout.lines().filter_map(name).collect()
}

/// The tests that have failed.
pub(crate) fn failed(stdout: &str) -> Vec<&str> {
    let name = |line| str::strip_prefix(line, "test ")?.strip_suffix(" ... FAILED");
    stdout.lines().filter_map(name).collect()
}

/// The tests that there are, from `--list --format terse`: `name: test`.
pub(crate) fn listed(stdout: &str) -> BTreeSet<&str> {
    stdout.lines().filter_map(|line| line.strip_suffix(": test")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;
    use std::time::Duration;

    const OUTPUT: &str = "
running 3 tests
test a1_whole ... ok
test b2_root ... ok
test c3_wrong - should panic ... FAILED

successes:

---- a1_whole stdout ----
PROOF A1: 500 records, 0 torn; twin torn 91 %; seed 7

---- b2_root stdout ----
SKIP b2_root: not root

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.05s
";

    #[test]
    fn skips_are_not_passes() {
        let ran = process::run(process::command("printf").args(["%s", OUTPUT]), Duration::from_secs(60));
        let tally = read(&ran.unwrap());
        assert_eq!((tally.passed, tally.failed), (1, 1));
        assert_eq!(tally.skips, [("b2_root".to_owned(), "not root".to_owned())]);
        assert_eq!(tally.proofs, ["PROOF A1: 500 records, 0 torn; twin torn 91 %; seed 7"]);
    }

    #[test]
    fn failures_have_names() {
        assert_eq!(failed(OUTPUT), ["c3_wrong - should panic"]);
    }

    #[test]
    fn who_has_no_result_hangs() {
        let listed = listed("a1_whole: test\nz9_hangs: test\n2 tests, 0 benchmarks\n");
        let missing: Vec<_> = listed.difference(&reported(OUTPUT)).copied().collect();
        assert_eq!(missing, ["z9_hangs"]);
    }
}
