//! Test binaries: one after another, each in a process group of its own under a deadline, and afterwards a look at what
//! it has left in the system.

use std::io::Write;
use std::time::Duration;

use super::leaks::Audit;
use super::libtest;
use super::tally::Tally;
use crate::cargo::Artifact;
use crate::process::{self, Ran};
use crate::{Result, interrupt};

/// Runs every test binary among `built`, with `environment` added to ours.
pub(crate) fn run_all(built: &[Artifact], deadline: Duration, environment: &[(&str, &str)]) -> Result<Tally> {
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut tally = Tally::default();
    for binary in built.iter().filter(|artifact| artifact.test) {
        if interrupt::happened() {
            break;
        }
        tally.add(run(binary, deadline, environment)?);
    }
    Ok(tally)
}

fn run(binary: &Artifact, deadline: Duration, environment: &[(&str, &str)]) -> Result<Tally> {
    let name = format!("{} {}", binary.package, binary.target);
    print!("{name:<40} ");
    std::io::stdout().flush()?;
    let audit = Audit::begin();
    let mut command = process::command(&binary.executable);
    command.arg("--show-output").current_dir(&binary.directory);
    command.env("CARGO_MANIFEST_DIR", &binary.directory).env("CARGO_PKG_NAME", &binary.package);
    command.envs(environment.iter().copied());
    let ran = process::run(&mut command, deadline)?;
    let mut tally = libtest::read(&ran);
    if ran.status.is_none() {
        tally.fail(format!("{name} hung in: {}\n{}", unfinished(binary, &ran)?, ran.account()));
    } else if !ran.succeeded() && !ran.stdout.contains("\ntest result: ") {
        tally.fail(format!("{name} ended in the middle of a test\n{}", ran.account()));
    } else if tally.failed > 0 {
        let failed = libtest::failed(&ran.stdout).join(", ");
        tally.faults.push(format!("{name}: {failed}\n{}", ran.account()));
    }
    println!(
        "{:>4} passed {:>2} failed {:>2} skipped {:6.1} s",
        tally.passed,
        tally.failed,
        tally.skips.len(),
        ran.took.as_secs_f64()
    );
    if ran.survivors {
        tally.fail(format!("{name} left somebody of its process group behind"));
    }
    for leak in audit.end(ran.id) {
        tally.fail(format!("{name} left behind: {leak}"));
    }
    Ok(tally)
}

/// The tests that had no result when the deadline came.
fn unfinished(binary: &Artifact, ran: &Ran) -> Result<String> {
    let mut list = process::command(&binary.executable);
    let list = process::run(list.args(["--list", "--format", "terse"]), Duration::from_secs(60))?;
    let reported = libtest::reported(&ran.stdout);
    let missing: Vec<&str> = libtest::listed(&list.stdout).difference(&reported).copied().collect();
    Ok(missing.join(", "))
}
