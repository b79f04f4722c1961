//! Our `ipcs` and `signals` beside the tools that everybody has: field by field the same.

use std::fmt::Write;

use super::tally::Tally;
use crate::play::Programs;
use crate::process;
use crate::stage::Stage;
use crate::{Result, cargo};

/// How often two listings may differ before it counts: others make and remove objects in between.
const TRIES: usize = 20;

/// Ours, its arguments, and the other.
const SAME: &[(&str, &[&str], &[&str])] = &[
    ("ipcs", &[], &["ipcs"]),
    ("ipcs", &["-q"], &["ipcs", "-q"]),
    ("ipcs", &["-m"], &["ipcs", "-m"]),
    ("ipcs", &["-s"], &["ipcs", "-s"]),
    ("signals", &[], &["bash", "-c", "kill -l"]),
];

pub(super) fn run(examples: &Programs, twins: &Programs) -> Result<Tally> {
    let mut tally = Tally::default();
    // Something to list.
    let stage = Stage::new(20)?;
    let key = stage.key.to_string();
    for (twin, arguments) in [("message_sender", ["--key", &key]), ("sem_add", ["--key", &key])] {
        let program = twins.get(twin).ok_or("a twin is missing")?;
        process::run(process::command(program).args(arguments), cargo::DEADLINE)?;
    }
    for (ours, arguments, other) in SAME {
        let title = format!("our {} and {}", [&[*ours], *arguments].concat().join(" "), other.join(" "));
        let (Some(program), Some((tool, rest))) = (examples.get(*ours), other.split_first()) else {
            tally.fail(format!("{ours} has not been built"));
            continue;
        };
        let Some(tool) = process::find(tool) else {
            tally.skip(title, "the tool is not installed");
            continue;
        };
        let mut difference = String::new();
        for _ in 0..TRIES {
            let run = |program, arguments: &[&str]| {
                process::run(process::command(program).args(arguments).env("LC_ALL", "C"), cargo::DEADLINE)
            };
            let (ours, theirs) = (run(program, arguments)?, run(&tool, rest)?);
            difference = differences(&ours.stdout, &theirs.stdout);
            if difference.is_empty() {
                break;
            }
        }
        if difference.is_empty() {
            println!("{title}: the same");
            tally.pass();
        } else {
            tally.fail(format!("{title}:\n{difference}"));
        }
    }
    Ok(tally)
}

/// The lines whose fields differ.
fn differences(ours: &str, theirs: &str) -> String {
    let (mut ours, mut theirs) = (ours.lines(), theirs.lines());
    let mut text = String::new();
    loop {
        let pair = (ours.next(), theirs.next());
        if pair == (None, None) {
            return text;
        }
        let (one, other) = (pair.0.unwrap_or_default(), pair.1.unwrap_or_default());
        if !one.split_whitespace().eq(other.split_whitespace()) {
            let _ = writeln!(text, "  ours:   {one}\n  theirs: {other}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_count_and_not_the_space_between_them() {
        assert_eq!(differences("a  b\nc\n", "a b \nc\n"), "");
        assert_eq!(differences("a b\n", "a c\n"), "  ours:   a b\n  theirs: a c\n");
        assert!(!differences("a\n", "a\nb\n").is_empty());
    }
}
