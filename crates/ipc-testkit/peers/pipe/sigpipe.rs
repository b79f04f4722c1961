//! Roles in which SIGPIPE means death, as in a C program.
#![expect(unsafe_code, reason = "signal is unsafe for handlers")]

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Duration;

use ipc_pipe::{Error, pipe};
use ipc_testkit::role::{Result, say};
use nix::sys::signal::{SigHandler, Signal, signal};

/// Rust's runtime ignores SIGPIPE whatever it inherits: undo that.
fn die_by_sigpipe() -> Result {
    // SAFETY: no handler is installed, and no other thread runs yet.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    Ok(())
}

/// COUNT: so many writes of each kind to a pipe without a reader.
pub(crate) fn ours(arguments: &[String]) -> Result {
    let count: usize = arguments[0].parse()?;
    die_by_sigpipe()?;
    let before = signals()?;
    let (reader, mut writer) = pipe()?;
    drop(reader);
    let soon = Duration::from_secs(1);
    for _ in 0..count {
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(writer.write(&[0; 100_000]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert!(matches!(writer.write_atomic(b"x"), Err(Error::BrokenPipe { .. })));
        assert!(matches!(writer.try_write(b"x"), Err(Error::BrokenPipe { .. })));
        assert!(matches!(writer.write_timeout(b"x", soon), Err(Error::BrokenPipe { .. })));
    }
    assert_eq!(signals()?, before, "mask, pending set and dispositions");
    let child = Command::new("cat").arg("/proc/self/status").output()?;
    for line in of_status(&String::from_utf8(child.stdout)?) {
        let set = u64::from_str_radix(line.split_whitespace().last().unwrap(), 16)?;
        assert_eq!(set >> (libc::SIGPIPE - 1) & 1, 0, "a child's {line}");
    }
    say("alive")
}

/// The naive twin: the same write by std's file.
pub(crate) fn twin(_: &[String]) -> Result {
    die_by_sigpipe()?;
    let (reader, writer) = pipe()?;
    drop(reader);
    let _ = File::from(OwnedFd::from(writer)).write(b"x");
    say("alive")
}

fn signals() -> Result<Vec<String>> {
    Ok(of_status(&fs::read_to_string("/proc/self/status")?))
}

/// What /proc/PID/status says of signals; the queue's length counts other processes of the user.
fn of_status(text: &str) -> Vec<String> {
    let about = ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"];
    text.lines().filter(|line| about.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect()
}
