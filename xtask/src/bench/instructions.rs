//! `cargo xtask bench --instructions`: how many instructions an operation inside one process takes, by callgrind. Each runs
//! some times and then twice as often; the difference is the operation's, without what comes before and after.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::cargo::{self, BENCHMARKS, cargo};
use crate::table::columns;
use crate::{Result, process};

/// How often an operation runs: a number of times that rings of 1,024 slots and their quarters go into.
const TIMES: u64 = 8192;
/// How long one run may take; under callgrind everything is some fifty times slower.
const DEADLINE: Duration = Duration::from_secs(300);

pub(super) fn run() -> Result<ExitCode> {
    if process::find("valgrind").is_none() {
        println!("SKIP instructions: there is no valgrind on this machine");
        return Ok(ExitCode::SUCCESS);
    }
    let program = build()?;
    let names = process::run(process::command(&program).arg("--names"), DEADLINE)?;
    let mut rows = vec![vec!["operation".to_owned(), "instructions".to_owned()]];
    for name in names.stdout.lines() {
        let (once, twice) = (count(&program, name, TIMES)?, count(&program, name, 2 * TIMES)?);
        rows.push(vec![name.replace('_', " "), each(once, twice)]);
    }
    print!("{}", columns(&rows));
    Ok(if rows.len() > 1 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn build() -> Result<std::path::PathBuf> {
    let mut command = cargo(["build", "--release", "--package", BENCHMARKS, "--bench", "operations"]);
    let (ran, built) = cargo::build(&mut command)?;
    if !ran.succeeded() {
        return Err(ran.account().into());
    }
    let program = built.into_iter().find(|one| one.target == "operations").map(|one| one.executable);
    program.ok_or_else(|| "cargo has built no operations".into())
}

/// The instructions of a whole run.
fn count(program: &Path, name: &str, times: u64) -> Result<u64> {
    let mut command = process::command("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    let ran = process::run(command.args(["--count", name, &times.to_string()]), DEADLINE)?;
    if !ran.succeeded() {
        return Err(ran.account().into());
    }
    collected(&ran.stderr).ok_or_else(|| format!("callgrind has counted nothing:\n{}", ran.account()).into())
}

/// `==7== Collected : 12345`.
fn collected(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.split_once("Collected :"))?.1;
    line.split_whitespace().next()?.parse().ok()
}

/// Instructions an operation, to a tenth.
fn each(once: u64, twice: u64) -> String {
    let tenths = twice.saturating_sub(once) * 10 / TIMES;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_the_operations() {
        let text = "==7== Events    : Ir\n==7== Collected : 1234567\n==7==\n";
        assert_eq!(collected(text), Some(1_234_567));
        assert_eq!(collected("nothing"), None);
        assert_eq!(each(1000, 1000 + TIMES * 25 / 2), "12.5");
    }
}
