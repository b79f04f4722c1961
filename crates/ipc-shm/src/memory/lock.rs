//! Open-file-description locks on bytes of a memory file: how a process that was killed is told from one that is slow.
//!
//! The kernel holds such a lock as long as one descriptor of that opening lives, in this process or in a child that was
//! forked without exec, and drops it on SIGKILL. No process id takes part, so none can be re-used, and it answers
//! across users and pid namespaces. An end lets its byte go when it is dropped, in the process that took it; a forked
//! child never does.

use std::io;
use std::ops::Range;
use std::os::fd::AsFd;

use ipc_sys::errno;
use nix::fcntl::{FcntlArg, fcntl};

/// The byte that every handle of a trusted segment holds for reading: whoever gets it for writing is alone.
pub(crate) const ATTACHED: libc::off_t = 1 << 40;
/// The byte that an end holds for writing: the one that sends, or owns a sealed memory.
pub(crate) const PRODUCER: libc::off_t = ATTACHED + 1;

/// The byte that the receiving end holds for writing.
pub(crate) const CONSUMER: libc::off_t = ATTACHED + 2;

/// How many bytes a segment may use that shares its lock file with others, from [`ATTACHED`] on.
#[cfg(feature = "sysv")]
pub(crate) const BYTES: libc::off_t = 1024;

#[expect(clippy::cast_possible_truncation, reason = "it is 2")]
const F_UNLCK: libc::c_short = libc::F_UNLCK as libc::c_short;

/// The bytes of a memory file that are for locks within what lies in it: two for each byte of it.
pub(crate) const WITHIN: Range<libc::off_t> = 1 << 41..1 << 62;

/// As [`WITHIN`], in a lock file that a segment shares with others: enough for its first GiB, whatever its id.
#[cfg(feature = "sysv")]
pub(crate) fn within(id: libc::off_t) -> Range<libc::off_t> {
    let first = (1 << 62) + (id << 31);
    first..first + libc::off_t::from(i32::MAX)
}

/// Where the bytes begin that the participants of a channel for many hold for writing, by their place.
pub(crate) const PLACES: libc::off_t = ATTACHED + 256;

/// What a lock excludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

/// F_OFD_SETLK: takes the byte, or says false where another opening excludes it.
pub(crate) fn take(file: impl AsFd, byte: libc::off_t, kind: Kind) -> io::Result<bool> {
    match errno::retry(|| Ok(fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&one_byte(byte, kind)))?)) {
        Ok(_) => Ok(true),
        Err(error) if errno::is(&error, libc::EAGAIN) || errno::is(&error, libc::EACCES) => Ok(false),
        Err(error) => Err(error),
    }
}

/// F_OFD_SETLK with F_UNLCK: lets the byte go before the last close does.
pub(crate) fn release(file: impl AsFd, byte: libc::off_t) -> io::Result<()> {
    let mut lock = one_byte(byte, Kind::Read);
    lock.l_type = F_UNLCK;
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&lock))?;
    Ok(())
}

/// F_OFD_GETLK: whether another opening would exclude a lock of this kind. Asking with `Read` finds write locks only,
/// so that nobody who may merely read can pretend to be alive.
pub(crate) fn is_excluded(file: impl AsFd, byte: libc::off_t, kind: Kind) -> io::Result<bool> {
    are_excluded(file, byte, 1, kind)
}

/// As [`is_excluded`], of any of `count` bytes.
pub(crate) fn are_excluded(
    file: impl AsFd,
    first: libc::off_t,
    count: usize,
    kind: Kind,
) -> io::Result<bool> {
    let count = libc::off_t::try_from(count).unwrap_or(libc::off_t::MAX);
    let mut lock = libc::flock { l_len: count, ..one_byte(first, kind) };
    fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

#[expect(clippy::cast_possible_truncation, reason = "F_RDLCK, F_WRLCK and SEEK_SET are 0 and 1")]
fn one_byte(byte: libc::off_t, kind: Kind) -> libc::flock {
    let kind = match kind {
        Kind::Read => libc::F_RDLCK,
        Kind::Write => libc::F_WRLCK,
    };
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: byte, l_len: 1, l_pid: 0 }
}
