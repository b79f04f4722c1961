//! Shared memory between Linux processes: checked memfd and POSIX segments, channels and robust locks in them.
//!
//! Shared memory is the one mechanism whose messages the kernel never sees: no message costs a system call, none is copied
//! through the kernel, and nothing stops the other process from writing whatever it likes. So there are two modes, chosen by a
//! type parameter. [`Sealed`] memory can be written by one process only, and using it is safe whatever the other process does.
//! [`Trusted`] memory can be written by every process that has it open; it is for processes that trust each other.
//!
//! ```
//! # fn main() -> ipc_shm::Result<()> {
//! use ipc_shm::SharedMemory;
//!
//! let name = format!("/ipc-shm-example-{}", std::process::id());
//! let ours = SharedMemory::create(&name, 4096)?;
//! // In another process:
//! let theirs = SharedMemory::open(&name)?;
//! theirs.write(8, &42_u64)?;
//! assert_eq!(ours.read::<u64>(8)?, 42);
//! # Ok(())
//! # }
//! ```
//!
//! # Which one do I take?
//!
//! | you want to share | take | cost | when one side is too slow |
//! | --- | --- | --- | --- |
//! | messages of one type, from one process to another | [`spsc`] | one cache line per message | the sender waits, or gets [`Error::Full`] |
//! | messages of any length, from one process to another | [`bytes`] | one copy in, one copy out; none with loans and borrows | the same |
//! | messages from several senders, to one receiver | [`mpsc`] | the receiver looks at one ring per sender | only the ring of that sender fills |
//! | work items, each for one of several receivers | [`mpmc`] | three compare-and-swaps per message on each side | the senders wait; what a dead receiver held goes to another |
//! | a question and its answer | [`request`] | one cache line each way | the call times out; the server sees the deadline |
//! | every message, with any number of readers | [`broadcast`] | for the writer, the same for any number of readers | a slow reader gets [`Error::Lagged`] and goes on |
//! | every message, and no reader may miss one | [`broadcast::lossless`] | the writer looks at each reader once per round of the ring | the writer waits |
//! | the newest value, with any number of readers | [`latest`] | for the writer, the same for any number of readers | a slow reader skips values |
//! | a value that several processes change | [`Shared`] with a [`Mutex`] or an [`RwLock`] | a lock | the others wait |
//! | a count, an event, a rendezvous | [`Semaphore`], [`Event`], [`Barrier`] | an atomic operation; a system call only to sleep and to wake | the others wait |
//! | bytes in a layout of your own | [`SharedMemory`] | a memory access | nothing: there is no notification |
//! | bytes that a C program shares | [`PlainMemory`] | a memory access | the same |
//!
//! [`Wait`] says how a blocking call waits, whichever it is.
//!
//! Processes that trust each other can find a channel by its name (`create` and `open`, [`Trusted`]). For those that do not, one
//! sends an [`Invitation`] over a Unix socket ([`Sealed`]): each end is then safe whatever the other one writes.
//!
//! ```
//! # fn main() -> ipc_shm::Result<()> {
//! use ipc_shm::spsc;
//!
//! let name = format!("/ipc-shm-feed-{}", std::process::id());
//! let mut sender = spsc::Sender::<[f64; 2]>::create(&name, 1024)?;
//! // In another process:
//! let mut receiver = spsc::Receiver::<[f64; 2]>::open(&name)?;
//! sender.send(&[1.0, 2.0])?;
//! assert_eq!(receiver.recv()?, [1.0, 2.0]);
//! # Ok(())
//! # }
//! ```
//!
//! # Who holds what
//!
//! Memory:
//!
#![doc = include_str!("../pictures/shm.svg")]
//!
//! A channel in sealed memory:
//!
#![doc = include_str!("../pictures/channel.svg")]
//!
//! # Anatomy
//! - [`SharedMemory`]: a segment with a header that says what it is; anonymous (memfd) or named (POSIX)
//! - [`PlainMemory`]: a segment without one, shared with C programs
//! - [`spsc`]: a channel for one sender and one receiver, by name, by [`Invitation`], or by descriptor
//! - [`bytes`]: the same for messages of any length
//! - [`mpsc`]: several senders, a lane each
//! - [`mpmc`]: many senders, many receivers, one queue; a dead receiver's message goes to another
//! - [`request`]: questions and their answers, with deadlines; one server for many clients
//! - [`latest`], [`broadcast`]: one writer and any number of readers, which never make it wait
//! - [`broadcast::lossless`]: one writer that waits for the slowest of up to 64 readers
//! - [`ChannelOptions`], [`Tag`]: how a channel is made, and how to tell channels apart whose messages have the same size
//! - [`Wait`]: spin, sleep, or wait by a descriptor
//! - [`Select`]: waiting for several channels at once, and for descriptors beside them
//! - [`Polled`]: any end in poll, epoll or any event loop
//! - [`watch`](spsc::Receiver::watch): the peer's pidfd, which reports its death at once
//! - `Async` (feature `tokio`): an end as a stream, or with an `async` send
//! - [`Shared`], [`InPlace`]: one typed value in a segment, initialised once and used in place by all: atomics and locks
//! - [`Semaphore`], [`Event`], [`Barrier`]: safe to call whatever others write into them
//! - [`Mutex`], [`RwLock`], [`Condvar`], [`Once`]: in memory whose writers the caller vouches for; a dead owner cannot be overlooked
//! - [`list()`], [`remove_stale`]: what is in /dev/shm, and what killed programs left there
//! - [`stat()`], [`holders`]: a channel's positions and counters, and which processes hold it, without disturbing it
//! - `sysv` (a feature, off by default): all of it in System V segments, locks too
//! - [`Error`], [`Refusal`]: what goes wrong, and why memory was not attached
//!
//! # Costs
//! Making a named channel ([`spsc`]) takes 12 system calls, attaching to it 17; there is no thread, no daemon, and no file that
//! remains once the ends are dropped. (Memory of 2 MiB and more takes up to ten more calls, and one for each 2 MiB, to be made of
//! huge pages.) One of the calls registers the process for membarrier(2), which takes milliseconds the first time in a process
//! that already has threads. A message costs a system call only when the other side sleeps.
//!
//! # Limits
//! Named memory cannot be sealed: whoever may open it for writing may truncate it, and touching what is gone raises SIGBUS. A
//! child that was forked without exec cannot use its parent's handles ([`Error::Forked`]); it has to attach its own. To poll an
//! end whose channel has no socket takes an io_uring (Linux 6.7), which many containers forbid ([`Error::NoUring`]): make the
//! channel [`pollable`](ChannelOptions::pollable) where that can be. Linux only.

