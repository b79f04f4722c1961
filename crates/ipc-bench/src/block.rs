//! Blocks: [control, A, B, C, control], A to C in an order that is drawn anew each time, each column for as long as the
//! others. What the machine does meanwhile happens to all of them; where the controls tell that it did much, the block is
//! dropped and counted.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::cell::{Cell, Cores, Kind, Wait};
use crate::column::Column;
use crate::pair::{Broken, Pair};
use crate::statistics::{FEWEST, WIDEST, is_settled};

/// How long a sample takes, how many blocks and passes there are, and how long all of it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) sample: Duration,
    pub(crate) control: Duration,
    /// Good blocks of a pass over a cell, and over a promise.
    pub(crate) blocks: usize,
    pub(crate) promised: usize,
    /// Messages of an open loop, in each of the first two passes.
    pub(crate) open: u64,
    /// How often everything is started anew, spread over the run: so often, if there is time,
    pub(crate) least: usize,
    /// and at most so often what is not yet known well enough,
    pub(crate) most: usize,
    /// while this has not passed.
    pub(crate) budget: Duration,
    /// How far the interval of a ratio may reach that is stated.
    pub(crate) widest: f64,
}

impl Pace {
    pub(crate) const DEFAULT: Self = Self {
        sample: Duration::from_millis(14),
        control: Duration::from_millis(3),
        blocks: 2,
        promised: 3,
        open: 1000,
        least: 6,
        most: 24,
        budget: Duration::from_secs(9 * 60),
        widest: WIDEST,
    };
    pub(crate) const QUICK: Self = Self {
        sample: Duration::from_micros(1500),
        control: Duration::from_millis(1),
        blocks: 3,
        promised: 1,
        open: 50,
        least: 3,
        most: 6,
        budget: Duration::from_secs(50),
        widest: 1.5,
    };
}

/// How much of each other the controls of a block may differ.
const APART: f64 = 1.15;
/// How many blocks are tried for each one that is wanted.
const TRIES: usize = 3;
/// In how many passes there is an open loop.
const OPEN: usize = 2;
/// Messages a second of the open loop.
pub(crate) const RATES: [u64; 2] = [10_000, 100_000];

/// What was found in a cell so far.
pub(crate) struct Found {
    pub(crate) cell: Cell,
    /// Ours comes first, then the limit.
    pub(crate) columns: Vec<Column>,
    /// Nanoseconds a message: by column, by pass, by block.
    pub(crate) ns: Vec<Vec<Vec<f64>>>,
    /// How many messages of each column made a sample in the last pass.
    counts: Vec<u64>,
    /// Of ours.
    pub(crate) each: Histogram<u64>,
    /// Of ours, by rate.
    pub(crate) open: Vec<(u64, Histogram<u64>)>,
    pub(crate) blocks: usize,
    pub(crate) dropped: usize,
    /// System calls a message of ours and of the loop in C.
    pub(crate) calls: Option<[f64; 2]>,
    /// A side died or hung.
    pub(crate) broken: bool,
}

impl Found {
    pub(crate) fn new(cell: Cell, columns: Vec<Column>) -> Self {
        let ns = vec![Vec::new(); columns.len()];
        let open =
            if is_open(&cell) { RATES.iter().map(|rate| (*rate, histogram())).collect() } else { Vec::new() };
        let counts = vec![1; columns.len()];
        let each = histogram();
        Self { cell, columns, ns, counts, each, open, blocks: 0, dropped: 0, calls: None, broken: false }
    }

    /// Whether every ratio is known well enough.
    pub(crate) fn is_settled(&self) -> bool {
        (1..self.columns.len()).all(|column| is_settled(&self.ratios(column)))
    }

    /// Whether too few passes had a good block to say anything.
    pub(crate) fn is_noisy(&self) -> bool {
        self.ns[0].iter().filter(|blocks| !blocks.is_empty()).count() < FEWEST
    }

    /// The ratios of ours to a column, by pass.
    pub(crate) fn ratios(&self, column: usize) -> Vec<Vec<f64>> {
        let divide = |(ours, theirs): (&Vec<f64>, &Vec<f64>)| {
            ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
        };
        self.ns[0].iter().zip(&self.ns[column]).map(divide).collect()
    }
}

/// Open loops need the second core for who keeps the time, and a sleeper there is a matter of its own;
/// a question has to be asked from the near side, and an eventfd adds up what nobody has read yet.
fn is_open(cell: &Cell) -> bool {
    let can_be = !matches!(cell.mechanism, "request" | "eventfd");
    cell.kind == Kind::Latency && cell.cores == Cores::Two && can_be
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).unwrap()
}

/// The pairs that frame blocks; they live as long as the run.
pub(crate) struct Controls {
    two: Option<Pair>,
    one: Pair,
}

impl Controls {
    pub(crate) fn start(pace: &Pace) -> Result<Self, Broken> {
        let cell = |cores| {
            let (kind, wait) = match cores {
                Cores::Two => (Kind::Latency, Wait::Spin),
                Cores::One => (Kind::Stream, Wait::Block),
            };
            Cell { mechanism: "pipe", payload: 8, kind, cores, wait }
        };
        let start = |cores| {
            let mut pair = Pair::start(&cell(cores), Column::Control)?;
            pair.calibrate(1, pace.control)?;
            Ok(pair)
        };
        let [near, far] = crate::machine::cpus();
        let two = if near == far { None } else { Some(start(Cores::Two)?) };
        Ok(Self { two, one: start(Cores::One)? })
    }

    fn of(&mut self, cell: &Cell) -> &mut Pair {
        match (&mut self.two, cell.cores) {
            (Some(two), Cores::Two) => two,
            _ => &mut self.one,
        }
    }
}

/// One pass over a cell: starts its pairs, and adds the blocks to what was found.
pub(crate) fn pass(found: &mut Found, pace: &Pace, controls: &mut Controls) {
    if try_pass(found, pace, controls).is_err() {
        found.broken = true;
    }
}

fn try_pass(found: &mut Found, pace: &Pace, controls: &mut Controls) -> Result<(), Broken> {
    let mut pairs = Vec::new();
    for (column, count) in found.columns.iter().zip(&mut found.counts) {
        let mut pair = Pair::start(&found.cell, *column)?;
        // The first sample of new processes is thrown away: it says how many messages make one.
        *count = pair.calibrate(*count, pace.sample)?;
        pairs.push(pair);
    }
    let control = controls.of(&found.cell);
    let mut good: Vec<Vec<f64>> = vec![Vec::new(); pairs.len()];
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    for _ in 0..TRIES * pace.blocks {
        if good[0].len() == pace.blocks {
            break;
        }
        fastrand::shuffle(&mut order);
        let before = control.sample()?;
        let mut block = vec![0.0; pairs.len()];
        for column in &order {
            block[*column] = pairs[*column].sample()?;
        }
        let after = control.sample()?;
        if after / before > APART || before / after > APART {
            found.dropped += 1;
            continue;
        }
        found.blocks += 1;
        good.iter_mut().zip(block).for_each(|(column, ns)| column.push(ns));
    }
    found.ns.iter_mut().zip(good).for_each(|(column, ns)| column.push(ns));
    for time in pairs[0].each(2)? {
        found.each.record(time).unwrap();
    }
    for (rate, histogram) in found.open.iter_mut().filter(|_| found.ns[0].len() <= OPEN) {
        for late in pairs[0].open(1_000_000_000 / *rate, pace.open)? {
            histogram.record(late).unwrap();
        }
    }
    pairs.into_iter().for_each(Pair::end);
    Ok(())
}
