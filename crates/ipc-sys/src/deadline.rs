//! A point in time on CLOCK_MONOTONIC, fixed once when a call begins: however often the call is interrupted, what is
//! left shrinks towards the same instant. A timeout too long to be represented is no deadline at all.
#![expect(unsafe_code, reason = "clock_gettime fills a timespec")]

use std::time::{Duration, Instant};

/// When a waiting call gives up.
///
/// [`Instant`] is CLOCK_MONOTONIC on Linux, so a deadline does not move when somebody sets the clock, and does not
/// run while the machine is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Waits for ever.
    pub const NEVER: Self = Self(None);

    /// Gives up `timeout` from now; a timeout beyond what the clock can hold never does.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        // More than a century is for ever: the kernel's own limit for a timer is KTIME_MAX, 292 years.
        const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
        Self(if timeout > CENTURY { None } else { Instant::now().checked_add(timeout) })
    }

    /// What is left: `None` without a deadline, zero when it has passed.
    #[must_use]
    #[inline]
    pub fn remaining(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// What is left, as the relative `timespec` of ppoll, semtimedop or sigtimedwait.
    #[must_use]
    #[inline]
    pub fn remaining_timespec(self) -> Option<libc::timespec> {
        self.remaining().map(timespec)
    }

    /// The instant itself, as the absolute `timespec` on CLOCK_MONOTONIC of pthread_mutex_clocklock and futex_waitv.
    #[must_use]
    pub fn at_monotonic(self) -> Option<libc::timespec> {
        self.remaining().map(|left| timespec(monotonic_now().saturating_add(left)))
    }

    /// This one, or `turn` from now if that comes first: for who looks again in between.
    #[must_use]
    pub fn or_after(self, turn: Duration) -> Self {
        match self.remaining() {
            Some(left) if left < turn => self,
            _ => Self::after(turn),
        }
    }

    /// Whether the instant has come.
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }
}

/// CLOCK_MONOTONIC, which [`Instant`] does not give as a number: what two processes can compare.
#[must_use]
pub fn monotonic_now() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a live timespec; CLOCK_MONOTONIC always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// A duration as C writes it, cut to what `time_t` holds: an i64 on all our targets, whose name libc deprecates on musl.
#[must_use]
pub fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: libc::c_long::from(duration.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_has_passed_and_for_ever_never_does() {
        assert!(Deadline::after(Duration::ZERO).has_passed());
        assert!(!Deadline::NEVER.has_passed());
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
        assert_eq!(Deadline::NEVER.remaining_timespec().map(|left| left.tv_sec), None);
    }

    #[test]
    fn what_is_left_never_exceeds_what_was_asked() {
        let hour = Duration::from_secs(3600);
        let left = Deadline::after(hour).remaining().unwrap();
        assert!(left <= hour && left > hour / 2);
    }

    #[test]
    fn a_turn_ends_with_the_deadline_at_the_latest() {
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
        let soon = Deadline::after(second);
        assert_eq!(soon.or_after(hour), soon);
        for later in [Deadline::NEVER, Deadline::after(hour)] {
            assert!(later.or_after(second).remaining().unwrap() <= second);
        }
    }

    #[test]
    fn a_timespec_keeps_the_nanoseconds() {
        let c = timespec(Duration::new(3, 999_999_999));
        assert_eq!((c.tv_sec, c.tv_nsec), (3, 999_999_999));
        assert_eq!(timespec(Duration::MAX).tv_sec, i64::MAX);
    }
}
