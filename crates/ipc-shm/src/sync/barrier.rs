//! A barrier: two words of shared memory, and a lock on a byte of the memory's file for each party, which the kernel drops
//! when the party dies. Its creator is whoever makes the memory; nobody removes it.
#![expect(unsafe_code, reason = "the type promises to be InPlace and AnyBits")]

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipc_sys::Deadline;
use ipc_sys::fork::ForkMark;

use super::arrival::{BROKEN, meet};
use super::word::low;
use crate::in_place::{AnyBits, InPlace, kind};
use crate::memory::lock::{self, Kind};
use crate::{Common, Error, Result, Shared};

/// `pthread_barrier_t` between processes: each of `PARTIES` (2 to 32) waits until all have come, again and again.
///
/// A process takes part by [`Barrier::join`]. All calls are safe whatever other processes write into the barrier: who may
/// write there can release it early, break it or hold it up. Arriving costs no system call but the sleep, and the last to
/// arrive the wake.
///
/// # After a crash
/// A party that dies, or drops its [`Party`], before it has arrived makes the barrier [`Error::Broken`] for all who wait,
/// within 70 ms, and for ever: it can never be complete again. One that dies after it has arrived counts as arrived, this
/// once. A process that never joined is waited for. A child forked without exec keeps its parent's place alive.
///
/// # Examples
/// ```
/// # fn main() -> ipc_shm::Result<()> {
/// use ipc_shm::{Barrier, Shared};
///
/// let shared = Shared::<Barrier<2>>::anonymous(|_| Ok(()))?;
/// let (mut first, mut second) = (shared.get()?.join(&shared)?, shared.get()?.join(&shared)?);
/// std::thread::scope(|scope| {
///     let other = scope.spawn(move || second.wait());
///     let ours = first.wait()?;
///     let theirs = other.join().unwrap()?;
///     assert!(ours != theirs, "one of them came last");
///     ipc_shm::Result::Ok(())
/// })
/// # }
/// ```
#[doc(alias = "pthread_barrier_t")]
#[repr(C)]
pub struct Barrier<const PARTIES: usize> {
    /// Below, [`BROKEN`] and the generation, on which they sleep; above, a bit for each party that has arrived.
    state: AtomicU64,
    /// A bit for each place that has ever been taken.
    joined: AtomicU64,
}

/// One party's place in a [`Barrier`]. Dropping it leaves, which breaks the barrier unless nobody waits any more.
#[derive(Debug)]
pub struct Party<'a, const PARTIES: usize> {
    barrier: &'a Barrier<PARTIES>,
    /// An opening of our own, whose lock on a byte says that we live.
    file: OwnedFd,
    /// The byte of the first place.
    bytes: libc::off_t,
    place: usize,
    /// The process that joined.
    mark: ForkMark,
}

impl<const PARTIES: usize> Barrier<PARTIES> {
    /// pthread_barrier_init, for one party: takes a place that nobody alive has. `shared` is the memory in which this
    /// barrier lies.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EBUSY | [`Error::EndInUse`]: all places are taken |
    /// | EPIPE | [`Error::Broken`] |
    /// | EINVAL | [`Error::InvalidParameter`]: it lies elsewhere, or beyond the first GiB of a System V segment |
    /// | EACCES (its mode no longer allows it) | [`Error::PermissionDenied`] |
    /// | EMFILE, ENFILE, ENOENT (/proc is not mounted) | [`Error::System`] |
    #[doc(alias = "pthread_barrier_init")]
    pub fn join<T: InPlace, M: Common>(&self, shared: &Shared<T, M>) -> Result<Party<'_, PARTIES>> {
        const { assert!(PARTIES >= 2 && PARTIES <= 32, "each party is a bit of half a word") };
        let Some(offset) = shared.offset_of(self) else {
            let reason = "the barrier does not lie in it";
            return Err(Error::InvalidParameter { what: "the memory", value: 0, reason });
        };
        if low(self.state.load(Ordering::Relaxed)) & BROKEN != 0 {
            return Err(Error::Broken);
        }
        let (file, within) = shared.lock_file()?;
        let mark = ForkMark::new().map_err(Error::system("mmap", OBJECT))?;
        // 32 bytes for each 16 of the memory.
        let bytes = within.start.saturating_add_unsigned(2 * offset as u64);
        if bytes.saturating_add(32) > within.end {
            let reason = "the barrier lies too far from its beginning";
            return Err(Error::InvalidParameter { what: "the memory", value: offset as u64, reason });
        }
        for place in 0..PARTIES {
            if lock::take(&file, byte(bytes, place), Kind::Write)
                .map_err(Error::system("fcntl(F_OFD_SETLK)", OBJECT))?
            {
                self.joined.fetch_or(1 << place, Ordering::Relaxed);
                return Ok(Party { barrier: self, file, bytes, place, mark });
            }
        }
        Err(Error::EndInUse { object: OBJECT.to_owned(), end: "every place" })
    }

    /// Whether a party was found dead.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        low(self.state.load(Ordering::Relaxed)) & BROKEN != 0
    }
}

