//! Children: many at once, and several who wait for them.
#![expect(unsafe_code, reason = "fork")]

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ipc_signal::{ChildState, Children, MaskGuard, Pid, Signal, Waiting, on, try_wait_child, wait_child};
use ipc_testkit::role::{self, say};
use nix::unistd::{ForkResult, Pid as RawPid};

use crate::argument;

/// `reap ROUNDS CHILDREN`: all of a round's children end while SIGCHLD is blocked; says how many statuses were wrong, how
/// many zombies are left, and how often a handler ran.
pub(crate) fn reap(arguments: &[String]) -> role::Result {
    let (rounds, children): (usize, u8) = (argument(arguments, 0)?, argument(arguments, 1)?);
    let deliveries = Arc::new(AtomicU64::new(0));
    let _registration = on(Signal::CHLD, &deliveries)?;
    let mut wrong = 0;
    for _ in 0..rounds {
        let blocked = MaskGuard::block(Signal::CHLD)?;
        let expected: BTreeMap<Pid, u8> =
            (0..children).map(|status| Ok((fork_and_exit(status)?, status))).collect::<role::Result<_>>()?;
        for pid in expected.keys() {
            // Looking is not taking: all of them are zombies when the signal is let through.
            wait_child(*pid, Waiting::ENDS.looking())?;
        }
        drop(blocked);
        let mut found = BTreeMap::new();
        while let Ok((pid, state)) = try_wait_child(Children::All, Waiting::ENDS) {
            found.insert(pid, state);
        }
        wrong += expected
            .iter()
            .filter(|(pid, status)| found.get(pid) != Some(&ChildState::Exited(i32::from(**status))))
            .count();
    }
    let zombies = fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id()))?;
    say(format_args!("{wrong} {} {}", zombies.split_whitespace().count(), deliveries.load(Ordering::SeqCst)))
}

/// A child that ends at once.
fn fork_and_exit(status: u8) -> role::Result<Pid> {
    #[expect(clippy::disallowed_methods, reason = "a peer with one thread")]
    // SAFETY: this process has one thread, and the child does nothing but end.
    let forked = unsafe { nix::unistd::fork() }?;
    match forked {
        // SAFETY: ends the child, without the parent's destructors.
        ForkResult::Child => unsafe { libc::_exit(i32::from(status)) },
        ForkResult::Parent { child } => Ok(pid_of(child)?),
    }
}

fn pid_of(pid: RawPid) -> role::Result<Pid> {
    Ok(Pid::try_from(u32::try_from(pid.as_raw())?)?)
}
