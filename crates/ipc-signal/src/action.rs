//! What shall happen when a signal arrives.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::{Ring, SignalInfo};

/// What [`on`](crate::on) does when the signal is delivered. Nothing of the program's own code runs inside the handler.
#[non_exhaustive]
pub enum Action {
    /// Sets it to true.
    Flag(Arc<AtomicBool>),
    /// Adds 1, once for each delivery; a standard signal that was pending already is delivered once.
    Count(Arc<AtomicU64>),
    /// Makes the other end of this descriptor readable: adds 1 to an eventfd, writes the signal's number as one byte to
    /// a pipe or socket. It must be non-blocking; when it is full its reader is awake already. Where the reader is gone nothing
    /// happens, SIGPIPE neither.
    Wake(OwnedFd),
    /// Keeps signal, sender and value for [`Ring::recv`], lossless up to the ring's capacity.
    Ring(Ring),
    /// SIG_IGN, while nothing but `Ignore` and `Default` is registered for the signal; the youngest of them counts.
    #[doc(alias = "SIG_IGN")]
    Ignore,
    /// SIG_DFL, under the same condition.
    #[doc(alias = "SIG_DFL")]
    Default,
    /// Calls it on a thread of its own, once for each delivery, with all that came: printing, locking and allocating are
    /// fine there. 1024 deliveries may wait for it; what it misses beyond that is counted by
    /// [`Registration::overflowed`](crate::Registration::overflowed). See [`Action::thread`].
    Thread(Box<dyn FnMut(SignalInfo) + Send>),
}

impl Action {
    /// A closure on a thread of its own. The thread blocks all signals and ends with the registration.
    pub fn thread(closure: impl FnMut(SignalInfo) + Send + 'static) -> Self {
        Self::Thread(Box::new(closure))
    }
}

impl From<&Ring> for Action {
    fn from(ring: &Ring) -> Self {
        Self::Ring(ring.clone())
    }
}

impl From<&Arc<AtomicBool>> for Action {
    fn from(flag: &Arc<AtomicBool>) -> Self {
        Self::Flag(Arc::clone(flag))
    }
}

impl From<&Arc<AtomicU64>> for Action {
    fn from(count: &Arc<AtomicU64>) -> Self {
        Self::Count(Arc::clone(count))
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag(_) => "Flag",
            Self::Count(_) => "Count",
            Self::Wake(_) => "Wake",
            Self::Ring(_) => "Ring",
            Self::Ignore => "Ignore",
            Self::Default => "Default",
            Self::Thread(_) => "Thread",
        })
    }
}
