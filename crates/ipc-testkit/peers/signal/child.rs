//! Children: many at once, and several who wait for them.
#![expect(unsafe_code, reason = "fork")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ipc_signal::{
    ChildEvents, ChildState, Children, DefaultAction, Error, MaskGuard, Pid, Signal, Waiting, on, send,
    try_wait_child, wait_child,
};
use ipc_testkit::role::{self, say};
use nix::unistd::ForkResult;

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
    spawn(|| i32::from(status))
}

/// Forks a child that does this, without exec, and ends with its status.
pub(crate) fn spawn(does: impl FnOnce() -> i32) -> role::Result<Pid> {
    #[expect(clippy::disallowed_methods, reason = "a peer that has one thread when it calls this")]
    // SAFETY: this process has one thread, so the child may do whatever it may.
    let forked = unsafe { nix::unistd::fork() }?;
    match forked {
        ForkResult::Child => {
            let status = does();
            // SAFETY: ends the child, without the parent's destructors.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => Ok(Pid::try_from(u32::try_from(child.as_raw())?)?),
    }
}

/// Runs this in a forked child and waits for its end: status 0 when it returned `Ok`.
pub(crate) fn in_child(does: impl FnOnce() -> role::Result) -> role::Result<ChildState> {
    let child = spawn(|| match std::panic::catch_unwind(std::panic::AssertUnwindSafe(does)) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            eprintln!("{error}");
            1
        }
        Err(_) => 2,
    })?;
    Ok(wait_child(child, Waiting::ENDS)?.1)
}

/// `coexist`: std's Child, our events and a library that waits for all children, at the same time. Says `ok`.
pub(crate) fn coexist(_: &[String]) -> role::Result {
    let mut events = ChildEvents::new()?;
    let mut children = Vec::new();
    for status in 0..20 {
        let child = Command::new("sh").args(["-c", &format!("exit {status}")]).spawn()?;
        events.watch(&child)?;
        children.push(child);
    }
    let mut seen: Vec<i32> = Vec::new();
    for event in &mut events {
        if let (_, ChildState::Exited(status)) = event? {
            seen.push(status);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    // None of them was reaped.
    for (status, child) in children.iter_mut().enumerate() {
        assert_eq!(child.wait()?.code(), Some(i32::try_from(status)?));
    }
    // Somebody reaps everything before we look: the pidfd remembers, or says that it cannot.
    let mut remembered = 0;
    for status in 0..20 {
        let pid = fork_and_exit(status)?;
        events.watch(pid)?;
        while wait_child(Children::All, Waiting::ENDS).is_ok() {}
        match events.recv() {
            Ok(Some((_, ChildState::Exited(found)))) if found == i32::from(status) => remembered += 1,
            Err(Error::NoChild { .. }) => {}
            other => return Err(format!("{other:?}").into()),
        }
    }
    assert!(events.recv()?.is_none());
    // Stops and continuations, and an end by signal.
    let mut child = Command::new("sleep").arg("60").spawn()?;
    let pid = Pid::of_child(&child);
    events.watch(pid)?;
    for (signal, expected) in [
        (Signal::STOP, ChildState::Stopped(Signal::STOP)),
        (Signal::CONT, ChildState::Continued),
        (Signal::TERM, ChildState::Killed { signal: Signal::TERM, core_dumped: false }),
    ] {
        send(pid, signal)?;
        assert_eq!(events.recv_timeout(ipc_testkit::WATCHDOG)?, Some((pid, expected)));
    }
    child.wait()?;
    say(format_args!("ok {remembered}"))
}

/// `statuses`: every way in which a child may end, as seen by waitid; prints what was wrong.
pub(crate) fn statuses(_: &[String]) -> role::Result {
    for signal in Signal::all() {
        let ends = !matches!(
            signal.default_action(),
            DefaultAction::Ignore | DefaultAction::Stop | DefaultAction::Continue
        );
        let child = spawn(|| {
            // SAFETY: SIG_DFL runs no code; Rust's runtime ignores SIGPIPE.
            unsafe { libc::signal(signal.number(), libc::SIG_DFL) };
            let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
            let _ = ipc_signal::raise(signal);
            7
        })?;
        let (_, state) = wait_child(child, Waiting::CHANGES)?;
        let right = match state {
            ChildState::Killed { signal: by, .. } => ends && by == signal,
            ChildState::Stopped(by) => by == signal && signal.default_action() == DefaultAction::Stop,
            other => !ends && other == ChildState::Exited(7),
        };
        assert!(right, "{signal}: {state}");
        if !state.is_end() {
            send(child, Signal::KILL)?;
            wait_child(child, Waiting::ENDS)?;
        }
    }
    say("ok")
}
