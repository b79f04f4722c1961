//! Questions and their answers: a client and a server, with any number of calls in flight; [`Servers`] for many clients.
//!
//! A question crosses in one cache line, and its answer comes back in one. The server may answer in any order, and each answer
//! reaches its own call: a late answer to a call that has been given up is never taken for another's. The two ends are made
//!
//! - by name, in memory common to processes that trust each other: [`Server::create`] and [`Client::open`], or the other
//!   way round; `open_or_replace` takes over what a dead process left;
//! - by invitation, for processes that do not: [`Server::offer`] or [`Client::offer`], then
//!   [`Invitation::accept`](crate::Invitation::accept) in the other process and
//!   [`Offer::complete`](crate::Offer::complete) in the first. Each writes memory that the other cannot;
//! - from two descriptors, for a child: [`channel`].
//!
//! Each channel has one client. A server of many clients has a [`Server`] for each and takes them in turn: [`Servers`].
//!
//! In sealed memory, and in common memory that the caller [vouches for](Client::trust), questions and answers can be written
//! where they are read: [`Client::loan`], [`Request::loan`].
//!
//! # Deadlines
//! The server sees the deadline that [`Client::call_timeout`] sets ([`Request::remaining`]). A question whose deadline has passed,
//! or which its client has given up, before the server takes it is skipped. Deadlines are on the client's CLOCK_MONOTONIC: between
//! two time namespaces they are off by the difference of their clocks.
//!
//! # Blocking
//! Calls wait as [`Wait`](crate::Wait) says; they never return EINTR. As many calls as the capacity says may be in flight; one
//! more waits for the oldest. A server never waits to answer. [`Select`](crate::Select) waits for a server, a client or a
//! [`PendingCall`] beside others, and an event loop or a task for [`Polled`](crate::Polled) ends.
//!
//! # After a crash
//! When the server is killed, every waiting call gets [`Error::Disconnected`](crate::Error::Disconnected) within 100 ms. A new
//! server under the same name serves the questions that the old one had not taken; those that it had taken and not answered end
//! with [`Error::Unanswered`](crate::Error::Unanswered), so none is served twice. A client that is killed does not disturb the
//! server, which serves what was asked and then gets [`Error::Disconnected`](crate::Error::Disconnected); a new client gets none
//! of the old one's answers.
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
