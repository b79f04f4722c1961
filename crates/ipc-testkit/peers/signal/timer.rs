//! Alarms and timers.

use std::time::Duration;

use ipc_signal::{
    Cause, Clock, Error, IntervalTimer, MaskGuard, Pid, PosixTimer, Schedule, Signal, Value, alarm, try_wait,
    wait, wait_timeout,
};
use ipc_testkit::role::{self, say};

use crate::child::in_child;

/// How many children are forked for each way to set an alarm.
const FORKS: u32 = 5;

/// `alarms`: LTP's alarm02 to alarm07. Says how many of [`FORKS`] children an alarm of their own reached, and how many of
/// the twin's, which rely on their parent's.
pub(crate) fn alarms(_: &[String]) -> role::Result {
    let _blocked = MaskGuard::block([Signal::ALRM, Signal::VTALRM, Signal::PROF])?;
    // What was left comes back, 0 cancels, and there is nothing to cancel then; the greatest number is a number.
    assert_eq!(alarm(100), 0);
    assert!((99..=100).contains(&alarm(u32::MAX)));
    assert!(alarm(0) > 1_000_000);
    assert_eq!(alarm(0), 0);
    // It is the interval timer, and a forked child has none.
    assert_eq!(alarm(50), 0);
    assert!(IntervalTimer::Real.remaining()?.first > Duration::from_secs(40));
    let status = in_child(|| {
        assert_eq!((alarm(0), IntervalTimer::Real.remaining()?), (0, Schedule::stopped()));
        Ok(())
    })?;
    assert!(status.success(), "the child {status}");
    assert!(alarm(0) >= 49, "the child's cancelling is not the parent's");
    // Each of the three ends in its signal.
    for timer in [IntervalTimer::Real, IntervalTimer::Virtual, IntervalTimer::Prof] {
        timer.set(Schedule::once(Duration::from_millis(2)))?;
        let mut turns = 0_u64;
        while try_wait(timer.signal()).is_err() {
            turns = std::hint::black_box(turns + 1);
        }
        assert_eq!(timer.remaining()?, Schedule::stopped());
    }
    // alarm(0) in time means none.
    assert_eq!((alarm(1), alarm(0)), (0, 1));
    assert!(try_wait(Signal::ALRM).is_err());
    let soon = Schedule::once(Duration::from_millis(5));
    let (mut own, mut naive) = (0, 0);
    for _ in 0..FORKS {
        let child = in_child(|| {
            IntervalTimer::Real.set(soon)?;
            wait_timeout(Signal::ALRM, ipc_testkit::WATCHDOG)?;
            Ok(())
        })?;
        own += u32::from(child.success());
        // The twin's parent sets the alarm that shall end the child's wait, and gets it itself.
        IntervalTimer::Real.set(soon)?;
        let child = in_child(|| Ok(wait_timeout(Signal::ALRM, Duration::from_millis(50)).map(drop)?))?;
        naive += u32::from(child.success());
        wait(Signal::ALRM)?;
    }
    say(format_args!("{own} {naive}"))
}

/// `timers`: POSIX timers. Says `ok`.
pub(crate) fn timers(_: &[String]) -> role::Result {
    let signal = Signal::from_number(40)?;
    let _blocked = MaskGuard::block(signal)?;
    let timer = PosixTimer::for_thread(Clock::Monotonic, Pid::own_thread(), signal, 7)?;
    timer.set(Schedule::every(Duration::from_micros(200)))?;
    let first = wait(signal)?;
    assert_eq!((first.cause(), first.value().map(Value::as_i32)), (Cause::Timer, Some(7)));
    assert!(first.claimed_sender().is_none());
    // While nobody takes it, it runs out again and again: one signal, and a count. The other one is sent to the thread
    // as well: what is sent to a thread comes before all that is sent to its process.
    let other = PosixTimer::for_thread(Clock::Realtime, Pid::own_thread(), signal, 8)?;
    other.set(Schedule::once(Duration::from_millis(10)))?;
    let mut overruns = 0;
    loop {
        let info = wait(signal)?;
        if info.value().map(Value::as_i32) == Some(8) {
            break;
        }
        overruns += info.timer_overrun().unwrap_or(0);
        assert_eq!(Some(timer.overruns()?), info.timer_overrun());
        // Longer than a period.
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
    }
    assert!(overruns > 0);
    // Set again, the former schedule comes back.
    let former = timer.set(Schedule::stopped())?;
    assert_eq!(former.every, Duration::from_micros(200));
    assert_eq!(timer.remaining()?, Schedule::stopped());
    while try_wait(signal).is_ok() {}
    // A child has no timers, may create its own under the same number, and cannot lose it by dropping ours.
    timer.set(Schedule::once(Duration::from_secs(60)))?;
    let status = in_child(move || {
        let of_the_parent =
            |result: Result<Schedule, Error>| result.is_err_and(|error| error.errno() == Some(libc::EINVAL));
        assert!(of_the_parent(timer.set(Schedule::stopped())) && of_the_parent(timer.remaining()));
        let own = PosixTimer::new(Clock::Monotonic, signal, 9)?;
        own.set(Schedule::once(Duration::from_millis(1)))?;
        drop((timer, other));
        assert_eq!(wait(signal)?.value().map(Value::as_i32), Some(9));
        Ok(())
    })?;
    assert!(status.success(), "the child {status}");
    say("ok")
}
