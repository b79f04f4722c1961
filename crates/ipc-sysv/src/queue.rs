//! Message queues: bodies with a type, taken in the order of arrival or by type.
//!
//! The queue is a kernel object: whoever creates it may be gone while it lives, and it lives, with its messages, until
//! IPC_RMID. A process that is killed leaves whole messages only: one it was about to send is not there, one it was about
//! to receive is either still there or lost with it.

mod buffer;
mod create;
mod handle;
mod iterate;
mod receive;
mod select;
mod stat;

pub use buffer::{Message, MessageBuffer};
pub use create::MessageQueueOptions;
pub use handle::MessageQueue;
pub use iterate::Messages;
pub use select::{MessageType, Select};
pub use stat::QueueStat;
