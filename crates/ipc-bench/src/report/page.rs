//! The report in Markdown.

use crate::progress::minutes;
use crate::report::table::{line, promise, ratio};
use crate::report::{Report, Row};

pub(crate) fn text(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = String::from("# Measured\n\n");
    text += &format!(
        "{} ({}), Linux {}, {} CPUs; pinned to {} and {}: {}. Hypervisor: {}. Governor: {}. Huge pages: {}. Clock: {}, {:.0} ns a \
         look. {} cells in {} minutes. Times in nanoseconds; ratios are time over time, each with \
         the interval in which a second run's is expected, 95 times of 100.\n",
        machine.cpu,
        machine.architecture,
        machine.kernel,
        machine.cores,
        machine.pinned[0],
        machine.pinned[1],
        machine.placement,
        machine.hypervisor,
        machine.governor,
        machine.huge_pages,
        machine.clock,
        machine.timer_ns,
        report.cells.len(),
        minutes(std::time::Duration::from_secs_f64(report.run.seconds)),
    );
    let sum = |of: fn(&Row) -> usize| report.cells.iter().map(of).sum::<usize>();
    let (ratios, measured) = (report.ratios(), report.cells.iter().filter(|row| row.note.is_none()).count());
    text += &format!(
        "\n{measured} cells were measured; of {} blocks {} were dropped, because the controls around them differed by more than 15 %. \
         Of {} ratios {} were too noisy to be stated.\n",
        sum(|row| row.blocks + row.dropped),
        sum(|row| row.dropped),
        ratios.len(),
        ratios.iter().filter(|(_, figure)| figure.median.is_none()).count(),
    );
    if !report.promises.is_empty() {
        text += "\n## Speeds promised\n\n| promised | wanted | seen | 95 % | |\n| --- | --- | --- | --- | --- |\n";
        report.promises.iter().for_each(|one| text += &row(&promise(one)));
    }
    if report.cells.is_empty() {
        return text;
    }
    text += "\n## Cells\n\n![latency](latency.svg) ![throughput](throughput.svg)\n\n";
    text += "| cell | ns | p50 | p99 | p99.9 | max | calls, ours : C | ours / C | ours / limit | limit | blocks |\n";
    text += "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for one in &report.cells {
        let mut cells = line(one);
        cells.resize(11, String::new());
        text += &row(&cells);
    }
    text + &rivals(report) + &open(report)
}

fn rivals(report: &Report) -> String {
    let mut text = String::new();
    for one in &report.cells {
        for (name, peer) in &one.peers {
            let cell = format!("{} {}", one.mechanism, one.name());
            let ratio = ratio(peer.ratio, Some(peer.low), Some(peer.high));
            text +=
                &format!("| {cell} | {name} {} | {} | {} | {ratio} |\n", peer.version, peer.mode, peer.ns);
        }
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "\n## Rivals\n\n| cell | rival | mode | its ns | ours / its |\n| --- | --- | --- | --- | --- |\n{text}"
    )
}

fn open(report: &Report) -> String {
    let mut text = String::new();
    for one in &report.cells {
        for (rate, late) in &one.open {
            let cell = format!("{} {}", one.mechanism, one.name());
            text += &format!(
                "| {cell} | {rate} | {} | {} | {} | {} |\n",
                late.p50, late.p99, late.p999, late.max
            );
        }
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "\n## Open loop\n\nHow long after its intended start a message had come, at a fixed number of messages a second.\n\n\
         | cell | a second | p50 | p99 | p99.9 | max |\n| --- | --- | --- | --- | --- | --- |\n{text}"
    )
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}
