//! The speeds that were promised beside the grid: what is wanted, what is seen, met or missed.
//!
//! Each is measured in a process of its own, which forks for those that need two, several times over the run.

mod limit;
mod pair;
mod pipe;
mod shm;
mod signal;
mod spsc;
mod sysv;
mod uds;

use std::process::{Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};

use crate::cell::{Cores, Kind, Wait};
use crate::report::{Row, round};
use crate::run::Progress;
use crate::statistics::{Interval, bootstrap};

/// A speed, and how it is found out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Promised {
    pub(crate) name: &'static str,
    wanted: Bound,
    measure: Measure,
}

/// What is wanted of a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// The upper end of the interval of a ratio to the C loop is at most 1.05.
    Parity,
    AtMost(f64),
    AtLeast(f64),
    /// Measured and stated.
    Stated,
}

#[derive(Debug, Clone, Copy)]
enum Measure {
    /// Two measures in nanoseconds per unit: the first to the second.
    Ratio(fn() -> f64, fn() -> f64),
    /// Nanoseconds.
    Time(fn() -> f64),
    /// A ratio of the grid.
    Cell(GridCell, Against),
}

/// A cell of the grid: mechanism, payload, kind, cores, wait.
type GridCell = (&'static str, usize, Kind, Cores, Wait);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Against {
    Limit,
    Peer(&'static str),
}

/// One line of the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Promise {
    pub(crate) name: String,
    /// `at most 1.05`.
    pub(crate) wanted: String,
    /// `x` for a ratio of times, `ns` for a time.
    pub(crate) unit: String,
    pub(crate) seen: Option<Interval>,
    /// Null where it was not measured, or nothing is wanted.
    pub(crate) met: Option<bool>,
}

impl Promised {
    pub(crate) const fn ratio(
        name: &'static str,
        wanted: Bound,
        ours: fn() -> f64,
        theirs: fn() -> f64,
    ) -> Self {
        Self { name, wanted, measure: Measure::Ratio(ours, theirs) }
    }

    pub(crate) const fn time(name: &'static str, wanted: Bound, measure: fn() -> f64) -> Self {
        Self { name, wanted, measure: Measure::Time(measure) }
    }

    pub(crate) const fn cell(name: &'static str, wanted: Bound, cell: GridCell, against: Against) -> Self {
        Self { name, wanted, measure: Measure::Cell(cell, against) }
    }

    fn is_in_grid(&self) -> bool {
        matches!(self.measure, Measure::Cell(..))
    }
}

fn all() -> impl Iterator<Item = &'static Promised> {
    let all = [
        spsc::PROMISES,
        shm::PROMISES,
        pipe::PROMISES,
        uds::PROMISES,
        sysv::PROMISES,
        signal::PROMISES,
        limit::PROMISES,
    ];
    all.into_iter().flatten()
}

/// Those whose names begin so; all of them where nothing is said.
pub(crate) fn wanted(only: &[String]) -> Vec<&'static Promised> {
    all()
        .filter(|one| only.is_empty() || only.iter().any(|text| one.name.starts_with(text.as_str())))
        .collect()
}

