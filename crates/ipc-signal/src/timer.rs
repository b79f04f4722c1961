//! Timers that end in a signal. The alarm and the interval timers are one of a kind in a process and survive exec, not
//! fork; a POSIX timer belongs to the process that created it, and goes with it, with exec and with its handle.

use std::time::Duration;

use ipc_sys::{deadline, timer as sys};

use crate::handler::Page;
use crate::{Error, Pid, Result, Signal, Value};

/// alarm(2): SIGALRM to this process after so many seconds; 0 cancels. Gives the seconds that were left of the former
/// alarm, 0 where there was none. It is the same timer as [`IntervalTimer::Real`]. Async-signal-safe.
///
/// # Examples
/// ```
/// use ipc_signal::alarm;
///
/// assert_eq!(alarm(60), 0);
/// assert!((59..=60).contains(&alarm(0)));
/// assert_eq!(alarm(0), 0);
/// ```
#[must_use = "the seconds that were left of the former alarm"]
pub fn alarm(seconds: u32) -> u32 {
    sys::alarm(seconds)
}

/// When a timer runs out: after `first`, and then every `every`; both zero while it stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[doc(alias = "itimerval")]
#[doc(alias = "itimerspec")]
pub struct Schedule {
    /// Until it runs out for the first time, or next; zero stops it.
    pub first: Duration,
    /// From then on; zero for once.
    pub every: Duration,
}

impl Schedule {
    /// Once.
    #[must_use]
    pub const fn once(first: Duration) -> Self {
        Self { first, every: Duration::ZERO }
    }

    /// Again and again.
    #[must_use]
    pub const fn every(every: Duration) -> Self {
        Self { first: every, every }
    }

    /// Never: a timer that is set to this stands still.
    #[must_use]
    pub const fn stopped() -> Self {
        Self::once(Duration::ZERO)
    }
}

/// setitimer(2): the three timers that every process has.
///
/// # After a crash
/// Nothing is left: the timer ends with the process. It goes on through exec, and a forked child has none.
///
/// # Examples
/// ```
/// use ipc_signal::{wait, IntervalTimer, MaskGuard, Schedule, Signal};
/// use std::time::Duration;
///
/// let _blocked = MaskGuard::block(Signal::ALRM)?;
/// IntervalTimer::Real.set(Schedule::every(Duration::from_millis(1)))?;
/// for _ in 0..3 {
///     assert_eq!(wait(Signal::ALRM)?.signal(), Signal::ALRM);
/// }
/// IntervalTimer::Real.set(Schedule::stopped())?;
/// # Ok::<(), ipc_signal::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "setitimer")]
pub enum IntervalTimer {
    /// ITIMER_REAL: time as it passes; SIGALRM.
    Real,
    /// ITIMER_VIRTUAL: what this process computes; SIGVTALRM.
    Virtual,
    /// ITIMER_PROF: that, and what the kernel computes for it; SIGPROF.
    Prof,
}

impl IntervalTimer {
    /// setitimer(2): gives what was left of the former schedule. Counts in microseconds; what is shorter becomes one.
    ///
    /// # Errors
    /// [`Error::System`]: EINVAL for more seconds than the kernel holds.
    pub fn set(self, schedule: Schedule) -> Result<Schedule> {
        let new = libc::itimerval { it_value: timeval(schedule.first), it_interval: timeval(schedule.every) };
        sys::setitimer(self.number(), &new).map(|old| of_timeval(&old)).map_err(Error::system("setitimer"))
    }

    /// getitimer(2): what is left.
    ///
    /// # Errors
    /// [`Error::System`]: none that the kernel documents.
    #[doc(alias = "getitimer")]
    pub fn remaining(self) -> Result<Schedule> {
        sys::getitimer(self.number()).map(|now| of_timeval(&now)).map_err(Error::system("getitimer"))
    }

