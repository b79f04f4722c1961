//! Parties of a barrier, and those that die before they arrive.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ipc_testkit::crash;
use ipc_testkit::role::{Result, Role, hear, say};

use ipc_testkit::locks::{Words, attached};

pub(crate) const ROLES: &[Role] = &[("rounds", rounds), ("join", join), ("arrive", arrive)];

/// `rounds NAME INDEX COUNT`: meets the others COUNT times, and looks each time whether all have come as far.
fn rounds(arguments: &[String]) -> Result {
    let shared = attached::<Words>(&arguments[0])?;
    let words = shared.get()?;
    let (index, count): (usize, u64) = (arguments[1].parse()?, arguments[2].parse()?);
    let mut party = words.barrier.join(&shared)?;
    let mut last = 0;
    for round in 1..=count {
        words.rounds[index].store(round, Ordering::Relaxed);
        last += u64::from(party.wait()?);
        if words.rounds.iter().any(|other| other.load(Ordering::Relaxed) < round) {
            return Err(format!("released early in round {round}").into());
        }
    }
    say(last)
}

/// `join NAME`: joins and never arrives.
fn join(arguments: &[String]) -> Result {
    let shared = attached::<Words>(&arguments[0])?;
    let _party = shared.get()?.barrier.join(&shared)?;
    say("joined")?;
    hear().map(drop)
}

/// `arrive NAME`: arrives and gives up.
fn arrive(arguments: &[String]) -> Result {
    let shared = attached::<Words>(&arguments[0])?;
    let mut party = shared.get()?.barrier.join(&shared)?;
    crash::begin();
    let _ = party.wait_timeout(Duration::from_millis(1));
    crash::end();
    Ok(())
}
