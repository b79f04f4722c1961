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
//! instruction where it is to die, and a point costs about 2 ms. The breakpoint counts how often it is met: where a run goes
//! another way than the one that was stepped, it dies near the instruction that is named. Each dies somewhere, so the
//! number of deaths is exact, and their spread nearly so.
#![expect(unsafe_code, reason = "the marks are system calls")]

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// What a test says after each death: `()`, or whether it has seen by now every kind of death that it looks for. A machine that
/// has time for few deaths only is asked for more of them until it has.
pub trait Seen {
    /// Whether nothing is missing.
    fn all(self) -> bool;
}

impl Seen for () {
    fn all(self) -> bool {
        true
    }
}

impl Seen for bool {
    fn all(self) -> bool {
        self
    }
}

/// Runs `start`'s command again and again, kills it at instructions between its marks, and calls `after` with each death.
/// `most` deaths are certain, spread evenly, the last instruction included; with `IPC_TIER=full`, that is how many there are.
/// In the quick tier more follow, between these, where the test has time left; in each tier, until `after` has [`Seen`] all;
/// with [`crate::is_long`], all there are. Gives the number of deaths.
///
/// # Panics
/// When a peer ends before its mark, or hangs.
pub fn at_every_step<T, S: Seen>(
    most: usize,
    mut start: impl FnMut() -> (Command, T),
    mut after: impl FnMut(Death, T) -> S,
) -> usize {
    let watch = Watch::new();
    let (mut command, object) = start();
    let (peer, steps) = walk(&mut command, &watch);
    let of = steps.len();
    after(kill(peer, &watch, of, of), object);
    1 + at_some(of, most, |limit| {
        let (mut command, object) = start();
        let (peer, _, step) = run_to(&mut command, limit, &steps, &watch);
        after(kill(peer, &watch, step, of), object).all()
    })
}

/// As [`at_every_step`], but instead of killing the peer there, calls `meddle` while it stands still, and lets it run on to
/// its end: what it has looked at before, it must not trust to be so still. `after` gets the peer, which runs.
///
/// # Panics
/// As there.
pub fn meddled_at_every_step<T, S: Seen>(
    most: usize,
    mut start: impl FnMut() -> (Command, T),
    mut meddle: impl FnMut(&mut T),
    mut after: impl FnMut(Death, T) -> S,
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
        let seen = after(Death { step, of, peer }, object).all();
        watch.guard(None);
        seen
    })
}

/// For how long since its first death a test may add further ones, beyond those that are certain: in the quick tier, and in
/// the full one, where a twentieth is certain and all that were asked for are the most. A death that is found out by a look
/// every 60 ms takes 20 times as long as another.
const QUICK: Duration = Duration::from_millis(1500);
const FULL: Duration = Duration::from_secs(15);

thread_local! {
    /// When this test, which has a thread of its own, began to kill.
    static BEGIN: Instant = Instant::now();
}

/// Calls `run` for so many of `of` points as the tier says: in the quick one for `asked`, and for more where there is time;
/// in the full one for `asked` at most; in both until it says that it has seen all.
fn at_some(of: usize, asked: usize, mut run: impl FnMut(usize) -> bool) -> usize {
    let (begin, now) = (BEGIN.with(Instant::clone), Instant::now());
    let full = asked.min(of);
    let (certain, most, budget) = match crate::repetitions_or_long(0, 1, 2) {
        0 => (full, of, QUICK),
        1 => (full.div_ceil(20), full, FULL),
        _ => (of, of, Duration::MAX),
    };
    let mut seen = true;
    for point in 0..certain {
        seen = run(point * of / certain);
    }
    let mut points = certain;
    // A golden section of the points apart, so that each new one falls into the largest gap.
    let stride = (of * 618 / 1000..).find(|stride| coprime(*stride, of)).unwrap_or(1);
    for turn in 1..of {
        if points == of || seen && (points >= most || begin.elapsed() > budget) {
            break;
        }
        seen = run(turn * stride % of);
        points += 1;
    }
    println!("{points} of {of} instructions in {:.1} s", now.elapsed().as_secs_f64());
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
        match watch.next_stop(&mut tracee) {
            stop if is_mark(&stop) => return (peer, tracee),
            Stop::Signal(info) => deliver = Some(info.signal()),
            Stop::End(state) => panic!("the peer {state} before its mark: {}", peer.errors()),
            _ => {}
        }
    }
}

/// Where a step begins: an instruction, and the how many-th time that it is met.
#[derive(Debug, Clone, Copy)]
struct Step {
    place: usize,
    visit: usize,
}

/// Makes one step after another, to the end mark, and says where each began.
fn walk(command: &mut Command, watch: &Watch) -> (Peer, Vec<Step>) {
    let (mut peer, mut tracee) = run_to_mark(command, watch);
    let (mut steps, mut met) = (Vec::new(), HashMap::new());
    step(&mut tracee, &mut peer, watch, |tracee| {
        let place = place::of(tracee.pid());
        let visit = met.entry(place).and_modify(|visits| *visits += 1).or_insert(1);
        steps.push(Step { place, visit: *visit });
        true
    });
    steps.pop();
    (peer, steps)
}

/// A walk that is made once.
type Walk = Arc<OnceLock<Arc<Vec<Step>>>>;