#[cfg(all(not(ipc_loom), feature = "tokio"))]
mod asynchronous;
mod channel;
mod error;
mod in_place;
#[cfg(not(ipc_loom))]
mod memory;
#[cfg(any(ipc_loom, test))]
mod models;
mod refusal;
#[cfg(not(ipc_loom))]
mod shared;
mod sync;
mod tag;
mod words;

pub use crate::{
    error::{Error, Result},
    in_place::{AnyBits, InPlace, kind},
    refusal::Refusal,
    sync::{
        Attempt, Condvar, Event, Guard, LockError, LockResult, Mutex, MutexGuard, Once, ReadGuard, Recovery,
        RwLock, Semaphore, Wake, WriteGuard,
    },
    tag::Tag,
};

#[cfg(all(not(ipc_loom), feature = "tokio"))]
pub use crate::asynchronous::Async;
#[cfg(all(not(ipc_loom), feature = "sysv"))]
pub use crate::channel::sysv;

#[cfg(not(ipc_loom))]
pub use crate::{
    channel::{
        Acceptance, ChannelOptions, ChannelStat, End, EndStat, Invitation, Offer, Payload, Pollable, Polled,
        Presence, Readable, SELECT_MAX, Select, Source, Unattached, Wait, broadcast, bytes, latest, mpmc,
        mpsc, request, spsc, stat,
    },
    memory::{
        Common, Holder, Listed, MemoryOptions, Mode, Origin, PlainMemory, Sealed, SharedMemory, Trusted,
        Vouched, holders, list, remove_stale,
    },
    shared::Shared,
    sync::{Barrier, Party},
};
