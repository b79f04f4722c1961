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

/// `memory`: prints where a word lies and what it holds, and again after a line.
pub(crate) fn memory(_: &[String]) -> role::Result {
    let word = std::sync::atomic::AtomicU64::new(0x1122_3344_5566_7788);
    let load = || word.load(std::sync::atomic::Ordering::SeqCst);
    role::say(format_args!("{} {}", std::ptr::from_ref(&word).addr(), load()))?;
    role::hear()?;
    role::say(load())
}
