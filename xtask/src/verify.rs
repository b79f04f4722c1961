//! `cargo xtask verify`: the deep end, part by part: the full counts of the tests, model checking, Miri, sanitizers, fuzz
//! targets. What a machine lacks (nightly, a component, a tool) is skipped aloud.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cargo::{self, cargo};
use crate::process::Ran;
use crate::table::{Paint, columns};
use crate::test_all::tally::Tally;
use crate::test_all::{libtest, run_binaries};
use crate::{Result, Verdict, interrupt, metadata, process, root};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these parts (see --list)
    parts: Vec<String>,
    /// The names of all parts
    #[arg(long)]
    list: bool,
    /// With the longest counts, which take hours
    #[arg(long)]
    long: bool,
    /// Only test binaries, and fuzz targets, whose names contain this
    #[arg(long, value_name = "NAME", default_value = "")]
    binary: String,
}

/// A part: its name, what it does, and how.
type Part = (&'static str, &'static str, fn(&Options) -> Result<Tally>);

const PARTS: &[Part] = &[
    ("storms", "every two-process test with its full count: single-step and kill storms", storms),
    ("properties", "every property with 20 times as many inputs", properties),
    ("loom", "every interleaving of the algorithms in shared memory, of up to 3 preemptions", loom),
    ("miri", "undefined behaviour in every unit test that needs no kernel; the models with 8 seeds", miri),
    ("address", "AddressSanitizer over unit and property tests, and handlers under a storm", |options| {
        sanitizer("address", options)
    }),
    ("thread", "ThreadSanitizer over the same, registering and unregistering under a storm", |options| {
        sanitizer("thread", options)
    }),
    ("fuzz", "each fuzz target for 30 s", fuzz),
];

/// How long a binary of one of the parts may take; the whole is to take at most 40 minutes.
const DEADLINE: Duration = Duration::from_secs(20 * 60);
const LONG: Duration = Duration::from_secs(6 * 60 * 60);

pub(crate) fn run(options: &Options) -> Verdict {
    if options.list {
        let rows = PARTS.iter().map(|(name, what, _)| vec![(*name).to_owned(), (*what).to_owned()]);
        let header = vec!["part".to_owned(), "what it does".to_owned()];
        print!("{}", columns(&std::iter::once(header).chain(rows).collect::<Vec<_>>()));
        return Ok(true);
    }
    if let Some(unknown) = options.parts.iter().find(|part| !PARTS.iter().any(|(name, ..)| name == part)) {
        return Err(format!("there is no part {unknown:?}; see --list").into());
    }
    let wanted = |name: &str| options.parts.is_empty() || options.parts.iter().any(|part| part == name);
    let paint = Paint::new();
    let mut rows = vec![["part", "passed", "failed", "skipped", "time"].map(str::to_owned).to_vec()];
    let mut total = Tally::default();
    let begin_of_all = Instant::now();
    for (name, what, part) in PARTS.iter().filter(|(name, ..)| wanted(name)) {
        println!("{}", paint.bold(&format!("== {name}: {what}")));
        let begin = Instant::now();
        let tally = part(options).unwrap_or_else(|error| Tally::fault(error.to_string()));
        if interrupt::happened() {
            println!("interrupted");
            return Ok(false);
        }
        for fault in &tally.faults {
            println!("{}", paint.bad(fault.trim_end()));
        }
        rows.push(tally.row(name, begin.elapsed(), paint));
        total.add(tally);
    }
    total.tell(paint);
    println!("\n{}", columns(&rows));
    let minutes = begin_of_all.elapsed().as_secs_f64() / 60.0;
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skips.len());
    println!(
        "{minutes:.1} minutes; on a quiet machine with 2 CPUs all parts take at most 40, after the first build"
    );
    Ok(total.failed == 0)
}

/// Builds the tests of some packages by `command` and runs them with `environment`.
fn tests(command: &mut Command, options: &Options, environment: &[(&str, &str)]) -> Result<Tally> {
    let (ran, mut built) = cargo::build(command)?;
    built.retain(|binary| binary.target.contains(&options.binary));
    let mut tally = Tally::of(&ran);
    if ran.succeeded() {
        tally.add(run_binaries(&built, if options.long { LONG } else { DEADLINE }, environment)?);
    }
    Ok(tally)
}

fn storms(options: &Options) -> Result<Tally> {
    let mut command = cargo(["test", "--package", "ipc-testkit", "--all-features", "--no-run"]);
    tests(&mut command, options, &[("IPC_TIER", tier(options))])
}

