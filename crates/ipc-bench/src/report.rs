//! What is written: the JSON, the table on the terminal, the page in Markdown, the plots, and what became slower.

pub(crate) mod compare;
pub(crate) mod page;
pub(crate) mod plot;
#[cfg(test)]
mod schema;
pub(crate) mod table;

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::block::Found;
use crate::cell::{Cell, Cores, Kind, Wait};
use crate::column::Column;
use crate::machine::Machine;
use crate::promise::Promise;
use crate::statistics::{Figure, expected, median, round};

/// The JSON. A field that is null was not measured: see `note`. A ratio that is null between two ends that are not was too
/// noisy to be stated. Each pair of ends holds a second run's ratio 95 times of 100.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) cells: Vec<Row>,
    /// The speeds that were promised beside the grid.
    #[serde(default)]
    pub(crate) promises: Vec<Promise>,
    pub(crate) run: Run,
}

impl Report {
    /// Every ratio by its name, those that are stated in two places once.
    pub(crate) fn ratios(&self) -> Vec<(String, Figure)> {
        let of_cell = |row: &Row| {
            let name = format!("{} {}", row.mechanism, row.name());
            row.ratios()
                .into_iter()
                .map(move |(to, figure)| (format!("{name}, ours to {to}"), figure))
                .collect::<Vec<_>>()
        };
        let promises = self.promises.iter().filter(|promise| promise.unit == "x" && !promise.grid);
        let of_promises = promises.filter_map(|promise| Some((promise.name.clone(), promise.seen?)));
        self.cells.iter().flat_map(of_cell).chain(of_promises).collect()
    }
}

/// The circumstances.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) version: String,
    /// Seconds since 1970.
    pub(crate) time: u64,
    pub(crate) seconds: f64,
    pub(crate) quick: bool,
    pub(crate) full: bool,
    pub(crate) peers: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) mechanism: String,
    pub(crate) payload: usize,
    pub(crate) kind: Kind,
    pub(crate) cores: Cores,
    pub(crate) wait: Wait,
    /// Of a latency, one way, half of what a look at the clock before and after saw; of a stream, from one to the next.
    pub(crate) ns: Option<Percentiles>,
    pub(crate) ns_per_message: Option<f64>,
    pub(crate) bytes_per_second: Option<f64>,
    /// On both sides together, in a ping-pong.
    pub(crate) syscalls_per_message: Option<f64>,
    pub(crate) raw_syscalls_per_message: Option<f64>,
    pub(crate) x_raw: Option<f64>,
    pub(crate) x_raw_low: Option<f64>,
    pub(crate) x_raw_high: Option<f64>,
    pub(crate) x_limit: Option<f64>,
    pub(crate) x_limit_low: Option<f64>,
    pub(crate) x_limit_high: Option<f64>,
    /// What the limit is, and its nanoseconds.
    pub(crate) limit: Option<String>,
    pub(crate) limit_ns: Option<f64>,
    pub(crate) raw_ns: Option<f64>,
    pub(crate) peers: BTreeMap<String, Rival>,
    /// The open loop, by messages a second: how long after its intended start each one had come.
    pub(crate) open: BTreeMap<u64, Percentiles>,
    pub(crate) blocks: usize,
    pub(crate) dropped: usize,
    /// Why there are no figures: the limit's name, "too noisy", "broken".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
    pub(crate) mean: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rival {
    pub(crate) version: String,
    pub(crate) mode: String,
    /// Ours to theirs, time over time; null where the machine was too noisy.
    pub(crate) ratio: Option<f64>,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) ns: f64,
}

impl Percentiles {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
            mean: round(histogram.mean()),
        })
    }
}

/// A median over passes and blocks.
fn typical(ns: &[Vec<f64>]) -> Option<f64> {
    let mut all = ns.concat();
    (!all.is_empty()).then(|| round(median(&mut all)))
}

