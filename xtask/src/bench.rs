//! `cargo xtask bench`: builds the benchmarks, with the rivals where they are asked for, and runs them; `test-all` only asks
//! whether they carry every message.

mod instructions;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::cargo::{self, BENCHMARKS, cargo};
use crate::test_all::tally::Tally;
use crate::{Result, interrupt, process, root};

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// What is measured and how; `--help` tells
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

/// How long the check may take: it carries a few messages through each cell.
const CHECK: Duration = Duration::from_secs(900);

/// The exit status is the benchmarks' own: 3 says that the machine was too noisy.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let asked = |option: &str| options.arguments.iter().any(|argument| argument == option);
    if asked("--instructions") {
        return instructions::run();
    }
    let peers = asked("--peers");
    let features: &[&str] = if peers { &["--features", "peers"] } else { &[] };
    let program = build(&[&["--release"], features].concat())?;
    let mut command = process::command(program);
    command.args(&options.arguments).current_dir(root());
    let (status, _) = process::reap(&mut process::spawn(&mut command)?)?;
    if interrupt::happened() {
        return Ok(ExitCode::from(130));
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Whether every message of every cell arrives, in as many system calls as in C.
pub(crate) fn check() -> Result<Tally> {
    let program = build(&[])?;
    let ran = process::run(process::command(program).arg("--check"), CHECK)?;
    let last = ran.stdout.lines().last().unwrap_or_default();
    let passed = last.split_once(" passed, ").and_then(|(count, _)| count.parse().ok());
    let mut tally = Tally::passed(passed.unwrap_or(0));
    if passed.is_none_or(|count| count == 0) || !ran.succeeded() {
        tally.fail(ran.account());
    }
    Ok(tally)
}

fn build(arguments: &[&str]) -> Result<PathBuf> {
    let mut command = cargo(["build", "--package", BENCHMARKS, "--bin", BENCHMARKS]);
    let (ran, built) = cargo::build(command.args(arguments))?;
    if !ran.succeeded() {
        return Err(ran.account().into());
    }
    let program =
        built.into_iter().find(|artifact| artifact.kind == "bin").map(|artifact| artifact.executable);
    program.ok_or_else(|| "cargo has built no benchmarks".into())
}
