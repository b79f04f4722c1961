//! The speeds that were promised beside the grid: what is wanted, what is seen, met or missed.
//!
//! Each is measured in a process of its own, which forks for those that need two, several times over the run.

mod bare;
mod limit;
mod pair;
mod pipe;
#[cfg(feature = "peers")]
mod rivals;
mod shm;
mod signal;
mod spsc;
mod sysv;
mod uds;

use std::process::{Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};

use crate::cell::{Cores, Kind, Wait};
use crate::report::Row;
use crate::statistics::{Figure, expected, is_settled, round};

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
    /// The upper end of the 95 % interval of the median of a ratio to the C loop is at most 1.05.
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
    /// Null where it was not measured; without a median where the machine was too noisy.
    pub(crate) seen: Option<Figure>,
    /// The upper end of what the run says of its own median; `seen` is of a second run's.
    #[serde(default)]
    pub(crate) upper: Option<f64>,
    /// Null also where nothing is wanted.
    pub(crate) met: Option<bool>,
    /// Whether it is a ratio of one of the cells, said once more.
    #[serde(default)]
    pub(crate) grid: bool,
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

    pub(crate) fn is_in_grid(&self) -> bool {
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
        #[cfg(feature = "peers")]
        rivals::PROMISES,
    ];
    all.into_iter().flatten()
}

/// Those whose names begin so; all of them where nothing is said.
pub(crate) fn wanted(only: &[String]) -> Vec<&'static Promised> {
    all()
        .filter(|one| only.is_empty() || only.iter().any(|text| one.name.starts_with(text.as_str())))
        .collect()
}

/// What was seen of one so far.
pub(crate) struct Seen {
    pub(crate) promised: &'static Promised,
    /// By pass, by block.
    values: Vec<Vec<f64>>,
    /// Its process died, which it has said on standard error.
    pub(crate) broken: bool,
}

impl Seen {
    pub(crate) fn new(promised: &'static Promised) -> Self {
        Self { promised, values: Vec::new(), broken: false }
    }

    /// Whether it is known well enough.
    pub(crate) fn is_settled(&self) -> bool {
        is_settled(&self.values)
    }

    /// Starts ourselves to take `blocks` blocks.
    pub(crate) fn pass(&mut self, blocks: usize) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["promise", self.promised.name, &blocks.to_string()]).stdin(Stdio::null());
        let output = command.stderr(Stdio::inherit()).output().unwrap();
        let values = output.status.success().then(|| serde_json::from_slice(&output.stdout).ok()).flatten();
        self.broken |= values.is_none();
        self.values.push(values.unwrap_or_default());
    }
}

/// The lines of the table; those of the grid are looked up in its rows.
pub(crate) fn lines(
    promised: &[&'static Promised],
    seen: &[Seen],
    rows: &[Row],
    widest: f64,
) -> Vec<Promise> {
    let line = |promised: &&'static Promised| {
        let of = seen.iter().find(|seen| seen.promised.name == promised.name);
        let interval = of.and_then(|of| expected(&of.values));
        let measured = interval.map(|interval| interval.figure(widest));
        let (seen, unit) = match promised.measure {
            Measure::Ratio(..) => (measured, "x"),
            Measure::Time(_) => (measured, "ns"),
            Measure::Cell(cell, against) => (look_up(cell, against, rows), "x"),
        };
        let upper = interval.map(|interval| round(interval.upper));
        let (wanted, met) = judge(promised.wanted, seen, upper);
        let (name, grid) = (promised.name.to_owned(), promised.is_in_grid());
        Promise { name, wanted, unit: unit.to_owned(), seen, upper, met, grid }
    };
    promised.iter().map(line).collect()
}

fn judge(wanted: Bound, seen: Option<Figure>, upper: Option<f64>) -> (String, Option<bool>) {
    match wanted {
        Bound::Parity => ("median surely under 1.05".to_owned(), upper.map(|upper| upper <= 1.05)),
        Bound::AtMost(bound) => (format!("at most {bound}"), seen.and_then(|seen| seen.is_at_most(bound))),
        Bound::AtLeast(bound) => (format!("at least {bound}"), seen.and_then(|seen| seen.is_at_least(bound))),
        Bound::Stated => ("stated".to_owned(), None),
    }
}

fn look_up(cell: GridCell, against: Against, rows: &[Row]) -> Option<Figure> {
    let (mechanism, payload, kind, cores, wait) = cell;
    let row = rows.iter().find(|row| {
        row.mechanism == mechanism
            && (row.payload, row.kind, row.cores, row.wait) == (payload, kind, cores, wait)
    })?;
    match against {
        Against::Limit => {
            Some(Figure { median: row.x_limit, low: row.x_limit_low?, high: row.x_limit_high? })
        }
        Against::Peer(name) => {
            let peer = row.peers.get(name)?;
            Some(Figure { median: peer.ratio, low: peer.low, high: peer.high })
        }
    }
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
