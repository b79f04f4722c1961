//! Unix domain sockets for Linux: safe bind and takeover, peer credentials, servers for many clients.

#![forbid(unsafe_code)]

mod address;
mod ancillary;
mod datagram;
mod error;
mod listener;
mod name;
mod peer;
mod seqpacket;
mod server;
mod socket;
mod stream;
mod wait;

pub use crate::{
    address::Address,
    ancillary::{Ancillary, Attachments, MAX_DESCRIPTORS, Received},
    datagram::Datagram,
    error::{Error, Result},
    listener::{BindOptions, Connection, Listener},
    name::Stale,
    peer::{PeerCredentials, Policy},
    seqpacket::SeqPacket,
    server::{Accept, Served, Server, Stop},
    socket::Socket,
    stream::Stream,
};