impl Row {
    /// A cell without figures.
    pub(crate) fn empty(cell: &Cell, note: &str) -> Self {
        Self {
            mechanism: cell.mechanism.to_owned(),
            payload: cell.payload,
            kind: cell.kind,
            cores: cell.cores,
            wait: cell.wait,
            ns: None,
            ns_per_message: None,
            bytes_per_second: None,
            syscalls_per_message: None,
            raw_syscalls_per_message: None,
            x_raw: None,
            x_raw_low: None,
            x_raw_high: None,
            x_limit: None,
            x_limit_low: None,
            x_limit_high: None,
            limit: None,
            limit_ns: None,
            raw_ns: None,
            peers: BTreeMap::new(),
            open: BTreeMap::new(),
            blocks: 0,
            dropped: 0,
            note: Some(note.to_owned()),
        }
    }

    pub(crate) fn new(found: &Found, widest: f64) -> Self {
        let cell = &found.cell;
        let mut row = Self::empty(cell, "");
        (row.blocks, row.dropped) = (found.blocks, found.dropped);
        if found.broken {
            return Self { note: Some("broken: a side died or did not answer".to_owned()), ..row };
        }
        if found.is_noisy() {
            return Self { note: Some("too noisy".to_owned()), ..row };
        }
        row.note = None;
        row.ns = Percentiles::of(&found.each);
        row.ns_per_message = typical(&found.ns[0]);
        row.bytes_per_second = row.ns_per_message.map(|ns| round(cell.payload as f64 * 1e9 / ns));
        row.limit = crate::mechanism::named(cell.mechanism).map(|one| one.limit(cell).describe().to_owned());
        [row.syscalls_per_message, row.raw_syscalls_per_message] =
            found.calls.map_or([None; 2], |calls| calls.map(Some));
        row.open =
            found.open.iter().filter_map(|(rate, late)| Some((*rate, Percentiles::of(late)?))).collect();
        for (index, column) in found.columns.iter().enumerate().skip(1) {
            let Some(ratio) = expected(&found.ratios(index)) else { continue };
            row.add(cell, *column, ratio.figure(widest), typical(&found.ns[index]));
        }
        row
    }

    fn add(&mut self, cell: &Cell, column: Column, ratio: Figure, ns: Option<f64>) {
        let _ = cell;
        let (median, low, high) = (ratio.median, Some(ratio.low), Some(ratio.high));
        match column {
            Column::Limit => {
                (self.x_limit, self.x_limit_low, self.x_limit_high) = (median, low, high);
                self.limit_ns = ns;
            }
            Column::Raw => {
                (self.x_raw, self.x_raw_low, self.x_raw_high) = (median, low, high);
                self.raw_ns = ns;
            }
            #[cfg(feature = "peers")]
            Column::Peer(place) => {
                let peer = crate::peers::ALL[place];
                let (version, mode) = (crate::peers::version(peer), peer.mode(cell));
                let Figure { median: ratio, low, high } = ratio;
                let rival = Rival { version, mode, ratio, low, high, ns: ns.unwrap_or_default() };
                self.peers.insert(peer.name().to_owned(), rival);
            }
            Column::Ours | Column::Control => {}
        }
    }

    /// The ratios of the cell: to what, and what was seen.
    pub(crate) fn ratios(&self) -> Vec<(&str, Figure)> {
        let figure =
            |median, low: Option<f64>, high: Option<f64>| Some(Figure { median, low: low?, high: high? });
        let raw = figure(self.x_raw, self.x_raw_low, self.x_raw_high).map(|figure| ("C", figure));
        let limit = figure(self.x_limit, self.x_limit_low, self.x_limit_high).map(|figure| ("limit", figure));
        let rivals = self.peers.iter().map(|(name, rival)| {
            (name.as_str(), Figure { median: rival.ratio, low: rival.low, high: rival.high })
        });
        raw.into_iter().chain(limit).chain(rivals).collect()
    }

    /// The cell's name without the mechanism: `64 B latency two spin`.
    pub(crate) fn name(&self) -> String {
        let Self { payload, kind, cores, wait, .. } = self;
        format!("{} {} {} {}", crate::cell::bytes(*payload), kind.word(), cores.word(), wait.word())
    }
}
