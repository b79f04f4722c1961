//! What a lock says when its owner died: nobody gets at the data without having decided what to do about it.

use std::ops::{Deref, DerefMut};

use crate::Error;

/// The result of locking: a guard, or why there is none.
pub type LockResult<G> = Result<G, LockError<G>>;

/// Why a lock gives no guard.
///
/// It does not turn into an [`Error`] by itself: `?` does not pass over a dead owner. Decide with [`LockError::repair`] or
/// [`LockError::give_up`], or match.
#[derive(Debug, thiserror::Error)]
pub enum LockError<G> {
    /// The owner died and left what the lock guards as it was at that instant (EOWNERDEAD). The lock is ours.
    #[error("the owner of the lock died while it changed what the lock guards")]
    OwnerDied(Recovery<G>),
    /// There is nothing to recover: it is held ([`Error::WouldBlock`], [`Error::TimedOut`]), was given up
    /// ([`Error::NotRecoverable`]), or locking it made no sense ([`Error::Deadlock`], [`Error::TooManyLocks`]).
    #[error(transparent)]
    Failed(#[from] Error),
}

/// A lock obtained from an owner that died. The data are within reach, to be looked at and repaired.
///
/// Ends in one of two ways: [`Recovery::repaired`] makes it an ordinary guard; dropping it, by [`Recovery::give_up`] or by
/// a panic on the way, makes the lock [`Error::NotRecoverable`] for everybody, for ever. Killed meanwhile, it is the next
/// owner's to repair.
#[derive(Debug)]
#[must_use = "dropping it gives the lock up for everybody; repair the data and call `repaired`"]
pub struct Recovery<G> {
    guard: G,
}

/// A guard that may have been obtained from a dead owner.
pub trait Guard: DerefMut + private::Guard {}

impl<G: DerefMut + private::Guard> Guard for G {}

pub(super) mod private {
    pub trait Guard {
        /// The data are in order again. Dropping a recovered guard without this gives the lock up.
        fn repair(&mut self);
    }
}

impl<G: Guard> LockError<G> {
    /// Repairs what a dead owner left and goes on as if the lock had been obtained from a live one; any other failure
    /// stays what it is.
    ///
    /// # Errors
    /// What [`LockError::Failed`] holds.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> ipc_shm::Result<()> {
    /// # use ipc_shm::{Mutex, Shared};
    /// # let shared = Shared::<Mutex<u64>>::anonymous(|_| Ok(()))?;
    /// # // SAFETY: nobody else has this memory.
    /// # let shared = unsafe { shared.trust() };
    /// # let balance = shared.get()?;
    /// let mut guard = balance.lock().or_else(|error| error.repair(|balance| *balance = 0))?;
    /// *guard += 1;
    /// # Ok(())
    /// # }
    /// ```
    pub fn repair(self, repair: impl FnOnce(&mut G::Target)) -> Result<G, Error> {
        match self {
            Self::OwnerDied(mut recovery) => {
                repair(&mut recovery);
                Ok(recovery.repaired())
            }
            Self::Failed(error) => Err(error),
        }
    }

    /// Gives up a lock whose owner died: everybody who tries it from now on gets [`Error::NotRecoverable`]. Any other
    /// failure stays what it is.
    #[must_use]
    pub fn give_up(self) -> Error {
        match self {
            Self::OwnerDied(recovery) => {
                recovery.give_up();
                Error::OwnerDied
            }
            Self::Failed(error) => error,
        }
    }
}

impl<G: Guard> Recovery<G> {
    pub(super) fn new(guard: G) -> Self {
        Self { guard }
    }

    /// pthread_mutex_consistent: the data are in order again; from now on this is an ordinary guard.
    #[doc(alias = "pthread_mutex_consistent")]
    pub fn repaired(mut self) -> G {
        self.guard.repair();
        self.guard
    }

    /// Unlocks without repair: the lock is [`Error::NotRecoverable`] for everybody, and those who wait for it are told.
    pub fn give_up(self) {}
}

impl<G: Guard> Deref for Recovery<G> {
    type Target = G::Target;

    fn deref(&self) -> &Self::Target {
        &self.guard
    }
}

impl<G: Guard> DerefMut for Recovery<G> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.guard
    }
}

impl<G: Guard> From<Recovery<G>> for LockError<G> {
    fn from(recovery: Recovery<G>) -> Self {
        Self::OwnerDied(recovery)
    }
}
