//! `cargo xtask`: everything that is run in this workspace. This file only dispatches; each task has a file.

mod bench;
mod cargo;
mod demo;
mod docs;
mod interrupt;
mod judge;
mod metadata;
mod pairs;
mod play;
mod process;
mod processes;
mod stage;
mod table;
mod test_all;
mod tidy;
mod twins;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a task ends with: an error is one sentence on standard error and exit status 1.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Whether everything that the task looked at was right.
type Verdict = Result<bool>;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Shows every mechanism carry real data between real processes
    Demo(demo::Options),
    /// Proves in front of you everything that is claimed
    TestAll(test_all::Options),
    /// Builds the reference of all crates, warnings denied
    Docs(docs::Options),
    /// Checks the textual rules and lists the files that hold unsafe code
    Tidy,
    /// Measures every mechanism against raw C, the machine's limits and its rivals
    Bench(bench::Options),
    /// The deep end: full counts, model checkers, fuzz targets; part by part
    Verify(verify::Options),
}

fn main() -> ExitCode {
    let line = Line::parse();
    let code = |good| if good { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let verdict = interrupt::watch().and_then(|()| match line.task {
        Task::Demo(options) => demo::run(&options).map(code),
        Task::TestAll(options) => test_all::run(&options).map(code),
        Task::Docs(options) => docs::run(&options).map(code),
        Task::Tidy => tidy::run().map(code),
        Task::Bench(options) => bench::run(&options),
        Task::Verify(options) => verify::run(&options).map(code),
    });
    if interrupt::happened() {
        return ExitCode::from(130);
    }
    match verdict {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
