//! One sender, one receiver, messages of any length: a ring of 64-byte blocks.
//!
//! A message is its length and its bytes, in as many blocks in a row as that takes, published at once; what does not fit
//! before the ring's end begins at its beginning. It can be written in place ([`Sender::loan`]) and, in memory that was
//! vouched for, read in place ([`Receiver::borrow`](Receiver#method.borrow)). It is the ring of
//! [`spsc`](crate::spsc) with a block for a message, so everything said there of meeting and waiting holds here.
//!
//! The capacity is in bytes, a power of two from 1024 on. A message takes its length and 8 bytes more, rounded up to 64;
//! one of [`Sender::max_len`] fills the whole ring, and waits until all before it has been received.
//!
//! # After a crash
//! The other end is told [`Error::Disconnected`](crate::Error::Disconnected) within 100 ms, after everything that was
//! sent. A message that was half written, or loaned and not committed, was never there. A named channel can be taken up:
//! a new sender goes on behind the last whole message, a new receiver gets at most a quarter of the ring again.
//!
//! # Examples
//! ```
//! # fn main() -> ipc_shm::Result<()> {
//! use ipc_shm::bytes;
//!
//! let (sender, receiver) = bytes::channel(4096)?;
//! // Each in its own process:
//! let (mut sender, mut receiver) = (sender.attach()?, receiver.attach()?);
//! sender.send(b"of any length")?;
//! sender.send(b"")?;
//! let mut message = Vec::new();
//! receiver.recv(&mut message)?;
//! assert_eq!(message, b"of any length");
//! assert_eq!(receiver.recv(&mut message)?, 0);
//! # Ok(())
//! # }
//! ```

pub(crate) mod block;
#[cfg(not(ipc_loom))]
mod ends;
#[cfg(not(ipc_loom))]
mod loan;
#[cfg(not(ipc_loom))]
pub(in crate::channel) mod plan;
#[cfg(not(ipc_loom))]
mod recv;
#[cfg(not(ipc_loom))]
mod send;
#[cfg(not(ipc_loom))]
mod waiting;

#[cfg(not(ipc_loom))]
pub use ends::{Receiver, Sender, channel};
#[cfg(not(ipc_loom))]
pub use loan::{Borrow, Loan};