    /// Which signal it ends in.
    #[must_use]
    pub const fn signal(self) -> Signal {
        match self {
            Self::Real => Signal::ALRM,
            Self::Virtual => Signal::VTALRM,
            Self::Prof => Signal::PROF,
        }
    }

    const fn number(self) -> i32 {
        // ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF
        match self {
            Self::Real => 0,
            Self::Virtual => 1,
            Self::Prof => 2,
        }
    }
}

/// What a POSIX timer measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clock {
    /// CLOCK_MONOTONIC: nobody can set it.
    Monotonic,
    /// CLOCK_REALTIME.
    Realtime,
    /// CLOCK_BOOTTIME: goes on while the machine is suspended.
    Boottime,
    /// CLOCK_PROCESS_CPUTIME_ID: what this process computes.
    ProcessCpu,
    /// CLOCK_THREAD_CPUTIME_ID: what the creating thread computes.
    ThreadCpu,
}

/// timer_create(2): a timer of its own, that queues a signal with a value.
///
/// One signal of a timer is pending at a time; what expires meanwhile is counted and comes with it, as
/// [`SignalInfo::timer_overrun`](crate::SignalInfo::timer_overrun).
///
/// A forked child does not inherit the timer: every call fails there, and dropping its copy deletes nothing.
///
/// # After a crash
/// Nothing is left: the kernel deletes the timers of a process at its end, and at exec.
///
/// # Examples
/// ```
/// use ipc_signal::{wait, Clock, MaskGuard, PosixTimer, Schedule, Signal};
/// use std::time::Duration;
///
/// let signal = Signal::realtime(2)?;
/// let _blocked = MaskGuard::block(signal)?;
/// let timer = PosixTimer::new(Clock::Monotonic, signal, 7)?;
/// timer.set(Schedule::once(Duration::from_millis(1)))?;
/// let info = wait(signal)?;
/// assert_eq!((info.value().map(|value| value.as_i32()), info.timer_overrun()), (Some(7), Some(0)));
/// # Ok::<(), ipc_signal::Error>(())
/// ```
#[derive(Debug)]
#[doc(alias = "timer_create")]
#[doc(alias = "timer_delete")]
pub struct PosixTimer {
    id: sys::TimerId,
    /// Of the process whose timer this number means.
    generation: u64,
}

impl PosixTimer {
    /// timer_create(2): a timer that stands still, and will send `signal` with `value` to this process.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EAGAIN (as many timers and queued signals as RLIMIT_SIGPENDING allows) | [`Error::QueueFull`] |
    /// | EINVAL, ENOMEM | [`Error::System`] |
    pub fn new(clock: Clock, signal: Signal, value: impl Into<Value>) -> Result<Self> {
        Self::create(clock, signal, value.into(), None)
    }

    /// SIGEV_THREAD_ID: the same, to one thread of this process.
    ///
    /// # Errors
    /// As [`PosixTimer::new`]; EINVAL also where the thread is not of this process.
    #[doc(alias = "SIGEV_THREAD_ID")]
    pub fn for_thread(clock: Clock, thread: Pid, signal: Signal, value: impl Into<Value>) -> Result<Self> {
        Self::create(clock, signal, value.into(), Some(thread.raw()))
    }

    /// timer_settime(2): gives what was left of the former schedule.
    ///
    /// # Errors
    /// [`Error::System`]: EINVAL in a forked child.
    #[doc(alias = "timer_settime")]
    pub fn set(&self, schedule: Schedule) -> Result<Schedule> {
        let new = libc::itimerspec {
            it_value: deadline::timespec(schedule.first),
            it_interval: deadline::timespec(schedule.every),
        };
        self.of_this_process()?;
        sys::timer_settime(self.id, &new).map(|old| of_timespec(&old)).map_err(Error::system("timer_settime"))
    }

