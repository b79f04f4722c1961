//! A ring for one sender and one receiver: messages of one type, each received once, in order.
//!
//! A message of up to 56 bytes crosses in one cache line. It costs no system call: the kernel is asked only to sleep and to
//! wake. The two ends are made
//!
//! - by name, in memory common to processes that trust each other: [`Sender::create`] and [`Receiver::open`], or the other
//!   way round; [`Sender::open_or_replace`] takes over what a dead process left;
//! - by invitation, for processes that do not: [`Sender::offer`] or [`Receiver::offer`], then
//!   [`Invitation::accept`](crate::Invitation::accept) in the other process and
//!   [`Offer::complete`](crate::Offer::complete) in the first. Each writes memory that the other cannot;
//! - from two descriptors, for a child: [`channel`].
//!
//! # Blocking
//! `send` and `recv` wait as [`Wait`](crate::Wait) says; they never return EINTR. A receiver gives space back a quarter of the
//! ring at a time, so a sender may have to wait once [`Sender::capacity`] messages are in flight, which is about three quarters
//! of what was asked for, until the receiver reads on, finds the ring empty, or calls [`Receiver::release`].
//!
//! # After a crash
//! The other end gets [`Error::Disconnected`](crate::Error::Disconnected) within 100 ms, after everything that was sent. A
//! loan that was not committed is never received. A named channel can be taken over: a new sender continues after the last
//! complete message; a new receiver may get messages again that the dead one had received, at most a quarter of the ring.
#![cfg_attr(
    not(ipc_loom),
    doc = r#"
# Examples
```
# fn main() -> ipc_shm::Result<()> {
use ipc_shm::spsc;

let (sender, receiver) = spsc::channel::<u64>(64)?;
// Each in its own process:
let mut sender = sender.attach()?;
let mut receiver = receiver.attach()?;
sender.send(&42)?;
assert_eq!(receiver.recv()?, 42);
drop(sender);
assert!(matches!(receiver.recv(), Err(ipc_shm::Error::Disconnected)));
# Ok(())
# }
```"#
)]

#[cfg(not(ipc_loom))]
mod ends;
#[cfg(not(ipc_loom))]
mod loan;
#[cfg(not(ipc_loom))]
pub(in crate::channel) mod plan;
#[cfg(not(ipc_loom))]
mod recv;
pub(crate) mod ring;
#[cfg(not(ipc_loom))]
mod send;
#[cfg(not(ipc_loom))]
mod waiting;

#[cfg(not(ipc_loom))]
pub use ends::{Receiver, Sender, channel};
#[cfg(not(ipc_loom))]
pub use loan::{Borrow, Lends, Loan};

/// A count of messages of one call, for the doorbell.
#[cfg(not(ipc_loom))]
fn streak(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A count that is no longer than a slice.
#[cfg(not(ipc_loom))]
#[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
fn as_usize(count: u64) -> usize {
    count as usize
}