/// What tells tests how often: see `ipc_testkit::repetitions`.
fn tier(options: &Options) -> &'static str {
    if options.long { "long" } else { "full" }
}

fn properties(options: &Options) -> Result<Tally> {
    let cases = if options.long { "1000000" } else { "5120" };
    let mut command = cargo(["test", "--workspace", "--exclude", "ipc-bench", "--all-features", "--no-run"]);
    command.args(["--test", "properties"]);
    tests(&mut command, options, &[("IPC_TIER", tier(options)), ("PROPTEST_CASES", cases)])
}

fn loom(options: &Options) -> Result<Tally> {
    let modelled = |package: &&metadata::Package| package.dependencies.iter().any(|one| one.name == "loom");
    let packages = metadata::packages()?;
    let packages: Vec<&str> = packages.iter().filter(modelled).map(|package| package.name.as_str()).collect();
    if packages.is_empty() {
        return Ok(skipped("loom", "no crate has models yet"));
    }
    let mut command = cargo(["test", "--release", "--no-run", "--lib", "--target-dir", "target/loom"]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    command.env("RUSTFLAGS", "--cfg ipc_loom");
    tests(&mut command, options, &[])
}

/// `cargo +nightly`, or why there is none with this component.
fn nightly(component: &str) -> Result<std::result::Result<Command, String>> {
    if process::find("rustup").is_none() {
        return Ok(Err("no rustup, so no nightly".to_owned()));
    }
    let mut list = process::command("rustup");
    list.args(["component", "list", "--installed", "--toolchain", "nightly"]);
    let ran = process::run(&mut list, cargo::DEADLINE)?;
    if !ran.succeeded() {
        return Ok(Err("nightly is not installed".to_owned()));
    }
    if !ran.stdout.lines().any(|line| line.starts_with(component)) {
        return Ok(Err(format!("nightly lacks {component}")));
    }
    Ok(Ok(nightly_cargo()))
}

/// `cargo +nightly`, where [`nightly`] has found it.
fn nightly_cargo() -> Command {
    let mut command = process::command("rustup");
    command.args(["run", "nightly", "cargo"]).current_dir(root());
    command
}

/// The crates whose unit tests Miri is shown.
const IN_MIRI: [&str; 7] =
    ["ipc-frame", "ipc-shm", "ipc-sys", "ipc-sysv", "ipc-signal", "ipc-pipe", "ipc-uds"];

/// Of its tests with threads, how many seeds, each of which is another way to interleave them and to read what others wrote;
/// and of all its tests in a night.
const SEEDS: (u32, u32) = (8, 64);

/// Each test in a process of its own, two at a time: Miri ends at the first call that it does not know (memfd_create, semget,
/// sigaction), and such a test is skipped, not failed. The models of ipc-shm, where threads meet, run with several
/// [`SEEDS`], and may not want a kernel.
fn miri(options: &Options) -> Result<Tally> {
    if let Err(reason) = nightly("miri")? {
        return Ok(skipped("miri", &reason));
    }
    let mut tally = Tally::default();
    for package in IN_MIRI.iter().filter(|package| package.contains(&options.binary)) {
        let run = |arguments: &[&str], seeds: u32| -> Result<Ran> {
            let mut command = nightly_cargo();
            command.args(["miri", "test", "--quiet", "--lib", "--package", package, "--"]).args(arguments);
            let seeds = if seeds > 1 { format!(" -Zmiri-many-seeds=0..{seeds}") } else { String::new() };
            command.env("MIRIFLAGS", format!("-Zmiri-disable-isolation{seeds}"));
            process::run(&mut command, if options.long { LONG } else { DEADLINE })
        };
        let begin = Instant::now();
        let list = run(&["--list", "--format", "terse"], 1)?;
        if !list.succeeded() {
            tally.fail(list.account());
            continue;
        }
        let tests = libtest::listed(&list.stdout);
        let (left, shown) = (Mutex::new(tests.iter()), Mutex::new(Tally::default()));
        let wants_kernel = AtomicUsize::new(0);
        let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || -> Result {
            while let Some(test) = next() {
                let model = test.contains("models::");
                let seeds = match model {
                    _ if options.long => SEEDS.1,
                    true => SEEDS.0,
                    false => 1,
                };
                let ran = run(&["--exact", test], seeds)?;
                let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                match ran.succeeded() {
                    _ if interrupt::happened() => break,
                    true => shown.pass(),
                    false if !model && ran.stderr.contains("unsupported operation") => {
                        wants_kernel.fetch_add(1, Ordering::Relaxed);
                    }
                    false => shown.fail(ran.account()),
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers = [scope.spawn(work), scope.spawn(work)];
            workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker has panicked")?)
        })?;
        tally.add(shown.into_inner().unwrap_or_else(PoisonError::into_inner));
        let wants_kernel = wants_kernel.into_inner();
        if wants_kernel > 0 {
            tally.skip(
                format!("miri {package}"),
                format!("{wants_kernel} tests want a kernel, which Miri has not"),
            );
        }
        let shown = tests.len() - wants_kernel;
        println!("{package:<32} {shown:>4} tests {:6.1} s", begin.elapsed().as_secs_f64());
        if interrupt::happened() {
            break;
        }
    }
    Ok(tally)
}

/// The sanitizers look into one process: what lies between two is for the storms and for loom. They see all ends of each
/// channel and all users of each lock in threads of one process (tests/threads.rs of ipc-shm). ThreadSanitizer knows no
/// fences, and need not: the words that two ends share are atomics, and what is lent in place lies in a mapping of each end's
/// own, which is different memory to it. Of the tests with two processes they run those of signals, where the race is inside
/// of one, between a handler and who registers. That one test takes its full count here, the others their quick one: a
/// sanitizer makes everything ten times slower, and finds no more in more of the same.
fn sanitizer(name: &'static str, options: &Options) -> Result<Tally> {
    let command = || -> Result<std::result::Result<Command, String>> {
        Ok(nightly("rust-src")?.map(|mut command| {
            let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
            let directory = format!("target/sanitizer-{name}");
            command.args(["test", "-Zbuild-std", "--no-run", "--all-features"]);
            command.args(["--target", &target, "--target-dir", &directory]);
            command.env("RUSTFLAGS", format!("-Zsanitizer={name}"));
            command
        }))
    };
    let (mut alone, mut pairs) = match (command()?, command()?) {
        (Ok(alone), Ok(pairs)) => (alone, pairs),
        (Err(reason), _) | (_, Err(reason)) => return Ok(skipped(name, &reason)),
    };
    alone.args(["--workspace", "--exclude", "xtask", "--exclude", "ipc-bench", "--exclude", "ipc-testkit"]);
    alone.args(["--lib", "--tests"]);
    pairs.args(["--package", "ipc-testkit", "--test", "signal"]);
    let environment = [("IPC_SANITIZER", name)];
    let mut tally = tests(&mut alone, options, &environment)?;
    // The look for leaks at a process's end fails under a tracer and without descriptors, which some of the peers have.
    let without_leaks = [environment[0], ("ASAN_OPTIONS", "detect_leaks=0")];
    tally.add(tests(&mut pairs, options, &without_leaks)?);
    Ok(tally)
}

fn fuzz(options: &Options) -> Result<Tally> {
    let mut tally = Tally::default();
    if process::find("cargo-fuzz").is_none() {
        return Ok(skipped("fuzz", "cargo-fuzz is not installed (cargo install cargo-fuzz)"));
    }
    if let Err(reason) = nightly("rustc")? {
        return Ok(skipped("fuzz", &reason));
    }
    let seconds = if options.long { 600 } else { 30 };
    for entry in fs::read_dir(root().join("fuzz/fuzz_targets")).into_iter().flatten() {
        let path = entry?.path();
        let Some(target) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if !target.contains(&options.binary) {
            continue;
        }
        let mut command = nightly_cargo();
        command.args(["fuzz", "run", target, "--"]);
        // No input may hang, nor make what it is shown to allocate more than it can hold.
        command.args(["-timeout=20", "-malloc_limit_mb=64", "-len_control=0"]);
        command.arg(format!("-max_total_time={seconds}"));
        let ran = process::run(&mut command, cargo::DEADLINE)?;
        println!("{target:<32} {:6.1} s", ran.took.as_secs_f64());
        tally.add(Tally::of(&ran));
    }
    if tally.passed + tally.failed == 0 {
        tally.skip("fuzz", "there are no fuzz targets yet");
    }
    Ok(tally)
}

fn skipped(name: &str, reason: &str) -> Tally {
    let mut tally = Tally::default();
    tally.skip(name, reason);
    tally
}
