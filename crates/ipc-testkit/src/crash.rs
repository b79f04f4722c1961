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
//! call is one step, so it must not wait there for the test. It is stepped once; after that a breakpoint takes it near the
//! instruction where it is to die, and a point costs about 2 ms. The breakpoint knows a place and not a count: where a
//! run goes another way than the one that was stepped, it dies near the instruction that is named. Each dies somewhere, so
//! the number of deaths is exact, and their spread nearly so.
#![expect(unsafe_code, reason = "the marks are system calls")]

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use ipc_signal::{Cause, CommandExt, Pid, ProcessFd, Signal, Stop, Tracee};
use nix::sys::personality::{self, Persona};

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
    /// How many instructions it had made since the mark: exactly, where it went the way that it went when it was stepped
    /// through, and that is to within the turns of a loop (a name of another length, a lock that was taken meanwhile)
    /// where it did not.
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

/// Runs `start`'s command again and again, kills it at instructions between its marks, and calls `after` with each death.
/// `most` deaths are certain, spread evenly, the last instruction included; with `IPC_TIER=full`, that is how many there are.
/// In the quick tier more follow, between these, where the test has time left. Where each instruction is asked for
/// (`usize::MAX`), the full tier takes as many as fit into a minute, spread over all; [`crate::is_long`], each. Gives the
/// number of deaths.
///
/// # Panics
/// When a peer ends before its mark, or hangs.
pub fn at_every_step<T>(
    most: usize,
    mut start: impl FnMut() -> (Command, T),
    mut after: impl FnMut(Death, T),
) -> usize {
    let watch = Watch::new();
    let (mut command, object) = start();
    let (peer, steps) = walk(&mut command, &watch);
    let of = steps.len();
    after(kill(peer, &watch, of, of), object);
    1 + at_some(of, most, |limit| {
        let (mut command, object) = start();
        let (peer, _, step) = run_to(&mut command, limit, &steps, &watch);
        after(kill(peer, &watch, step, of), object);
    })
}

/// As [`at_every_step`], but instead of killing the peer there, calls `meddle` while it stands still, and lets it run on to
/// its end: what it has looked at before, it must not trust to be so still. `after` gets the peer, which runs.
///
/// # Panics
/// As there.
pub fn meddled_at_every_step<T>(
    most: usize,
    mut start: impl FnMut() -> (Command, T),
    mut meddle: impl FnMut(&mut T),
    mut after: impl FnMut(Death, T),
) -> usize {
    let watch = Watch::new();
    let (mut command, object) = start();
    let steps = known(&mut command, &watch);
    let of = steps.len();
    drop(object);
    at_some(of, most, |limit| {
        let (mut command, mut object) = start();
        let (peer, tracee, step) = run_to(&mut command, limit, &steps, &watch);
        meddle(&mut object);
        tracee.detach(None).unwrap();
        after(Death { step, of, peer }, object);
        watch.guard(None);
    })
}

/// For how long since its first death a test may add further ones in the quick tier, beyond those that are certain.
const BUDGET: Duration = Duration::from_millis(1500);
/// For how long one call may in the full tier, where all are wanted; `cargo xtask verify --long` knows no end.
const FULL_BUDGET: Duration = Duration::from_secs(60);

thread_local! {
    /// When this test, which has a thread of its own, began to kill.
    static BEGIN: Instant = Instant::now();
}

/// Calls `run` for `most` of `of` points, and for more where there is time.
fn at_some(of: usize, most: usize, mut run: impl FnMut(usize)) -> usize {
    let (begin, now) = (BEGIN.with(Instant::clone), Instant::now());
    let (mut points, end) = if most >= of {
        (0, (!crate::is_long()).then(|| now + FULL_BUDGET))
    } else {
        for point in 0..most {
            run(point * of / most);
        }
        let is_quick = crate::repetitions(0, 1) == 0;
        (most, Some(if is_quick { begin + BUDGET } else { now }))
    };
    // A golden section of the points apart, so that each new one falls into the largest gap.
    let stride = (of * 618 / 1000..).find(|stride| coprime(*stride, of)).unwrap_or(1);
    for turn in usize::from(points > 0)..of {
        if end.is_some_and(|end| Instant::now() > end) {
            break;
        }
        run(turn * stride % of);
        points += 1;
    }
    points
}

fn coprime(a: usize, b: usize) -> bool {
    if b == 0 { a == 1 } else { coprime(b, a % b) }
}

fn kill(mut peer: Peer, watch: &Watch, step: usize, of: usize) -> Death {
    peer.kill();
    watch.guard(None);
    Death { step, of, peer }
}

/// Starts the command and lets it run to its mark.
fn run_to_mark(command: &mut Command, watch: &Watch) -> (Peer, Tracee) {
    // The same addresses in each run, so that an instruction is found again. Of this thread alone, and of what it starts.
    let usual = personality::get().unwrap();
    personality::set(usual | Persona::ADDR_NO_RANDOMIZE).unwrap();
    let mut peer = Peer::start(command.traced());
    personality::set(usual).unwrap();
    let pid = Pid::try_from(peer.id()).unwrap();
    watch.guard(Some(ProcessFd::open(pid).unwrap()));
    let mut tracee = Tracee::adopt(pid).unwrap();
    let mut deliver = None;
    loop {
        tracee.resume(deliver.take()).unwrap();
        match tracee.next_stop().unwrap() {
            stop if is_mark(&stop) => return (peer, tracee),
            Stop::Signal(info) => deliver = Some(info.signal()),
            Stop::End(state) => panic!("the peer {state} before its mark: {}", peer.errors()),
            _ => {}
        }
    }
}

