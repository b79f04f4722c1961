//! `cargo xtask demo`: every pair as real processes, each with a column of its own in which its lines appear as they
//! come, and then one table.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::pairs::{self, Pair, Role};
use crate::play::{self, Event, Player, Programs};
use crate::table::{Paint, columns, padded, shortened};
use crate::{Result, Verdict, cargo, interrupt, process, twins};

/// Milliseconds between two turns of a program: slow enough to be watched, fast enough for the whole.
const INTERVAL: u32 = 250;

/// The columns of all processes together.
const WIDTH: usize = 96;

/// The column of a program that says nothing.
const SILENT: usize = 26;

/// From one stop of the tabulator to the next.
const TAB: usize = 8;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the pair with this name (see --list); may be given more than once
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// The names of all pairs
    #[arg(long)]
    list: bool,
    /// Lets the C twins play instead, as far as there are any
    #[arg(long)]
    twins: bool,
}

pub(crate) fn run(options: &Options) -> Verdict {
    if options.list {
        let mut rows = vec![["name", "crate", "mechanism", "programs"].map(str::to_owned).to_vec()];
        rows.extend(pairs::all().filter(|pair| pair.shown).map(|pair| {
            let mut programs: Vec<&str> = pair.roles.iter().map(|role| role.program).collect();
            programs.dedup();
            [pair.name, pair.package, pair.mechanism, &programs.join(", ")].map(str::to_owned).to_vec()
        }));
        print!("{}", columns(&rows));
        return Ok(true);
    }
    let mut pairs = chosen(&options.only)?;
    if options.twins {
        let compiled = twins::compile()?;
        pairs.retain(|pair| pair.has_twins());
        return show_all(&pairs, |role| play::twin(role, &compiled));
    }
    let examples = cargo::examples()?;
    show_all(&pairs, |role| play::rust(role, &examples))
}

/// What `cargo xtask demo` shows, with programs that have been built.
pub(crate) fn show_everything(examples: &Programs) -> Verdict {
    show_all(&chosen(&[])?, |role| play::rust(role, examples))
}

fn chosen(names: &[String]) -> Result<Vec<&'static Pair>> {
    if names.is_empty() {
        return Ok(pairs::all().filter(|pair| pair.shown).collect());
    }
    let one = |name: &String| {
        let found = pairs::all().find(|pair| pair.name == name);
        found.ok_or_else(|| format!("there is no pair {name:?}; see --list").into())
    };
    names.iter().map(one).collect()
}

/// Plays the pairs one after the other and ends in the table.
fn show_all(pairs: &[&'static Pair], player: impl Fn(&Role) -> Option<Player>) -> Verdict {
    let paint = Paint::new();
    let begin = Instant::now();
    let mut rows =
        vec![["mechanism", "processes", "what crossed", "time", "verdict"].map(str::to_owned).to_vec()];
    let mut all_good = true;
    for pair in pairs {
        let verdict = match show(pair, &player, paint) {
            Ok(took) => (milliseconds(took), paint.good("works")),
            Err(_) if interrupt::happened() => break,
            Err(fault) => {
                println!("{}", paint.bad(fault.to_string().trim_end()));
                all_good = false;
                (String::new(), paint.bad("FAILED"))
            }
        };
        println!();
        let [mechanism, crosses] = [pair.mechanism, pair.crosses].map(str::to_owned);
        rows.push(vec![mechanism, pair.processes.to_string(), crosses, verdict.0, verdict.1]);
    }
    print!("{}", columns(&rows));
    if interrupt::happened() {
        println!("interrupted");
        return Ok(false);
    }
    println!("{} mechanisms in {:.1} s", pairs.len(), begin.elapsed().as_secs_f64());
    Ok(all_good)
}

fn milliseconds(took: Duration) -> String {
    format!("{:4} ms", took.as_millis())
}

/// Plays one pair; the error is what was wrong and what its programs said.
fn show(pair: &Pair, player: &impl Fn(&Role) -> Option<Player>, paint: Paint) -> Result<Duration> {
    println!("{}  {}", paint.bold(pair.mechanism), paint.faint(pair.package));
    let players: Option<Vec<Player>> = pair.roles.iter().map(player).collect();
    let players = players.ok_or("one of its programs has not been built")?;
    let begin = Instant::now();
    let widths = widths(pair);
    let outcome = play::play(pair, &players, INTERVAL, |number, event| {
        let role = pair.roles.get(number);
        let name = role.map_or("", |role| role.program);
        let time = paint.faint(&format!("{:6.3}", begin.elapsed().as_secs_f64()));
        if let (Event::Said(line), true) = (event, role.is_some_and(|role| role.wide)) {
            println!("{time} {}", plain(line).trim_end());
            return;
        }
        let room = widths.get(number).copied().unwrap_or_default().saturating_sub(3);
        let fit = |text: &str| shortened(text, room);
        let text = match event {
            Event::Started { pid } => paint.process(number, &fit(&format!("{name} {pid}"))),
            Event::Said(line) => fit(&plain(line)),
            Event::Complained(line) => paint.warning(&fit(&plain(line))),
            Event::Ended(status, _) => paint.faint(&fit(&end(*status))),
        };
        let columns = widths.iter().enumerate().map(|(at, width)| {
            let bar = paint.process(at, "│");
            padded(&if at == number { format!("{bar} {text}") } else { bar }, *width)
        });
        let line: String = columns.collect();
        println!("{time} {}", line.trim_end());
        let _ = std::io::stdout().flush();
    })?;
    if outcome.faults.is_empty() {
        return Ok(outcome.took);
    }
    Err(format!("{}\n{}", outcome.faults.join("\n"), outcome.account).into())
}

/// The columns' widths: a program that says nothing in its column needs no more than its name and id.
fn widths(pair: &Pair) -> Vec<usize> {
    let silent = |role: &Role| role.says.is_empty() || role.wide;
    let count = pair.roles.iter().filter(|role| silent(role)).count();
    let others = (pair.roles.len() - count).max(1);
    let left = WIDTH - SILENT * count;
    pair.roles.iter().map(|role| if silent(role) { SILENT } else { left / others }).collect()
}

/// A line with its tabs spread out, and without what would move the cursor.
fn plain(line: &str) -> String {
    let mut text = String::new();
    for (number, cell) in line.split('\t').enumerate() {
        if number > 0 {
            text.push_str(&" ".repeat(TAB - text.chars().count() % TAB));
        }
        text.extend(cell.chars().filter(|c| !c.is_control()));
    }
    text
}

fn end(status: std::process::ExitStatus) -> String {
    if status.success() { "ends".to_owned() } else { format!("ends, {}", process::ending(status)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_beside_each_other() {
        for pair in pairs::all().filter(|pair| pair.shown) {
            let widths = widths(pair);
            assert!(widths.iter().sum::<usize>() <= WIDTH && widths.iter().all(|width| *width >= SILENT));
        }
    }

    #[test]
    fn tabs_are_spread_and_escapes_taken_out() {
        assert_eq!(plain("a\tbc\td"), "a       bc      d");
        assert_eq!(plain("\x1b[2Jx"), "[2Jx");
    }
}
