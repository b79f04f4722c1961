//! The robust, process-shared pthread mutex: a word of shared memory that the kernel releases when its owner dies.
//!
//! It belongs to the C library, which keeps the list of what a thread holds, one a thread, and gives that list to the
//! kernel (`set_robust_list`). The kernel walks at most [`ROBUST_LIST_LIMIT`] entries of it. The pointers of the list
//! lie *inside* the mutexes and are followed by the library: whoever may write the memory steers those writes.
//!
//! glibc and musl lay the mutex out differently in the same 40 bytes, so both sides must use the same library:
//! [`LIBRARY`] tells them apart.
//!
//! A mutex of this module is of the normal type, not error-checking: that one compares thread ids, which are numbers of
//! a pid namespace, and takes the first thread of another container for itself. [`is_held_by_this_thread`] looks at the
//! thread's own list instead.
#![expect(unsafe_code, reason = "the pthread functions take pointers to places that others write")]

use std::mem::{MaybeUninit, offset_of};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::deadline::Deadline;

/// `struct robust_list`: the link that glibc keeps in each held mutex, 32 bytes in, and musl too.
#[repr(C)]
struct Link {
    next: *const Link,
}

/// `struct robust_list_head`, one a thread.
#[repr(C)]
struct Head {
    first: Link,
    futex_offset: libc::c_long,
    pending: *const Link,
}

/// How many entries of a dead thread's list the kernel visits; what is beyond stays locked for ever.
pub const ROBUST_LIST_LIMIT: usize = 2048;

/// Whose layout a mutex has: "glibc" or "musl".
pub const LIBRARY: &str = if cfg!(target_env = "musl") { "musl" } else { "glibc" };

/// The 32-bit word of a mutex that is its futex.
const LOCK_WORD: usize = if cfg!(target_env = "musl") { 1 } else { 0 };

/// The bits of it that name the owner.
const FUTEX_TID_MASK: u32 = 0x3fff_ffff;

/// What a pthread function returns where others set errno: a plain number, because locking is on the hot path and an
/// [`std::io::Error`] has a destructor.
pub type Errno = libc::c_int;

/// How a lock was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acquired {
    /// From an owner that unlocked it.
    Clean,
    /// From an owner that died (EOWNERDEAD): [`consistent`] before the unlock, or nobody gets it again.
    OwnerDied,
}

/// pthread_mutex_init with PTHREAD_PROCESS_SHARED and PTHREAD_MUTEX_ROBUST.
///
/// # Errors
/// ENOTSUP or ENOSYS where the kernel has no robust futexes; ENOMEM.
///
/// # Safety
/// `mutex` is valid for writes of a `pthread_mutex_t`, and nobody uses it yet.
pub unsafe fn init(mutex: *mut libc::pthread_mutex_t) -> Result<(), Errno> {
    let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
    let attributes = attributes.as_mut_ptr();
    // SAFETY: `attributes` is a live local with room for the attributes.
    result(unsafe { libc::pthread_mutexattr_init(attributes) })?;
    // SAFETY: the attributes were initialised above.
    let shared = unsafe { libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) };
    // SAFETY: as above.
    let robust = unsafe { libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST) };
    let made = result(shared).and(result(robust)).and_then(|()| {
        // SAFETY: the caller's: `mutex` may be written and nobody uses it; the attributes are initialised.
        result(unsafe { libc::pthread_mutex_init(mutex, attributes) })
    });
    // SAFETY: the attributes were initialised above and are not used again.
    unsafe { libc::pthread_mutexattr_destroy(attributes) };
    made
}

/// pthread_mutex_lock: waits for ever; a signal does not show (EINTR is never returned).
///
/// # Errors
/// ENOTRECOVERABLE, when the owner died and its successor unlocked without [`consistent`].
///
/// # Safety
/// `mutex` was initialised by [`init`] or the same in C and stays mapped as long as it is held; whoever else writes it
/// does so through the same C library.
#[inline]
pub unsafe fn lock(mutex: *mut libc::pthread_mutex_t) -> Result<Acquired, Errno> {
    // SAFETY: the caller's.
    acquired(unsafe { libc::pthread_mutex_lock(mutex) })
}

