//! One of the two processes: it makes or takes its end, and then does what it is told.

use std::io::stdin;
use std::os::fd::{AsFd, OwnedFd};

use ipc_uds::Stream;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::cell::{Cell, Cores};
use crate::column::Column;
use crate::end::{Schedule, Side};
use crate::meet::{Meet, Place};

/// What is asked of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Task {
    Ping,
    PingEach,
    Drain,
    DrainEach,
    Open,
}

impl Task {
    const ALL: [Self; 5] = [Self::Ping, Self::PingEach, Self::Drain, Self::DrainEach, Self::Open];
}

/// `ipc-bench side near|far CPU CPU COLUMN CELL…`; standard input is the socket to who asks.
pub(crate) fn main(arguments: &[String]) -> Option<()> {
    let [place, near_cpu, far_cpu, column, cell @ ..] = arguments else { return None };
    let cell = Cell::from_arguments(cell)?;
    let column = Column::from_word(column)?;
    let cpus = [near_cpu.parse().ok()?, far_cpu.parse().ok()?];
    let link = Stream::from(stdin().as_fd().try_clone_to_owned().ok()?);
    match place.as_str() {
        "near" => near(&cell, column, cpus, link),
        _ => far(&cell, column, cpus, link),
    }
    Some(())
}

fn near(cell: &Cell, column: Column, cpus: [usize; 2], link: Stream) {
    pin(cpus[0]);
    let mut boss = Meet::new(Place::Far, link);
    let [link]: [OwnedFd; 1] = boss.take().1.try_into().unwrap();
    let mut meet = Meet::new(Place::Near, Stream::from(link));
    let mut side = column.side(cell, &mut meet, cpus);
    meet.together();
    boss.say(&[]);
    while let Some(words) = boss.hear() {
        let [task, count, start, period] = words[..] else { break };
        meet.say(&words);
        let schedule = Schedule { start, period };
        let times = match Task::ALL[usize::try_from(task).unwrap()] {
            Task::Ping => {
                boss.say(&[u64::try_from(side.ping(count).as_nanos()).unwrap()]);
                continue;
            }
            Task::Drain => {
                boss.say(&[u64::try_from(side.drain(count).as_nanos()).unwrap()]);
                continue;
            }
            Task::PingEach => side.ping_each(count),
            Task::DrainEach => side.drain_each(count),
            Task::Open => side.expect(count, schedule),
        };
        boss.say(&times.into_iter().map(u64::from).collect::<Vec<_>>());
    }
    // The far side is told to end, and its objects go before ours, which may have to remove them.
    meet.say(&[]);
    let _ = meet.hear();
}

fn far(cell: &Cell, column: Column, cpus: [usize; 2], link: Stream) {
    pin(if cell.cores == Cores::One { cpus[0] } else { cpus[1] });
    let mut meet = Meet::new(Place::Far, link);
    let mut side = column.side(cell, &mut meet, cpus);
    meet.together();
    obey(&mut *side, &mut meet);
}

/// The far side, until there is nothing more to do.
pub(crate) fn obey(side: &mut dyn Side, meet: &mut Meet) {
    while let Some(words) = meet.hear() {
        let [task, count, start, period] = words[..] else { break };
        match Task::ALL[usize::try_from(task).unwrap()] {
            Task::Ping | Task::PingEach => side.pong(count),
            Task::Drain | Task::DrainEach => side.pour(count),
            Task::Open => side.keep_to(count, Schedule { start, period }),
        }
    }
}

/// Puts this thread on one CPU.
pub(crate) fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}
