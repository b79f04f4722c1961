//! The C matrix: each pair once in Rust, and then with the C twin in the place of each of its roles in turn, and once all
//! in C, which shows that the table itself is right.

use super::tally::Tally;
use crate::pairs::{self, Pair, Role, Twin};
use crate::play::{self, Player, Programs};
use crate::{Result, interrupt};

/// Milliseconds between two turns of a program.
const INTERVAL: u32 = 20;

pub(super) fn run(examples: &Programs, twins: &Programs) -> Result<Tally> {
    let mut tally = Tally::default();
    for pair in pairs::all() {
        for (name, cast) in casts(pair) {
            if interrupt::happened() {
                return Ok(tally);
            }
            let title = format!("{} {name}", pair.name);
            match players(pair, &cast, examples, twins) {
                Ok(players) => {
                    let outcome = play::play(pair, &players, INTERVAL, |_, _| ())?;
                    if outcome.faults.is_empty() {
                        tally.pass();
                        println!("{title:<32} {:5} ms", outcome.took.as_millis());
                    } else {
                        println!("{title:<32} FAILED");
                        tally.fail(format!("{title}: {}\n{}", outcome.faults.join("\n"), outcome.account));
                    }
                }
                Err(missing) => {
                    println!("{title:<32} skipped");
                    missing.count(&mut tally, title);
                }
            }
        }
    }
    Ok(tally)
}

/// Which roles are played by the twin, and what to call that: `Rust`, `C/Rust`, `Rust/C`, `C`.
fn casts(pair: &Pair) -> Vec<(String, Vec<bool>)> {
    let count = pair.roles.len();
    let mut casts = vec![vec![false; count]];
    if pair.has_twins() {
        if count > 1 {
            casts.extend((0..count).map(|one| (0..count).map(|at| at == one).collect()));
        }
        casts.push(vec![true; count]);
    }
    let name = |cast: &[bool]| {
        let words: Vec<&str> = cast.iter().map(|twin| if *twin { "C" } else { "Rust" }).collect();
        words.join("/")
    };
    casts.into_iter().map(|cast| (name(&cast), cast)).collect()
}

/// Why a pair cannot be played.
enum Missing {
    /// A program of ours has not been built, which is a failure.
    Program(&'static str),
    /// The command that would be the twin is not installed.
    Command(&'static str),
}

impl Missing {
    fn count(&self, tally: &mut Tally, title: String) {
        match self {
            Self::Program(name) => tally.fail(format!("{title}: {name} has not been built")),
            Self::Command(name) => tally.skip(title, format!("{name} is not installed")),
        }
    }
}

fn players(
    pair: &Pair,
    cast: &[bool],
    examples: &Programs,
    twins: &Programs,
) -> std::result::Result<Vec<Player>, Missing> {
    let player = |(role, twin): (&Role, &bool)| match (*twin, role.twin) {
        (false, _) => play::rust(role, examples).ok_or(Missing::Program(role.program)),
        (true, Twin::Command(_)) => play::twin(role, twins).ok_or(Missing::Command(role.program)),
        (true, _) => play::twin(role, twins).ok_or(Missing::Program(role.program)),
    };
    pair.roles.iter().zip(cast).map(player).collect()
}