/// pthread_mutex_trylock.
///
/// # Errors
/// EBUSY when it is held, by this thread too; ENOTRECOVERABLE.
///
/// # Safety
/// As [`lock`].
#[inline]
pub unsafe fn try_lock(mutex: *mut libc::pthread_mutex_t) -> Result<Acquired, Errno> {
    // SAFETY: the caller's.
    acquired(unsafe { libc::pthread_mutex_trylock(mutex) })
}

/// pthread_mutex_clocklock on CLOCK_MONOTONIC where the library has it (glibc 2.30). Elsewhere (musl) it is
/// pthread_mutex_timedlock in turns of at most 100 ms, whose clock somebody may set: after each turn CLOCK_MONOTONIC
/// decides. A clock that is set back by an hour in the microsecond between our look at it and the library's makes that
/// one turn an hour long; with glibc before 2.30 anywhere within the turn.
///
/// # Errors
/// ETIMEDOUT; ENOTRECOVERABLE.
///
/// # Safety
/// As [`lock`].
pub unsafe fn lock_until(mutex: *mut libc::pthread_mutex_t, deadline: Deadline) -> Result<Acquired, Errno> {
    let Some(at) = deadline.at_monotonic() else {
        // SAFETY: the caller's.
        return unsafe { lock(mutex) };
    };
    if let Some(clock_lock) = clock_lock() {
        // SAFETY: the caller's, for the mutex; `at` is a live timespec with less than a second of nanoseconds.
        return acquired(unsafe { clock_lock(mutex, libc::CLOCK_MONOTONIC, &raw const at) });
    }
    // SAFETY: the caller's.
    unsafe { lock_in_turns(mutex, deadline) }
}

/// What [`lock_until`] does without pthread_mutex_clocklock.
unsafe fn lock_in_turns(mutex: *mut libc::pthread_mutex_t, deadline: Deadline) -> Result<Acquired, Errno> {
    const TURN: i64 = 100_000_000;
    const SECOND: i64 = 1_000_000_000;
    loop {
        let left = deadline.remaining().map_or(TURN, |left| i64::try_from(left.as_nanos()).unwrap_or(TURN));
        let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `at` is a live timespec; CLOCK_REALTIME always exists.
        unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut at) };
        at.tv_nsec += left.min(TURN);
        at.tv_sec += at.tv_nsec / SECOND;
        at.tv_nsec %= SECOND;
        // SAFETY: the caller's, for the mutex; `at` is a live timespec with less than a second of nanoseconds.
        match acquired(unsafe { libc::pthread_mutex_timedlock(mutex, &raw const at) }) {
            Err(libc::ETIMEDOUT) if !deadline.has_passed() => {}
            done => return done,
        }
    }
}

/// pthread_mutex_unlock.
///
/// # Errors
/// EPERM, when this thread does not hold it: it was forked from the one that does.
///
/// # Safety
/// As [`lock`].
#[inline]
pub unsafe fn unlock(mutex: *mut libc::pthread_mutex_t) -> Result<(), Errno> {
    // SAFETY: the caller's.
    result(unsafe { libc::pthread_mutex_unlock(mutex) })
}

/// pthread_mutex_consistent: what the dead owner left is in order again.
///
/// # Errors
/// EINVAL, when it was not obtained as [`Acquired::OwnerDied`].
///
/// # Safety
/// As [`lock`], and this thread holds it.
pub unsafe fn consistent(mutex: *mut libc::pthread_mutex_t) -> Result<(), Errno> {
    // SAFETY: the caller's.
    result(unsafe { libc::pthread_mutex_consistent(mutex) })
}

/// Whether everybody who locks it gets ENOTRECOVERABLE: ask before sleeping, see [`settle_not_recoverable`].
///
/// # Safety
/// As [`is_robust_and_shared`].
#[must_use]
pub unsafe fn is_not_recoverable(mutex: *const libc::pthread_mutex_t) -> bool {
    if cfg!(target_env = "musl") {
        // SAFETY: the caller's.
        return unsafe { owner(mutex) } == FUTEX_TID_MASK;
    }
    const OWNER_WORD: usize = 2;
    const PTHREAD_MUTEX_NOTRECOVERABLE: u32 = i32::MAX.unsigned_abs() - 1;
    // SAFETY: the caller's, for a read within the mutex.
    unsafe { word(mutex, OWNER_WORD) == PTHREAD_MUTEX_NOTRECOVERABLE }
}

