//! Linux signals that carry values and are never lost silently, wait states, pidfds and process control.
//!
//! A signal interrupts a program between any two instructions. A handler may do almost nothing there: printing, allocating and
//! locking deadlock, one time in ten thousand. With this crate none of your code runs in a handler: receive signals as values
//! ([`wait`], [`SignalFd`]), or let the handler of this crate set a flag, wake a descriptor or fill a [`Ring`] ([`on`]).
//!
//! Signals report events. To move data, take a pipe, a queue or a socket: a signal carries one number at most, and only
//! real-time signals are queued.
//!
//! ```
//! use ipc_signal::{Shutdown, Signal};
//!
//! let shutdown = Shutdown::on([Signal::INT, Signal::TERM])?;
//! # ipc_signal::raise(Signal::INT)?;
//! shutdown.wait()?; // the first Ctrl-C asks, a second one insists
//! # Ok::<(), ipc_signal::Error>(())
//! ```
//!
//! # Who holds what
//!
#![doc = include_str!("../pictures/signal.svg")]
//!
//! # Anatomy
//! - names and sets: [`Signal`], [`SignalSet`], [`Pid`]
//! - sending: [`send`], [`queue`] with a [`Value`], [`raise`], [`exists`], to a [`Target`]
//! - waiting: [`MaskGuard`], [`wait`], [`wait_timeout`], [`pending`], [`suspend`]; [`SignalFd`] for poll loops and batches
//! - what was received: [`SignalInfo`], its [`Cause`], value and [`ClaimedSender`]
//! - handlers: [`on`] with an [`Action`], [`HandlerOptions`], [`Ring`], [`Shutdown`]; [`on_raw`], which is unsafe
//! - time: [`alarm`], [`IntervalTimer`], [`PosixTimer`]
//! - processes: [`ProcessFd`], [`wait_child`], [`ChildEvents`] and [`ChildState`], [`Tracee`]
//! - [`CommandExt`] for what a child starts with (std and ipc-pipe have traits of this name: `use ipc_signal::CommandExt as _`)
//! - with the feature `tokio`: `SignalStream`, and `Shutdown::asked_async`
//!
//! # Limits
//! - A standard signal (1 to 31) that is pending already is not counted twice, and SIGCHLD is one of them.
//! - The queue is limited per user (RLIMIT_SIGPENDING); when it is full, [`queue`] returns an error: the kernel has no way to
//!   wait for room.
//! - The sender of a signal is a claim: whoever may signal a process may pretend to be another process.
//! - Dispositions belong to the process: a library should not take signals that its program did not give it.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod action;
mod child;
mod child_events;
mod command;
mod disposition;
mod error;
mod handler;
mod info;
mod mask;
mod on;
mod pid;
mod process_fd;
mod registry;
mod ring;
mod send;
mod set;
mod shutdown;
mod signal;
mod signalfd;
mod timer;
#[cfg(feature = "tokio")]
mod tokio;
mod trace;
mod wait;

pub use crate::action::Action;
pub use crate::child::{ChildState, Children, Waiting, try_wait_child, wait_child, wait_child_timeout};
pub use crate::child_events::ChildEvents;
pub use crate::command::CommandExt;
pub use crate::disposition::{Disposition, disposition};
pub use crate::error::{Error, Result};
pub use crate::info::{Cause, ClaimedSender, SignalInfo};
pub use crate::mask::{MaskGuard, mask, pending, suspend};
pub use crate::on::{HandlerOptions, Registration, on, on_raw};
pub use crate::pid::Pid;
pub use crate::process_fd::ProcessFd;
pub use crate::ring::Ring;
pub use crate::send::{Target, Value, exists, queue, raise, send};
pub use crate::set::SignalSet;
pub use crate::shutdown::Shutdown;
pub use crate::signal::{DefaultAction, Signal};
pub use crate::signalfd::SignalFd;
pub use crate::timer::{Clock, IntervalTimer, PosixTimer, Schedule, alarm};
#[cfg(feature = "tokio")]
pub use crate::tokio::SignalStream;
pub use crate::trace::{Stop, Tracee};
pub use crate::wait::{try_wait, wait, wait_timeout};