    /// timer_gettime(2): what is left.
    ///
    /// # Errors
    /// [`Error::System`]: EINVAL in a forked child.
    #[doc(alias = "timer_gettime")]
    pub fn remaining(&self) -> Result<Schedule> {
        self.of_this_process()?;
        sys::timer_gettime(self.id).map(|now| of_timespec(&now)).map_err(Error::system("timer_gettime"))
    }

    /// timer_getoverrun(2): how many expirations the signal taken last stood for, beyond its own. Async-signal-safe while
    /// it succeeds.
    ///
    /// # Errors
    /// [`Error::System`]: EINVAL in a forked child.
    #[doc(alias = "timer_getoverrun")]
    pub fn overruns(&self) -> Result<u32> {
        self.of_this_process()?;
        sys::timer_overrun(self.id).map(i32::unsigned_abs).map_err(Error::system("timer_getoverrun"))
    }

    fn create(clock: Clock, signal: Signal, Value(value): Value, thread: Option<i32>) -> Result<Self> {
        let clock = match clock {
            Clock::Monotonic => libc::CLOCK_MONOTONIC,
            Clock::Realtime => libc::CLOCK_REALTIME,
            Clock::Boottime => libc::CLOCK_BOOTTIME,
            Clock::ProcessCpu => libc::CLOCK_PROCESS_CPUTIME_ID,
            Clock::ThreadCpu => libc::CLOCK_THREAD_CPUTIME_ID,
        };
        let page = Page::here().map_err(Error::system("mmap"))?;
        let generation = page.locked(|| page.claim_generation());
        let id = sys::timer_create(clock, signal.number(), value, thread).map_err(|source| {
            match source.raw_os_error() {
                Some(libc::EAGAIN) => Error::QueueFull { signal, target: "a new timer".to_owned() },
                _ => Error::System { operation: "timer_create", source },
            }
        })?;
        Ok(Self { id, generation })
    }

    /// The number means another timer, or none, in a forked child.
    fn of_this_process(&self) -> Result<()> {
        if Page::known().is_some_and(|page| page.generation() == self.generation) {
            return Ok(());
        }
        Err(Error::of_parent("timer of the parent"))
    }
}

/// timer_delete(2). A signal that is pending already still arrives.
impl Drop for PosixTimer {
    fn drop(&mut self) {
        if self.of_this_process().is_ok() {
            // The number is ours: it cannot fail.
            let _ = sys::timer_delete(self.id);
        }
    }
}

fn timeval(duration: Duration) -> libc::timeval {
    // Rounded up: a zero would stop the timer. The million that this may make is carried.
    let micros = duration.subsec_nanos().div_ceil(1000);
    let seconds = duration.as_secs().saturating_add(u64::from(micros / 1_000_000));
    libc::timeval {
        tv_sec: i64::try_from(seconds).unwrap_or(i64::MAX),
        tv_usec: i64::from(micros % 1_000_000),
    }
}

fn of_timeval(value: &libc::itimerval) -> Schedule {
    let duration = |time: &libc::timeval| duration(time.tv_sec, time.tv_usec * 1000);
    Schedule { first: duration(&value.it_value), every: duration(&value.it_interval) }
}

fn of_timespec(value: &libc::itimerspec) -> Schedule {
    let duration = |time: &libc::timespec| duration(time.tv_sec, time.tv_nsec);
    Schedule { first: duration(&value.it_value), every: duration(&value.it_interval) }
}

/// The kernel gives nothing negative.
fn duration(seconds: i64, nanos: i64) -> Duration {
    Duration::new(seconds.unsigned_abs(), u32::try_from(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_time_is_not_none() {
        let value = |nanos| {
            let c = timeval(Duration::from_nanos(nanos));
            (c.tv_sec, c.tv_usec)
        };
        assert_eq!(value(0), (0, 0));
        assert_eq!(value(1), (0, 1));
        assert_eq!(value(999_999_999), (1, 0));
        assert_eq!(timeval(Duration::MAX).tv_sec, i64::MAX);
    }
}
