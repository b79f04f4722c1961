//! Speeds that a page quotes are those of the committed run: every time, rate and factor is looked up in
//! docs/performance/bench.json, to the precision with which it is quoted.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::code::Rule;
use crate::metadata::Package;
use crate::{Result, root};

/// The run that pages quote, and the parts of the page about it that do.
const RUN: &str = "docs/performance/bench.json";
const PAGE: &str = "docs/performance.md";
const MISSED: &str = "What is missed, and how it could be reached";
const PARTS: [&str; 2] = ["One run", MISSED];

/// Figures of READMEs that were not measured: limits that tests hold.
const LIMITS: [(&str, &str); 1] = [("crates/ipc-shm/README.md", "100 ms")];

pub(super) fn rules(packages: &[Package]) -> Result<Vec<Rule>> {
    let run = serde_json::from_str(&fs::read_to_string(root().join(RUN))?)?;
    let known = Known::of(&run);
    let mut unknown = Vec::new();
    let mut limits = LIMITS.to_vec();
    for path in readmes(packages) {
        let text = fs::read_to_string(root().join(&path))?;
        for figure in figures(&text) {
            let shown = figure.to_string();
            if let Some(at) = limits.iter().position(|(page, limit)| path.ends_with(page) && *limit == shown)
            {
                limits.swap_remove(at);
            } else if !known.holds(&figure) {
                unknown.push(format!("{}: {shown}", path.display()));
            }
        }
    }
    unknown.extend(limits.iter().map(|(page, limit)| format!("{page} does not say {limit} any more")));
    let page = fs::read_to_string(root().join(PAGE))?;
    let quoted = PARTS.iter().flat_map(|part| figures(super::pages::section(&page, part)));
    let stale = quoted.filter(|figure| !known.holds(figure)).map(|figure| figure.to_string()).collect();
    Ok(vec![
        ("READMEs quote no speed that the committed run does not hold", unknown),
        ("what docs/performance.md says of the committed run is in it", stale),
        ("docs/performance.md explains each promise that the committed run misses", unexplained(&page, &run)),
    ])
}

/// The missed promises whose names begin with nothing that the page puts in backticks.
fn unexplained(page: &str, run: &Value) -> Vec<String> {
    let begins: Vec<&str> = super::pages::section(page, MISSED).split('`').skip(1).step_by(2).collect();
    let promises = run["promises"].as_array().into_iter().flatten();
    let missed =
        promises.filter(|promise| promise["met"] == false).filter_map(|promise| promise["name"].as_str());
    missed.filter(|name| !begins.iter().any(|begin| name.starts_with(begin))).map(str::to_owned).collect()
}

fn readmes(packages: &[Package]) -> Vec<PathBuf> {
    let of_packages = packages.iter().map(|package| format!("crates/{}/README.md", package.name).into());
    let all = std::iter::once(PathBuf::from("README.md")).chain(of_packages);
    all.filter(|path| root().join(path).exists()).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    /// Millions a second.
    Rate,
    Gigabytes,
    Factor,
}

impl Unit {
    const ALL: [(&str, Self); 9] = [
        ("ns", Self::Nanoseconds),
        ("us", Self::Microseconds),
        ("µs", Self::Microseconds),
        ("ms", Self::Milliseconds),
        ("M/s", Self::Rate),
        ("GB/s", Self::Gigabytes),
        ("times", Self::Factor),
        ("×", Self::Factor),
        ("x", Self::Factor),
    ];

    fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, unit)| *unit)
    }
}

/// A number as it is written, and its unit.
#[derive(Debug, PartialEq)]
struct Figure {
    number: String,
    unit: Unit,
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = Unit::ALL.iter().find(|(_, unit)| *unit == self.unit).map_or("", |(name, _)| name);
        write!(f, "{} {unit}", self.number)
    }
}

/// The figures of a page, outside its code: `26 us`, `1.2×`, and of `20 to 25 us` both.
fn figures(page: &str) -> Vec<Figure> {
    let prose =
        page.split("\n```").step_by(2).flat_map(str::split_whitespace).flat_map(|word| word.split('–'));
    let words: Vec<(&str, &str)> = prose.map(number).collect();
    let unit_after = |at: usize| {
        let mut rest = words.get(at..)?.iter();
        loop {
            match rest.next()? {
                ("", "to" | "or" | "and") => {}
                ("", word) => return Unit::of(word),
                (_, "") => {}
                (_, unit) => return Unit::of(unit),
            }
        }
    };
    let figure = |(at, (number, _)): (usize, &(&str, &str))| {
        let unit = if number.is_empty() { None } else { unit_after(at) };
        unit.map(|unit| Figure { number: number.replace(',', ""), unit })
    };
    words.iter().enumerate().filter_map(figure).collect()
}

