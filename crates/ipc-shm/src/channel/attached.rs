//! One end of a channel as its handle holds it: the algorithm, the hold on the memory, and whether it may still be used.
//!
//! A forked child must not use its parent's end, and nobody one whose peer wrote nonsense. Both show in one word, the mark
//! of the process, so that a message pays for one load and one comparison.

use std::time::Duration;

use ipc_sys::Deadline;
use ipc_sys::fork::ForkMark;

use crate::channel::LastWords;
use crate::channel::doorbell::Wait;
use crate::channel::link::Link;
use crate::{Error, Result};

/// How long a call may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    None,
    /// From the first look that finds nothing: only then is the clock read.
    For(Duration),
    Until(Deadline),
}

impl Patience {
    pub(crate) const ENDLESS: Self = Self::Until(Deadline::NEVER);

    /// When it ends, if it is to be waited at all.
    pub(crate) fn deadline(self) -> Option<Deadline> {
        match self {
            Self::None => None,
            Self::For(timeout) => Some(Deadline::after(timeout)),
            Self::Until(deadline) => Some(deadline),
        }
    }
}

/// An attached end. Dropped in the process that attached it, it takes leave.
#[derive(Debug)]
pub(crate) struct Attached<R: LastWords> {
    pub(crate) ring: R,
    pub(crate) link: Link,
    /// How a blocking call waits.
    pub(crate) wait: Wait,
    /// The process that attached this end; void when the peer wrote nonsense.
    mark: ForkMark,
    /// Set for good when the peer wrote nonsense.
    corrupt: Option<&'static str>,
}

impl<R: LastWords> Attached<R> {
    pub(crate) fn new(ring: R, link: Link) -> Self {
        let mark = link.mark();
        Self { ring, link, wait: Wait::default(), mark, corrupt: None }
    }

    /// Whether this end may be used: [`Attached::check`] says why not.
    #[inline(always)]
    pub(crate) fn is_usable(&self) -> bool {
        self.mark.is_ours()
    }

    /// # Errors
    /// [`Error::Forked`], [`Error::PeerCorrupt`].
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        match self.corrupt {
            _ if self.mark.is_ours() => Ok(()),
            None => Err(Error::Forked),
            Some(what) => Err(Error::PeerCorrupt { what }),
        }
    }

    /// Hands on what a peer's words led to; nonsense makes this end unusable for good.
    #[inline]
    pub(crate) fn note<T>(&mut self, done: Result<T>) -> Result<T> {
        match done {
            Ok(done) => Ok(done),
            Err(error) => Err(self.condemn(error)),
        }
    }

    /// Makes this end unusable for good where the error is nonsense of the peer's.
    #[cold]
    pub(crate) fn condemn(&mut self, error: Error) -> Error {
        if let Error::PeerCorrupt { what } = error {
            self.corrupt = Some(what);
            self.mark = self.mark.void();
        }
        error
    }
}

impl<R: LastWords> Drop for Attached<R> {
    fn drop(&mut self) {
        if self.link.check_fork().is_ok() {
            self.ring.release();
            self.link.leave();
            self.ring.wake();
        }
    }
}
