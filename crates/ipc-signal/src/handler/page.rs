//! The page that tells a process from the child that it forked. All of this may run inside a handler.
//!
//! Made with the first registration, never unmapped; the kernel wipes it in the child (MADV_WIPEONFORK). There,
//! registrations of the parent have another generation than the child, and none of them touches a descriptor that both
//! share.
#![expect(unsafe_code, reason = "the page is reached through a pointer")]

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use ipc_sys::fork;

pub(crate) static PAGE: AtomicPtr<fork::Words> = AtomicPtr::new(std::ptr::null_mut());

/// The page that fork wipes: who we are, who is in a handler, who is registering.
#[derive(Clone, Copy)]
pub(crate) struct Page(&'static fork::Words);

/// The words of the page, each in a cache line of its own.
impl Page {
    pub(crate) fn generation_word(&self) -> &AtomicU64 {
        &self.0[0]
    }
    pub(crate) fn lock_word(&self) -> &AtomicU64 {
        &self.0[8]
    }
    pub(crate) fn side_word(&self) -> &AtomicU64 {
        &self.0[16]
    }
    pub(crate) fn readers(&self, side: u64) -> &AtomicU64 {
        if side & 1 == 0 { &self.0[24] } else { &self.0[32] }
    }
}

impl Page {
    /// The page, if anything has ever been registered. Async-signal-safe.
    pub(crate) fn known() -> Option<Self> {
        // SAFETY: null, or a page that is never unmapped.
        unsafe { PAGE.load(Ordering::SeqCst).as_ref() }.map(Self)
    }

    /// 0 in a forked child that has registered nothing itself.
    pub(crate) fn generation(&self) -> u64 {
        self.generation_word().load(Ordering::SeqCst)
    }

    /// Runs `look` as a reader of the tables. Async-signal-safe.
    ///
    /// SeqCst throughout: a reader counts itself before it loads a pointer, `quiesce` looks at the count after the pointer
    /// was swapped, so one of the two sees the other.
    pub(super) fn read<T>(&self, look: impl FnOnce() -> T) -> T {
        let side = self.side_word().load(Ordering::SeqCst);
        self.readers(side).fetch_add(1, Ordering::SeqCst);
        let seen = look();
        self.readers(side).fetch_sub(1, Ordering::SeqCst);
        seen
    }
}
