//! Pages to read: what processes are and why they talk, which mechanism to take, where each C call went, and what goes
//! wrong.
//!
//! The modules here hold no code, only their documentation.

#[doc = include_str!("../guide/primer.md")]
pub mod primer {}

#[doc = include_str!("../guide/pictures.md")]
#[doc = "\n# A pipe\n[`ipc_suite::pipe::pipe`](crate::pipe)\n"]
#[doc = include_str!("../guide/pictures/pipe.svg")]
#[doc = "\n# A FIFO\n[`ipc_suite::pipe::Fifo`](crate::pipe)\n"]
#[doc = include_str!("../guide/pictures/fifo.svg")]
#[doc = "\n# A System V semaphore set\n[`ipc_suite::sysv::SemaphoreSet`](crate::sysv)\n"]
#[doc = include_str!("../guide/pictures/semaphore.svg")]
#[doc = "\n# A System V message queue\n[`ipc_suite::sysv::MessageQueue`](crate::sysv)\n"]
#[doc = include_str!("../guide/pictures/queue.svg")]
#[doc = "\n# A System V shared memory segment\n[`ipc_suite::sysv::Segment`](crate::sysv)\n"]
#[doc = include_str!("../guide/pictures/segment.svg")]
#[doc = "\n# A signal\n[`ipc_suite::signal`](crate::signal)\n"]
#[doc = include_str!("../guide/pictures/signal.svg")]
#[doc = "\n# Shared memory\n[`ipc_suite::shm::SharedMemory`](crate::shm)\n"]
#[doc = include_str!("../guide/pictures/shm.svg")]
#[doc = "\n# A Unix socket\n[`ipc_suite::uds::Stream`](crate::uds)\n"]
#[doc = include_str!("../guide/pictures/socket.svg")]
pub mod pictures {}

#[doc = include_str!("../guide/pitfalls.md")]
pub mod pitfalls {}

#[doc = include_str!("../guide/choosing.md")]
pub mod choosing {}

#[doc = include_str!("../guide/from-c.md")]
pub mod from_c {}
