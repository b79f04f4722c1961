//! Receivers whose system calls are counted between two marks.

use std::time::Duration;

use ipc_shm::{Error, spsc};
use ipc_testkit::crash;
use ipc_testkit::role::{Result, Role};

use crate::spsc::wait_of;

pub(crate) const ROLES: &[Role] = &[("hot-sleeper", hot_sleeper), ("counted-waiter", counted_waiter)];

/// `hot-sleeper NAME COUNT`: receives COUNT messages without sleeping, then waits for one that does not come, twice.
fn hot_sleeper(arguments: &[String]) -> Result {
    let mut receiver = spsc::Receiver::<u64>::open(&arguments[0])?;
    receiver.set_wait(wait_of("park"));
    for _ in 0..arguments[1].parse()? {
        receiver.try_recv()?;
    }
    crash::begin();
    let first = receiver.recv_timeout(Duration::from_millis(1));
    let second = receiver.recv_timeout(Duration::from_millis(1));
    crash::end();
    match (first, second) {
        (Err(Error::TimedOut), Err(Error::TimedOut)) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// `counted-waiter NAME WAIT MILLISECONDS`: waits that long for a message that does not come.
fn counted_waiter(arguments: &[String]) -> Result {
    let mut receiver = spsc::Receiver::<u64>::open(&arguments[0])?;
    receiver.set_wait(wait_of(&arguments[1]));
    let time = Duration::from_millis(arguments[2].parse()?);
    crash::begin();
    let came = receiver.recv_timeout(time);
    crash::end();
    match came {
        Err(Error::TimedOut) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}
