//! `struct msqid_ds`: what the kernel tells of a queue.

use std::num::NonZeroU32;
use std::time::SystemTime;

use ipc_sys::sysv::queue::QueueStatus;

use crate::object::{Identity, Kind, Permissions, pid, time};

/// IPC_STAT of a [`MessageQueue`](crate::MessageQueue), or its line in [`queues`](crate::queues()).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStat {
    /// Id, key, creator.
    pub identity: Identity,
    /// Owner and mode.
    pub permissions: Permissions,
    /// Messages that wait.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// msg_qbytes: how many bytes may wait, and how many messages, should they have no bodies.
    pub max_bytes: u64,
    /// Who sent last, as seen from our pid namespace.
    pub last_sender: Option<NonZeroU32>,
    /// Who received last.
    pub last_receiver: Option<NonZeroU32>,
    /// When somebody sent last, in whole seconds.
    pub sent: Option<SystemTime>,
    /// When somebody received last, in whole seconds.
    pub received: Option<SystemTime>,
    /// Creation or IPC_SET, whichever was last, in whole seconds.
    pub changed: Option<SystemTime>,
}

impl QueueStat {
    pub(crate) fn new(id: i32, raw: &QueueStatus) -> Self {
        Self {
            identity: Identity::new(Kind::MessageQueue, id, &raw.permissions, None),
            permissions: Permissions::of(&raw.permissions),
            messages: raw.messages,
            bytes: raw.bytes,
            max_bytes: raw.bytes_max,
            last_sender: pid(raw.last_sender),
            last_receiver: pid(raw.last_receiver),
            sent: time(raw.sent),
            received: time(raw.received),
            changed: time(raw.changed),
        }
    }
}
