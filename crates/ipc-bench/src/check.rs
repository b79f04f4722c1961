//! Whether the measurement measures what it says: every message of every cell arrives, whole and in order, and takes as many
//! system calls as the loop in C. No time is asserted.

use crate::cell::{Cell, Cores, Kind, Wait};
use crate::column::Column;
use crate::pair::{Broken, Pair};
use crate::run::Wanted;
use crate::{count, run};

/// How many messages each column of a cell carries. Few: on a loaded machine a hand-over between two that spin may take as
/// long as the scheduler lets a third one run.
const MESSAGES: u64 = 40;

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
        for column in [Column::Ours, Column::Raw, Column::Limit] {
            judge(
                format!("{cell}: {} did not carry every message", column.word()),
                carries(cell, column).is_ok(),
            );
        }
    }
    for cell in cells.iter().filter(|cell| is_counted(cell)) {
        let (ours, raw) = (count::calls(cell, Column::Ours), count::calls(cell, Column::Raw));
        let text = format!("{cell}: {ours:?} system calls a message, in C {raw:?}");
        judge(text, matches!((ours, raw), (Ok(ours), Ok(raw)) if (ours - raw).abs() <= tolerance(cell)));
    }
    (passed, failed)
}

/// Ping-pong on one core, where who runs is settled by who has something to do; below what a pipe or a socket holds.
fn is_counted(cell: &Cell) -> bool {
    let settled = cell.cores == Cores::One || cell.wait == Wait::Spin;
    settled && cell.kind == Kind::Latency && (cell.payload == 64 || is_smallest(cell))
}

/// Who parks may find that the message has come meanwhile, and need not sleep.
fn tolerance(cell: &Cell) -> f64 {
    if cell.wait == Wait::Park { 0.2 } else { 0.02 }
}

/// What carries no more than a word.
fn is_smallest(cell: &Cell) -> bool {
    cell.payload == 8
        && crate::mechanism::named(cell.mechanism)
            .is_some_and(|one| one.lacks(&Cell { payload: 64, ..*cell }).is_some())
}

fn carries(cell: &Cell, column: Column) -> Result<(), Broken> {
    let mut pair = Pair::start(cell, column)?;
    pair.time_of(MESSAGES)?;
    pair.end();
    Ok(())
}
