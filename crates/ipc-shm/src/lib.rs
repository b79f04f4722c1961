//! Shared memory between Linux processes: memfd and POSIX segments that check what they attach.
//!
//! Shared memory is the one mechanism whose messages the kernel never sees: nothing is copied twice, nothing costs a
//! system call, and nothing stops the other process from writing what it likes. Hence two modes, one type parameter:
//! [`Sealed`] memory has one writer and is safe against any reader and any writer; [`Trusted`] memory is common to
//! processes that run each other's code anyway.
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
//! | what crosses | take | it costs | who is too slow |
//! | --- | --- | --- | --- |
//! | messages of one type, from one process to another | [`spsc`] | one cache line a message | makes the sender wait, or [`Error::Full`] |
//! | messages of any length, likewise | [`bytes`] | a copy in and one out; none with loans and borrows | likewise |
//! | messages of several senders | [`mpsc`] | a look at each lane | fills its own lane only |
//! | work, each piece to one of several receivers | [`mpmc`] | three compare-and-swaps on each side | makes the senders wait; what a dead one held goes to another |
//! | a question, and its answer | [`request`] | two lines, there and back | deadlines, on both sides |
//! | every message, to any number of readers | [`broadcast`] | the same for any number | a reader has [`Error::Lagged`] and goes on |
//! | the same, and nobody may miss one | [`broadcast::lossless`] | a look at each reader, once a lap | makes the writer wait |
//! | the newest value, to any number of readers | [`latest`] | the same for any number | skips what is in between |
//! | a value that several change | [`Shared`] of a [`Mutex`] or [`RwLock`] | a lock | makes the others wait |
//! | a count, a signal, a meeting | [`Semaphore`], [`Event`], [`Barrier`] | an atomic | makes the others wait |
//! | bytes of a layout of one's own | [`SharedMemory`] | nothing | nobody is told of anything |
//! | bytes that a C program shares | [`PlainMemory`] | nothing | likewise |
//!
//! Processes that run each other's code anyway meet by name (`create` and `open`, [`Trusted`]); those that do not, by an
//! [`Invitation`] over a Unix socket ([`Sealed`]): either end is then safe against anything that the other writes.
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
//! - [`request`]: questions and their answers, with deadlines; one server of many clients
//! - [`latest`], [`broadcast`]: one writer, any number of readers, which never make it wait
//! - [`broadcast::lossless`]: one writer that waits for the slowest of up to 64 readers
//! - [`ChannelOptions`], [`Tag`]: how a channel is made; what tells it from others of the same size
//! - [`Wait`]: spin, sleep, or wait by a descriptor
//! - [`Select`]: waiting for several channels at once, and for descriptors beside them
//! - [`Polled`]: an end in poll, epoll or any event loop
//! - [`watch`](spsc::Receiver::watch): a peer's pidfd, which tells of its death at once
//! - `Async` (feature `tokio`): an end as a stream, or with an `async` send
//! - [`Shared`], [`InPlace`]: one typed value in a segment, made once and used there by all: atomics and locks
//! - [`Semaphore`], [`Event`], [`Barrier`]: safe to call whatever others write into them
//! - [`Mutex`], [`RwLock`], [`Condvar`], [`Once`]: in memory whose writers the caller vouches for; a dead owner cannot be overlooked
//! - [`list()`], [`remove_stale`]: what stands in /dev/shm, and what killed programs left there
//! - [`stat()`], [`holders`]: a channel's positions and counters, and which processes hold it, without disturbing it
//! - `sysv` (a feature, off by default): all of it in System V segments, locks too
//! - [`Error`], [`Refusal`]: what goes wrong, and why memory was not attached
//!
//! # Costs
//! A channel by name ([`spsc`]) is made in 12 system calls and attached in 17, without a thread, a daemon, or a file that stays
//! when its ends are dropped. (Memory of 2 MiB and more costs at most ten more to make, and one for each 2 MiB: they make it of
//! huge pages.) One of them registers the process for membarrier, which takes milliseconds the first time where there are
//! threads already. A message costs a system call only where somebody sleeps.
//!
//! # Limits
//! Named memory cannot be sealed: who may open it may truncate it, and touching what is gone is SIGBUS. A child forked
//! without exec cannot use its parent's handles ([`Error::Forked`]); it attaches anew. Linux only.

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
