//! How far two runs agree, and what has become slower. Not the times, which the host decides, but the ratios within each run.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use crate::report::Report;
use crate::report::table::figure;
use crate::statistics::{Figure, WIDEST};

pub(crate) fn read(path: &Path) -> Result<Report, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// What is counted of all ratios that both runs have: to C, to the limit, to each rival, and those that were promised.
#[derive(Debug, Default, PartialEq)]
struct Agreement {
    /// Both runs state it.
    compared: usize,
    /// The new median lies in the old interval.
    within: usize,
    /// It does not, but the intervals meet.
    meeting: usize,
    /// The medians differ by more than 15 %.
    off: usize,
    /// The greatest factor between two medians.
    farthest: f64,
    /// One of the runs was too noisy to state it.
    noisy: usize,
    /// Those that are off or whose intervals do not meet.
    lines: Vec<String>,
}

impl Agreement {
    fn of(old: &Report, new: &Report) -> Self {
        let before: BTreeMap<String, Figure> = old.ratios().into_iter().collect();
        let mut agreement = Self { farthest: 1.0, ..Self::default() };
        for (name, now) in new.ratios() {
            if let Some(then) = before.get(&name) {
                agreement.add(&name, *then, now);
            }
        }
        agreement
    }

    fn add(&mut self, name: &str, then: Figure, now: Figure) {
        let (Some(before), Some(after)) = (then.median, now.median) else {
            self.noisy += 1;
            return;
        };
        let change = after / before;
        let apart = change.max(1.0 / change);
        let within = then.low <= after && after <= then.high;
        let meeting = now.low <= then.high && then.low <= now.high;
        self.compared += 1;
        self.within += usize::from(within);
        self.meeting += usize::from(meeting && !within);
        self.off += usize::from(apart > WIDEST);
        self.farthest = self.farthest.max(apart);
        if apart > WIDEST || !meeting {
            let word = if change > 1.0 { "slower" } else { "faster" };
            let [after, before, low, high] = [after, before, then.low, then.high].map(figure);
            let percent = (apart - 1.0) * 100.0;
            self.lines
                .push(format!("{word} by {percent:3.0} %  {name}: {after}, was {before} ({low}–{high})"));
        }
    }
}

pub(crate) fn text(old: &Report, new: &Report) -> String {
    let Agreement { compared, within, meeting, off, farthest, noisy, mut lines } = Agreement::of(old, new);
    let percent = |part: usize| 100.0 * part as f64 / compared.max(1) as f64;
    let mut text =
        format!("\n{compared} ratios are stated by both runs: to C, to the limit, to rivals, promised.\n");
    text += &format!(
        "  {within} ({:.1} %) lie within the interval of the older run; 90 % are wanted\n  \
         {off} are off by more than 15 %, the farthest by {:.1} %; none is wanted\n  \
         {meeting} ({:.1} %) lie outside, but the intervals of both runs meet\n  \
         {noisy} more were too noisy in one of the runs to be stated\n",
        percent(within),
        (farthest - 1.0) * 100.0,
        percent(meeting),
    );
    if !lines.is_empty() {
        text += "Off by more than 15 %, or with intervals that do not meet:\n";
        lines.sort();
        lines.iter().rev().for_each(|line| text += &format!("  {line}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(median: f64, low: f64, high: f64) -> Figure {
        Figure { median: Some(median), low, high }
    }

    #[test]
    fn each_ratio_is_counted_for_what_it_is() {
        let mut agreement = Agreement { farthest: 1.0, ..Agreement::default() };
        let then = figure(1.0, 0.95, 1.05);
        agreement.add("within", then, figure(1.04, 1.0, 1.08));
        agreement.add("meets", then, figure(1.08, 1.04, 1.12));
        agreement.add("off", then, figure(1.2, 1.1, 1.3));
        agreement.add("noisy", then, Figure { median: None, low: 0.5, high: 1.5 });
        let Agreement { compared, within, meeting, off, noisy, lines, .. } = agreement;
        assert_eq!((compared, within, meeting, off, noisy), (3, 1, 1, 1, 1));
        assert_eq!(lines, ["slower by  20 %  off: 1.20, was 1.00 (0.95–1.05)"]);
    }
}
