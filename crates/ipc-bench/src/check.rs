//! Whether the measurement measures what it says: every message of every cell arrives, whole and in order, and takes as many
//! system calls as the loop in C. No time is asserted.

use crate::cell::{Cell, Cores, Kind, Wait};
use crate::column::Column;
use crate::pair::{Broken, Pair};
use crate::run::Wanted;
use crate::{count, run};

/// How many messages each column of a cell carries. Few: on a loaded machine a hand-over between two that spin takes as long
/// as the scheduler lets a third one run.
fn messages(cell: &Cell) -> u64 {
    if cell.wait == Wait::Spin { 12 } else { 40 }
}

/// Prints what is wrong, and gives how much was right and wrong.
pub(crate) fn all(wanted: &Wanted) -> (usize, usize) {
    let (mut passed, mut failed) = (0, 0);
    let mut judge = |what: String, good: bool| {
        if good {
            passed += 1;
        } else {
            failed += 1;
            println!("{what}");
        }
    };
    let (cells, _) = run::cells(wanted);
    for cell in &cells {
        for column in [Column::Ours, Column::Raw] {
            judge(
                format!("{cell}: {} did not carry every message", column.word()),
                carries(cell, column).is_ok(),
            );
        }
    }
    for cell in cells.iter().filter(|cell| is_counted(cell)) {
        // Others on the machine decide who has to sleep; that they do so three times is no chance.
        let mut seen = Vec::new();
        let good = (0..3).any(|_| {
            let (ours, raw) = (count::calls(cell, Column::Ours), count::calls(cell, Column::Raw));
            let alike = matches!((&ours, &raw), (Ok(ours), Ok(raw)) if agree(cell, *ours, *raw));
            seen.push((ours, raw));
            alike
        });
        judge(format!("{cell}: system calls a message, ours and in C: {seen:?}"), good);
    }
    (passed, failed)
}

/// Ping-pong on one core, where who runs is settled by who has something to do, of messages that fit into every pipe and
/// socket; and what spins, which makes none.
fn is_counted(cell: &Cell) -> bool {
    let settled = matches!((cell.cores, cell.wait), (Cores::One, Wait::Block) | (_, Wait::Spin));
    settled && cell.kind == Kind::Latency && (cell.payload == 64 || is_smallest(cell))
}

/// Whether these are as many calls as in C. Who spins for long asks whether the other side lives. A permit that has come
/// meanwhile is taken without a call, and under ptrace it is chance who comes first: only the worst, to sleep and to be
/// woken each time, is the same for both.
fn agree(cell: &Cell, ours: f64, raw: f64) -> bool {
    if cell.mechanism == "posix-shm" {
        return ours <= 2.02;
    }
    (ours - raw).abs() <= if cell.wait == Wait::Spin { 0.3 } else { 0.02 }
}

/// What carries no more than a word.
fn is_smallest(cell: &Cell) -> bool {
    let more = Cell { payload: 64, ..*cell };
    cell.payload == 8 && crate::mechanism::named(cell.mechanism).is_some_and(|one| one.lacks(&more).is_some())
}

fn carries(cell: &Cell, column: Column) -> Result<(), Broken> {
    let mut pair = Pair::start(cell, column)?;
    pair.time_of(messages(cell))?;
    pair.end();
    Ok(())
}
