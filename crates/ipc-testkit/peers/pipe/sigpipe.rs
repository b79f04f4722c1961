//! Roles in which SIGPIPE means death, as in a C program.
#![expect(unsafe_code, reason = "signal is unsafe for handlers")]

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::process::Command;

use ipc_pipe::{Error, Pages, copy, pipe};
use ipc_testkit::role::{Result, say};
use ipc_testkit::{WATCHDOG, refuse};
use nix::sys::signal::{SigHandler, SigSet, Signal, raise, signal};

/// Rust's runtime ignores SIGPIPE whatever it inherits: undo that.
fn die_by_sigpipe() -> Result {
    // SAFETY: no handler is installed, and no other thread runs yet.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    Ok(())
}

/// COUNT KERNEL: so many writes of each kind to a pipe without a reader; as this kernel is, as one before 6.18, or as in a
/// sandbox that does not know pwritev2.
pub(crate) fn ours(arguments: &[String]) -> Result {
    let count: usize = arguments[0].parse()?;
    die_by_sigpipe()?;
    match arguments[1].as_str() {
        "older" => {
            refuse::flag(
                libc::SYS_pwritev2,
                5,
                ipc_sys::pipe::RWF_NOSIGNAL.cast_unsigned(),
                libc::EOPNOTSUPP,
            )?;
        }
        "sandboxed" => {
            refuse::call(libc::SYS_pwritev2, libc::ENOSYS)?;
            refuse::call(libc::SYS_preadv2, libc::ENOSYS)?;
        }
        _ => {}
    }
    let before = signals()?;
    every_kind(count)?;
    assert_eq!(signals()?, before, "mask, pending set and dispositions");
    let child = Command::new("cat").arg("/proc/self/status").output()?;
    for line in of_status(&String::from_utf8(child.stdout)?) {
        let set = u64::from_str_radix(line.split_whitespace().last().unwrap(), 16)?;
        assert_eq!(set >> (libc::SIGPIPE - 1) & 1, 0, "a child's {line}");
    }
    // One that somebody else has pending, and blocked, is not taken.
    let mut set = SigSet::empty();
    set.add(Signal::SIGPIPE);
    set.thread_block()?;
    every_kind(1)?;
    assert_eq!(signals()?[0], before[0], "SigPnd");
    raise(Signal::SIGPIPE)?;
    every_kind(1)?;
    assert_eq!(set.wait()?, Signal::SIGPIPE);
    say("alive")
}

fn every_kind(count: usize) -> Result {
    let (reader, mut writer) = pipe()?;
    drop(reader);
    let (full, filler) = pipe()?;
    filler.write_atomic(b"bytes to move")?;
    let frozen = Pages::new(4096)?.freeze()?;
    let soon = WATCHDOG;
    let is_broken = |result: ipc_pipe::Result<usize>| matches!(result, Err(Error::PeerGone { .. }));
    for _ in 0..count {
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(writer.write(&[0; 100_000]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert!(is_broken(writer.write_atomic(b"x").map(|()| 1)));
        assert!(is_broken(writer.try_write(b"x")));
        assert!(is_broken(writer.write_timeout(b"x", soon)));
        assert!(is_broken(full.splice_to(&writer, 5)));
        assert!(is_broken(writer.splice_from(&full, 5)));
        assert!(is_broken(full.tee(&writer, 5)));
        assert!(is_broken(writer.vmsplice(&frozen, 0)));
        assert!(is_broken(writer.gift(Pages::new(4096)?).map(|()| 1)));
        assert!(is_broken(copy(&full, &writer).map(|_| 1)));
    }
    Ok(())
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
