//! Unix domain sockets for Linux: safe bind and takeover, peer credentials, descriptors that do not leak, servers for many
//! clients.
//!
//! A Unix socket carries bytes or messages in both directions between processes of one machine, knows who is on the other side,
//! makes the faster side wait, and tells each side when the other ends. It is the only mechanism that hands over open descriptors.
//! If in doubt, take it. Take a pipe (ipc-pipe) between a parent and its child in one direction, shared memory (ipc-shm)
//! when two copies of each message are too many, TCP (std::net) when there is another machine; [`Server`] serves TCP with the
//! same handlers.
//!
//! ```
//! use ipc_uds::{BindOptions, Listener, Socket, Stale, Stream};
//! use std::io::{Read, Write};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let path = std::env::temp_dir().join(format!("ipc-uds-first-{}", std::process::id()));
//! // Mode 0600 before the name exists; a name that a killed server left behind is taken over, a live one never is.
//! let listener: Listener<Stream> = BindOptions::new().stale(Stale::Replace).listen(&path)?;
//!
//! let mut client = Stream::connect(&path)?;
//! client.write_all(b"hello")?;
//!
//! let mut server = listener.accept()?;
//! assert_eq!(server.peer_credentials()?.pid.map(u32::from), Some(std::process::id()));
//! let mut bytes = [0; 5];
//! server.read_exact(&mut bytes)?;
//! assert_eq!(&bytes, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Who holds what
//!
#![doc = include_str!("../pictures/socket.svg")]
//!
//! # Which socket
//!
//! | | boundaries | connection | the end of the peer |
//! | --- | --- | --- | --- |
//! | [`Stream`] | none: [`Framed`] makes them | yes | end of file |
//! | [`SeqPacket`] | each message whole | yes | end of file |
//! | [`Datagram`] | each message whole | no: many send to one | not seen |
//!
//! # Anatomy
//! - [`Address`]: a path of any length, an abstract name, or none
//! - [`Stream`], [`SeqPacket`], [`Datagram`]: the sockets; [`Socket`]: what can be asked of and set on all of them, and std's
//! - [`Listener`], [`BindOptions`], [`Stale`]: a name, its permissions, its takeover
//! - [`PeerCredentials`], [`Policy`]: who is at the other end, and who may be
//! - [`Ancillary`], [`Attachments`], [`Received`]: descriptors and credentials beside the bytes
//! - [`Framed`], [`Message`]: messages with their descriptors; with the feature `serde`, values; [`Budget`]: a limit on those
//!   in flight
//! - [`Server`], [`Accept`], [`Stop`]: many clients, over Unix sockets and TCP
//! - `Async`, `AsyncAncillary`, `AsyncFramed`, `Server::serve_async`, over TCP too (feature `tokio`)
//! - [`activated`]: sockets that systemd has opened for us
//! - [`Error`]: what can go wrong, as the decisions that a caller takes
//!
//! # Limits
//! - A path outlives its socket when the process is killed: [`Stale::Replace`].
//! - An abstract name has no owner and no mode: whoever binds it first has it. Look at the peer's credentials.
//! - Credentials are those of the moment of connect(2): what the peer becomes later, or hands its socket on to, does not show.
//! - A message that was sent before SO_PASSCRED is on names nobody: [`BindOptions::credentials`], not a call after accept.
//! - A path above 107 bytes needs /proc, and getsockname(2) tells the way through it instead.
//! - After fork(2) without exec(2), the child has the same sockets; what it drops removes no name.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(feature = "tokio"), forbid(unsafe_code))]

mod activation;
mod address;
mod ancillary;
#[cfg(feature = "tokio")]
mod asynchronous;
mod datagram;
mod error;
mod framed;
mod listener;
mod name;
mod peer;
mod seqpacket;
mod server;
mod socket;
mod stream;
#[cfg(feature = "serde")]
mod typed;
mod wait;

#[cfg(feature = "tokio")]
pub use crate::asynchronous::{AcceptAsync, Async, AsyncAncillary, AsyncFramed, ByteStream, Watched};
pub use crate::{
    activation::{Activated, activated},
    address::Address,
    ancillary::{Ancillary, Attachments, MAX_DESCRIPTORS, Received},
    datagram::Datagram,
    error::{Error, Result},
    framed::{Budget, Framed, Message},
    listener::{BindOptions, Connection, Listener},
    name::Stale,
    peer::{PeerCredentials, Policy},
    seqpacket::SeqPacket,
    server::{Accept, Served, Server, Stop},
    socket::Socket,
    stream::Stream,
};
