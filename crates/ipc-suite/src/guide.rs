//! Pages to read: what processes are and why they talk, which mechanism to take, where each C call went, and what goes
//! wrong.
//!
//! The modules here hold no code, only their documentation.

#[doc = include_str!("../guide/primer.md")]
pub mod primer {}

#[doc = include_str!("../guide/choosing.md")]
pub mod choosing {}

/// Each mechanism at a glance: who holds which end, what the kernel holds, where the bytes are, what outlives a process.
///
/// # Pipe
/// [`ipc_suite::pipe::pipe`](crate::pipe::pipe)
///
#[doc = include_str!("../guide/pictures/pipe.svg")]
///
/// # FIFO
/// [`ipc_suite::pipe::Fifo`](crate::pipe::Fifo)
///
#[doc = include_str!("../guide/pictures/fifo.svg")]
///
/// # System V semaphore set
/// [`ipc_suite::sysv::SemaphoreSet`](crate::sysv::SemaphoreSet)
///
#[doc = include_str!("../guide/pictures/semaphore.svg")]
///
/// # System V message queue
/// [`ipc_suite::sysv::MessageQueue`](crate::sysv::MessageQueue)
///
#[doc = include_str!("../guide/pictures/queue.svg")]
///
/// # System V shared memory segment
/// [`ipc_suite::sysv::Segment`](crate::sysv::Segment)
///
#[doc = include_str!("../guide/pictures/segment.svg")]
///
/// # Signal
/// [`ipc_suite::signal`](crate::signal)
///
#[doc = include_str!("../guide/pictures/signal.svg")]
///
/// # Shared memory
/// [`ipc_suite::shm::SharedMemory`](crate::shm::SharedMemory)
///
#[doc = include_str!("../guide/pictures/shm.svg")]
///
/// # Channel in sealed memory
/// [`ipc_suite::shm::spsc`](crate::shm::spsc)
///
#[doc = include_str!("../guide/pictures/channel.svg")]
///
/// # Unix socket
/// [`ipc_suite::uds::Stream`](crate::uds::Stream)
///
#[doc = include_str!("../guide/pictures/socket.svg")]
pub mod pictures {}

#[doc = include_str!("../guide/from-c.md")]
pub mod from_c {}

#[doc = include_str!("../guide/pitfalls.md")]
pub mod pitfalls {}
