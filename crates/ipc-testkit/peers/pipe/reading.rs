//! Roles that read.

use std::io::Read;

use ipc_pipe::Fifo;
use ipc_testkit::role::{Result, hear, say};

/// PATH: opens it, says so, and reads nothing until told.
pub(crate) fn reader(arguments: &[String]) -> Result {
    let _reader = Fifo::open(&arguments[0])?.reader()?;
    say("ready")?;
    hear()?;
    Ok(())
}

/// PATH: says how many bytes came before the end.
pub(crate) fn read_to_end(arguments: &[String]) -> Result {
    let mut reader = Fifo::open(&arguments[0])?.reader()?;
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    say(bytes.len())
}
