//! `cargo xtask test-all`: everything that is claimed, proven step after step; a failure does not stop the rest. It ends
//! in one table and the line `N passed, N failed, N skipped`.

mod bad_input;
mod binaries;
mod crowd;
mod leaks;
pub(crate) mod libtest;
mod matrix;
mod package;
mod parity;
mod skips;
mod strace;
pub(crate) mod tally;
mod tools;

use std::process::Command;
use std::time::{Duration, Instant};

use crate::cargo::{self, cargo};
use crate::play::Programs;
use crate::table::{Paint, columns};
use crate::{Result, Verdict, bench, demo, docs, interrupt, process, tidy, twins};
pub(crate) use binaries::run_all as run_binaries;
use tally::Tally;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only this step (see --list); may be given more than once
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// The names of all steps
    #[arg(long)]
    list: bool,
}

/// What the steps need of each other.
#[derive(Default)]
struct Built {
    examples: Programs,
    twins: Programs,
}

impl Built {
    fn programs(&mut self) -> Result {
        if self.twins.is_empty() {
            self.twins = twins::compile()?;
            self.examples = cargo::examples()?;
        }
        Ok(())
    }
}

type Step = (&'static str, fn(&mut Built) -> Result<Tally>);

const STEPS: &[Step] = &[
    ("fmt", |_| command(&mut cargo(["fmt", "--all", "--check"]))),
    ("clippy", |_| {
        let rest = ["--all-targets", "--", "-Dwarnings"];
        let mut tally = command(cargo(cargo::whole("clippy")).args(rest))?;
        tally.add(command(cargo(["clippy", "--package", cargo::BENCHMARKS]).args(rest))?);
        Ok(tally)
    }),
    ("docs", |_| Ok(Tally::of(&docs::build(false)?))),
    ("tidy", |_| tidy::check()),
    ("tests", |_| tests()),
    ("doctests", |_| doctests()),
    ("matrix", |built| {
        built.programs()?;
        matrix::run(&built.examples, &built.twins)
    }),
    ("parity", |built| {
        built.programs()?;
        parity::run(&built.examples, &built.twins)
    }),
    ("tools", |built| {
        built.programs()?;
        tools::run(&built.examples, &built.twins)
    }),
    ("crowd", |built| {
        built.programs()?;
        crowd::run(&built.examples, &built.twins)
    }),
    ("bad input", |built| {
        built.programs()?;
        bad_input::run(&built.examples)
    }),
    ("bench", |_| bench::check()),
    ("package", |_| package::run()),
    ("demo", |built| {
        built.programs()?;
        demo(&built.examples)
    }),
];

pub(crate) fn run(options: &Options) -> Verdict {
    if options.list {
        for (name, _) in STEPS {
            println!("{name}");
        }
        return Ok(true);
    }
    for name in &options.only {
        if !STEPS.iter().any(|(step, _)| step == name) {
            return Err(format!("there is no step {name:?}; see --list").into());
        }
    }
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let steps: Vec<&Step> = STEPS.iter().filter(|(name, _)| wanted(name)).collect();
    Ok(run_steps(&steps))
}

fn run_steps(steps: &[&Step]) -> bool {
    let paint = Paint::new();
    let mut built = Built::default();
    let mut total = Tally::default();
    let mut rows = vec![["step", "passed", "failed", "skipped", "time"].map(str::to_owned).to_vec()];
    for (name, step) in steps {
        println!("{}", paint.bold(&format!("== {name}")));
        let begin = Instant::now();
        let tally = step(&mut built).unwrap_or_else(|error| Tally::fault(error.to_string()));
        if interrupt::happened() {
            println!("interrupted");
            return false;
        }
        for fault in &tally.faults {
            println!("{}", paint.bad(fault.trim_end()));
        }
        rows.push(tally.row(name, begin.elapsed(), paint));
        total.add(tally);
    }
    total.tell(paint);
    println!("\n{}", columns(&rows));
    if steps.len() == STEPS.len() {
        let unexpected = skips::unexpected(&total.skips);
        for fault in &unexpected {
            println!("{}", paint.bad(fault));
        }
        total.failed += unexpected.len();
    }
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skips.len());
    total.failed == 0
}

/// A cargo command that is one check.
fn command(command: &mut Command) -> Result<Tally> {
    Ok(Tally::of(&process::run(command, cargo::DEADLINE)?))
}

/// How long one test binary may take. A test that hangs says so itself, much earlier; this is for one that cannot.
const BINARY: Duration = Duration::from_secs(1200);

fn tests() -> Result<Tally> {
    println!("building the tests");
    let (ran, mut built) = cargo::build(cargo(cargo::whole("test")).arg("--no-run"))?;
    let mut tally = Tally::of(&ran);
    let (ran, more) = cargo::build(cargo(["test", "--package", cargo::BENCHMARKS]).arg("--no-run"))?;
    tally.add(Tally::of(&ran));
    built.extend(more);
    tally.add(run_binaries(&built, BINARY, &[])?);
    Ok(tally)
}

fn doctests() -> Result<Tally> {
    let ran = process::run(cargo(cargo::whole("test")).args(["--doc", "--no-fail-fast"]), cargo::DEADLINE)?;
    let mut tally = libtest::read(&ran);
    if !ran.succeeded() {
        tally.fail(ran.account());
    }
    Ok(tally)
}

fn demo(examples: &Programs) -> Result<Tally> {
    let good = demo::show_everything(examples)?;
    Ok(if good { Tally::passed(1) } else { Tally::fault("the demo has failed".to_owned()) })
}
