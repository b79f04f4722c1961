//! Death at every instruction: a peer runs up to a mark, is stepped instruction by instruction through what it does then,
//! and is killed after k of them, for every k. After each death the test looks at what is left.
//!
//! In the role, around what shall be survived (untraced, the marks do nothing):
//! ```no_run
//! # fn op() -> ipc_testkit::role::Result { Ok(()) }
//! # fn role() -> ipc_testkit::role::Result {
//! ipc_testkit::crash::begin();
//! op()?; // acquire, write, release
//! ipc_testkit::crash::end();
//! # Ok(())
//! # }
//! ```
//! In the test, with a fresh object for each death (`start` makes it and the command, `after` gets it back):
//! ```text
//! let points = crash::at_every_step(
//!     repetitions(150, usize::MAX),
//!     || { let key = name::key(); (command!("peer-sysv", "take-and-give", key), key) },
//!     |death, key| { assert!(restored(key), "{death}"); },
//! );
//! proof!("B3", "killed at {points} instructions, restored each time");
//! ```
//! The role gets what it needs as arguments: nobody talks to it before the mark. Only its main thread is stepped, and a system
//! call is one step, so it must not wait there for the test. A point costs about 3 ms and 4 µs for each step.
#![expect(unsafe_code, reason = "the marks are system calls")]

use std::fmt;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};

use ipc_signal::{Cause, CommandExt, Pid, ProcessFd, Signal, Stop, Tracee};

use crate::{Peer, WATCHDOG};

/// Ignored by default, and of no use to anybody here; a tracer sees it nevertheless.
const MARK: Signal = Signal::URG;

/// The peer's side: from here on each instruction may be the last.
pub fn begin() {
    mark();
}

/// The peer's side: what shall be survived is over.
pub fn end() {
    mark();
}

fn mark() {
    // SAFETY: takes nothing.
    let process = unsafe { libc::getpid() };
    // SAFETY: takes nothing.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) };
    // SAFETY: takes numbers. The bare call: raise(3) would add a dozen of its own instructions behind it.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, MARK.number()) };
}

/// One death: after how many instructions, and the dead peer, whose output can still be read.
#[derive(Debug)]
pub struct Death {
    /// How many instructions it had made since the mark.
    pub step: usize,
    /// How many there are to the end mark.
    pub of: usize,
    /// The peer, killed and reaped.
    pub peer: Peer,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "killed after {} of {} instructions", self.step, self.of)
    }
}

/// Runs `start`'s command again and again, kills it at each instruction between its marks, or at `most` of them spread
/// evenly, the last one included, and calls `after` with each death. Gives the number of deaths.
///
/// # Panics
/// When a peer ends before its mark, or hangs.
pub fn at_every_step<T>(
    most: usize,
    mut start: impl FnMut() -> (Command, T),
    mut after: impl FnMut(Death, T),
) -> usize {
    let watch = Watch::new();
    let mut run = |limit: usize, of: usize| {
        let (mut command, object) = start();
        let (peer, step) = run_to(&mut command, limit, &watch);
        after(Death { step, of: if of == 0 { step } else { of }, peer }, object);
        step
    };
    let all = run(usize::MAX, 0);
    let points = most.min(all);
    for point in 0..points {
        run(point * all / points, all);
    }
    points + 1
}

/// Runs to the mark, makes `limit` steps or as many as there are to the end mark, and kills.
fn run_to(command: &mut Command, limit: usize, watch: &Watch) -> (Peer, usize) {
    let mut peer = Peer::start(command.traced());
    let pid = Pid::try_from(peer.id()).unwrap();
    watch.guard(Some(ProcessFd::open(pid).unwrap()));
    let mut tracee = Tracee::adopt(pid).unwrap();
    let mut deliver = None;
    loop {
        tracee.resume(deliver.take()).unwrap();
        match tracee.next_stop().unwrap() {
            stop if is_mark(&stop) => break,
            Stop::Signal(info) => deliver = Some(info.signal()),
            Stop::End(state) => panic!("the peer {state} before its mark: {}", peer.errors()),
            _ => {}
        }
    }
    let mut steps = 0;
    while steps < limit {
        tracee.step(deliver.take()).unwrap();
        match tracee.next_stop().unwrap() {
            stop if stop.is_step() => steps += 1,
            stop if is_mark(&stop) => break,
            Stop::Signal(info) => deliver = Some(info.signal()),
            Stop::End(state) => panic!("the peer {state} after {steps} instructions: {}", peer.errors()),
            _ => {}
        }
    }
    peer.kill();
    watch.guard(None);
    (peer, steps)
}

fn is_mark(stop: &Stop) -> bool {
    matches!(stop, Stop::Signal(info) if info.signal() == MARK && info.cause() == Cause::Thread)
}

/// Kills a peer that takes longer than it may, so that the tracer, which waits in the kernel, sees an end.
struct Watch(mpsc::Sender<Option<ProcessFd>>);

impl Watch {
    fn new() -> Self {
        let (sender, receiver) = mpsc::channel::<Option<ProcessFd>>();
        std::thread::spawn(move || {
            while let Ok(mut guarded) = receiver.recv() {
                while let Some(process) = guarded.take() {
                    match receiver.recv_timeout(WATCHDOG) {
                        Ok(next) => guarded = next,
                        Err(RecvTimeoutError::Timeout) => {
                            let _ = process.send(Signal::KILL);
                        }
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            }
        });
        Self(sender)
    }

    fn guard(&self, process: Option<ProcessFd>) {
        self.0.send(process).unwrap();
    }
}
