//! Two processes that stand ready with the two ends of a column, seen from the one that asks them.

use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ipc_signal::{CommandExt, Signal};
use ipc_uds::Stream;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::cell::{Cell, Kind};
use crate::column::Column;
use crate::end::now;
use crate::machine;
use crate::meet::{Meet, Place};
use crate::side::Task;

/// Both are killed when it is dropped without [`Pair::end`], and when we are killed.
pub(crate) struct Pair {
    cell: Cell,
    children: [Child; 2],
    boss: Meet,
    /// How many messages take as long as a sample is to take.
    count: u64,
}

/// Why a sample was not taken: a side died, and has said why on standard error, or does not answer.
#[derive(Debug)]
pub(crate) struct Broken;

type Result<T> = std::result::Result<T, Broken>;

/// How long one answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

impl Pair {
    pub(crate) fn start(cell: &Cell, column: Column) -> Result<Self> {
        let (boss, of_near) = Stream::pair().unwrap();
        let (link, of_far) = Stream::pair().unwrap();
        let near = spawn("near", cell, column, of_near);
        let far = spawn("far", cell, column, of_far);
        let mut pair =
            Self { cell: *cell, children: [near, far], boss: Meet::new(Place::Near, boss), count: 1 };
        pair.boss.give(b"the far one", vec![OwnedFd::from(link)]);
        pair.answer()?;
        Ok(pair)
    }

    /// The processes, near and far.
    pub(crate) fn children(&self) -> &[Child; 2] {
        &self.children
    }

    /// Finds out how many messages take about `sample`, and begins with `guess`.
    pub(crate) fn calibrate(&mut self, guess: u64, sample: Duration) -> Result<u64> {
        self.count = guess.max(16);
        loop {
            let spent = self.time_of(self.count)?;
            let wanted = self.count as f64 * sample.as_nanos() as f64 / spent.max(1.0);
            if spent * 4.0 >= sample.as_nanos() as f64 {
                self.count = (wanted as u64).max(8);
                return Ok(self.count);
            }
            self.count = (wanted as u64).clamp(self.count + 1, self.count * 8);
        }
    }

    /// Nanoseconds a message: one way, or one of a stream.
    pub(crate) fn sample(&mut self) -> Result<f64> {
        let messages = match self.cell.kind {
            Kind::Latency => 2 * self.count,
            Kind::Stream => self.count,
        };
        Ok(self.time_of(self.count)? / messages as f64)
    }

    /// The time of each of a part of a sample's messages.
    pub(crate) fn each(&mut self, part: u64) -> Result<Vec<u64>> {
        let task = match self.cell.kind {
            Kind::Latency => Task::PingEach,
            Kind::Stream => Task::DrainEach,
        };
        self.ask(task, (self.count / part).clamp(8, 200_000), 0)
    }

    /// How late each of `count` messages came that were to start every `period` nanoseconds.
    pub(crate) fn open(&mut self, period: u64, count: u64) -> Result<Vec<u64>> {
        self.ask(Task::Open, count, period)
    }

    /// Makes exactly `count` rounds or messages, and gives how long they took.
    pub(crate) fn time_of(&mut self, count: u64) -> Result<f64> {
        let task = match self.cell.kind {
            Kind::Latency => Task::Ping,
            Kind::Stream => Task::Drain,
        };
        self.ask(task, count, 0).map(|answer| answer[0] as f64)
    }

    fn ask(&mut self, task: Task, count: u64, period: u64) -> Result<Vec<u64>> {
        // An open loop begins when both have surely been told.
        let start = now() + 2_000_000;
        self.boss.say(&[task as u64, count, start, period]);
        self.answer()
    }

    fn answer(&mut self) -> Result<Vec<u64>> {
        self.boss.hear_within(PATIENCE).ok_or(Broken)
    }

    /// Has both end in good order.
    pub(crate) fn end(mut self) {
        self.boss.say(&[]);
        for child in &mut self.children {
            let _ = ipc_signal::wait_child_timeout(&*child, PATIENCE);
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn spawn(place: &str, cell: &Cell, column: Column, link: Stream) -> Child {
    let [near, far] = machine::cpus();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["side", place, &near.to_string(), &far.to_string(), column.word()]).args(cell.arguments());
    command.stdin(Stdio::from(OwnedFd::from(link)));
    command.parent_death_signal(Signal::KILL);
    // A message of 1 MiB is handed over by value, on the stack, by whoever promises no less.
    let (_, most) = getrlimit(Resource::RLIMIT_STACK).unwrap();
    setrlimit(Resource::RLIMIT_STACK, STACK.min(most), most).unwrap();
    command.env("RUST_MIN_STACK", STACK.to_string());
    command.spawn().unwrap()
}

const STACK: u64 = 256 << 20;
