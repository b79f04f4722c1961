//! System V semaphores, message queues and shared memory for Linux: complete, sound, and kind after a crash.
//!
//! System V IPC is what Unix programs have shared since 1983: semaphores that the kernel gives back when their holder is
//! killed, message queues from which a receiver takes by type, and segments of memory. Take it to speak with programs that
//! speak it already, when several semaphore operations must happen as one, or when messages have to wait for a program that
//! is not running. Otherwise take what goes away by itself: a socket (ipc-uds), a pipe (ipc-pipe), sealed memory (ipc-shm).
//!
//! ```
//! use ipc_sysv::{Key, MessageBuffer, MessageQueue, MessageType, RemoveOnDrop, Select};
//!
//! let queue = RemoveOnDrop::new(MessageQueue::create(Key::PRIVATE)?);
//! queue.send(MessageType::ONE, b"hello")?;
//!
//! // In another process, which knows the key or the id:
//! let mut buffer = MessageBuffer::new();
//! assert_eq!(queue.receive(Select::Any, &mut buffer)?.body(), b"hello");
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
//! - [`Key`], [`KeyFile`]: the number by which processes find the same object
//! - [`SemaphoreSet`], [`Op`]: several semaphores, several operations as one; [`Semaphore`] and [`Permit`] for the common case
//! - [`MessageQueue`], [`MessageType`], [`Select`], [`MessageBuffer`]: messages with a type, taken in any order
//! - [`Segment`], [`Attachment`], [`ReadOnlyAttachment`]: memory, copied in and out
//! - [`Handle`], [`Identity`], [`Permissions`], [`RemoveOnDrop`]: what all three have in common
//! - [`semaphores()`], [`queues()`], [`segments()`], [`limits()`], [`usage()`]: what ipcs and ipcrm do
//! - [`Error`]: what can go wrong, as the decisions that a caller takes
//!
//! # Limits
//! - An object outlives every process: somebody has to remove it. Of memory alone there is a kind that cannot be left
//!   behind, [`Segment::ephemeral`].
//! - Who has permission may do anything with an object; exclusion by a semaphore is an agreement.
//! - Keys made from paths can collide, and ids are given out again: a handle knows its object by more than that
//!   ([`Identity`]), and what cannot be told apart is said there.
//! - The kernel offers no deadline for sending and receiving: a queue has `try_` forms and no `_timeout`.

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