/// The number that a word begins with, and what follows it in the word.
fn number(word: &str) -> (&str, &str) {
    let word = word.trim_matches(|c: char| "()[]|*`\",;:.".contains(c));
    let end = word.find(|c: char| !(c.is_ascii_digit() || ".,".contains(c))).unwrap_or(word.len());
    if word.starts_with(|c: char| c.is_ascii_digit()) { word.split_at(end) } else { ("", word) }
}

/// What the run holds: nanoseconds, ratios, bytes a second.
#[derive(Debug, Default)]
struct Known {
    times: Vec<f64>,
    ratios: Vec<f64>,
    rates: Vec<f64>,
}

impl Known {
    fn of(run: &Value) -> Self {
        let mut known = Self::default();
        for cell in run["cells"].as_array().into_iter().flatten() {
            known.add(cell, "");
        }
        for promise in run["promises"].as_array().into_iter().flatten() {
            let into = if promise["unit"] == "x" { &mut known.ratios } else { &mut known.times };
            into.extend(
                promise["seen"].as_object().into_iter().flatten().filter_map(|(_, end)| end.as_f64()),
            );
        }
        known
    }

    fn add(&mut self, value: &Value, name: &str) {
        match (value, name) {
            (Value::Object(fields), _) => fields.iter().for_each(|(name, value)| self.add(value, name)),
            (Value::Number(number), "bytes_per_second") => self.rates.extend(number.as_f64()),
            (Value::Number(number), name)
                if name.starts_with("x_") || ["ratio", "low", "high"].contains(&name) =>
            {
                self.ratios.extend(number.as_f64());
            }
            (Value::Number(number), name) if !["payload", "blocks", "dropped"].contains(&name) => {
                self.times.extend(number.as_f64());
            }
            _ => {}
        }
    }

    /// Whether one of its numbers is the figure, rounded as the figure is.
    fn holds(&self, figure: &Figure) -> bool {
        let digits = figure.number.split_once('.').map_or(0, |(_, digits)| digits.len());
        let is = |value: f64| format!("{value:.digits$}") == figure.number;
        match figure.unit {
            Unit::Nanoseconds => self.times.iter().any(|ns| is(*ns)),
            Unit::Microseconds => self.times.iter().any(|ns| is(ns / 1e3)),
            Unit::Milliseconds => self.times.iter().any(|ns| is(ns / 1e6)),
            Unit::Rate => self.times.iter().any(|ns| is(1e3 / ns)),
            Unit::Gigabytes => self.rates.iter().any(|bytes| is(bytes / 1e9)),
            Unit::Factor => self.ratios.iter().any(|ratio| is(*ratio) || is(1.0 / ratio)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(number: &str, unit: Unit) -> Figure {
        Figure { number: number.to_owned(), unit }
    }

    #[test]
    fn figures_are_found_in_prose() {
        let page = "It takes 26us, (1.2×) and 20 to 25 us; 1.25–1.69 times 64 KiB.\n```text\n7 ns\n```\nthen 3 M/s, 1,024 slots";
        let found = figures(page);
        let wanted = [
            figure("26", Unit::Microseconds),
            figure("1.2", Unit::Factor),
            figure("20", Unit::Microseconds),
            figure("25", Unit::Microseconds),
            figure("1.25", Unit::Factor),
            figure("1.69", Unit::Factor),
            figure("3", Unit::Rate),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_missed_promise_needs_a_line() {
        let run = serde_json::json!({"promises": [
            {"name": "ring, polled", "met": false}, {"name": "lock", "met": false}, {"name": "met", "met": true},
        ]});
        let page = "\n## What is missed, and how it could be reached\n- `ring`: slow.\n";
        assert_eq!(unexplained(page, &run), ["lock"]);
    }

    #[test]
    fn a_figure_that_was_not_measured_is_not_held() {
        let run = serde_json::json!({
            "cells": [{"payload": 77, "ns_per_message": 21_480.0, "x_raw": 0.5, "peers": {"other": {"ratio": 0.04}}}],
            "promises": [{"unit": "ns", "seen": {"median": 26.7, "low": 26.0, "high": 27.0}}],
        });
        let known = Known::of(&run);
        for (number, unit) in [
            ("21", Unit::Microseconds),
            ("21.5", Unit::Microseconds),
            ("2", Unit::Factor),
            ("25", Unit::Factor),
            ("26.7", Unit::Nanoseconds),
        ] {
            assert!(known.holds(&figure(number, unit)), "{number}");
        }
        for (number, unit) in [("22", Unit::Microseconds), ("3", Unit::Factor), ("77", Unit::Nanoseconds)] {
            assert!(!known.holds(&figure(number, unit)), "{number}");
        }
    }
}