impl<const PARTIES: usize> Party<'_, PARTIES> {
    /// pthread_barrier_wait: arrives and waits for all others. True for the one that came last.
    ///
    /// # Blocking
    /// Until all have arrived or one is found dead. A signal does not end the wait.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EPIPE | [`Error::Broken`] |
    /// | EPERM (a seccomp filter) | [`Error::PermissionDenied`] |
    /// | ENOSYS (a seccomp filter) | [`Error::System`] |
    #[doc(alias = "pthread_barrier_wait")]
    pub fn wait(&mut self) -> Result<bool> {
        self.wait_until(Deadline::NEVER)
    }

    /// As [`Party::wait`], or gives up and has not arrived.
    ///
    /// # Blocking
    /// For `timeout` at most, on CLOCK_MONOTONIC, from [`Duration::ZERO`] to for ever.
    ///
    /// # Errors
    /// As [`Party::wait`], and
    ///
    /// | errno | error |
    /// | --- | --- |
    /// | ETIMEDOUT | [`Error::TimedOut`] |
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<bool> {
        self.wait_until(Deadline::after(timeout))
    }

    fn wait_until(&self, deadline: Deadline) -> Result<bool> {
        meet(&self.barrier.state, self.bit(), Self::ALL, deadline, |now| self.finds_a_dead_one(now))
    }

    /// Whether a party that once joined and has not arrived is gone.
    fn finds_a_dead_one(&self, now: u64) -> Result<bool> {
        let missing = self.barrier.joined.load(Ordering::Relaxed) & !(now >> 32) & !self.bit();
        for place in (0..PARTIES).filter(|place| missing >> place & 1 != 0) {
            let held = lock::is_excluded(&self.file, byte(self.bytes, place), Kind::Read);
            if !held.map_err(Error::system("fcntl(F_OFD_GETLK)", OBJECT))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    const ALL: u64 = (1 << PARTIES) - 1;

    fn bit(&self) -> u64 {
        1 << self.place
    }
}

impl<const PARTIES: usize> Drop for Party<'_, PARTIES> {
    /// The last close would let the place go, too; but a process that another thread has just forked, and that has not come to
    /// its exec yet, holds every descriptor of ours until then.
    fn drop(&mut self) {
        if self.mark.is_ours() {
            let _ = lock::release(&self.file, byte(self.bytes, self.place));
        }
    }
}

/// The byte of one place.
fn byte(first: libc::off_t, place: usize) -> libc::off_t {
    first + libc::off_t::try_from(place).unwrap_or(0)
}

const OBJECT: &str = "the barrier";

impl<const PARTIES: usize> fmt::Debug for Barrier<PARTIES> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrived = (self.state.load(Ordering::Relaxed) >> 32).count_ones();
        write!(formatter, "Barrier({arrived} of {PARTIES})")
    }
}

// SAFETY: zeroed words are a barrier that nobody has joined; they change by atomics and futexes alone.
unsafe impl<const PARTIES: usize> InPlace for Barrier<PARTIES> {
    const KIND: u64 = kind("Barrier 1", &[PARTIES as u64]);

    unsafe fn init(_: *mut Self) -> Result<()> {
        Ok(())
    }
}

// SAFETY: the words are only ever numbers to us; places are found by the kernel's locks.
unsafe impl<const PARTIES: usize> AnyBits for Barrier<PARTIES> {}