/// Measures them; those of the grid are looked up in its rows.
pub(crate) fn measure(promised: &[&'static Promised], quick: bool, rows: &[Row]) -> Vec<Promise> {
    let (groups, blocks) = if quick { (1, 9) } else { (4, 11) };
    let outside: Vec<usize> = (0..promised.len()).filter(|index| !promised[*index].is_in_grid()).collect();
    let mut seen: Vec<Vec<Vec<f64>>> = vec![Vec::new(); promised.len()];
    let mut progress = Progress::new(outside.len() * groups);
    for _ in 0..groups {
        for &index in &outside {
            progress.step(promised[index].name);
            seen[index].push(in_process(promised[index].name, blocks));
        }
    }
    progress.end();
    let line = |(promised, seen): (&&Promised, Vec<Vec<f64>>)| {
        let (seen, unit) = match promised.measure {
            Measure::Ratio(..) => (bootstrap(&seen), "x"),
            Measure::Time(_) => (bootstrap(&seen), "ns"),
            Measure::Cell(cell, against) => look_up(cell, against, rows),
        };
        let seen = seen.map(|Interval { median, low, high }| Interval {
            median: round(median),
            low: round(low),
            high: round(high),
        });
        let (wanted, met) = judge(promised.wanted, seen);
        Promise { name: promised.name.to_owned(), wanted, unit: unit.to_owned(), seen, met }
    };
    promised.iter().zip(seen).map(line).collect()
}

fn judge(wanted: Bound, seen: Option<Interval>) -> (String, Option<bool>) {
    match wanted {
        Bound::Parity => ("interval ends by 1.05".to_owned(), seen.map(|seen| seen.high <= 1.05)),
        Bound::AtMost(bound) => (format!("at most {bound}"), seen.map(|seen| seen.median <= bound)),
        Bound::AtLeast(bound) => (format!("at least {bound}"), seen.map(|seen| seen.median >= bound)),
        Bound::Stated => ("stated".to_owned(), None),
    }
}

fn look_up(cell: GridCell, against: Against, rows: &[Row]) -> (Option<Interval>, &'static str) {
    let (mechanism, payload, kind, cores, wait) = cell;
    let row = rows.iter().find(|row| {
        row.mechanism == mechanism
            && (row.payload, row.kind, row.cores, row.wait) == (payload, kind, cores, wait)
    });
    let interval = |median, low, high| Some(Interval { median, low, high });
    match against {
        Against::Limit => {
            let seen = row.and_then(|row| interval(row.x_limit?, row.x_limit_low?, row.x_limit_high?));
            (seen, "x")
        }
        Against::Peer(name) => {
            let seen = row
                .and_then(|row| row.peers.get(name))
                .and_then(|peer| interval(peer.ratio, peer.low, peer.high));
            (seen, "x")
        }
    }
}

/// Starts ourselves to take `blocks` blocks of one promise; none where that dies, which it says on standard error.
fn in_process(name: &str, blocks: usize) -> Vec<f64> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["promise", name, &blocks.to_string()]).stdin(Stdio::null());
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    if !output.status.success() {
        return Vec::new();
    }
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// `ipc-bench promise NAME BLOCKS`: the values of the blocks as JSON.
pub(crate) fn main(arguments: &[String]) -> ExitCode {
    let [name, blocks] = arguments else { return ExitCode::from(2) };
    let Some(promised) = all().find(|one| one.name == name) else { return ExitCode::from(2) };
    let blocks: usize = blocks.parse().unwrap();
    let values: Vec<f64> = match promised.measure {
        Measure::Ratio(ours, theirs) => ratios(ours, theirs, blocks),
        Measure::Time(measure) => (0..blocks).map(|_| measure()).collect(),
        Measure::Cell(..) => Vec::new(),
    };
    println!("{}", serde_json::to_string(&values).unwrap());
    ExitCode::SUCCESS
}

/// Ours, theirs and theirs again, in an order that is drawn anew each time. Where theirs and theirs differ by more than
/// 15 %, the block is dropped.
fn ratios(ours: fn() -> f64, theirs: fn() -> f64, blocks: usize) -> Vec<f64> {
    let cells = [ours, theirs, theirs];
    let mut ratios = Vec::new();
    for _ in 0..3 * blocks {
        let (mut order, mut spent) = ([0, 1, 2], [0.0; 3]);
        fastrand::shuffle(&mut order);
        for cell in order {
            spent[cell] = cells[cell]();
        }
        let [ours, first, second] = spent;
        if first / second < 1.15 && second / first < 1.15 {
            ratios.push(2.0 * ours / (first + second));
        }
        if ratios.len() == blocks {
            break;
        }
    }
    ratios
}
