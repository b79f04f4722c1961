//! A process or thread id: a number that the kernel gives out again once its owner has been reaped. Where that matters,
//! hold a [`ProcessFd`](crate::ProcessFd).

use std::fmt;
use std::num::NonZeroU32;
use std::process::Child;
use std::str::FromStr;

use ipc_sys::process;

use crate::{Error, Result};

/// `pid_t` as it names one process or thread: never 0, never negative, so that nothing that was meant for one process
/// reaches a group or everybody.
///
/// # Examples
/// ```
/// use ipc_signal::Pid;
///
/// assert_eq!(Pid::own().number(), std::process::id());
/// assert!(Pid::try_from(0).is_err());
/// assert!("-1".parse::<Pid>().is_err());
/// # Ok::<(), ipc_signal::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(NonZeroU32);

impl Pid {
    /// getpid(2): this process.
    #[must_use]
    #[doc(alias = "getpid")]
    #[inline]
    pub fn own() -> Self {
        Self::from_process(std::process::id())
    }

    /// gettid(2): this thread, for [`Target::Thread`](crate::Target::Thread).
    #[must_use]
    #[doc(alias = "gettid")]
    pub fn own_thread() -> Self {
        Self::from_process(process::thread_id().unsigned_abs())
    }

    /// getppid(2): who started us, or the process that took us in; `None` when it lives outside of our pid namespace.
    ///
    /// It may have ended and its number be another's by the time that it is used.
    #[must_use]
    #[doc(alias = "getppid")]
    pub fn parent() -> Option<Self> {
        Self::from_raw(process::parent())
    }

    /// A child that std started.
    #[must_use]
    pub fn of_child(child: &Child) -> Self {
        Self::from_process(child.id())
    }

    /// The number.
    #[must_use]
    #[inline]
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    #[inline]
    pub(crate) fn raw(self) -> i32 {
        // A Pid holds at most i32::MAX: both ways into one check it.
        i32::try_from(self.number()).unwrap_or(i32::MAX)
    }

    #[inline]
    pub(crate) fn from_raw(raw: i32) -> Option<Self> {
        u32::try_from(raw).ok().and_then(NonZeroU32::new).map(Self)
    }

    /// For ids that are those of live processes.
    #[inline]
    fn from_process(number: u32) -> Self {
        Self(NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN))
    }
}

impl TryFrom<u32> for Pid {
    type Error = Error;

    fn try_from(number: u32) -> Result<Self> {
        i32::try_from(number)
            .ok()
            .and_then(Self::from_raw)
            .ok_or_else(|| Error::InvalidPid { what: number.to_string() })
    }
}

impl TryFrom<NonZeroU32> for Pid {
    type Error = Error;

    fn try_from(number: NonZeroU32) -> Result<Self> {
        Self::try_from(number.get())
    }
}

impl From<Pid> for NonZeroU32 {
    fn from(pid: Pid) -> Self {
        pid.0
    }
}

impl From<&Child> for Pid {
    fn from(child: &Child) -> Self {
        Self::of_child(child)
    }
}

impl FromStr for Pid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse()
            .ok()
            .and_then(|number: u32| Self::try_from(number).ok())
            .ok_or_else(|| Error::InvalidPid { what: text.to_owned() })
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
