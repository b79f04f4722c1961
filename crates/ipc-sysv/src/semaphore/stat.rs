//! `struct semid_ds`: what the kernel tells of a set.

use std::time::SystemTime;

use ipc_sys::sysv::semaphore::SemaphoreStatus;

use crate::object::{Identity, Kind, Permissions, time};

/// IPC_STAT of a [`SemaphoreSet`](crate::SemaphoreSet), or its line in [`semaphores`](crate::semaphores()).
///
/// A time has 64 bits of seconds, so that none ends in 2038, and cannot be taken for fewer:
/// ```compile_fail,E0308
/// # fn seconds(set: &ipc_sysv::SemaphoreSet) -> ipc_sysv::Result<()> {
/// let seconds: Option<u32> = set.stat()?.operated;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemaphoreStat {
    /// Id, key, creator.
    pub identity: Identity,
    /// Owner and mode.
    pub permissions: Permissions,
    /// How many semaphores it has.
    pub len: usize,
    /// The last semop that was done, in whole seconds; `None` means never, hence perhaps not initialized.
    pub operated: Option<SystemTime>,
    /// Creation, SETVAL, SETALL or IPC_SET, whichever was last, in whole seconds.
    pub changed: Option<SystemTime>,
}

impl SemaphoreStat {
    pub(crate) fn new(id: i32, raw: &SemaphoreStatus) -> Self {
        Self {
            identity: Identity::new(Kind::SemaphoreSet, id, &raw.permissions, None),
            permissions: Permissions::of(&raw.permissions),
            len: usize::try_from(raw.len).unwrap_or(usize::MAX),
            operated: time(raw.operated),
            changed: time(raw.changed),
        }
    }
}
