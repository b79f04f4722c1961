//! Plays a pair: starts its programs in their order, hears what they say, and judges it by the table.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::pairs::{End, Pair, Role, Twin, When};
use crate::stage::Stage;
use crate::{Result, interrupt, judge, process};

/// How long a whole play may take, on a machine that has other things to do.
const DEADLINE: Duration = Duration::from_secs(120);

/// Something that happens in a play.
#[derive(Debug)]
pub(crate) enum Event {
    Started { pid: u32 },
    Said(String),
    Complained(String),
    Ended(ExitStatus, bool),
}

/// What is left to tell when a play is over.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) took: Duration,
    /// What was wrong.
    pub(crate) faults: Vec<String>,
    /// Which commands ran and what they said.
    pub(crate) account: String,
}

/// Where each program is.
pub(crate) type Programs = BTreeMap<String, PathBuf>;

/// The program that plays a role, and what to call it with before the role's own arguments.
pub(crate) type Player = Vec<PathBuf>;

/// The Rust program of a role.
pub(crate) fn rust(role: &Role, examples: &Programs) -> Option<Player> {
    Some(vec![examples.get(role.program)?.clone()])
}

/// The twin of a role: the C program, or a command that is installed.
pub(crate) fn twin(role: &Role, compiled: &Programs) -> Option<Player> {
    match role.twin {
        Twin::C => Some(vec![compiled.get(role.program)?.clone()]),
        Twin::Command(words) => {
            let mut words = words.iter();
            let program = process::find(words.next()?)?;
            Some(std::iter::once(program).chain(words.map(PathBuf::from)).collect())
        }
        Twin::None => None,
    }
}

/// Plays `pair` with a player for each role, and shows each event, with the role's number, as it comes.
pub(crate) fn play(
    pair: &Pair,
    players: &[Player],
    interval: u32,
    mut show: impl FnMut(usize, &Event),
) -> Result<Outcome> {
    let stage = Stage::new(interval)?;
    let start = Instant::now();
    let (told, events) = mpsc::channel();
    let cast = pair.roles.iter().zip(players);
    let mut troupe: Vec<Member<'_>> = cast.map(|(role, player)| Member::new(role, player)).collect();
    let mut faults = Vec::new();
    let mut pending = VecDeque::from([Moment::Begin]);
    'play: loop {
        while let Some(moment) = pending.pop_front() {
            if let Err(error) = act(&mut troupe, &moment, &stage, &told, &mut show) {
                faults.push(error.to_string());
                break 'play;
            }
        }
        if troupe.iter().all(|member| !member.running()) {
            break;
        }
        let left = DEADLINE.saturating_sub(start.elapsed());
        let Ok((number, event)) = events.recv_timeout(left) else {
            faults.push(format!("no end within {} s", DEADLINE.as_secs()));
            break;
        };
        show(number, &event);
        if let Some(member) = troupe.get_mut(number) {
            pending.extend(member.take_note(number, event));
        }
    }
    for member in &troupe {
        member.stop();
    }
    while troupe.iter().any(Member::running) {
        let Ok((number, event)) = events.recv_timeout(DEADLINE) else { break };
        if let Some(member) = troupe.get_mut(number) {
            member.take_note(number, event);
        }
    }
    let pids: Vec<Option<u32>> = troupe.iter().map(|member| member.pid).collect();
    for member in &troupe {
        faults.extend(member.faults(&stage, &pids));
    }
    faults.extend(stage.left_behind().iter().map(|left| format!("left behind: {left}")));
    let account = troupe.iter().map(Member::account).collect();
    Ok(Outcome { took: start.elapsed(), faults, account })
}

/// What the roles wait for.
enum Moment {
    Begin,
    Said(usize, String),
    Ended(usize),
}

/// Does what is to be done at a moment: starts roles and interrupts them.
fn act(
    troupe: &mut [Member<'_>],
    moment: &Moment,
    stage: &Stage,
    told: &Sender<(usize, Event)>,
    show: &mut impl FnMut(usize, &Event),
) -> Result {
    let pids: Vec<Option<u32>> = troupe.iter().map(|member| member.pid).collect();
    let reached = |when: When| match (when, moment) {
        (When::AtOnce, Moment::Begin) => Some(String::new()),
        (When::Says(role, pattern), Moment::Said(number, line)) if role == *number => {
            judge::matched(&stage.fill(pattern, &pids, ""), line).map(str::to_owned)
        }
        (When::Ended(role), Moment::Ended(number)) if role == *number => Some(String::new()),
        _ => None,
    };
    for (number, member) in troupe.iter_mut().enumerate() {
        if member.pid.is_none()
            && let Some(heard) = reached(member.role.starts)
        {
            let pid = member.start(number, stage, &pids, &heard, told.clone())?;
            show(number, &Event::Started { pid });
        } else if member.running() && member.role.interrupted.is_some_and(|when| reached(when).is_some()) {
            member.interrupt();
        }
    }
    Ok(())
}

/// A role and the process that plays it.
struct Member<'a> {
    role: &'a Role,
    player: &'a Player,
    command: String,
    pid: Option<u32>,
    said: Vec<String>,
    complained: Vec<String>,
    ended: Option<(ExitStatus, bool)>,
}

