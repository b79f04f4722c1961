//! System V semaphores, message queues and shared memory for Linux: complete, sound, and kind after a crash.

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
