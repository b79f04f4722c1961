//! Several senders and one receiver: a ring for each sender, which the receiver reads in turn.
//!
//! Each sender has a *lane*: an [`spsc`](crate::spsc) ring, made in any of the ways there are, trusted or sealed; its sending end
//! is an [`spsc::Sender`](crate::spsc::Sender). Senders share nothing: none slows another, and one that dies or writes nonsense
//! ends its own lane and no other. A sender joins when the receiver [admits](Receiver::admit) its lane, and leaves when it is
//! dropped. The messages of one sender come in order; there is no order between senders.
//!
//! Where a sender and its lane lie in memory that was vouched for, messages are written and read in place:
//! [`spsc::Sender::loan`](crate::spsc::Sender::loan), [`Receiver::borrow`]. The loan is sound in a sealed lane, too.
//!
//! A receiver that is [polled](crate::Polled) or waited for by a task takes lanes with and without sockets
//! ([pollable](crate::ChannelOptions::pollable)) side by side.
//!
//! # After a crash
//! As for each lane ([`spsc`](crate::spsc)). [`Receiver::departed`] reports the lanes that have ended; everything that a sender
//! had sent is received first.
//!
//! # Examples
//! ```
//! # fn main() -> ipc_shm::Result<()> {
//! use ipc_shm::{mpsc, spsc};
//!
//! let mut receiver = mpsc::Receiver::new();
//! let mut senders = Vec::new();
//! for _ in 0..3 {
//!     let (sender, lane) = spsc::channel::<u64>(16)?;
//!     receiver.admit(lane.attach()?)?;
//!     senders.push(sender.attach()?); // each in its own process
//! }
//! for (message, sender) in (0..).zip(&mut senders) {
//!     sender.send(&message)?;
//! }
//! let mut received = [receiver.recv()?, receiver.recv()?, receiver.recv()?];
//! received.sort();
//! assert_eq!(received, [0, 1, 2]);
//! # Ok(())
//! # }
//! ```

mod borrow;
mod ends;
mod recv;
mod waiting;

pub use ends::{LANES_MAX, LaneId, Receiver};
