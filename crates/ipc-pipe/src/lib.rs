//! Anonymous pipes and FIFOs for Linux: no death by SIGPIPE, atomic records, FIFO opens with a deadline.
//!
//! A pipe is a stream of bytes in one direction, buffered by the kernel (64 KiB unless set otherwise), between whoever
//! holds its two ends. Take one when a parent and its child, or two children, have bytes to hand over and the end of
//! the stream matters. Take a FIFO, a pipe with a name, when the other side is a program that exists already and
//! opens a path: a shell, a C program. Take a socket (ipc-uds) when there are many clients, answers, or descriptors to
//! send, and shared memory (ipc-shm) when the bytes are many and two copies are too many.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::process::Command;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (reader, mut writer) = ipc_pipe::pipe()?;
//! // The child gets the reading end as its standard input, and nothing else of ours.
//! let mut child = Command::new("cat").stdin(reader).stdout(std::process::Stdio::piped()).spawn()?;
//! writer.write_all(b"hello")?;
//! drop(writer); // the child's end of file
//! let mut text = String::new();
//! child.stdout.take().ok_or("piped above")?.read_to_string(&mut text)?;
//! child.wait()?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Who holds what
//!
//! A pipe:
//!
#![doc = include_str!("../pictures/pipe.svg")]
//!
//! A FIFO:
//!
#![doc = include_str!("../pictures/fifo.svg")]
//!
//! # Anatomy
//! - [`pipe`], [`PipeOptions`]: a new pipe
//! - [`PipeReader`], [`PipeWriter`]: its ends: `Read` and `Write`, and calls that do not wait or give up in time
//! - [`PipeEnd`]: what can be asked of and set on either end, std's too: its capacity, the bytes that wait in it
//! - [`PacketReader`], [`PacketWriter`]: a pipe in packet mode, where one read takes what one write sent
//! - [`copy`], `splice_to`, `splice_from`, `tee`: bytes that move without passing through our memory
//! - [`Pages`], [`FrozenPages`]: memory that becomes part of a pipe (vmsplice)
//! - [`Fifo`], [`FifoOptions`], [`Origin`], [`Owner`], [`UnlinkGuard`]: a pipe with a name: made, found, checked, opened, removed
//! - [`CommandExt`]: descriptors handed to a child, and only those (std and ipc-signal have traits of this name:
//!   `use ipc_pipe::CommandExt as _`)
//! - `AsyncPipeReader`, `AsyncPipeWriter`, `Fifo::async_reader`, `Fifo::async_writer` (feature `tokio`)
//! - [`frame`]: messages instead of bytes
//! - [`Error`]: what can go wrong, as the decisions that a caller takes
//!
//! # Limits
//! - One direction. A conversation is two pipes, or a socket.
//! - What is longer than [`PIPE_BUF`] can be mixed with what other writers write, and be cut when a writer is killed.
//! - The bytes are in the kernel's memory: gone when the last descriptor is closed, a FIFO's too.
//! - Seeking is ESPIPE; the ends do not implement `Seek`.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(feature = "tokio"), forbid(unsafe_code))]

#[cfg(feature = "tokio")]
mod asynchronous;
mod children;
mod end;
mod error;
mod fifo;
mod fifo_options;
mod options;
mod packets;
mod pages;
mod pipe_end;
mod reader;
mod rendezvous;
mod splice;
#[cfg(std_pipe)]
#[clippy::msrv = "1.87"]
mod std_pipe;
mod writer;

#[doc(inline)]
pub use ipc_frame as frame;

#[cfg(feature = "tokio")]
pub use crate::asynchronous::{AsyncPipeReader, AsyncPipeWriter};
pub use crate::{
    children::CommandExt,
    error::{Error, Result},
    fifo::{Fifo, UnlinkGuard},
    fifo_options::{FifoOptions, Origin, Owner},
    options::{PipeOptions, pipe},
    packets::{PacketReader, PacketWriter},
    pages::{FrozenPages, Pages},
    pipe_end::PipeEnd,
    reader::PipeReader,
    splice::copy,
    writer::{PIPE_BUF, PipeWriter},
};
