//! The measurement: every mechanism of the workspace between two pinned processes, against the same thing written by hand
//! in C's calls, against what the machine itself can do, and against its rivals, in one run.
//!
//! Absolute numbers depend on where a host puts the two CPUs at the moment. Believe ratios: they are taken within one
//! short block.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    reason = "a program that measures: it counts, divides, maps raw memory, and may die of a surprise"
)]

#[macro_use]
mod mechanism;
mod block;
mod cell;
mod check;
mod column;
mod count;
mod end;
mod limit;
mod machine;
mod meet;
mod pair;
#[cfg(feature = "peers")]
mod peers;
mod progress;
mod promise;
mod raw;
mod report;
mod run;
mod side;
mod statistics;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use report::{Report, Row, Run, compare, page, plot, table};
use run::Wanted;

const HELP: &str = "\
cargo xtask bench [SELECTION...]: measures, prints a table, writes target/bench/{report.md,bench.json,*.svg}

A selection is the beginning of words of a cell's name (\"spsc 64 latency\", \"pipe,4Ki,one\") or of a promise's.

    --only TEXT      the same as a selection
    --quick          short samples of two payloads: under a minute (the whole grid: under ten)
    --full           also payloads of 256 B, 1 KiB and 1 MiB: under half an hour
    --peers          beside the rivals, iceoryx2, ipc-channel, interprocess and others: under 20 minutes, with --full 60
    --promises       only the speeds that were promised beside the grid
    --json           the JSON on standard output in place of the table
    --compare FILE   how far this run agrees with that JSON, and what has become slower since
    --output DIR     where the files go
    --check          no times: whether every message arrives, in order, in as many system calls as in C
    --list           the names of all cells
    --instructions   how many instructions an operation inside one process takes, by callgrind, where valgrind is there

Exit status: 0; 1 when a side died; 2 bad arguments; 3 when the machine was too noisy to state every ratio.
";

struct Options {
    wanted: Wanted,
    promises: bool,
    json: bool,
    list: bool,
    check: bool,
    compare: Option<PathBuf>,
    output: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("side") => match side::main(&arguments[1..]) {
            Some(()) => ExitCode::SUCCESS,
            None => ExitCode::from(2),
        },
        Some("promise") => promise::main(&arguments[1..]),
        _ => match options() {
            Ok(Some(options)) => measure(&options),
            Ok(None) => {
                print!("{HELP}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error}");
                ExitCode::from(2)
            }
        },
    }
}

fn options() -> Result<Option<Options>, Box<dyn std::error::Error>> {
    let mut line = pico_args::Arguments::from_env();
    if line.contains(["-h", "--help"]) {
        return Ok(None);
    }
    let wanted = Wanted {
        quick: line.contains("--quick"),
        full: line.contains("--full"),
        peers: line.contains("--peers"),
        only: line.values_from_str("--only")?,
    };
    let mut options = Options {
        wanted,
        promises: line.contains("--promises"),
        json: line.contains("--json"),
        list: line.contains("--list"),
        check: line.contains("--check"),
        compare: line.opt_value_from_str("--compare")?,
        output: line.opt_value_from_str("--output")?.unwrap_or_else(|| "target/bench".into()),
    };
    for word in line.finish() {
        let word = word.into_string().map_err(|word| format!("{} is no text", word.display()))?;
        if word.starts_with('-') {
            return Err(format!("there is no option {word}; see --help").into());
        }
        options.wanted.only.push(word);
    }
    if options.wanted.peers && !cfg!(feature = "peers") {
        return Err("--peers needs the feature `peers`: cargo xtask bench --peers builds it".into());
    }
    Ok(Some(options))
}

fn measure(options: &Options) -> ExitCode {
    let old = match options.compare.as_deref().map(compare::read).transpose() {
        Ok(old) => old,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let wanted = &options.wanted;
    let (mut cells, lacking) = run::cells(wanted);
    let mut promised = promise::wanted(&wanted.only);
    if options.promises {
        cells.clear();
        promised = promise::wanted(&[]);
    }
    if cells.is_empty() && promised.is_empty() && lacking.is_empty() {
        eprintln!("nothing is called {:?}; see --list", wanted.only);
        return ExitCode::from(2);
    }
    if options.list {
        cells.iter().for_each(|cell| println!("{cell}"));
        lacking.iter().for_each(|(cell, reason)| println!("{cell}: n/a: {reason}"));
        promised.iter().for_each(|promise| println!("promise {}", promise.name));
        return ExitCode::SUCCESS;
    }
    if options.check {
        let (passed, failed) = check::all(wanted);
        println!("{passed} passed, {failed} failed");
        return if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let begin = Instant::now();
    let machine = machine::Machine::look();
    let (found, seen) = run::measure(&cells, &promised, wanted);
    let widest = run::pace(wanted).widest;
    let mut rows: Vec<Row> = found.iter().map(|found| Row::new(found, widest)).collect();
    rows.extend(lacking.iter().map(|(cell, reason)| Row::empty(cell, reason)));
    rows.sort_by_key(table::order);
    let promises = promise::lines(&promised, &seen, &rows, widest);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let run = Run {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        time: since.as_secs(),
        seconds: statistics::round(begin.elapsed().as_secs_f64()),
        quick: wanted.quick,
        full: wanted.full,
        peers: wanted.peers,
    };
    let report = Report { machine, cells: rows, promises, run };
    if let Err(error) = write(&report, options) {
        eprintln!("{}: {error}", options.output.display());
        return ExitCode::FAILURE;
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report).unwrap());
    } else {
        print!("{}", table::text(&report));
    }
    if let Some(old) = old {
        print!("{}", compare::text(&old, &report));
    }
    verdict(&report)
}

fn write(report: &Report, options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(&options.output)?;
    let at = |name: &str| options.output.join(name);
    fs::write(at("bench.json"), serde_json::to_string_pretty(report)? + "\n")?;
    fs::write(at("report.md"), page::text(report))?;
    plot::draw(report, &at("latency.svg"), cell::Kind::Latency)?;
    plot::draw(report, &at("throughput.svg"), cell::Kind::Stream)?;
    Ok(())
}

fn verdict(report: &Report) -> ExitCode {
    let notes = || report.cells.iter().filter_map(|row| row.note.as_deref());
    if notes().any(|note| note.starts_with("broken")) {
        return ExitCode::FAILURE;
    }
    let noisy = notes().filter(|note| *note == "too noisy").count();
    let ratios = report.ratios();
    let unstated = ratios.iter().filter(|(_, figure)| figure.median.is_none()).count();
    if noisy + unstated > 0 {
        let (cells, ratios) = (report.cells.len(), ratios.len());
        eprintln!(
            "the machine was too noisy to measure {noisy} of {cells} cells, and to state {unstated} of {ratios} ratios"
        );
        return ExitCode::from(3);
    }
    ExitCode::SUCCESS
}
