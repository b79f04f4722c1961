//! `struct shmid_ds`: what the kernel tells of a segment.

use std::num::NonZeroU32;
use std::time::SystemTime;

use ipc_sys::sysv::segment::{DEST, LOCKED, SegmentStatus};

use crate::object::{Identity, Kind, Permissions, pid, time};

/// IPC_STAT of a [`Segment`](crate::Segment), or its line in [`segments`](crate::segments()).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentStat {
    /// Id, key, creator.
    pub identity: Identity,
    /// Owner and mode.
    pub permissions: Permissions,
    /// Bytes that were asked for at creation; whole pages are attached.
    pub len: usize,
    /// How many times it is attached, by all processes.
    pub attached: u64,
    /// Who attached or detached last, as seen from our pid namespace.
    pub last_operator: Option<NonZeroU32>,
    /// Removed, and destroyed with the last detach (SHM_DEST).
    pub is_removed: bool,
    /// Its pages stay in memory (SHM_LOCKED).
    pub is_locked: bool,
    /// When somebody attached last, in whole seconds.
    pub attached_at: Option<SystemTime>,
    /// When somebody detached last, in whole seconds.
    pub detached_at: Option<SystemTime>,
    /// Creation or IPC_SET, whichever was last, in whole seconds.
    pub changed: Option<SystemTime>,
}

impl SegmentStat {
    pub(crate) fn new(id: i32, raw: &SegmentStatus) -> Self {
        Self {
            identity: Identity::new(Kind::Segment, id, &raw.permissions, pid(raw.creator)),
            permissions: Permissions::of(&raw.permissions),
            len: usize::try_from(raw.len).unwrap_or(usize::MAX),
            attached: raw.attached,
            last_operator: pid(raw.last_operator),
            is_removed: raw.permissions.mode & DEST != 0,
            is_locked: raw.permissions.mode & LOCKED != 0,
            attached_at: time(raw.attached_at),
            detached_at: time(raw.detached_at),
            changed: time(raw.changed),
        }
    }
}
