//! Length-prefixed messages with a cap over any `Read` and `Write`: a cut frame is an error, never data.
//!
//! A pipe, a stream socket and a TCP connection carry bytes: what was written in one call comes out in three, or three
//! in one. A frame puts the length before the payload: four bytes, big-endian, as tokio-util's `LengthDelimitedCodec`
//! does by default. Both sides agree on a cap: a sender refuses more, a receiver allocates nothing for what claims more.
//!
//! Not needed where the kernel keeps messages apart: packet pipes, datagrams, System V queues.
//!
//! ```
//! use ipc_frame::{FrameReader, FrameWriter};
//!
//! # fn main() -> ipc_frame::Result<()> {
//! const MAX: usize = 64 * 1024;
//! let mut stream = Vec::new();
//! let mut writer = FrameWriter::new(&mut stream, MAX);
//! writer.send(b"hello")?;
//! writer.send(b"")?;
//! drop(writer);
//!
//! let mut reader = FrameReader::new(stream.as_slice(), MAX);
//! assert_eq!(reader.recv()?, Some(&b"hello"[..]));
//! assert_eq!(reader.recv()?, Some(&b""[..]), "an empty frame is no end");
//! assert_eq!(reader.recv()?, None);
//! # Ok(())
//! # }
//! ```
//!
//! # Anatomy
//! - [`FrameWriter`], [`Gather`]: sends; gathers many small frames into one write
//! - [`FrameReader`]: receives; reads ahead
//! - [`Decoder`]: what the reader stands on, without a stream: for readiness loops and runtimes of your own
//! - `send_value`, `recv_value` (feature `serde`): values of serde, in postcard's encoding
//! - [`Error`]: what can go wrong
//!
//! # Limits
//! - The peer may send garbage within the cap: a frame says where a message ends, not that it makes sense.
//! - No checksum: pipes and sockets of one machine do not corrupt bytes.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod decoder;
mod error;
mod reader;
#[cfg(feature = "serde")]
mod typed;
mod writer;

pub use crate::decoder::Decoder;
pub use crate::error::{Error, Result};
pub use crate::reader::FrameReader;
pub use crate::writer::{FrameWriter, Gather};

/// How many bytes stand before each payload: its length, big-endian.
pub const HEADER_LEN: usize = 4;
