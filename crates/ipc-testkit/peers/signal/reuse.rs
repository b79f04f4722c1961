//! A process number that is given out again.

use std::fs;

use ipc_signal::{ChildState, Error, Pid, ProcessFd, Signal, Waiting, send, try_wait_child, wait_child};
use ipc_testkit::role::{self, say};

use crate::argument;
use crate::child::spawn;

/// `reuse ROUNDS`, as the first process of a pid namespace of its own: says how often a pidfd reached the newcomer, and how
/// often the bare number did.
pub(crate) fn reuse(arguments: &[String]) -> role::Result {
    let rounds: usize = argument(arguments, 0)?;
    let (mut reached, mut naive) = (0, 0);
    for _ in 0..rounds {
        let first = spawn(sleep)?;
        let process = ProcessFd::open(first)?;
        end(first)?;
        fs::write("/proc/sys/kernel/ns_last_pid", (first.number() - 1).to_string())?;
        let second = spawn(sleep)?;
        assert_eq!(first, second, "the number was not given out again");
        match process.send(Signal::TERM) {
            Err(Error::NoSuchProcess { .. }) => {}
            other => return Err(format!("{other:?}").into()),
        }
        assert!(matches!(process.queue(Signal::TERM, 1), Err(Error::NoSuchProcess { .. })));
        reached += usize::from(try_wait_child(second, Waiting::ENDS).is_ok());
        // The control: the number that the pidfd was opened for.
        send(first, Signal::TERM)?;
        let killed = ChildState::Killed { signal: Signal::TERM, core_dumped: false };
        naive += usize::from(wait_child(second, Waiting::ENDS)?.1 == killed);
    }
    say(format_args!("{reached} {naive}"))
}

fn sleep() -> i32 {
    let _ = ipc_signal::suspend(ipc_signal::SignalSet::empty());
    0
}

fn end(pid: Pid) -> role::Result {
    send(pid, Signal::KILL)?;
    wait_child(pid, Waiting::ENDS)?;
    Ok(())
}
