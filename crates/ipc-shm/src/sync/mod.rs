//! What processes wait on: words of our own, and the C library's robust mutex with what is built from it.

#[cfg_attr(
    ipc_loom,
    cfg_attr(not(test), expect(dead_code, reason = "the barrier itself needs the kernel's locks"))
)]
mod arrival;
#[cfg(not(ipc_loom))]
mod barrier;
mod condvar;
mod event;
#[cfg(test)]
mod models;
mod mutex;
mod once;
mod recovery;
mod robust;
mod rwlock;
mod semaphore;
mod word;

#[cfg(not(ipc_loom))]
pub use barrier::{Barrier, Party};
pub use condvar::{Condvar, Wake};
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use once::{Attempt, Once};
pub use recovery::{Guard, LockError, LockResult, Recovery};
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub use semaphore::Semaphore;
