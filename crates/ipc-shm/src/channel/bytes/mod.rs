//! A ring of 64-byte blocks for one sender and one receiver: messages of any length.
//!
//! A message is its length and its bytes, in as many consecutive blocks as that takes, published all at once; one that does not
//! fit before the end of the ring is written at its beginning. It can be written in place ([`Sender::loan`]) and, in memory that
//! the caller vouches for ([`Receiver::trust`]), read in place ([`Receiver::borrow`](Receiver#method.borrow)). Underneath it is
//! the ring of [`spsc`](crate::spsc): the ends are made, and wait, as described there.
//!
//! The capacity is in bytes, a power of two, at least 1024. A message takes its length plus 8 bytes, rounded up to 64; one of
//! [`Sender::max_len`] bytes fills the whole ring, and waits until everything before it has been received.
//!
//! # After a crash
//! The other end gets [`Error::Disconnected`](crate::Error::Disconnected) within 100 ms, after everything that was sent. A
//! message that was half written, or loaned and not committed, is never received. A named channel can be taken over: a new
//! sender continues after the last complete message; a new receiver may get messages again that the dead one had received, at
//! most a quarter of the ring.
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
