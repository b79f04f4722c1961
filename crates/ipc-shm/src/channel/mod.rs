//! Channels: messages between processes through shared memory, without a system call per message.

pub(crate) mod area;
#[cfg(not(ipc_loom))]
mod attached;
pub mod broadcast;
pub mod bytes;
pub(crate) mod call;
pub(crate) mod counters;
pub(crate) mod doorbell;
#[cfg(not(ipc_loom))]
mod fd;
#[cfg(not(ipc_loom))]
mod gather;
#[cfg(not(ipc_loom))]
mod inlet;
pub mod latest;
#[cfg(not(ipc_loom))]
mod link;
#[cfg(not(ipc_loom))]
mod meet;
pub mod mpmc;
#[cfg(not(ipc_loom))]
pub mod mpsc;
#[cfg(not(ipc_loom))]
mod named;
#[cfg(not(ipc_loom))]
mod options;
pub mod request;
#[cfg(not(ipc_loom))]
pub(in crate::channel) mod select;
pub(crate) mod sleeper;
#[cfg(not(ipc_loom))]
mod slots;
pub mod spsc;
#[cfg(not(ipc_loom))]
mod stat;
#[cfg(all(not(ipc_loom), feature = "sysv"))]
pub mod sysv;
#[cfg(not(ipc_loom))]
mod uring;
#[cfg(not(ipc_loom))]
mod watch;

pub use doorbell::Wait;
#[cfg(not(ipc_loom))]
pub(crate) use fd::Socket;
#[cfg(not(ipc_loom))]
pub use fd::{Pollable, Polled};
#[cfg(not(ipc_loom))]
pub use meet::{Acceptance, End, Invitation, Offer, Unattached};
#[cfg(not(ipc_loom))]
pub use options::ChannelOptions;
#[cfg(not(ipc_loom))]
pub use select::{Readable, SELECT_MAX, Select, Source};
#[cfg(not(ipc_loom))]
pub use stat::{ChannelStat, EndStat, Presence, stat};

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What a typed channel carries: any bit pattern is a value, no padding, no pointers. Derive zerocopy's three traits.
pub trait Payload: FromBytes + IntoBytes + Immutable + Send {}

impl<T: FromBytes + IntoBytes + Immutable + Send> Payload for T {}

/// What an end does when it goes.
pub(crate) trait LastWords {
    /// Publishes what it has held back.
    fn release(&mut self);

    /// Wakes the other side, whatever it was promised.
    fn wake(&mut self);
}
