//! System V semaphores, message queues and shared memory for Linux: complete, sound, and kind after a crash.

mod error;
mod handle;
mod key;
mod object;
mod queue;
mod semaphore;

pub use crate::error::{Error, Limit, Result};
pub use crate::handle::{Handle, RemoveOnDrop};
pub use crate::key::{Key, KeyFile};
pub use crate::object::{Identity, Kind, Object, Origin, Permissions};
pub use crate::queue::{
    Message, MessageBuffer, MessageQueue, MessageQueueOptions, MessageType, Messages, QueueStat, Select,
};
pub use crate::semaphore::{Op, Permit, Semaphore, SemaphoreSet, SemaphoreSetOptions, SemaphoreStat};
