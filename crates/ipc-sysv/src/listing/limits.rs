//! IPC_INFO and SEM_INFO, MSG_INFO, SHM_INFO: how much there may be in this IPC namespace, and how much there is.

use ipc_sys::sysv::{queue, segment, semaphore};

use crate::error::{Error, Result};
use crate::key::Key;
use crate::object::{Kind, Object};

/// What `/proc/sys/kernel/{sem,msg*,shm*}` allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Of semaphores.
    pub semaphores: SemaphoreLimits,
    /// Of message queues.
    pub queues: QueueLimits,
    /// Of segments.
    pub segments: SegmentLimits,
}

/// `/proc/sys/kernel/sem`, and the constant SEMVMX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemaphoreLimits {
    /// SEMMSL: semaphores of one set, 32,000 by default.
    pub set_len: u64,
    /// SEMMNS: semaphores of all sets.
    pub semaphores: u64,
    /// SEMOPM: operations of one call, 500 by default.
    pub operations: u64,
    /// SEMMNI: sets, 32,000 by default.
    pub sets: u64,
    /// SEMVMX: the value of a semaphore, 32,767.
    pub value: u64,
}

/// `/proc/sys/kernel/{msgmni,msgmax,msgmnb}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueLimits {
    /// MSGMNI: queues, 32,000 by default.
    pub queues: u64,
    /// MSGMAX: bytes of one body, 8192 by default.
    pub message_len: u64,
    /// MSGMNB: bytes of all bodies in a new queue, 16,384 by default.
    pub queue_bytes: u64,
}

/// `/proc/sys/kernel/{shmmni,shmmax,shmall}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentLimits {
    /// SHMMNI: segments, 4096 by default.
    pub segments: u64,
    /// SHMMAX: bytes of one segment.
    pub len: u64,
    /// SHMMIN: bytes of one segment at least, 1.
    pub min_len: u64,
    /// SHMALL: pages of all segments.
    pub pages: u64,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Of semaphores.
    pub semaphores: SemaphoreUsage,
    /// Of message queues.
    pub queues: QueueUsage,
    /// Of segments.
    pub segments: SegmentUsage,
}

/// SEM_INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemaphoreUsage {
    /// Sets.
    pub sets: u64,
    /// Semaphores in them.
    pub semaphores: u64,
}

/// MSG_INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueUsage {
    /// Queues.
    pub queues: u64,
    /// Messages in them.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// SHM_INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentUsage {
    /// Segments.
    pub segments: u64,
    /// Their pages.
    pub pages: u64,
    /// Of these, in memory.
    pub resident: u64,
    /// Of these, in swap.
    pub swapped: u64,
}

/// semctl, msgctl and shmctl IPC_INFO: the limits of this IPC namespace.
///
/// # Errors
/// [`Error::System`]: refused by a filter of system calls.
///
/// # Examples
/// ```
/// assert_eq!(ipc_sysv::limits()?.semaphores.value, 32_767);
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
#[doc(alias = "IPC_INFO")]
pub fn limits() -> Result<Limits> {
    let (_, sem) = semaphore::limits().map_err(|source| refused(Kind::SemaphoreSet, source))?;
    let (_, msg) = queue::limits().map_err(|source| refused(Kind::MessageQueue, source))?;
    let (_, shm) = segment::limits().map_err(|source| refused(Kind::Segment, source))?;
    Ok(Limits {
        semaphores: SemaphoreLimits {
            set_len: count(sem.set_len_max),
            semaphores: count(sem.semaphores_max),
            operations: count(sem.operations_max),
            sets: count(sem.sets_max),
            value: count(sem.value_max),
        },
        queues: QueueLimits {
            queues: count(msg.queues_max),
            message_len: count(msg.message_max),
            queue_bytes: count(msg.bytes_max),
        },
        segments: SegmentLimits {
            segments: shm.segments_max,
            len: shm.len_max,
            min_len: shm.len_min,
            pages: shm.pages_max,
        },
    })
}

/// semctl SEM_INFO, msgctl MSG_INFO, shmctl SHM_INFO: what there is in this IPC namespace.
///
/// # Errors
/// As [`limits`].
///
/// # Examples
/// ```
/// use ipc_sysv::{Key, MessageQueue, RemoveOnDrop};
///
/// let _queue = RemoveOnDrop::new(MessageQueue::create(Key::PRIVATE)?);
/// assert!(ipc_sysv::usage()?.queues.queues >= 1);
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
#[doc(alias = "SEM_INFO")]
#[doc(alias = "MSG_INFO")]
#[doc(alias = "SHM_INFO")]
pub fn usage() -> Result<Usage> {
    let (_, sem) = semaphore::usage().map_err(|source| refused(Kind::SemaphoreSet, source))?;
    let (_, msg) = queue::usage().map_err(|source| refused(Kind::MessageQueue, source))?;
    let (_, shm) = segment::usage().map_err(|source| refused(Kind::Segment, source))?;
    Ok(Usage {
        semaphores: SemaphoreUsage { sets: count(sem.sets), semaphores: count(sem.semaphores) },
        queues: QueueUsage {
            queues: count(msg.queues),
            messages: count(msg.messages),
            bytes: count(msg.bytes),
        },
        segments: SegmentUsage {
            segments: count(shm.segments),
            pages: shm.pages,
            resident: shm.pages_resident,
            swapped: shm.pages_swapped,
        },
    })
}

fn refused(kind: Kind, source: std::io::Error) -> Error {
    Error::System { object: Object::keyed(kind, Key::PRIVATE), operation: "IPC_INFO", source }
}

fn count(number: i32) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
