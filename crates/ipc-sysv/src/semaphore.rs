//! Semaphores: sets of counters that processes add to and subtract from, several at once, waiting where they must.
//!
//! The set is a kernel object: whoever creates it may be gone while it lives, and it lives until IPC_RMID. What a killed
//! process leaves is the values as they are, less what it did with SEM_UNDO, which the kernel takes back.

mod create;
mod op;
mod permit;
mod set;
mod stat;
mod values;

pub use create::SemaphoreSetOptions;
pub use op::Op;
pub use permit::{Permit, Semaphore};
pub use set::SemaphoreSet;
pub use stat::SemaphoreStat;