/// Makes one step after another, to the end mark, and says where each began.
fn walk(command: &mut Command, watch: &Watch) -> (Peer, Vec<usize>) {
    let (mut peer, mut tracee) = run_to_mark(command, watch);
    let mut places = Vec::new();
    step(&mut tracee, &mut peer, |tracee| {
        places.push(place::of(tracee.pid()));
        true
    });
    places.pop();
    (peer, places)
}

/// A walk that is made once.
type Walk = Arc<OnceLock<Arc<Vec<usize>>>>;

/// As [`walk`], but only the first time that this program is started so: names, which are all different, apart.
fn known(command: &mut Command, watch: &Watch) -> Arc<Vec<usize>> {
    static WALKS: Mutex<BTreeMap<String, Walk>> = Mutex::new(BTreeMap::new());
    let shown = format!("{command:?}").replace(|letter: char| letter.is_ascii_digit(), "");
    let cell = Arc::clone(WALKS.lock().unwrap().entry(shown).or_default());
    let walked = cell.get_or_init(|| {
        let (peer, steps) = walk(command, watch);
        kill(peer, watch, 0, 0);
        Arc::new(steps)
    });
    Arc::clone(walked)
}

/// Runs to the mark, then makes `limit` steps or as many as there are to the end mark.
fn run_to(command: &mut Command, limit: usize, places: &[usize], watch: &Watch) -> (Peer, Tracee, usize) {
    let (mut peer, mut tracee) = run_to_mark(command, watch);
    let mut steps = leap(&mut tracee, &mut peer, limit, places);
    step(&mut tracee, &mut peer, |_| {
        steps += 1;
        steps <= limit
    });
    (peer, tracee, steps.min(limit))
}

/// Steps while `on` says so, which is asked before each step, and not beyond the end mark.
fn step(tracee: &mut Tracee, peer: &mut Peer, mut on: impl FnMut(&Tracee) -> bool) {
    let mut deliver = None;
    let mut asked = false;
    loop {
        if !asked && !on(tracee) {
            return;
        }
        tracee.step(deliver.take()).unwrap();
        // A signal on the way is no step.
        asked = true;
        match tracee.next_stop().unwrap() {
            stop if stop.is_step() => asked = false,
            stop if is_mark(&stop) => return,
            Stop::Signal(info) => deliver = Some(info.signal()),
            Stop::End(state) => panic!("the peer {state} between its marks: {}", peer.errors()),
            _ => {}
        }
    }
}

/// Goes near step `limit` at full speed: to the last instruction before it that had not been met until then. Gives the
/// number of its step, or `limit` where the peer went another way than the first time and is at the end mark.
fn leap(tracee: &mut Tracee, peer: &mut Peer, limit: usize, places: &[usize]) -> usize {
    let mut met = HashSet::new();
    let ahead = places[..limit.min(places.len())].iter().enumerate();
    match ahead.filter(|(_, place)| met.insert(**place)).last() {
        // Where places are not told, all are the first.
        None | Some((0, _)) => 0,
        Some((at, place)) => match place::run_to(tracee, *place) {
            Some(true) => at,
            Some(false) => limit,
            None => panic!("the peer ended between its marks: {}", peer.errors()),
        },
    }
}

/// Where a stopped process stands, and getting it there without stepping.
#[cfg(target_arch = "x86_64")]
mod place {
    use ipc_signal::{Pid, Signal, Stop, Tracee};
    use nix::sys::ptrace;

    fn number(pid: Pid) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(pid.number()).unwrap())
    }

    /// The address of the next instruction.
    pub(super) fn of(pid: Pid) -> usize {
        usize::try_from(ptrace::getregs(number(pid)).unwrap().rip).unwrap()
    }

    /// Runs to this instruction by a breakpoint. False at the end mark, `None` at the end of the process.
    pub(super) fn run_to(tracee: &mut Tracee, place: usize) -> Option<bool> {
        const BREAKPOINT: u64 = 0xcc;
        let word = tracee.read_word(place).unwrap();
        tracee.write_word(place, word & !0xff | BREAKPOINT).unwrap();
        let mut deliver = None;
        let found = loop {
            tracee.resume(deliver.take()).unwrap();
            match tracee.next_stop().unwrap() {
                Stop::Signal(info) if info.signal() == Signal::TRAP => break true,
                stop if super::is_mark(&stop) => break false,
                Stop::Signal(info) => deliver = Some(info.signal()),
                Stop::End(_) => return None,
                _ => {}
            }
        };
        tracee.write_word(place, word).unwrap();
        if found {
            let mut registers = ptrace::getregs(number(tracee.pid())).unwrap();
            registers.rip -= 1;
            ptrace::setregs(number(tracee.pid()), registers).unwrap();
        }
        Some(found)
    }
}

/// Elsewhere each step is made.
#[cfg(not(target_arch = "x86_64"))]
mod place {
    use ipc_signal::{Pid, Tracee};

    pub(super) fn of(_: Pid) -> usize {
        0
    }

    pub(super) fn run_to(_: &mut Tracee, _: usize) -> Option<bool> {
        None
    }
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
