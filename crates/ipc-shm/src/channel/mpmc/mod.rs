//! One queue for several senders and several receivers: each message goes to one receiver, in the order of the queue.
//!
//! It shares out work among processes. All of them write the words that say which message belongs to whom, so this is for
//! processes that trust each other. It costs three compare-and-swaps per message on each side: where there is one receiver,
//! [`mpsc`](crate::mpsc) is faster, and a dead or hostile sender harms its own lane only.
//!
//! - by name: [`Sender::create`], [`Receiver::open`] and so on, any number of times, up to 127 senders and 128 receivers
//! - by descriptor: [`Sender::anonymous`], [`Sender::share`], [`Receiver::from_fd`]
//!
//! In memory that the caller vouches for ([`Sender::trust`], [`Receiver::trust`]) messages can be written and read in place:
//! [`Sender::loan`], [`Receiver::borrow`].
//!
//! # Blocking
//! Calls wait as [`Wait`](crate::Wait) says; they never return EINTR. [`Select`](crate::Select) waits for ends beside others, and an
//! event loop or a task for [`Polled`](crate::Polled) ones: what comes wakes all who wait, and one of them gets it. They have no
//! socket: [`Wait::Poll`](crate::Wait::Poll) is [`Error::NoSocket`](crate::Error::NoSocket), and a queue is not made
//! [`pollable`](crate::ChannelOptions::pollable). No barrier interrupts anybody: each message costs its fences. The queue is
//! strictly in order: a sender that is stopped
//! between claiming its place and having written holds the receivers up until it goes on or dies.
//!
//! # After a crash
//! Each claim bears its owner's number, and each owner holds a lock that the kernel drops when it dies. The others check every
//! 60 ms while they wait: the place of a sender that was killed before its message was complete is skipped; a message that a
//! receiver was killed with ([`Receiver::hold`], and for a moment in [`Receiver::recv`]) is given to another, after those that
//! were received meanwhile. Nothing else is lost or duplicated. An end that is dropped is noticed at once.
//!
//! When all senders are gone, receivers get [`Error::Disconnected`](crate::Error::Disconnected) after the last message; when
//! all receivers are gone, senders get it once the queue is full. This happens at once, even if another end was about to join:
//! keep one sender open until the others are there. A stopped process is not dead. A process with other code in it that unlocks
//! descriptors which are not its own looks dead: it gets [`Error::TakenAway`](crate::Error::TakenAway) for what it had claimed,
//! and what it still writes may end up in another sender's message.
#![cfg_attr(
    not(ipc_loom),
    doc = r#"
# Examples
```
# fn main() -> ipc_shm::Result<()> {
use ipc_shm::mpmc;

let mut sender = mpmc::Sender::<u64>::anonymous(16)?;
// Each in its own process:
let mut first = mpmc::Receiver::<u64>::from_fd(sender.share()?)?;
let mut second = mpmc::Receiver::<u64>::from_fd(sender.share()?)?;
for message in [1, 2, 3] {
    sender.send(&message)?;
}
assert_eq!((first.recv()?, second.recv()?), (1, 2));

// Should the process die before the work is done, another gets the message.
let work = first.hold()?;
assert_eq!(*work.message(), 3);
work.done()?;
# Ok(())
# }
```"#
)]

pub(crate) mod bell;
#[cfg(not(ipc_loom))]
mod ends;
#[cfg(not(ipc_loom))]
mod held;
#[cfg(not(ipc_loom))]
mod join;
#[cfg(not(ipc_loom))]
mod loan;
#[cfg(not(ipc_loom))]
mod member;
#[cfg(not(ipc_loom))]
mod recv;
pub(crate) mod ring;
#[cfg(not(ipc_loom))]
pub(in crate::channel) mod roll;
#[cfg(not(ipc_loom))]
mod send;
#[cfg(not(ipc_loom))]
mod waiting;

#[cfg(not(ipc_loom))]
pub use ends::{Receiver, Sender};
#[cfg(not(ipc_loom))]
pub use held::Held;
#[cfg(not(ipc_loom))]
pub use loan::{Borrow, Loan};
