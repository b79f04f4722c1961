//! One writer and any number of readers, which join and leave at any time and cannot slow the writer down.
//!
//! Each reader gets every message that is written while it reads, in order, unless it falls behind by more than the
//! capacity: then it learns how many it has lost ([`Error::Lagged`](crate::Error::Lagged)) and continues half a capacity behind
//! the writer. Where no reader may miss a message, and the writer is to wait instead, take [`lossless`].
//!
//! - by name, in memory common to processes that trust each other: [`Writer::create`], [`Reader::open`]; these readers can
//!   wait ([`Reader::recv`])
//! - in sealed memory, where neither side has to trust the other: [`Writer::anonymous`], [`Writer::share`],
//!   [`Reader::from_fd`]; such a reader can only look ([`Reader::try_recv`]), unless it is invited ([`Writer::invite`],
//!   [`Writer::admit`]): then it can sleep, too
//!
//! # After a crash
//! When the writer is killed, its readers get [`Error::Disconnected`](crate::Error::Disconnected) within 100 ms, or
//! [`Error::WriterDied`](crate::Error::WriterDied) where it died in the middle of a message; a new writer continues after the
//! last complete one. A reader that is killed leaves nothing behind.
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
