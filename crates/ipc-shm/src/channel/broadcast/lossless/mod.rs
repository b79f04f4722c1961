//! The lossless broadcast: one writer, up to 64 readers, which join and leave; each gets every message, in order, from the
//! next one written when it joined, or the writer waits for it.
//!
//! For what nobody may miss: orders, log records, steps that each replica applies. A reader that is slow, stopped or in a
//! debugger holds the writer, and so everybody, up after [`Writer::capacity`] messages. Where that must not be, take
//! [`broadcast`](crate::broadcast), whose readers learn what they have lost; where readers are not trusted, too: the readers
//! of this one write into the memory that the writer and the others use.
//!
//! - by name: [`Writer::create`], [`Reader::open`]
//! - by descriptor: [`Writer::anonymous`], [`Writer::share`], [`Reader::from_fd`]
//!
//! # Blocking
//! Both ends wait as [`Wait`](crate::Wait) says; EINTR never shows. [`Select`](crate::Select) waits for them beside others, and an
//! event loop or a task for [`Polled`](crate::Polled) ones. Where nobody reads, nobody is waited for: what is written
//! then is for nobody, as in the lossy broadcast. A writer that must not begin alone calls [`Writer::wait_for_readers`].
//!
//! # After a crash
//! A reader that is killed, at whatever instruction, half-way through joining too, holds the writer up until the writer has
//! found its lock free, within 60 ms of waiting; the other readers lose nothing. A writer that is killed leaves whole
//! messages only: its readers get all of them, then [`Error::Disconnected`](crate::Error::Disconnected), within 100 ms; a
//! new writer ([`Writer::open`]) goes on behind the last one, with the same readers. A stopped process is not dead, nor is
//! one that is killed while a child that it forked without exec lives: that keeps its place. A reader whose other code
//! unlocks descriptors that are not its own looks dead: what it then misses is
//! [`Error::TakenAway`](crate::Error::TakenAway), and what it still writes may reach the cursor of who has its place.
#![cfg_attr(
    not(ipc_loom),
    doc = r#"
# Examples
```
# fn main() -> ipc_shm::Result<()> {
use ipc_shm::{Error, broadcast::lossless};

let name = format!("/ipc-shm-orders-{}", std::process::id());
let mut writer = lossless::Writer::<u64>::create(&name, 16)?;
// Each in its own process:
let mut first = lossless::Reader::<u64>::open(&name)?;
let mut second = lossless::Reader::<u64>::open(&name)?;

for message in 0..16 {
    writer.write(&message)?;
}
for message in 0..16 {
    assert_eq!(first.recv()?, message);
}
// The second has read nothing yet.
assert!(matches!(writer.try_write(&16), Err(Error::Full)));
assert_eq!(second.recv()?, 0);
writer.write(&16)?;
# Ok(())
# }
```"#
)]

#[cfg(not(ipc_loom))]
mod borrow;
pub(crate) mod cursor;
pub(crate) mod gathering;
pub(crate) mod log;
#[cfg(not(ipc_loom))]
pub(in crate::channel) mod place;
#[cfg(not(ipc_loom))]
mod read;
#[cfg(not(ipc_loom))]
mod reader;
pub(crate) mod reading;
pub(crate) mod room;
#[cfg(not(ipc_loom))]
mod write;
#[cfg(not(ipc_loom))]
mod writer;

#[cfg(not(ipc_loom))]
pub use borrow::Borrow;
#[cfg(not(ipc_loom))]
pub use reader::Reader;
#[cfg(not(ipc_loom))]
pub use writer::Writer;
