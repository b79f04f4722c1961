//! Masks, and what a child starts with.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;

use ipc_signal::{CommandExt, MaskGuard, Signal, SignalSet};
use ipc_testkit::role::{self, say};

use crate::argument;

/// Nests guards at random, unwinds through them, starts threads among them, and says how often the mask
/// afterwards was not the one before; then the same with a block and an unblock instead of a guard.
fn mask_rounds(rounds: usize, random: &mut fastrand::Rng) -> role::Result<(usize, usize)> {
    let (mut changed, mut naive) = (0, 0);
    for _ in 0..rounds {
        let before = ipc_signal::mask()?;
        let unwound = catch_unwind(AssertUnwindSafe(|| nest(random, 4)));
        if let Err(panic) = unwound
            && !panic.is::<Unwound>()
        {
            resume_unwind(panic);
        }
        changed += usize::from(ipc_signal::mask()? != before);
    }
    for _ in 0..rounds {
        let before = ipc_signal::mask()?;
        let fails = random.bool();
        let _ = catch_unwind(|| {
            // What C programs write: nothing undoes it when the middle is left early.
            std::mem::forget(MaskGuard::block(Signal::USR1));
            if fails {
                resume_unwind(Box::new(Unwound));
            }
            std::mem::forget(MaskGuard::unblock(Signal::USR1));
        });
        naive += usize::from(ipc_signal::mask()? != before);
        std::mem::forget(MaskGuard::set(before)?);
    }
    Ok((changed, naive))
}

struct Unwound;

fn nest(random: &mut fastrand::Rng, depth: usize) {
    let signals: SignalSet =
        (0..random.usize(0..4)).map(|_| Signal::from_number(random.i32(1..=64)).unwrap()).collect();
    let before = ipc_signal::mask().unwrap();
    let guard = match random.u8(0..3) {
        0 => MaskGuard::block(signals),
        1 => MaskGuard::unblock(signals),
        _ => MaskGuard::set(signals),
    }
    .unwrap();
    assert_eq!(guard.former(), before);
    let inside = ipc_signal::mask().unwrap();
    if random.u8(0..16) == 0 {
        // A thread inherits the mask and cannot change ours.
        let theirs = std::thread::spawn(|| {
            let inherited = ipc_signal::mask().unwrap();
            std::mem::forget(MaskGuard::block(SignalSet::all()));
            inherited
        });
        assert_eq!(theirs.join().unwrap(), inside);
    }
    if depth > 0 {
        nest(random, depth - 1);
    }
    if random.u8(0..8) == 0 {
        resume_unwind(Box::new(Unwound));
    }
    assert_eq!(ipc_signal::mask().unwrap(), inside);
}

/// `mask ROUNDS SEED`: what comes of [`mask_rounds`].
pub(crate) fn mask(arguments: &[String]) -> role::Result {
    let mut random = fastrand::Rng::with_seed(argument(arguments, 1)?);
    let (changed, naive) = mask_rounds(argument(arguments, 0)?, &mut random)?;
    say(format_args!("{changed} {naive}"))
}

/// `show-status`: prints what it found ignored itself; then, with a mask, an ignored and a caught signal in place, starts
/// children in several ways and prints SigBlk, SigIgn and SigCgt of each.
pub(crate) fn show_status(_: &[String]) -> role::Result {
    say(field(&std::fs::read_to_string("/proc/self/status")?, "SigIgn:"))?;
    let _blocked = MaskGuard::block([Signal::USR1, Signal::from_number(40)?])?;
    let _ignored = ipc_signal::on(Signal::HUP, ipc_signal::Action::Ignore)?;
    let _caught = ipc_signal::on(Signal::TERM, ipc_signal::Action::thread(|_| {}))?;
    let show = |command: &mut Command| -> role::Result {
        let text = String::from_utf8(command.arg("/proc/self/status").output()?.stdout)?;
        say(["SigBlk:", "SigIgn:", "SigCgt:"].map(|name| field(&text, name)).join(" "))
    };
    show(&mut Command::new("cat"))?;
    show(Command::new("cat").signal_mask(SignalSet::empty()))?;
    show(Command::new("cat").signal_mask(Signal::INT))?;
    show(Command::new("cat").default_signals(Signal::HUP)?)?;
    show(Command::new("cat").ignore_signals([Signal::INT, Signal::QUIT])?)
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim()
}