/// Leaves a mutex that is not recoverable to the others, all of whom it wakes. To be called by who made it so and by who was
/// told ENOTRECOVERABLE, because the C libraries do not (seen in glibc 2.36): pthread_mutex_trylock returns ENOTRECOVERABLE
/// with the mutex *locked*, so that the next pthread_mutex_lock never returns; and of several that wait one is woken, whose
/// unlock compares FUTEX_WAITERS as a negative number and wakes nobody. musl wakes one, which wakes nobody.
///
/// # Safety
/// As [`lock`], and the mutex is not recoverable.
#[cold]
pub unsafe fn settle_not_recoverable(mutex: *mut libc::pthread_mutex_t) {
    // SAFETY: the caller's: the mutex is mapped, and aligned to more than 4 bytes.
    let word = unsafe { AtomicU32::from_ptr(mutex.cast::<u32>().wrapping_add(LOCK_WORD)) };
    if !cfg!(target_env = "musl") {
        // Nobody owns it; who is between locking and looking at its state will store the same.
        word.store(0, Ordering::Release);
    }
    // It fails only where the page is gone, and then there is nobody to wake.
    let _ = crate::futex::wake(word, i32::MAX);
}

/// Whether what stands there is a mutex that is robust and process-shared, in the layout of this C library.
///
/// # Safety
/// `mutex` is valid for reads of a `pthread_mutex_t`; others may write it meanwhile.
#[must_use]
pub unsafe fn is_robust_and_shared(mutex: *const libc::pthread_mutex_t) -> bool {
    // The type, which each library's static initialisers have made part of its ABI.
    const WORD: usize = if cfg!(target_env = "musl") { 0 } else { 4 };
    const SHARED: u32 = 128;
    const ROBUST: u32 = if cfg!(target_env = "musl") { 4 } else { 16 };
    // SAFETY: the caller's, for a read within the mutex.
    let kind = unsafe { word(mutex, WORD) };
    kind & (SHARED | ROBUST) == SHARED | ROBUST
}

/// The thread id of the owner in *its* pid namespace; 0 when nobody holds it.
///
/// # Safety
/// As [`is_robust_and_shared`].
#[must_use]
pub unsafe fn owner(mutex: *const libc::pthread_mutex_t) -> u32 {
    // SAFETY: the caller's, for a read within the mutex.
    let word = unsafe { word(mutex, LOCK_WORD) };
    word & FUTEX_TID_MASK
}

/// Whether the calling thread holds it: it stands in the thread's own robust list.
///
/// # Safety
/// As [`lock`], for everything that this thread holds.
#[must_use]
pub unsafe fn is_held_by_this_thread(mutex: *const libc::pthread_mutex_t) -> bool {
    // glibc: after kind and spins, the link's `next` follows `prev`; musl has the same three pointers, `prev` first.
    const NEXT: usize = 32;
    let mut head: *const Head = ptr::null();
    let mut len = 0_usize;
    // SAFETY: the kernel fills the two live locals; 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut len) };
    if result != 0 || head.is_null() || len != size_of::<Head>() {
        return false;
    }
    let wanted = mutex.cast::<u8>().wrapping_add(NEXT).cast::<Link>();
    let end = head.cast::<u8>().wrapping_add(offset_of!(Head, first)).cast::<Link>();
    let mut at = end;
    for _ in 0..=ROBUST_LIST_LIMIT {
        // SAFETY: `at` is the thread's list head, or a link that it leads to, in a mutex that the thread holds.
        let next = unsafe { at.read() }.next;
        // The lowest bit marks a mutex with priority inheritance.
        at = next.map_addr(|address| address & !1);
        if at == wanted {
            return true;
        }
        if at == end || at.is_null() {
            return false;
        }
    }
    false
}

/// Whether a thread of this process has this id.
#[must_use]
pub fn is_thread_of_ours(thread: u32) -> bool {
    let Ok(thread) = libc::pid_t::try_from(thread) else { return false };
    // SAFETY: signal 0 is sent to nobody: the kernel only looks whether the thread exists.
    thread > 0 && unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), thread, 0) } == 0
}

/// One 32-bit word of a mutex.
unsafe fn word(mutex: *const libc::pthread_mutex_t, index: usize) -> u32 {
    let word = mutex.cast::<u32>().wrapping_add(index).cast_mut();
    // SAFETY: the caller's: the mutex is valid for reads, and aligned to more than 4 bytes; writers use atomics.
    unsafe { AtomicU32::from_ptr(word) }.load(Ordering::Relaxed)
}

