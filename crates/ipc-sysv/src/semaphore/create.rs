//! Creating a set with its values, without the race that semget has: it makes a set of zeros, and whoever opens it
//! before it is initialized works on those.
//!
//! The convention is C's (Stevens, semget(2)): a set is initialized when somebody has done a semop on it, which shows in
//! `sem_otime`. Ours are initialized by one semop that waits for nothing: *every value is 0, and then is what it shall
//! be*. It is atomic, and done a second time it fails, unless every permit is taken at that moment. So that nobody tries
//! it then, a creator holds a lock from before semget until after that semop (flock, shared, of `/proc/sysvipc/sem`: the
//! kernel's own table, which every process can open and which leaves nothing behind). Whoever takes that lock
//! exclusively and finds the set without an operation knows that its creator is dead, and initializes it instead.
//!
//! A creator that takes no part in this (a C program, or a process with another mount of /proc) has 100 ms from when the
//! first of us saw its set.
//!
//! A set of more than 250 semaphores (half of SEMOPM) does not fit one semop: it gets SETALL and then a semop that
//! changes nothing, under the same lock.

use std::io;
use std::time::{Duration, Instant};

use ipc_sys::deadline::Deadline;
use ipc_sys::errno;
use ipc_sys::poll::pause;
use ipc_sys::sysv::lock::Lock;
use ipc_sys::sysv::semaphore as sys;

use super::op::{Op, VALUE_MAX};
use super::set::SemaphoreSet;
use crate::error::{Call, Error, Limit, Result};
use crate::handle;
use crate::key::Key;
use crate::object::{Kind, Object, Origin};

/// How long a creator that does not hold the lock has to initialize its set.
const COURTESY: Duration = Duration::from_millis(100);

/// Between two looks at `sem_otime`, for which the kernel has no event. (A semop that waits for the values to become
/// positive would be one, and would set `sem_otime` itself.)
const SLICE: Duration = Duration::from_millis(1);

/// How a set is created or opened.
///
/// # Examples
/// ```
/// use ipc_sysv::{Key, Origin, RemoveOnDrop, SemaphoreSet, SemaphoreSetOptions};
///
/// # let key = Key::new(0x1d0c_0000 | (std::process::id() & 0xffff) as i32);
/// let options = SemaphoreSetOptions::new().mode(0o660);
/// let (set, origin) = options.open_or_create(key, &[3])?;
/// let set = RemoveOnDrop::new(set);
/// assert_eq!(origin, Origin::Created);
/// assert_eq!(options.open_or_create(key, &[3])?.1, Origin::Opened);
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SemaphoreSetOptions {
    mode: u32,
    patience: Duration,
    as_it_is: bool,
}

impl Default for SemaphoreSetOptions {
    fn default() -> Self {
        Self { mode: 0o600, patience: Duration::from_secs(1), as_it_is: false }
    }
}

impl SemaphoreSetOptions {
    /// Mode 0600; an existing set must be initialized within a second.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The nine permission bits of a new set, whatever the umask; of an existing one, what it must let us do: 0o600, read
    /// and alter, is refused where only reading is allowed, and 0 never is.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// How long an existing set may take to be initialized, before it is [`Error::Uninitialized`].
    #[must_use]
    pub fn initialization_timeout(mut self, timeout: Duration) -> Self {
        self.patience = timeout;
        self
    }

    /// Takes an existing set without asking whether it is initialized: for C programs that use SETVAL and do not care.
    #[must_use]
    pub fn as_it_is(mut self, yes: bool) -> Self {
        self.as_it_is = yes;
        self
    }

    /// semget(IPC_CREAT | IPC_EXCL) and a semop that gives the values.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EEXIST | [`Error::Exists`] |
    /// | EINVAL (no value) | [`Error::OutOfRange`] |
    /// | ERANGE (a value over 32,767; neither creates anything) | [`Error::OutOfRange`] |
    /// | EINVAL (more semaphores than SEMMSL) | [`Error::TooLong`] |
    /// | ENOSPC (SEMMNI sets, SEMMNS semaphores) | [`Error::LimitReached`] |
    /// | ENOMEM | [`Error::LimitReached`] |
    /// | EACCES (a mode that does not let the creator write to its own set; it is removed) | [`Error::PermissionDenied`] |
    /// | (somebody removed the set at once) | [`Error::Removed`] |
    ///
    /// # After a crash
    /// Killed in between, we leave a set that was never initialized: `open_or_create` adopts it, `open` gives
    /// [`Error::Uninitialized`].
    pub fn create(&self, key: Key, values: &[u16]) -> Result<SemaphoreSet> {
        let object = Object::keyed(Kind::SemaphoreSet, key);
        check_values(object, values)?;
        let _lock = creators_lock(Deadline::after(self.patience));
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | handle::mode_flags(self.mode);
        let id = sys::get(key.number(), len(values), flags)
            .map_err(|source| creation_failed(object, values.len(), source))?;
        let set = match initialize(id, values) {
            Ok(_) => handle::status(id, sys::status).map(|status| SemaphoreSet::new(id, &status)),
            Err(error) => Err(error),
        };
        set.map_err(|source| {
            if handle::gone(&source) {
                let object = Object::numbered(Kind::SemaphoreSet, id);
                return Error::Removed { object, operation: "semop", source };
            }
            // Nothing half-made is left: it is ours, made a moment ago.
            let _ = sys::remove(id);
            Call { object, operation: "semop" }.failed(source)
        })
    }

