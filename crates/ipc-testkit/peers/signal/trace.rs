//! What is traced.

use std::fs::OpenOptions;
use std::io::Write;

use ipc_testkit::{crash, role};

/// `append-two PATH`: two writes, each of which may be the last thing that it does.
pub(crate) fn append_two(arguments: &[String]) -> role::Result {
    let mut file = OpenOptions::new().append(true).open(&arguments[0])?;
    crash::begin();
    let first = file.write_all(b"a");
    let second = file.write_all(b"b");
    crash::end();
    first?;
    Ok(second?)
}
