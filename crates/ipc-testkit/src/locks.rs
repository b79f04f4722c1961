//! What the tests of locks in shared memory and their peers map together.
#![expect(unsafe_code, reason = "a mutex of other code in the same thread")]
#![expect(missing_docs, reason = "a field is called what it is for")]

use std::cell::UnsafeCell;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

use ipc_shm::sysv::Place;
use ipc_shm::{
    Barrier, Condvar, Error, Event, InPlace, LockResult, Mutex, MutexGuard, Once, RwLock, Semaphore, Shared,
};
use ipc_sysv::{Key, Segment};

/// What stands under a name or, as `KEY@LOCK-FILE`, in a System V segment.
///
/// # Errors
/// A place that is neither, or holds something else.
pub fn attached<T: InPlace>(place: &str) -> Result<Shared<T>, Box<dyn std::error::Error>> {
    let Some((key, lock_file)) = place.split_once('@') else {
        return Ok(Shared::open(place)?);
    };
    let segment = Segment::open(Key::new(key.parse()?))?;
    let lock_file = File::options().read(true).write(true).open(lock_file)?;
    Ok(Shared::open_in(Place::new(segment.attach()?, &lock_file)?)?)
}

/// Two numbers that are equal whenever nobody holds the lock.
pub type Pair = [u64; 2];

ipc_shm::in_place! {
    /// Everything that a test needs one of.
    pub struct Everything {
        pub pair: Mutex<Pair>,
        pub second: Mutex<u64>,
        pub items: Mutex<Items>,
        pub arrived: Condvar,
        pub once: Once,
        pub table: RwLock<Pair, 4>,
        pub runs: [AtomicU64; 2],
        pub naive: Naive,
    }
}

ipc_shm::in_place! {
    /// What needs no trust.
    pub safe struct Words {
        pub semaphore: Semaphore,
        pub event: Event,
        pub barrier: Barrier<3>,
        pub rounds: [AtomicU64; 3],
        pub done: AtomicU64,
    }
}

ipc_shm::in_place! {
    /// More locks than the kernel releases.
    pub struct Many {
        pub ours: [Mutex<u64>; 1030],
        pub foreign: [Foreign; 3000],
    }
}

/// How many are there, and how many have ever been taken out: [there, taken].
pub type Items = [u64; 2];

ipc_shm::in_place! {
    /// The lock that one writes without thinking of death: a flag.
    pub safe struct Naive {
        pub locked: AtomicU64,
        pub first: AtomicU64,
        pub second: AtomicU64,
    }
}

impl Naive {
    pub fn try_lock(&self) -> bool {
        self.locked.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    pub fn unlock(&self) {
        self.locked.store(0, Ordering::Release);
    }
}

/// Adds one to both, in two steps.
pub fn add(pair: &mut Pair) {
    for number in pair {
        // Not to be done in one store of 16 bytes.
        *number = std::hint::black_box(*number + 1);
    }
}

/// Locks and repairs: the second number has been written last, so it is the one to believe.
///
/// # Errors
/// As [`Mutex::lock`], a death excepted.
pub fn locked(pair: &Mutex<Pair>) -> Result<MutexGuard<'_, Pair>, Error> {
    repaired(pair.lock())
}

/// As [`locked`], of what a lock returned.
///
/// # Errors
/// What it returned, a death excepted.
pub fn repaired(result: LockResult<MutexGuard<'_, Pair>>) -> Result<MutexGuard<'_, Pair>, Error> {
    result.or_else(|error| error.repair(|pair| pair[0] = pair[1]))
}

/// A robust mutex of somebody else's, such as a C library in the same thread.
#[derive(Debug)]
#[repr(transparent)]
pub struct Foreign(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: a mutex.
unsafe impl Send for Foreign {}
// SAFETY: a mutex.
unsafe impl Sync for Foreign {}

// SAFETY: the mutex is made in place and nothing else changes through a reference.
unsafe impl InPlace for Foreign {
    const KIND: u64 = ipc_shm::kind("Foreign", &[]);

    unsafe fn init(place: *mut Self) -> ipc_shm::Result<()> {
        // SAFETY: the caller's.
        unsafe { ipc_sys::pthread::init(place.cast()) }.unwrap();
        Ok(())
    }
}

impl Foreign {
    /// Locks; true when its owner had died.
    pub fn lock(&self) -> bool {
        // SAFETY: made in place, mapped, and used by this library alone.
        unsafe { ipc_sys::pthread::lock(self.0.get()) }.unwrap() == ipc_sys::pthread::Acquired::OwnerDied
    }

    /// Whether one could have it.
    pub fn is_free(&self) -> bool {
        // SAFETY: made in place, mapped, and used by this library alone.
        unsafe { ipc_sys::pthread::try_lock(self.0.get()) }.is_ok()
    }
}
