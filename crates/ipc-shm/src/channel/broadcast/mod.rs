//! One writer, any number of readers, which join and leave and cannot slow it down.
//!
//! Each reader gets every message that is written while it reads, in order, unless it falls behind by more than the
//! capacity: then it learns how many it has lost ([`Error::Lagged`](crate::Error::Lagged)) and goes on half a lap behind
//! the writer. Where nobody may miss a message, and the writer is to wait instead: [`lossless`].
//!
//! - by name, in memory common to processes that trust each other: [`Writer::create`], [`Reader::open`]; these readers can
//!   wait ([`Reader::recv`])
//! - sealed, for readers that the writer does not trust, and that need not trust it: [`Writer::anonymous`],
//!   [`Writer::share`], [`Reader::from_fd`]; these readers poll ([`Reader::try_recv`]);
//!   one that takes an invitation ([`Writer::invite`], [`Writer::admit`]) can sleep, too
//!
//! # After a crash
//! A writer that is killed is [`Error::Disconnected`](crate::Error::Disconnected), or
//! [`Error::WriterDied`](crate::Error::WriterDied) in the middle of a message, within 100 ms; a new one goes on behind the
//! last whole message. A reader leaves nothing.
#![cfg_attr(
    not(ipc_loom),
    doc = r#"
# Examples
```
# fn main() -> ipc_shm::Result<()> {
use ipc_shm::{Sealed, broadcast};

let mut writer = broadcast::Writer::<u64, Sealed>::anonymous(16)?;
let mut reader = broadcast::Reader::<u64, Sealed>::from_fd(writer.share()?)?;
writer.write(&1)?;
assert_eq!(reader.try_recv()?, 1);
for message in 0..100 {
    writer.write(&message)?;
}
assert!(matches!(reader.try_recv(), Err(ipc_shm::Error::Lagged(92))));
assert_eq!(reader.try_recv()?, 92);
# Ok(())
# }
```"#
)]

pub(crate) mod log;
pub mod lossless;
#[cfg(not(ipc_loom))]
mod plan;
#[cfg(not(ipc_loom))]
mod reader;
#[cfg(not(ipc_loom))]
mod writer;

#[cfg(not(ipc_loom))]
pub use reader::Reader;
#[cfg(not(ipc_loom))]
pub use writer::Writer;
