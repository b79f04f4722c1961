//! System V semaphores, message queues and shared memory for Linux: complete, sound, and recoverable after a crash.
//!
//! Take it to talk to what exists already: PostgreSQL, Oracle, shells, Python, Perl and thirty years of C. Take it also for
//! what no other mechanism has: a semaphore whose permits the kernel gives back when their holder is killed, several operations
//! that happen together or not at all, and a queue whose messages outlive every process and can be taken by type. Between programs
//! of your own, a socket (ipc-uds) or sealed memory (ipc-shm) is the better choice: their objects disappear with the last process,
//! and other users cannot use up the system's limits for them.
//!
//! ```
//! use ipc_sysv::{Key, Op, RemoveOnDrop, SemaphoreSet};
//!
//! // A lock and a counter. The set begins with these values, however many processes open it at the same moment.
//! # let key = Key::new(0x6c69_0000 | (std::process::id() & 0xffff) as i32);
//! let (set, _created) = SemaphoreSet::open_or_create(key, &[1, 0])?;
//! let set = RemoveOnDrop::new(set);
//! {
//!     let lock = set.semaphore(0)?;
//!     let _permit = lock.acquire()?; // killed here, the kernel gives it back
//! }
//! // Several operations in one call: all or none, and one system call.
//! set.op(&[Op::subtract(0, 1), Op::add(1, 5), Op::add(0, 1)])?;
//! assert_eq!(set.values()?, [1, 5]);
//! # Ok::<(), ipc_sysv::Error>(())
//! ```
//!
//! # Who holds what
//!
//! A semaphore set:
//!
#![doc = include_str!("../pictures/semaphore.svg")]
//!
//! A message queue:
//!
#![doc = include_str!("../pictures/queue.svg")]
//!
//! A segment:
//!
#![doc = include_str!("../pictures/segment.svg")]
//!
//! # Anatomy
//! - [`Key`], [`KeyFile`]: how processes find the same object; ftok, and what it throws away
//! - [`SemaphoreSet`], [`Op`]: atomic operations, values, waiters; [`SemaphoreSetOptions`]: the race-free start
//! - [`Semaphore`], [`Permit`]: one semaphore of a set, and a permit that was acquired from it
//! - [`MessageQueue`], [`MessageType`], [`Select`], [`MessageBuffer`], [`Message`], [`Messages`]
//! - [`Segment`], [`Attachment`], [`ReadOnlyAttachment`]: memory, copied in and out; [`Segment::recover`]: after a crash
//! - [`Identity`], [`RemoveOnDrop`]: the object that a handle was opened for, and no other
//! - [`semaphores()`], [`queues()`], [`segments()`], [`limits()`], [`usage()`]: what `ipcs` and `ipcrm` do
//! - [`Error`]: a variant for each decision of a caller
//!
//! # Limits
//! - A handle is a number. Dropping it removes nothing: an object lives until somebody removes it, or the system shuts down.
//! - Ids and keys are reused. A handle notices in `verify` and `remove`, in `attach`, and where the kernel would write
//!   beyond a buffer; a plain operation on an id that was reused reaches the new object. Two objects with the same id, key
//!   and creator cannot be told apart. See [`Identity`].
//! - Undo has a range, and SETVAL clears it: see [`Permit`].
//! - msgsnd and msgrcv have no timeout: see [`MessageQueue`].
//! - Whoever has permission can change, fill, empty and (owner and creator) remove an object; everybody can see it.
//! - Sleeping threads are woken by a signal only in the calls named `…_interruptible`; everywhere else EINTR is retried.
//! - Linux on x86_64 and aarch64, since 4.17 (before that, listing comes from `/proc/sysvipc`).

mod error;
mod handle;
mod key;
mod listing;
mod object;
mod queue;
mod segment;
mod semaphore;

pub use crate::error::{Error, Limit, Result};
pub use crate::handle::{Handle, RemoveOnDrop};
pub use crate::key::{Key, KeyFile};
pub use crate::listing::{
    Entry, Limits, Listing, QueueLimits, QueueUsage, Removal, SegmentLimits, SegmentUsage, SemaphoreLimits,
    SemaphoreUsage, Usage, limits, queues, segments, semaphores, usage,
};
pub use crate::object::{Identity, Kind, Object, Origin, Permissions};
pub use crate::queue::{
    Message, MessageBuffer, MessageQueue, MessageQueueOptions, MessageType, Messages, QueueStat, Select,
};
pub use crate::segment::{
    AttachOptions, Attachment, ReadOnlyAttachment, Segment, SegmentOptions, SegmentStat,
};
pub use crate::semaphore::{Op, Permit, Semaphore, SemaphoreSet, SemaphoreSetOptions, SemaphoreStat};
