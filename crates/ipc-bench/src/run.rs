//! A run: which cells there are, in which order they are measured, and how long it will still take.

use std::time::Duration;

use crate::block::{self, Controls, Found, Pace};
use crate::cell::{Cell, Cores, Kind};
use crate::column::Column;
use crate::progress::Progress;
use crate::promise::{Promised, Seen};
use crate::statistics::FEWEST;
use crate::{count, machine, mechanism};

/// What is wanted of a run.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Every word of one of these texts begins a word of the cell's name: `spsc 64 latency`.
    pub(crate) only: Vec<String>,
    pub(crate) quick: bool,
    pub(crate) full: bool,
    pub(crate) peers: bool,
}

const PAYLOADS: &[usize] = &[8, 64, 4096, 65536];
const FULL: &[usize] = &[8, 64, 256, 1024, 4096, 65536, 1 << 20];
/// Of a quick run of which nothing else is said.
const QUICK: &[usize] = &[8, 4096];

/// The cells, and those that are not there with the limit's name.
pub(crate) fn cells(wanted: &Wanted) -> (Vec<Cell>, Vec<(Cell, &'static str)>) {
    let payloads = match wanted {
        Wanted { full: true, .. } => FULL,
        Wanted { quick: true, only, .. } if only.is_empty() => QUICK,
        _ => PAYLOADS,
    };
    let (mut cells, mut lacking) = (Vec::new(), Vec::new());
    for mechanism in mechanism::ALL {
        for &payload in payloads {
            for kind in [Kind::Latency, Kind::Stream] {
                for &(cores, wait) in mechanism.ways() {
                    let cell = Cell { mechanism: mechanism.name(), payload, kind, cores, wait };
                    if !is_wanted(&cell, &wanted.only) {
                        continue;
                    }
                    match lack(*mechanism, &cell) {
                        Some(reason) => lacking.push((cell, reason)),
                        None => cells.push(cell),
                    }
                }
            }
        }
    }
    (cells, lacking)
}

fn lack(mechanism: &dyn mechanism::Mechanism, cell: &Cell) -> Option<&'static str> {
    let [near, far] = machine::cpus();
    if near == far && cell.cores == Cores::Two {
        return Some("one CPU is all that we may use");
    }
    mechanism.lacks(cell)
}

fn is_wanted(cell: &Cell, only: &[String]) -> bool {
    let name = cell.to_string().replace(" B ", " ").replace(" Ki ", "Ki ").replace(" Mi ", "Mi ");
    let words: Vec<&str> = name.split(' ').collect();
    let fits = |text: &String| {
        text.split([' ', ',']).all(|wanted| {
            words.iter().any(|word| {
                if wanted.parse::<usize>().is_ok() { *word == wanted } else { word.starts_with(wanted) }
            })
        })
    };
    only.is_empty() || only.iter().any(fits)
}

/// The columns of a cell.
pub(crate) fn columns(cell: &Cell, wanted: &Wanted) -> Vec<Column> {
    let _ = (cell, wanted);
    #[cfg_attr(not(feature = "peers"), expect(unused_mut, reason = "the rivals are pushed to it"))]
    let mut columns = vec![Column::Ours, Column::Limit, Column::Raw];
    #[cfg(feature = "peers")]
    if wanted.peers {
        columns.extend(crate::peers::of(cell).map(Column::Peer));
    }
    columns
}

pub(crate) fn pace(wanted: &Wanted) -> Pace {
    let minutes = match (wanted.full, wanted.peers) {
        _ if wanted.quick => return Pace::QUICK,
        (false, false) => return Pace::DEFAULT,
        (false, true) => 14,
        (true, false) => 27,
        (true, true) => 54,
    };
    Pace { budget: Duration::from_secs(60 * minutes), ..Pace::DEFAULT }
}

/// What a pass goes over.
enum Item {
    Cell(Box<Found>),
    Promise(Seen),
}

impl Item {
    fn name(&self) -> String {
        match self {
            Self::Cell(found) => found.cell.to_string(),
            Self::Promise(seen) => seen.promised.name.to_owned(),
        }
    }

    fn is_due(&self) -> bool {
        match self {
            Self::Cell(found) => !found.broken && !found.is_settled(),
            Self::Promise(seen) => !seen.broken && !seen.is_settled(),
        }
    }

    fn pass(&mut self, pace: &Pace, controls: &mut Controls) {
        match self {
            Self::Cell(found) if found.broken => {}
            Self::Cell(found) => block::pass(found, pace, controls),
            Self::Promise(seen) => seen.pass(pace.promised),
        }
    }
}

/// Measures every cell, and what was promised beside the grid: each pass goes over all of them in a new order, so that what
/// changes in minutes happens to all. What is not known well enough after that gets more passes, as long as there is time.
pub(crate) fn measure(
    cells: &[Cell],
    promised: &[&'static Promised],
    wanted: &Wanted,
) -> (Vec<Found>, Vec<Seen>) {
    let pace = pace(wanted);
    let cells = cells.iter().map(|cell| Item::Cell(Box::new(Found::new(*cell, columns(cell, wanted)))));
    let promises = promised.iter().filter(|one| !one.is_in_grid());
    let mut items: Vec<Item> = cells.chain(promises.map(|one| Item::Promise(Seen::new(one)))).collect();
    let mut controls = Controls::start(&pace).unwrap();
    let mut progress = Progress::new(pace);
    'passes: for pass in 0..pace.most {
        let mut due: Vec<usize> = (0..items.len()).collect();
        if pass >= pace.least {
            due.retain(|index| items[*index].is_due());
        }
        fastrand::shuffle(&mut due);
        for (done, index) in due.iter().enumerate() {
            if pass >= FEWEST && progress.is_late() {
                break 'passes;
            }
            let item = &mut items[*index];
            progress.step(&item.name(), pass, due.len(), done);
            item.pass(&pace, &mut controls);
            if let (0, Item::Cell(found)) = (pass, item) {
                found.calls = calls(found);
            }
        }
    }
    progress.end();
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Cell(one) => found.push(*one),
            Item::Promise(one) => seen.push(one),
        }
    }
    (found, seen)
}

/// System calls a message of ours and of the loop in C.
fn calls(found: &Found) -> Option<[f64; 2]> {
    let count = |column| if found.broken { None } else { count::calls(&found.cell, column).ok() };
    Some([count(Column::Ours)?, count(Column::Raw)?])
}