/// As [`walk`], but only the first time that this program is started so: names, which are all different, apart.
fn known(command: &mut Command, watch: &Watch) -> Arc<Vec<Step>> {
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
fn run_to(command: &mut Command, limit: usize, walk: &[Step], watch: &Watch) -> (Peer, Tracee, usize) {
    let (mut peer, mut tracee) = run_to_mark(command, watch);
    let mut steps = leap(&mut tracee, &mut peer, watch, limit, walk);
    step(&mut tracee, &mut peer, watch, |_| {
        steps += 1;
        steps <= limit
    });
    (peer, tracee, steps.min(limit))
}

/// Steps while `on` says so, which is asked before each step, and not beyond the end mark.
fn step(tracee: &mut Tracee, peer: &mut Peer, watch: &Watch, mut on: impl FnMut(&Tracee) -> bool) {
    let mut deliver = None;
    let mut asked = false;
    loop {
        if !asked && !on(tracee) {
            return;
        }
        tracee.step(deliver.take()).unwrap();
        // A signal on the way is no step.
        asked = true;
        match watch.next_stop(tracee) {
            stop if stop.is_step() => asked = false,
            stop if is_mark(&stop) => return,
            Stop::Signal(info) => deliver = Some(info.signal()),
            Stop::End(state) => panic!("the peer {state} between its marks: {}", peer.errors()),
            _ => {}
        }
    }
}

/// Goes near step `limit` at full speed: to an instruction from which the fewest steps are left, where meeting it once costs
/// as much as some steps. Gives the number of its step, or `limit` where the peer went another way than the first time and
/// is at the end mark.
fn leap(tracee: &mut Tracee, peer: &mut Peer, watch: &Watch, limit: usize, walk: &[Step]) -> usize {
    const STEPS_A_VISIT: usize = 3;
    let ahead = walk[..limit.min(walk.len())].iter().enumerate();
    match ahead.min_by_key(|(at, step)| limit - at + step.visit * STEPS_A_VISIT) {
        // Where places are not told, all are the same.
        None | Some((0, _)) => 0,
        Some((at, step)) => match place::run_to(tracee, watch, *step) {
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

    use super::{Step, Watch};

    fn number(pid: Pid) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(pid.number()).unwrap())
    }

    /// The address of the next instruction.
    pub(super) fn of(pid: Pid) -> usize {
        usize::try_from(ptrace::getregs(number(pid)).unwrap().rip).unwrap()
    }

    /// Runs to this step by a breakpoint. False at the end mark, `None` at the end of the process.
    pub(super) fn run_to(tracee: &mut Tracee, watch: &Watch, step: Step) -> Option<bool> {
        const BREAKPOINT: u64 = 0xcc;
        let word = tracee.read_word(step.place).unwrap();
        let mut visit = 0;
        loop {
            tracee.write_word(step.place, word & !0xff | BREAKPOINT).unwrap();
            let found = next(tracee, watch, Tracee::resume)?;
            tracee.write_word(step.place, word).unwrap();
            if !found {
                return Some(false);
            }
            let mut registers = ptrace::getregs(number(tracee.pid())).unwrap();
            registers.rip -= 1;
            ptrace::setregs(number(tracee.pid()), registers).unwrap();
            visit += 1;
            if visit == step.visit {
                return Some(true);
            }
            // Over the instruction, where the breakpoint comes back.
            if !next(tracee, watch, Tracee::step)? {
                return Some(false);
            }
        }
    }

    /// Has it go on by `go` until a trap, past other signals. False at the end mark, `None` at the end of the process.
    fn next(
        tracee: &mut Tracee,
        watch: &Watch,
        go: impl Fn(&mut Tracee, Option<Signal>) -> ipc_signal::Result<()>,
    ) -> Option<bool> {
        let mut deliver = None;
        loop {
            go(tracee, deliver.take()).unwrap();
            match watch.next_stop(tracee) {
                stop if stop.is_step() => return Some(true),
                Stop::Signal(info) if info.signal() == Signal::TRAP => return Some(true),
                stop if super::is_mark(&stop) => return Some(false),
                Stop::Signal(info) => deliver = Some(info.signal()),
                Stop::End(_) => return None,
                _ => {}
            }
        }
    }
}

/// Elsewhere each step is made.
#[cfg(not(target_arch = "x86_64"))]
mod place {
    use ipc_signal::{Pid, Tracee};

    use super::{Step, Watch};

    pub(super) fn of(_: Pid) -> usize {
        0
    }

    pub(super) fn run_to(_: &mut Tracee, _: &Watch, _: Step) -> Option<bool> {
        None
    }
}

fn is_mark(stop: &Stop) -> bool {
    matches!(stop, Stop::Signal(info) if info.signal() == MARK && info.cause() == Cause::Thread)
}

/// Kills a peer that takes longer than it may from one stop to the next, so that the tracer, which waits in the kernel, sees
/// an end. How many steps it takes, and for how long a loaded machine makes them, is no matter.
struct Watch {
    guarded: mpsc::Sender<Option<ProcessFd>>,
    stops: Arc<AtomicU64>,
}

impl Watch {
    fn new() -> Self {
        let (sender, receiver) = mpsc::channel::<Option<ProcessFd>>();
        let stops = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&stops);
        std::thread::spawn(move || {
            while let Ok(mut guarded) = receiver.recv() {
                while let Some(process) = guarded.take() {
                    let before = seen.load(Ordering::Relaxed);
                    match receiver.recv_timeout(WATCHDOG) {
                        Ok(next) => guarded = next,
                        Err(RecvTimeoutError::Timeout) if seen.load(Ordering::Relaxed) != before => {
                            guarded = Some(process);
                        }
                        Err(RecvTimeoutError::Timeout) => {
                            let _ = process.send(Signal::KILL);
                        }
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            }
        });
        Self { guarded: sender, stops }
    }

    fn guard(&self, process: Option<ProcessFd>) {
        self.guarded.send(process).unwrap();
    }

    fn next_stop(&self, tracee: &mut Tracee) -> Stop {
        self.stops.fetch_add(1, Ordering::Relaxed);
        tracee.next_stop().unwrap()
    }
}
