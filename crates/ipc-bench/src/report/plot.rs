//! The plots: time or throughput against payload, both logarithmic, a line a mechanism, the limit dashed.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::RGBColor;

use crate::cell::{Cores, Kind, Wait, bytes};
use crate::report::{Report, Row};

/// Points of a line: payload, and nanoseconds or bytes a second.
type Points = Vec<(f64, f64)>;

const SIZE: (u32, u32) = (1100, 700);

pub(crate) fn draw(report: &Report, path: &Path, kind: Kind) -> Result<(), Box<dyn Error>> {
    let mut lines: BTreeMap<String, Points> = BTreeMap::new();
    let mut limits: BTreeMap<&'static str, Points> = BTreeMap::new();
    for row in report.cells.iter().filter(|row| row.kind == kind && row.cores == Cores::Two) {
        let Some(ns) = row.ns_per_message else { continue };
        let name = if row.wait == Wait::Block {
            row.mechanism.clone()
        } else {
            format!("{} {}", row.mechanism, row.wait.word())
        };
        lines.entry(name).or_default().push(point(row, ns));
        if let Some(limit) = row.limit_ns {
            let points = limits.entry(row.wait.word()).or_default();
            if !points.iter().any(|(payload, _)| *payload == row.payload as f64) {
                points.push(point(row, limit));
            }
        }
    }
    let all = || lines.values().chain(limits.values()).flatten();
    if all().next().is_none() {
        return Ok(());
    }
    let ends = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)))
    };
    let (narrow, wide) = ends(&mut all().map(|(payload, _)| *payload));
    let (low, high) = ends(&mut all().map(|(_, value)| *value));
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (title, unit) = match kind {
        Kind::Latency => ("one way between two cores", "ns"),
        Kind::Stream => ("throughput between two cores", "bytes a second"),
    };
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 22))
        .margin(12)
        .margin_right(230)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d((narrow..wide * 1.01).log_scale(), (low / 1.3..high * 1.3).log_scale())?;
    let label = move |value: &f64| match kind {
        Kind::Latency if *value < 1e3 => format!("{value:.0}"),
        Kind::Latency => format!("{:.0} us", value / 1e3),
        Kind::Stream if *value < 1e9 => format!("{:.0} MB", value / 1e6),
        Kind::Stream => format!("{:.0} GB", value / 1e9),
    };
    chart
        .configure_mesh()
        .x_desc("bytes a message")
        .y_desc(unit)
        .x_label_formatter(&|value: &f64| bytes(*value as usize))
        .y_label_formatter(&label)
        .light_line_style(TRANSPARENT)
        .draw()?;
    let count = lines.len();
    for (index, (name, points)) in lines.into_iter().enumerate() {
        let colour = colour(index, count);
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, colour.filled())))?;
    }
    for (wait, points) in limits {
        let black = BLACK.stroke_width(1);
        chart
            .draw_series(DashedLineSeries::new(points, 6, 4, black))?
            .label(format!("limit, {wait}"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], black));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::Coordinate(SIZE.0.cast_signed() - 320, 10))
        .background_style(WHITE)
        .label_font(("sans-serif", 12))
        .draw()?;
    area.present()?;
    Ok(())
}

fn point(row: &Row, ns: f64) -> (f64, f64) {
    let value = match row.kind {
        Kind::Latency => ns,
        Kind::Stream => row.payload as f64 * 1e9 / ns,
    };
    (row.payload as f64, value)
}

/// Far from its neighbours on the wheel, and not too light.
fn colour(index: usize, count: usize) -> RGBColor {
    let hue = (index * 7 % count.max(1)) as f64 / count.max(1) as f64;
    let (red, green, blue) = HSLColor(hue, 0.75, if index.is_multiple_of(2) { 0.42 } else { 0.58 }).rgb();
    RGBColor(red, green, blue)
}
