//! A run: which cells there are, in which order they are measured, and how long it will still take.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use crate::block::{self, Controls, Found, Pace};
use crate::cell::{Cell, Cores, Kind};
use crate::column::Column;
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

/// The cells, and those that are not there with the limit's name.
pub(crate) fn cells(wanted: &Wanted) -> (Vec<Cell>, Vec<(Cell, &'static str)>) {
    let payloads = if wanted.full { FULL } else { PAYLOADS };
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
    if wanted.quick { Pace::QUICK } else { Pace::DEFAULT }
}

/// Measures every cell: each pass goes over all of them in a new order, so that what changes in minutes happens to all.
/// Cells without enough blocks then get another chance.
pub(crate) fn measure(cells: &[Cell], wanted: &Wanted) -> Vec<Found> {
    let pace = pace(wanted);
    let mut found: Vec<Found> = cells.iter().map(|cell| Found::new(*cell, columns(cell, wanted))).collect();
    let Ok(mut controls) = Controls::start(&pace) else { return Vec::new() };
    let mut progress = Progress::new(cells.len() * pace.passes);
    for _ in 0..pace.passes {
        let mut order: Vec<usize> = (0..found.len()).collect();
        fastrand::shuffle(&mut order);
        for index in order {
            progress.step(&found[index].cell.to_string());
            block::pass(&mut found[index], &pace, &mut controls);
        }
    }
    for cell in found.iter_mut().filter(|found| !found.broken) {
        progress.more(&format!("counting system calls: {}", cell.cell));
        let calls = [Column::Ours, Column::Raw].map(|column| count::calls(&cell.cell, column));
        cell.calls = if let [Ok(ours), Ok(raw)] = calls { Some([ours, raw]) } else { None };
    }
    for _ in 0..2 {
        for cell in found.iter_mut().filter(|found| !found.broken && is_noisy(found, &pace)) {
            progress.more(&format!("once more, it was too noisy: {}", cell.cell));
            block::pass(cell, &pace, &mut controls);
        }
    }
    progress.end();
    found
}

/// Whether there are too few good blocks to say anything.
pub(crate) fn is_noisy(found: &Found, pace: &Pace) -> bool {
    found.blocks < pace.passes * pace.blocks
}

/// Characters of the bar.
const WIDTH: usize = 30;

/// A line at the foot of the terminal: how far, what, and the time left.
pub(crate) struct Progress {
    total: usize,
    done: usize,
    begin: Instant,
    shown: bool,
}

impl Progress {
    pub(crate) fn new(total: usize) -> Self {
        Self { total, done: 0, begin: Instant::now(), shown: stderr().is_terminal() }
    }

    pub(crate) fn step(&mut self, what: &str) {
        let spent = self.begin.elapsed();
        let left = if self.done < 3 {
            String::new()
        } else {
            let left = spent.mul_f64((self.total - self.done) as f64 / self.done as f64);
            format!("{} left", minutes(left))
        };
        let filled = WIDTH * self.done / self.total.max(1);
        let bar = format!("{}{}", "█".repeat(filled), "░".repeat(WIDTH - filled));
        self.show(&format!("{bar} {:3} %  {left:<12} {what}", 100 * self.done / self.total.max(1)));
        self.done += 1;
    }

    pub(crate) fn more(&mut self, what: &str) {
        self.show(what);
    }

    fn show(&self, text: &str) {
        if self.shown {
            let _ = write!(stderr(), "\r\x1b[K{text}");
        }
    }

    pub(crate) fn end(&self) {
        if self.shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

/// `3:07`.
pub(crate) fn minutes(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}
