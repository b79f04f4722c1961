//! The newest value of one writer, for any number of readers, without a lock.
//!
//! A write replaces the value and waits for nobody; a read copies the newest complete value. Values that were replaced in
//! between are skipped.
//!
//! - by name, in memory common to processes that trust each other: [`Writer::create`], [`Reader::open`]; a reader can then
//!   sleep until there is a newer value ([`Reader::wait`])
//! - in sealed memory, where neither side has to trust the other: [`Writer::anonymous`], [`Writer::share`],
//!   [`Reader::from_fd`]; such a reader can only look ([`Reader::read`]), unless it is invited ([`Writer::invite`],
//!   [`Writer::admit`]): then it can sleep, too
//!
//! # After a crash
//! A writer that is killed leaves the last complete value; a new writer continues from it. A reader that is killed leaves
//! nothing behind.
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