type ClockLock =
    unsafe extern "C" fn(*mut libc::pthread_mutex_t, libc::clockid_t, *const libc::timespec) -> libc::c_int;

/// pthread_mutex_clocklock, where the C library that runs has it.
fn clock_lock() -> Option<ClockLock> {
    use std::sync::OnceLock;
    static FOUND: OnceLock<Option<ClockLock>> = OnceLock::new();
    if cfg!(target_env = "musl") {
        return None;
    }
    *FOUND.get_or_init(|| {
        // SAFETY: the name is NUL-terminated.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"pthread_mutex_clocklock".as_ptr()) };
        // SAFETY: a function of this name has this type in every library that has it, and null is `None`.
        unsafe { std::mem::transmute::<*mut libc::c_void, Option<ClockLock>>(found) }
    })
}

#[inline]
fn result(errno: libc::c_int) -> Result<(), Errno> {
    if errno == 0 { Ok(()) } else { Err(errno) }
}

#[inline]
fn acquired(errno: libc::c_int) -> Result<Acquired, Errno> {
    match errno {
        0 => Ok(Acquired::Clean),
        libc::EOWNERDEAD => Ok(Acquired::OwnerDied),
        errno => Err(errno),
    }
}

#[cfg(test)]
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "each line of these tests is one of the unsafe functions"
)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A mutex that moves nowhere.
    fn mutex() -> Box<MaybeUninit<libc::pthread_mutex_t>> {
        let mut mutex = Box::new(MaybeUninit::zeroed());
        // SAFETY: a fresh box.
        unsafe { init(mutex.as_mut_ptr()) }.unwrap();
        mutex
    }

    #[test]
    fn the_layout_is_what_this_library_makes() {
        let mut mutex = mutex();
        let at = mutex.as_mut_ptr();
        // SAFETY: initialised, alive, ours alone.
        unsafe {
            assert!(is_robust_and_shared(at));
            assert_eq!(owner(at), 0);
            assert!(!is_held_by_this_thread(at));
            assert_eq!(lock(at).unwrap(), Acquired::Clean);
            assert!(is_held_by_this_thread(at));
            assert!(is_thread_of_ours(owner(at)));
            assert_eq!(try_lock(at), Err(libc::EBUSY));
            unlock(at).unwrap();
            assert!(!is_held_by_this_thread(at));
        }
        let mut plain = MaybeUninit::<libc::pthread_mutex_t>::zeroed();
        // SAFETY: a zeroed local.
        assert!(!unsafe { is_robust_and_shared(plain.as_mut_ptr()) });
    }

    #[test]
    fn the_list_of_a_thread_is_found_however_long_it_is() {
        let mut held: Vec<_> = (0..5).map(|_| mutex()).collect();
        for mutex in &mut held {
            // SAFETY: initialised, alive, ours alone.
            unsafe { lock(mutex.as_mut_ptr()) }.unwrap();
        }
        for mutex in &mut held {
            // SAFETY: initialised, alive, ours alone, and held.
            unsafe {
                assert!(is_held_by_this_thread(mutex.as_mut_ptr()));
                unlock(mutex.as_mut_ptr()).unwrap();
            }
        }
    }

    #[test]
    fn both_ways_to_a_deadline_are_never_early() {
        let mut mutex = mutex();
        let at = mutex.as_mut_ptr() as usize;
        // SAFETY: initialised, alive, ours alone.
        unsafe { lock(at as *mut _) }.unwrap();
        std::thread::spawn(move || {
            for by_turns in [false, true] {
                let wait = Duration::from_millis(if by_turns { 130 } else { 5 });
                let (start, deadline) = (std::time::Instant::now(), Deadline::after(wait));
                let mutex = at as *mut libc::pthread_mutex_t;
                // SAFETY: the main thread keeps the mutex until this one has ended.
                let done = unsafe {
                    if by_turns { lock_in_turns(mutex, deadline) } else { lock_until(mutex, deadline) }
                };
                assert_eq!(done, Err(libc::ETIMEDOUT));
                assert!(start.elapsed() >= wait);
            }
        })
        .join()
        .unwrap();
        // SAFETY: held by this thread.
        unsafe { unlock(at as *mut _) }.unwrap();
    }
}
