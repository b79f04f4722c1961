//! ppoll(2) of one descriptor, or of two: the only way in which a descriptor is waited for in this workspace.
#![expect(unsafe_code, reason = "ppoll takes pointers")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

use crate::deadline::{Deadline, timespec};
use crate::errno;

/// Waits until one of `events` (POLLIN, POLLOUT …) or an error condition holds for `fd`: `Ok(None)` when the deadline
/// came first, else what poll reported.
///
/// EINTR is retried with what is left of the time. The descriptor's flags are not touched: O_NONBLOCK belongs to the
/// open file description, which others share.
///
/// # Errors
/// ENOMEM; EINVAL where RLIMIT_NOFILE is 0.
pub fn wait(fd: impl AsFd, events: libc::c_short, deadline: Deadline) -> io::Result<Option<libc::c_short>> {
    let mut entries = [entry(&fd, events)];
    ppoll(&mut entries, deadline)?;
    Ok(Some(entries[0].revents).filter(|events| *events != 0))
}

/// As [`wait`], of two descriptors: what was reported of each, both 0 when the deadline came first.
///
/// # Errors
/// Those of [`wait`].
pub fn wait_either(
    first: impl AsFd,
    second: impl AsFd,
    events: libc::c_short,
    deadline: Deadline,
) -> io::Result<(libc::c_short, libc::c_short)> {
    let mut entries = [entry(&first, events), entry(&second, events)];
    ppoll(&mut entries, deadline)?;
    Ok((entries[0].revents, entries[1].revents))
}

/// ppoll(2) of nothing: lets `time` pass, for what the kernel has no event for; a signal handler ends it early.
pub fn pause(time: Duration) {
    let time = timespec(time);
    // SAFETY: no descriptors; `time` is alive; a null mask leaves the signal mask alone.
    let _ = unsafe { libc::ppoll(ptr::null_mut(), 0, &raw const time, ptr::null()) };
}

fn entry(fd: &impl AsFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd { fd: fd.as_fd().as_raw_fd(), events, revents: 0 }
}

fn ppoll<const N: usize>(entries: &mut [libc::pollfd; N], deadline: Deadline) -> io::Result<()> {
    errno::retry(|| {
        let left = deadline.remaining_timespec();
        let timeout = left.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: `entries` are N live pollfds, borrowed for this call; `timeout` is null or points at `left`, which
        // outlives the call; a null mask leaves the signal mask alone.
        errno::check(unsafe { libc::ppoll(entries.as_mut_ptr(), N as libc::nfds_t, timeout, ptr::null()) })
    })
    .map(drop)
}

/// Waits until one of `events` or an error condition holds for any of `fds`: false when the deadline came first.
///
/// # Errors
/// As [`wait`].
pub fn wait_any<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    events: libc::c_short,
    deadline: Deadline,
) -> io::Result<bool> {
    let mut entries = fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 });
    let count = libc::nfds_t::try_from(N).unwrap_or(libc::nfds_t::MAX);
    errno::retry(|| {
        let left = deadline.remaining_timespec();
        let timeout = left.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: `entries` are `count` live pollfds, borrowed for this call; `timeout` is null or points at `left`,
        // which outlives the call; a null mask leaves the signal mask alone.
        errno::check(unsafe { libc::ppoll(entries.as_mut_ptr(), count, timeout, ptr::null()) })
    })
    .map(|ready| ready > 0)
}

/// The most descriptors that [`wait_many`] takes.
pub const MANY_MAX: usize = 256;

/// As [`wait_any`], of as many as there are, without an allocation.
///
/// # Errors
/// As [`wait`]; EINVAL for more than [`MANY_MAX`].
pub fn wait_many<'f>(
    fds: impl Iterator<Item = BorrowedFd<'f>>,
    events: libc::c_short,
    deadline: Deadline,
) -> io::Result<bool> {
    let mut entries = [libc::pollfd { fd: -1, events, revents: 0 }; MANY_MAX];
    let mut count = 0;
    for fd in fds {
        let entry = entries.get_mut(count).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        entry.fd = fd.as_raw_fd();
        count += 1;
    }
    let count = libc::nfds_t::try_from(count).unwrap_or(0);
    errno::retry(|| {
        let left = deadline.remaining_timespec();
        let timeout = left.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the first `count` of `entries` are live pollfds, borrowed for this call; `timeout` is null or points at
        // `left`, which outlives the call; a null mask leaves the signal mask alone.
        errno::check(unsafe { libc::ppoll(entries.as_mut_ptr(), count, timeout, ptr::null()) })
    })
    .map(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    #[test]
    fn nothing_to_read_is_none_and_a_byte_is_pollin() {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let soon = Deadline::after(Duration::from_millis(1));
        assert_eq!(wait(&reader, libc::POLLIN, soon).unwrap(), None);
        writer.write_all(b"x").unwrap();
        assert_eq!(wait(&reader, libc::POLLIN, Deadline::NEVER).unwrap(), Some(libc::POLLIN));
    }

    #[test]
    fn of_two_the_ready_one_is_told() {
        let (quiet, _held) = UnixStream::pair().unwrap();
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let soon = Deadline::after(Duration::from_millis(1));
        assert_eq!(wait_either(&quiet, &reader, libc::POLLIN, soon).unwrap(), (0, 0));
        writer.write_all(b"x").unwrap();
        let ready = wait_either(&quiet, &reader, libc::POLLIN, Deadline::NEVER).unwrap();
        assert_eq!(ready, (0, libc::POLLIN));
    }
}
