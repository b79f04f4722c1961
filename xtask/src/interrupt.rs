//! Ctrl-C: a handler writes a byte into a pipe, and a thread that reads it passes SIGINT on to the process groups that
//! run, gives them time to remove what they have made, and then kills what is left. No new process starts afterwards, so
//! that the task comes to its end by itself.
//!
//! A handler, and no blocked signals: children inherit a mask, and SIGINT must reach them.
#![expect(unsafe_code, reason = "sigaction(2) takes a function, which must be async-signal-safe")]

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, killpg, sigaction};
use nix::unistd::Pid;

use crate::Result;

/// How long the programs have to end by themselves.
const GRACE: Duration = Duration::from_secs(2);

struct Running {
    groups: BTreeSet<i32>,
    interrupted: bool,
}

static RUNNING: Mutex<Running> = Mutex::new(Running { groups: BTreeSet::new(), interrupted: false });
static EMPTY: Condvar = Condvar::new();

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

static DOORBELL: OnceLock<io::PipeWriter> = OnceLock::new();

extern "C" fn on_signal(_: libc::c_int) {
    if let Some(doorbell) = DOORBELL.get() {
        // errno is the interrupted code's; a full pipe has rung already.
        let before = Errno::last_raw();
        let _ = nix::unistd::write(doorbell.as_fd(), b"!");
        Errno::set_raw(before);
    }
}

/// Starts the watch.
pub(crate) fn watch() -> Result {
    let (mut rings, doorbell) = io::pipe()?;
    DOORBELL.get_or_init(|| doorbell);
    let action = SigAction::new(SigHandler::Handler(on_signal), SaFlags::SA_RESTART, SigSet::empty());
    for each in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only reads an initialised cell and calls write(2), which are async-signal-safe.
        unsafe { sigaction(each, &action) }?;
    }
    thread::spawn(move || {
        while rings.read_exact(&mut [0]).is_ok() {
            let mut state = running();
            state.interrupted = true;
            signal_all(&state, Signal::SIGINT);
            let waited = EMPTY.wait_timeout_while(state, GRACE, |state| !state.groups.is_empty());
            let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            signal_all(&state, Signal::SIGKILL);
        }
    });
    Ok(())
}

fn signal_all(state: &Running, signal: Signal) {
    for group in &state.groups {
        let _ = killpg(Pid::from_raw(*group), signal);
    }
}

/// Sends `signal` to a group, unless it has ended: then its id may be somebody else's.
pub(crate) fn send(group: i32, signal: Signal) {
    if running().groups.contains(&group) {
        let _ = killpg(Pid::from_raw(group), signal);
    }
}

/// Whether Ctrl-C has come.
pub(crate) fn happened() -> bool {
    running().interrupted
}

/// Starts a process group by `spawn`, which returns its id, and keeps it in view; refused after Ctrl-C.
pub(crate) fn enter<T>(spawn: impl FnOnce() -> io::Result<(i32, T)>) -> io::Result<T> {
    let mut state = running();
    if state.interrupted {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted"));
    }
    let (group, started) = spawn()?;
    state.groups.insert(group);
    Ok(started)
}

/// The group has ended; call it before the leader is reaped, which gives its id free.
pub(crate) fn leave(group: i32) {
    let mut state = running();
    state.groups.remove(&group);
    if state.groups.is_empty() {
        EMPTY.notify_all();
    }
}
