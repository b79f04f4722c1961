//! The table on the terminal.

use crate::cell::{Cores, Kind, Wait};
use crate::promise::Promise;
use crate::report::{Report, Row};

/// The rows in the order of the mechanisms, payload after payload.
pub(crate) fn order(row: &Row) -> (usize, bool, bool, u8, usize) {
    let names = crate::mechanism::ALL;
    let place = names.iter().position(|one| one.name() == row.mechanism).unwrap_or(names.len());
    let wait = match row.wait {
        Wait::Spin => 0,
        Wait::Park => 1,
        Wait::Block => 2,
    };
    (place, row.kind == Kind::Stream, row.cores == Cores::One, wait, row.payload)
}

const HEADER: [&str; 11] =
    ["cell", "ns", "p50", "p99", "p99.9", "max", "calls", "ours/raw", "ours/limit", "limit", "blocks"];

pub(crate) fn text(report: &Report) -> String {
    let mut text = String::new();
    if !report.cells.is_empty() {
        let rows = report.cells.iter().map(line).collect::<Vec<_>>();
        text += &columns(&HEADER.map(str::to_owned), &rows);
        text += &rivals(report);
    }
    if !report.promises.is_empty() {
        text += "\n";
        text += &columns(
            &["promised", "wanted", "seen", "95 %", ""].map(str::to_owned),
            &report.promises.iter().map(promise).collect::<Vec<_>>(),
        );
    }
    text
}

/// The cells of a row, as in [`HEADER`].
pub(super) fn line(row: &Row) -> Vec<String> {
    let name = format!("{} {}", row.mechanism, row.name());
    if let Some(note) = &row.note {
        return vec![name, format!("n/a: {note}")];
    }
    let mut line = vec![name, row.ns_per_message.map_or_else(String::new, figure)];
    match row.ns {
        Some(ns) => line.extend([ns.p50, ns.p99, ns.p999, ns.max].map(|ns| figure(ns as f64))),
        None => line.extend([const { String::new() }; 4]),
    }
    line.push(calls(row));
    line.push(ratio(row.x_raw, row.x_raw_low, row.x_raw_high));
    line.push(ratio(row.x_limit, row.x_limit_low, row.x_limit_high));
    line.push(row.limit_ns.map_or_else(String::new, figure));
    line.push(format!("{} (-{})", row.blocks, row.dropped));
    line
}

fn calls(row: &Row) -> String {
    match (row.syscalls_per_message, row.raw_syscalls_per_message) {
        (Some(ours), Some(raw)) => format!("{ours} : {raw}"),
        _ => String::new(),
    }
}

/// The rivals, a line each.
fn rivals(report: &Report) -> String {
    let mut rows = Vec::new();
    for row in &report.cells {
        for (name, peer) in &row.peers {
            let ratio = ratio(peer.ratio, Some(peer.low), Some(peer.high));
            let cell = format!("{} {}", row.mechanism, row.name());
            rows.push(vec![
                cell,
                format!("{name} {}", peer.version),
                peer.mode.clone(),
                figure(peer.ns),
                ratio,
            ]);
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let header = ["cell", "rival", "mode", "its ns", "ours/its"].map(str::to_owned);
    format!("\n{}", columns(&header, &rows))
}

pub(super) fn promise(promise: &Promise) -> Vec<String> {
    let unit = if promise.unit == "x" { "" } else { " ns" };
    let (seen, interval) = match promise.seen {
        Some(seen) => (
            seen.median.map_or_else(|| NOISY.to_owned(), |median| format!("{}{unit}", figure(median))),
            format!("{} to {}", figure(seen.low), figure(seen.high)),
        ),
        None => ("not measured".to_owned(), String::new()),
    };
    let verdict = match promise.met {
        Some(true) => "met",
        Some(false) => "missed",
        None => "",
    };
    vec![promise.name.clone(), promise.wanted.clone(), seen, interval, verdict.to_owned()]
}

/// What stands in the place of a median whose interval reaches too far.
const NOISY: &str = "too noisy";

/// `1.02 (1.01–1.04)`.
pub(super) fn ratio(median: Option<f64>, low: Option<f64>, high: Option<f64>) -> String {
    let (Some(low), Some(high)) = (low, high) else { return String::new() };
    let median = median.map_or_else(|| NOISY.to_owned(), figure);
    format!("{median} ({}–{})", figure(low), figure(high))
}

/// As many digits as mean something.
pub(super) fn figure(value: f64) -> String {
    match value.abs() {
        0.0..0.1 => format!("{value:.3}"),
        0.1..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Columns as wide as their widest cell; what a short row says at its end may be longer.
fn columns(header: &[String], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows.iter().filter(|row| row.len() == header.len()) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        widths[0] = widths[0].max(row[0].chars().count());
    }
    let mut text = String::new();
    for row in std::iter::once(&header.to_vec()).chain(rows) {
        let padded = row.iter().enumerate().map(|(index, cell)| {
            let room = widths[index].saturating_sub(cell.chars().count());
            let text_column = index == 0 || header.len() < HEADER.len();
            if text_column {
                format!("{cell}{}", " ".repeat(room))
            } else {
                format!("{}{cell}", " ".repeat(room))
            }
        });
        text += padded.collect::<Vec<_>>().join("  ").trim_end();
        text += "\n";
    }
    text
}
