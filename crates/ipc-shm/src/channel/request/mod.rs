//! Questions and their answers: a client and a server, any number of calls in flight; [`Servers`] for many clients.
//!
//! A call is a question that crosses in one cache line and an answer that comes back in one. Answers come in whatever
//! order the server gives them, each to its own call: the answer to a call that has been given up is never taken for
//! another's. Make the two ends
//!
//! - by name, in memory common to processes that trust each other: [`Server::create`] and [`Client::open`], or the other
//!   way round; `open_or_replace` takes up what a dead process left;
//! - by invitation, for processes that do not: [`Server::offer`] or [`Client::offer`], then
//!   [`Invitation::accept`](crate::Invitation::accept) in the other process and
//!   [`Offer::complete`](crate::Offer::complete) in the first. Each writes memory that the other cannot;
//! - from two descriptors, for a child: [`channel`].
//!
//! One client a channel. A server of many has a [`Server`] for each and goes round: [`Servers`].
//!
//! In sealed memory, and in common memory that was [vouched for](Client::trust), questions and answers can be written where
//! they are read: [`Client::loan`], [`Request::loan`].
//!
//! # Deadlines
//! The time that [`Client::call_timeout`] gives is the server's to see ([`Request::remaining`]). A question whose time is
//! over, or whose client has given it up, before the server takes it is passed over. It is CLOCK_MONOTONIC of the
//! client: between time namespaces it is off by what they differ.
//!
//! # Blocking
//! Calls wait as [`Wait`](crate::Wait) says; EINTR never shows. As many calls as the capacity says may be in flight; one
//! more waits for the oldest. A server never waits to answer. [`Select`](crate::Select) waits for a server, a client or a
//! [`PendingCall`] beside others; ends by invitation and from descriptors can be made
//! [pollable](crate::ChannelOptions::pollable), ends with a name cannot: nothing carries a socket to who opens a name.
//!
//! # After a crash
//! A server that is killed: every call that waits is told [`Error::Disconnected`](crate::Error::Disconnected) within
//! 100 ms. A new server under the same name serves the questions that the old one had not taken; those that it had taken
//! and not answered are [`Error::Unanswered`](crate::Error::Unanswered): none is served twice. A client that is killed
//! does not disturb the server, which serves what was asked, and then is told; a new client is given none of the old
//! one's answers.
#![cfg_attr(
    not(ipc_loom),
    doc = r#"
# Examples
```
# fn main() -> ipc_shm::Result<()> {
use ipc_shm::request;

let (client, server) = request::channel::<u64, u64>(16)?;
let serving = std::thread::spawn(move || -> ipc_shm::Result<()> {
    let server = server.attach()?; // in its own process
    loop {
        let request = server.recv()?;
        let doubled = request.question() * 2;
        request.answer(&doubled)?;
    }
});
let client = client.attach()?;
assert_eq!(client.call(&21)?, 42);

// Several calls in flight:
let (first, second) = (client.send(&1)?, client.send(&2)?);
assert_eq!((second.recv()?, first.recv()?), (4, 2));

drop(client);
assert!(matches!(serving.join(), Ok(Err(ipc_shm::Error::Disconnected))));
# Ok(())
# }
```"#
)]

#[cfg(not(ipc_loom))]
mod caller;
#[cfg(not(ipc_loom))]
mod client;
pub(crate) mod exchange;
#[cfg(not(ipc_loom))]
mod loan;
#[cfg(not(ipc_loom))]
mod pending;
#[cfg(not(ipc_loom))]
pub(in crate::channel) mod plan;
#[cfg(not(ipc_loom))]
mod server;
#[cfg(not(ipc_loom))]
mod servers;
#[cfg(not(ipc_loom))]
mod waiting;

#[cfg(all(not(ipc_loom), feature = "tokio"))]
pub(crate) use caller::Until;
#[cfg(not(ipc_loom))]
pub use client::{Client, channel};
#[cfg(not(ipc_loom))]
pub use loan::{AnswerLoan, QuestionLoan};
#[cfg(not(ipc_loom))]
pub use pending::PendingCall;
#[cfg(not(ipc_loom))]
pub use server::{Request, Server};
#[cfg(not(ipc_loom))]
pub use servers::Servers;
