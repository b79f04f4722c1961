//! What has become slower since an older run. Not the times, which the host decides, but the ratios within each run.

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::report::table::figure;
use crate::report::{Report, Row};

pub(crate) fn read(path: &Path) -> Result<Report, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// A ratio of a cell and its interval.
type Ratio = (f64, f64, f64);

fn ratios(row: &Row) -> [(&'static str, Option<Ratio>); 2] {
    let of = |median: Option<f64>, low: Option<f64>, high: Option<f64>| Some((median?, low?, high?));
    [
        ("raw", of(row.x_raw, row.x_raw_low, row.x_raw_high)),
        ("limit", of(row.x_limit, row.x_limit_low, row.x_limit_high)),
    ]
}

pub(crate) fn text(old: &Report, new: &Report) -> String {
    let (mut within, mut compared, mut worst) = (0, 0, 1.0_f64);
    let mut text = String::from("\nSince then, where the intervals do not meet:\n");
    for row in &new.cells {
        let same = |other: &&Row| other.mechanism == row.mechanism && other.name() == row.name();
        let Some(before) = old.cells.iter().find(same) else { continue };
        for ((what, now), (_, then)) in ratios(row).into_iter().zip(ratios(before)) {
            let (Some(now), Some(then)) = (now, then) else { continue };
            compared += 1;
            within += u32::from(then.1 <= now.0 && now.0 <= then.2);
            let change = now.0 / then.0;
            worst = worst.max(change.max(1.0 / change));
            if now.1 > then.2 || now.2 < then.1 {
                let (word, cell) = (if change > 1.0 { "slower" } else { "faster" }, row.name());
                let [low, high] = [now.1 / then.2, now.2 / then.1].map(figure);
                text += &format!(
                    "  {word:<6} {} × ({low} to {high}): {} {cell} to {what}, {} was {}\n",
                    figure(change),
                    row.mechanism,
                    figure(now.0),
                    figure(then.0),
                );
            }
        }
    }
    text + &format!(
        "{within} of {compared} ratios lie within their former interval; the farthest is off by {:.0} %\n",
        (worst - 1.0) * 100.0
    )
}
