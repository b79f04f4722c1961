//! The newest value of one writer, for any number of readers: a cell that is never locked.
//!
//! A write replaces the value and waits for nobody; a read copies the newest whole one. Values in between are skipped.
//!
//! - by name, in memory common to processes that trust each other: [`Writer::create`], [`Reader::open`]; a reader may then
//!   sleep until there is a newer value ([`Reader::wait`])
//! - sealed, for readers that the writer does not trust, and that need not trust it: [`Writer::anonymous`],
//!   [`Writer::share`], [`Reader::from_fd`]; these readers poll;
//!   one that takes an invitation ([`Writer::invite`], [`Writer::admit`]) can sleep, too
//!
//! # After a crash
//! A writer that is killed leaves the last whole value; a new one goes on behind it. A reader leaves nothing.
#![cfg_attr(
    not(ipc_loom),
    doc = r#"
# Examples
```
# fn main() -> ipc_shm::Result<()> {
use ipc_shm::{Sealed, latest};

let mut writer = latest::Writer::<[f64; 3], Sealed>::anonymous()?;
let mut reader = latest::Reader::<[f64; 3], Sealed>::from_fd(writer.share()?)?;
assert_eq!(reader.read()?, None);
writer.write(&[1.0, 2.0, 3.0])?;
writer.write(&[4.0, 5.0, 6.0])?;
assert_eq!(reader.read()?, Some([4.0, 5.0, 6.0]));
# Ok(())
# }
```"#
)]

pub(crate) mod cells;
#[cfg(not(ipc_loom))]
pub(in crate::channel) mod plan;
#[cfg(not(ipc_loom))]
mod reader;
#[cfg(not(ipc_loom))]
mod writer;

#[cfg(not(ipc_loom))]
pub use reader::Reader;
#[cfg(not(ipc_loom))]
pub use writer::Writer;
