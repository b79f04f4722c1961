//! What a forked child may do with the handles of its parent: nothing that its parent could notice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipc_signal::{
    Action, ChildEvents, ChildState, Error, IntervalTimer, Pid, Ring, Schedule, Shutdown, Signal, Waiting,
    on, raise, send, wait_child,
};
use ipc_sys::{Deadline, poll};
use ipc_testkit::WATCHDOG;
use ipc_testkit::role::{self, say};

use crate::child::{in_child, spawn};

/// `fork-handles`: a ring, a shutdown, events of children and a closure's registration, used and dropped in a forked child.
/// Says `ok`.
pub(crate) fn handles(_: &[String]) -> role::Result {
    let refused = |result: Result<(), Error>| result.is_err_and(|error| error.errno() == Some(libc::EINVAL));
    let ring = Ring::with_capacity(8)?;
    let _kept = on(Signal::USR1, &ring)?;
    raise(Signal::USR1)?;
    let shutdown = Shutdown::on([Signal::TERM, Signal::ALRM])?;
    let mut events = ChildEvents::new()?;
    let sleeping = std::process::Command::new("sleep").arg("60").spawn()?;
    events.watch(&sleeping)?;
    let status = in_child(|| {
        assert!(ring.try_recv().is_ok(), "what had come before the fork is copied");
        assert!(matches!(ring.try_recv(), Err(Error::WouldBlock)));
        assert!(refused(ring.recv().map(drop)) && refused(ring.recv_timeout(WATCHDOG).map(drop)));
        assert!(refused(shutdown.wait()) && refused(shutdown.wait_timeout(WATCHDOG)));
        IntervalTimer::Real.set(Schedule::once(Duration::from_millis(1)))?;
        while !shutdown.asked_within(Duration::from_millis(5)) {}
        assert_eq!(shutdown.signal(), Some(Signal::ALRM), "its own copy of the flag is set");
        assert!(refused(events.watch(Pid::own())) && refused(events.recv().map(drop)));
        assert!(refused(events.try_recv().map(drop)) && refused(events.recv_timeout(WATCHDOG).map(drop)));
        Ok(())
    })?;
    assert!(status.success(), "the child {status}");
    let soon = Deadline::after(Duration::ZERO);
    assert!(poll::wait(&ring, libc::POLLIN, soon)?.is_some(), "the child took the news of the parent's ring");
    assert!(ring.try_recv().is_ok() && !shutdown.asked());
    let asks = spawn(|| {
        shutdown.ask();
        i32::from(!shutdown.asked())
    })?;
    assert_eq!(wait_child(asks, Waiting::ENDS)?.1, ChildState::Exited(0));
    assert!(poll::wait(&shutdown, libc::POLLIN, soon)?.is_none(), "the child woke the parent");

    // The parent is asked while the child waits: the child is not, and its time is kept.
    let waits = spawn(|| i32::from(shutdown.asked_within(Duration::from_millis(100))))?;
    shutdown.ask();
    let end = ipc_signal::wait_child_timeout(waits, WATCHDOG)?;
    assert_eq!(end, ChildState::Exited(0));

    // A child that is watched twice, while another one holds a copy of the first descriptor.
    let (copies, watched) = (spawn(lingers)?, Pid::of_child(&sleeping));
    events.watch(watched)?;
    send(watched, Signal::KILL)?;
    assert!(matches!(events.recv_timeout(WATCHDOG)?, Some((pid, state)) if pid == watched && state.is_end()));
    wait_child(watched, Waiting::ENDS)?;
    events.watch(copies)?;
    let began = std::time::Instant::now();
    assert!(matches!(events.recv_timeout(Duration::from_millis(10)), Err(Error::TimedOut)));
    assert!(began.elapsed() < WATCHDOG, "an end that was told is told no more");
    send(copies, Signal::KILL)?;
    wait_child(copies, Waiting::ENDS)?;

    // The closure's thread is not there in a child.
    static RAN: AtomicBool = AtomicBool::new(false);
    let registration = on(Signal::USR2, Action::thread(|_| RAN.store(true, Ordering::SeqCst)))?;
    let mut moved = Some(registration);
    let child = spawn(|| {
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(moved.take())));
        i32::from(dropped.is_err())
    })?;
    assert_eq!(ipc_signal::wait_child_timeout(child, WATCHDOG)?, ChildState::Exited(0));
    raise(Signal::USR2)?;
    ipc_testkit::until("the closure", || RAN.load(Ordering::SeqCst));
    say("ok")
}

fn lingers() -> i32 {
    let _ = poll::wait(std::io::stdin(), 0, Deadline::NEVER);
    0
}
