//! Shared memory segments: memory that processes attach by id or key, without a file and without a descriptor.
//!
//! The segment is a kernel object: whoever creates it may be gone while it lives, and it lives, with its contents, until
//! IPC_RMID and the last detach. A process that is killed is detached by the kernel and leaves the bytes as they are.

mod attachment;
mod create;
mod handle;
mod recover;
mod stat;

pub use attachment::{Attachment, ReadOnlyAttachment};
pub use create::SegmentOptions;
pub use handle::{AttachOptions, Segment};
pub use stat::SegmentStat;