    /// semget of an existing set, once it is initialized.
    ///
    /// # Blocking
    /// Until the set is initialized, at most [`SemaphoreSetOptions::initialization_timeout`]; not at all when it is.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ENOENT (and for [`Key::PRIVATE`], which leads to nothing) | [`Error::NotFound`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | (nobody initializes it in time) | [`Error::Uninitialized`] |
    pub fn open(&self, key: Key) -> Result<SemaphoreSet> {
        let object = Object::keyed(Kind::SemaphoreSet, key);
        let deadline = Deadline::after(self.patience);
        loop {
            let id = self.look_up(key)?;
            match self.wait_until_initialized(id, None, deadline) {
                Ok((set, _)) => return Ok(set),
                // Removed under us: there may be a new one under the key.
                Err(Failure::Gone) if !deadline.has_passed() => {}
                Err(failure) => return Err(failure.into_error(object)),
            }
        }
    }

    /// semget(IPC_CREAT), and who creates the set gives it its values, as the first of several does that begin at once.
    /// A set whose creator died before it was initialized is adopted.
    ///
    /// # Blocking
    /// As [`SemaphoreSetOptions::open`].
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | (the key belongs to a set of another size) | [`Error::WrongSize`] |
    /// | (the set is not initialized and we may not do it) | [`Error::Uninitialized`] |
    ///
    /// Else as [`SemaphoreSetOptions::create`], except EEXIST, and as [`SemaphoreSetOptions::open`], except ENOENT.
    ///
    /// # After a crash
    /// As [`SemaphoreSetOptions::create`].
    pub fn open_or_create(&self, key: Key, values: &[u16]) -> Result<(SemaphoreSet, Origin)> {
        let object = Object::keyed(Kind::SemaphoreSet, key);
        check_values(object, values)?;
        let deadline = Deadline::after(self.patience);
        loop {
            if key.is_private() {
                return self.create(key, values).map(|set| (set, Origin::Created));
            }
            let id = match self.look_up(key) {
                Ok(id) => id,
                Err(Error::NotFound { .. }) => match self.create(key, values) {
                    Ok(set) => return Ok((set, Origin::Created)),
                    // Somebody was faster, or has removed ours: look again.
                    Err(Error::Exists { .. } | Error::Removed { .. }) if !deadline.has_passed() => continue,
                    Err(error) => return Err(error),
                },
                Err(error) => return Err(error),
            };
            match self.wait_until_initialized(id, Some(values), deadline) {
                Ok((set, _)) if set.len() != values.len() => {
                    return Err(wrong_size(object, values.len(), set.len()));
                }
                Ok(done) => return Ok(done),
                Err(Failure::Gone) if !deadline.has_passed() => {}
                Err(failure) => return Err(failure.into_error(object)),
            }
        }
    }

    fn look_up(&self, key: Key) -> Result<i32> {
        let object = Object::keyed(Kind::SemaphoreSet, key);
        if key.is_private() {
            let source = io::Error::from_raw_os_error(libc::ENOENT);
            return Err(Error::NotFound { object, source });
        }
        let get = sys::get(key.number(), 0, handle::mode_flags(self.mode));
        get.map_err(|source| Call { object, operation: "semget" }.failed(source))
    }

