//! The other side of handler.rs: who changes the tables that handlers read, one at a time, and frees them when nobody
//! reads them any more. Nothing of this runs inside a handler.
#![expect(unsafe_code, reason = "tables are reached through pointers")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipc_sys::fork;

use crate::Signal;
use crate::handler::{PAGE, Page, TABLES, Table};

impl Page {
    /// The page, made when it is first needed; two threads at once may map two of them, and one is left unused.
    pub(crate) fn here() -> std::io::Result<Self> {
        if let Some(page) = Self::known() {
            return Ok(page);
        }
        let fresh = std::ptr::from_ref(fork::words()?).cast_mut();
        let _ = PAGE.compare_exchange(std::ptr::null_mut(), fresh, Ordering::SeqCst, Ordering::SeqCst);
        Self::known().ok_or_else(|| std::io::ErrorKind::OutOfMemory.into())
    }

    /// Our generation, a new one if fork took it.
    pub(crate) fn claim_generation(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if self.generation() == 0 {
            self.generation_word().store(NEXT.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
        }
        self.generation()
    }

    /// One registration at a time. A lock in this page is free in a forked child, whoever held it in the parent.
    pub(crate) fn locked<T>(&self, change: impl FnOnce() -> T) -> T {
        struct Unlock<'a>(&'a AtomicU64);
        impl Drop for Unlock<'_> {
            fn drop(&mut self) {
                self.0.store(0, Ordering::SeqCst);
            }
        }
        while self.lock_word().swap(1, Ordering::SeqCst) == 1 {
            std::thread::yield_now();
        }
        let _unlock = Unlock(self.lock_word());
        change()
    }

    /// Waits until every handler that may have loaded a pointer before this call has ended: new ones count themselves on
    /// the other side meanwhile, so a storm of signals does not prolong it. `false` when one does not end within a
    /// second (a raw handler that never returns): what it may be reading must then be leaked.
    pub(crate) fn quiesce(&self) -> bool {
        let start = Instant::now();
        for _ in 0..2 {
            let side = self.side_word().fetch_xor(1, Ordering::SeqCst);
            while self.readers(side).load(Ordering::SeqCst) != 0 {
                if start.elapsed() > Duration::from_secs(1) {
                    return false;
                }
                std::thread::yield_now();
            }
        }
        true
    }
}

/// Puts `new` in the place of `signal`'s table and frees the former one as soon as nobody can be reading it.
///
/// Called with the lock held.
pub(crate) fn replace_table(page: Page, signal: Signal, new: Table) {
    let Some(place) = TABLES.get(signal.index()) else { return };
    let old = place.swap(Box::into_raw(Box::new(new)), Ordering::SeqCst);
    if !old.is_null() && page.quiesce() {
        // SAFETY: it came from Box::into_raw above, is no longer in its place, and no handler holds it any more.
        drop(unsafe { Box::from_raw(old) });
    }
}

/// A copy of `signal`'s table.
///
/// Called with the lock held, so that nobody frees it meanwhile.
pub(crate) fn table(signal: Signal) -> Option<Table> {
    let place = TABLES.get(signal.index())?.load(Ordering::SeqCst);
    // SAFETY: null or a table that only the holder of the lock, that is we, may free.
    unsafe { place.as_ref() }.cloned()
}