impl<'a> Member<'a> {
    fn new(role: &'a Role, player: &'a Player) -> Self {
        let (said, complained) = (Vec::new(), Vec::new());
        Self { role, player, command: role.program.to_owned(), pid: None, said, complained, ended: None }
    }

    fn running(&self) -> bool {
        self.pid.is_some() && self.ended.is_none()
    }

    fn start(
        &mut self,
        number: usize,
        stage: &Stage,
        pids: &[Option<u32>],
        heard: &str,
        told: Sender<(usize, Event)>,
    ) -> Result<u32> {
        let (program, before) = self.player.split_first().ok_or("a role has no player")?;
        let mut command = Command::new(program);
        command.args(before).args(self.role.arguments.iter().map(|text| stage.fill(text, pids, heard)));
        command.current_dir(stage.path("")).env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command = process::shown(&command);
        let mut child = process::spawn(&mut command)?;
        let pid = child.id();
        self.pid = Some(pid);
        if let Some(mut input) = child.stdin.take() {
            // A program that does not read its input ends without it: EPIPE is its own business.
            let _ = input.write_all(self.role.input.as_bytes());
        }
        let out = child.stdout.take().map(|stream| listen(stream, number, told.clone(), Event::Said));
        let err = child.stderr.take().map(|stream| listen(stream, number, told.clone(), Event::Complained));
        thread::spawn(move || {
            let reaped = process::reap(&mut child);
            for listener in [out, err].into_iter().flatten() {
                let _ = listener.join();
            }
            if let Ok((status, survivors)) = reaped {
                let _ = told.send((number, Event::Ended(status, survivors)));
            }
        });
        Ok(pid)
    }

    fn interrupt(&self) {
        self.send(Signal::SIGINT);
    }

    fn stop(&self) {
        if self.running() {
            self.send(Signal::SIGKILL);
        }
    }

    fn send(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            interrupt::send(pid.cast_signed(), signal);
        }
    }

    /// Keeps what happened, and gives the moment that others may wait for.
    fn take_note(&mut self, number: usize, event: Event) -> Option<Moment> {
        match event {
            Event::Started { .. } => None,
            Event::Said(line) => {
                self.said.push(line.clone());
                Some(Moment::Said(number, line))
            }
            Event::Complained(line) => {
                self.complained.push(line);
                None
            }
            Event::Ended(status, survivors) => {
                self.ended = Some((status, survivors));
                Some(Moment::Ended(number))
            }
        }
    }

    /// What was not as the table has it.
    fn faults(&self, stage: &Stage, pids: &[Option<u32>]) -> Vec<String> {
        let name = self.role.program;
        let Some((status, survivors)) = self.ended else {
            return vec![format!("{name} has not been started: what it waits for did not happen")];
        };
        let mut faults = Vec::new();
        let as_expected = match self.role.ends {
            End::Status(code) => status.code() == Some(code),
            End::Signal(signal) => status.signal() == Some(signal),
        };
        if !as_expected {
            faults.push(format!("{name}: {}, not {:?}", process::ending(status), self.role.ends));
        }
        if survivors {
            faults.push(format!("{name} left a process behind"));
        }
        if self.complained.is_empty() == self.role.complains {
            let said = self.complained.join(" / ");
            faults.push(format!("{name} on standard error: {said:?}"));
        }
        if let Err(fault) = judge::lines(self.role.says, &self.said, |text| stage.fill(text, pids, "")) {
            faults.push(format!("{name}: {fault}"));
        }
        faults
    }

    fn account(&self) -> String {
        let end = self.ended.map_or_else(|| "not started".to_owned(), |(status, _)| process::ending(status));
        let mut text = format!("$ {}\n{end}\n", self.command);
        for line in &self.said {
            text.push_str(&format!("  {line}\n"));
        }
        for line in &self.complained {
            text.push_str(&format!("  (stderr) {line}\n"));
        }
        text
    }
}

/// Tells each line of `stream` as it comes, and the end by ending.
fn listen(
    stream: impl Read + Send + 'static,
    number: usize,
    told: Sender<(usize, Event)>,
    event: impl Fn(String) -> Event + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
            if told.send((number, event(text))).is_err() {
                return;
            }
            line.clear();
        }
    })
}