    /// Waits until the set has seen its first semop; with `values`, does that itself when the creator is dead.
    fn wait_until_initialized(
        &self,
        id: i32,
        values: Option<&[u16]>,
        deadline: Deadline,
    ) -> Result<(SemaphoreSet, Origin), Failure> {
        let mut first_seen = None;
        loop {
            let status = handle::status(id, sys::status)?;
            let set = SemaphoreSet::new(id, &status);
            if self.as_it_is || status.operated != 0 {
                return Ok((set, Origin::Opened));
            }
            if values.is_some_and(|values| values.len() != set.len()) {
                // It is another program's: not to be touched, and the caller is told so.
                return Ok((set, Origin::Opened));
            }
            let patient = *first_seen.get_or_insert_with(Instant::now);
            if patient.elapsed() >= COURTESY {
                // A lock that is not to be had means a creator at work; no /proc means that we cannot know.
                if let Ok(_nobody_creates) = Lock::try_exclusive() {
                    if handle::status(id, sys::status)?.operated != 0 {
                        continue;
                    }
                    if set.values().is_ok_and(|values| values.iter().any(|value| *value > 0)) {
                        // Set by SETVAL or SETALL: initialized as far as its creator cares.
                        return Ok((set, Origin::Opened));
                    }
                    if let Some(values) = values {
                        match initialize(id, values) {
                            Ok(true) => return Ok((set, Origin::Adopted)),
                            Err(error) if errno::is(&error, libc::EACCES) => {
                                return Err(Failure::Uninitialized);
                            }
                            done => done?,
                        };
                        continue;
                    }
                }
            }
            if deadline.has_passed() {
                return Err(Failure::Uninitialized);
            }
            pause(deadline.remaining().map_or(SLICE, |left| left.min(SLICE)));
        }
    }
}

/// Why a set that was found could not be had.
enum Failure {
    Gone,
    Uninitialized,
    Other(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if handle::gone(&error) { Self::Gone } else { Self::Other(error) }
    }
}

impl Failure {
    fn into_error(self, object: Object) -> Error {
        let operation = "open";
        match self {
            Self::Uninitialized => Error::Uninitialized { object },
            Self::Gone => {
                let source = io::Error::from_raw_os_error(libc::EIDRM);
                Error::Removed { object, operation, source }
            }
            Self::Other(source) => Call { object, operation }.failed(source),
        }
    }
}

/// The first semop of a set: true when it was ours, false when the values are not zero any more.
fn initialize(id: i32, values: &[u16]) -> io::Result<bool> {
    let mut ops = Vec::with_capacity(values.len() * 2);
    for (index, value) in (0..).zip(values) {
        ops.push(Op::wait_for_zero(index).no_wait());
        if *value > 0 {
            ops.push(Op::add(index, *value));
        }
    }
    let done = match sys::operate(id, Op::as_raw(&ops), None) {
        Err(error) if errno::is(&error, libc::E2BIG) => initialize_large(id, values),
        done => done,
    };
    match done {
        Ok(()) => Ok(true),
        Err(error) if errno::is(&error, libc::EAGAIN) => Ok(false),
        Err(error) => Err(error),
    }
}

fn initialize_large(id: i32, values: &[u16]) -> io::Result<()> {
    sys::set_values(id, values)?;
    let first = values.first().copied().unwrap_or(0);
    let nothing = if first == 0 {
        vec![Op::wait_for_zero(0).no_wait()]
    } else {
        vec![Op::subtract(0, first).no_wait(), Op::add(0, first)]
    };
    sys::operate(id, Op::as_raw(&nothing), None)
}

/// What a creator holds; nothing, where there is no /proc or somebody will not let go of the lock.
fn creators_lock(deadline: Deadline) -> Option<Lock> {
    loop {
        match Lock::try_shared() {
            Ok(lock) => return Some(lock),
            Err(error) if errno::is(&error, libc::EWOULDBLOCK) && !deadline.has_passed() => pause(SLICE),
            Err(_) => return None,
        }
    }
}

fn len(values: &[u16]) -> i32 {
    i32::try_from(values.len()).unwrap_or(i32::MAX)
}

fn check_values(object: Object, values: &[u16]) -> Result<()> {
    let call = Call { object, operation: "semget" };
    if values.is_empty() {
        return Err(call.out_of_range("the number of semaphores", libc::EINVAL));
    }
    if values.iter().any(|value| *value > VALUE_MAX) {
        return Err(call.out_of_range("an initial value", libc::ERANGE));
    }
    Ok(())
}

fn wrong_size(object: Object, wanted: usize, found: usize) -> Error {
    Error::WrongSize { object, wanted, found, source: io::Error::from_raw_os_error(libc::EINVAL) }
}

fn creation_failed(object: Object, wanted: usize, source: io::Error) -> Error {
    let operation = "semget";
    match source.raw_os_error() {
        Some(libc::EINVAL) => {
            let max = sys::limits().map_or(0, |(_, limits)| usize::try_from(limits.set_len_max).unwrap_or(0));
            Error::TooLong { object, operation, len: Some(wanted), max, source }
        }
        Some(libc::ENOSPC) => {
            let full = sys::usage().is_ok_and(|(_, usage)| usage.sets >= usage.sets_max);
            let which = if full { Limit::SemaphoreSets } else { Limit::Semaphores };
            Error::LimitReached { object, operation, which, source }
        }
        _ => Call { object, operation }.failed(source),
    }
}
