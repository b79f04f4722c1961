//! Shows what stands in shared memory and what passes through it, refreshed in place: `top` for channels. Start it beside
//! any programs that use `ipc-shm`; it takes no end and no lock, so they notice nothing.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ipc_shm::{ChannelStat, EndStat, Holder, Listed, Presence};
use ipc_signal::{Shutdown, Signal};

const HELP: &str = "
shm_top [PREFIX] [--once] [--count N] [--interval MS]

Shows every channel and every memory of ipc-shm whose name begins with PREFIX, again every interval (1000 ms) until Ctrl-C
or N times. --once shows them once, after one interval, which is what the rate is taken over; for scripts.

CAPACITY is in messages (of `bytes`: in bytes). LAG: sent and not yet received. RATE: messages sent a second. PARKED, WOKEN:
how often the sender / the receiver slept, and woke the other. LOST: overwritten before they were read.
An end is shown by its process; `dead` died, `left` was closed, `-` was never there, `alive` cannot be looked at.
";

/// Goes to the top left corner: each screen is written over the one before.
const HOME: &str = "\x1b[H";
/// Clears the screen.
const CLEAR: &str = "\x1b[2J";
/// Clears what is left of a line.
const REST_OF_LINE: &str = "\x1b[K";
/// Clears what is left of the screen.
const REST_OF_SCREEN: &str = "\x1b[J";

/// What was sent on each channel, and when that was looked at.
type Before = HashMap<(OsString, u64), (u64, Instant)>;

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let once = arguments.flag("--once");
        let pace = arguments.pace()?;
        let prefix = arguments.optional("PREFIX")?.unwrap_or_default();
        arguments.finish()?;
        if prefix.starts_with('-') {
            return Err(format!("{prefix:?} is no option; see --help").into());
        }
        let prefix = prefix.strip_prefix('/').unwrap_or(&prefix);
        if prefix.contains('/') {
            return Err(format!("PREFIX {prefix:?}: only the first character may be a slash").into());
        }

        let shutdown = Shutdown::on([Signal::INT, Signal::TERM])?;
        let mut before = Before::new();
        let mut screen = table(prefix, &mut before)?;
        let turns = if once { 1 } else { pace.left().unwrap_or(u64::MAX) };
        if !once {
            show(&format!("{CLEAR}{}", in_place(&screen)))?;
        }
        for _ in 0..turns {
            if shutdown.asked_within(pace.interval()) {
                break;
            }
            screen = table(prefix, &mut before)?;
            show(&if once { screen } else { in_place(&screen) })?;
        }
        Ok(())
    })
}

fn show(screen: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(screen.as_bytes())?;
    out.flush()
}

fn in_place(screen: &str) -> String {
    format!("{HOME}{}{REST_OF_SCREEN}", screen.replace('\n', &format!("{REST_OF_LINE}\n")))
}

fn table(prefix: &str, before: &mut Before) -> ipc_example::Result<String> {
    let holders = ipc_shm::holders()?;
    let mut rows = vec![
        [
            "CHANNEL", "KIND", "PAYLOAD", "CAPACITY", "SENDER", "RECEIVER", "LAG", "SENT", "RATE", "PARKED",
            "WOKEN", "LOST",
        ]
        .map(str::to_owned),
    ];
    let mut now = Before::new();
    for listed in ipc_shm::list()? {
        if listed.name.as_encoded_bytes().starts_with(prefix.as_bytes()) && listed.kind.is_some() {
            let held: Vec<_> = holders.iter().filter(|holder| holder.inode == listed.inode).collect();
            rows.push(match ipc_shm::stat(&listed.name) {
                Ok(stat) => channel(&listed, &stat, &held, before, &mut now),
                // Memory, locks, another user's, or gone by now.
                Err(_) => memory(&listed, &held),
            });
        }
    }
    *before = now;
    Ok(aligned(&rows))
}

fn channel(
    listed: &Listed,
    stat: &ChannelStat,
    held: &[&Holder],
    before: &Before,
    now: &mut Before,
) -> [String; 12] {
    let key = (listed.name.clone(), listed.inode);
    let seen = Instant::now();
    let rate = before.get(&key).map(|(sent, at)| {
        let passed = seen.duration_since(*at).max(Duration::from_nanos(1));
        stat.sender.messages.wrapping_sub(*sent) as f64 / passed.as_secs_f64()
    });
    now.insert(key, (stat.sender.messages, seen));
    let both = |count: fn(&EndStat) -> u64| format!("{}/{}", count(&stat.sender), count(&stat.receiver));
    let unknown = || "-".to_owned();
    [
        listed.name.to_string_lossy().into_owned(),
        stat.kind.to_owned(),
        if stat.size == 0 { "any".to_owned() } else { stat.size.to_string() },
        stat.capacity.to_string(),
        end(stat.sender.presence, held, |holder| holder.sends),
        end(stat.receiver.presence, held, |holder| !holder.sends),
        stat.lag().map_or_else(unknown, |lag| lag.to_string()),
        stat.sender.messages.to_string(),
        rate.map_or_else(unknown, |rate| format!("{rate:.0}/s")),
        both(|end| end.parked),
        both(|end| end.woken),
        stat.receiver.lagged.to_string(),
    ]
}

/// What is no channel, or may not be looked into: who has it attached.
fn memory(listed: &Listed, held: &[&Holder]) -> [String; 12] {
    let dash = || "-".to_owned();
    [
        listed.name.to_string_lossy().into_owned(),
        listed.kind.unwrap_or("-").to_owned(),
        listed.len.to_string(),
        dash(),
        pids(held, |_| true).unwrap_or_else(|| if listed.attached { "alive".to_owned() } else { dash() }),
        dash(),
        dash(),
        dash(),
        dash(),
        dash(),
        dash(),
        dash(),
    ]
}

fn end(presence: Presence, held: &[&Holder], holds: fn(&Holder) -> bool) -> String {
    match presence {
        Presence::Alive => pids(held, holds).unwrap_or_else(|| "alive".to_owned()),
        Presence::Many => pids(held, holds).unwrap_or_else(|| "-".to_owned()),
        Presence::Dead => "dead".to_owned(),
        Presence::Left => "left".to_owned(),
        _ => "-".to_owned(),
    }
}

fn pids(held: &[&Holder], holds: impl Fn(&Holder) -> bool) -> Option<String> {
    let pids: Vec<_> =
        held.iter().filter(|holder| holds(holder)).map(|holder| holder.pid.to_string()).collect();
    (!pids.is_empty()).then(|| pids.join(","))
}

/// Names and kinds to the left, numbers to the right.
fn aligned(rows: &[[String; 12]]) -> String {
    let mut widths = [0; 12];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let _ = match column {
                0 => write!(text, "{cell:<width$}"),
                1 | 4 | 5 => write!(text, "  {cell:<width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}
