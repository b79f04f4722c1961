//! `cargo xtask tidy`: the rules of the house that a text search can check, and the list of the files that hold unsafe
//! code.

mod arrows;
mod code;
mod figures;
mod pages;
mod source;
mod targets;

use crate::table::Paint;
use crate::test_all::tally::Tally;
use crate::{Result, Verdict, metadata};

pub(crate) fn run() -> Verdict {
    let tally = check()?;
    let paint = Paint::new();
    for fault in &tally.faults {
        println!("{}", paint.bad(fault));
    }
    for (name, reason) in &tally.skips {
        println!("{}", paint.warning(&format!("SKIP {name}: {reason}")));
    }
    println!("{} rules hold, {} are broken, {} skipped", tally.passed, tally.failed, tally.skips.len());
    Ok(tally.failed == 0)
}

/// Every rule: one check each, whatever the number of places where it is broken.
pub(crate) fn check() -> Result<Tally> {
    let packages = metadata::packages()?;
    let sources = source::all()?;
    let mut tally = Tally::default();
    let mut rule = |name: &str, broken: Vec<String>| {
        if broken.is_empty() {
            tally.pass();
        } else {
            tally.fail(format!("{name}:\n  {}", broken.join("\n  ")));
        }
    };
    for (name, broken) in code::rules(&sources).into_iter().chain(arrows::rules(&packages)) {
        rule(name, broken);
    }
    for (name, broken) in pages::rules(&sources, &packages)?.into_iter().chain(figures::rules(&packages)?) {
        rule(name, broken);
    }
    let unsafe_files = code::unsafe_files(&sources);
    println!("{} files hold unsafe code:", unsafe_files.len());
    for (file, count) in unsafe_files {
        println!("  {count:3}  {file}");
    }
    tally.add(targets::check(&packages)?);
    Ok(tally)
}
