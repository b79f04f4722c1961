//! What a child inherits: exactly the descriptors that it is given, under the numbers that it is told, and standard
//! input, output and error.
//!
//! In the parent nothing loses its close-on-exec flag, so no other thread's child can get hold of it. In the child,
//! between fork and exec, all descriptors get that flag, and then the given ones are put in place.
#![expect(unsafe_code, reason = "pre_exec, and the calls of the child between fork and exec")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::errno;
use crate::path::{FileId, Metadata};

/// A descriptor on its way to a child.
struct Handed {
    /// Numbered `number` already, or above all numbers that are given.
    fd: OwnedFd,
    number: RawFd,
    /// What the parent has under that number, where it is not ours.
    occupant: Option<FileId>,
}

/// Has `command` start children that hold these descriptors under these numbers, which are different and none of
/// 0, 1 and 2.
///
/// The numbers that are free in the parent are held by the command, so that the pipe by which std learns of a failed exec
/// is not made there. Where another descriptor stands there, and gives way to what could be that pipe, spawn fails with
/// EBUSY.
///
/// # Errors
/// EMFILE; EINVAL where a number is not below RLIMIT_NOFILE.
pub fn hand(command: &mut Command, descriptors: Vec<(RawFd, OwnedFd)>) -> io::Result<()> {
    let above = descriptors.iter().map(|(number, _)| *number).max().unwrap_or(0).saturating_add(1);
    // Out of each other's way first: what is to become 3 may be 4, and the other way round.
    let mut aside = Vec::with_capacity(descriptors.len());
    for (number, fd) in descriptors {
        let stays = fd.as_raw_fd() == number || fd.as_raw_fd() >= above;
        aside.push((number, if stays { fd } else { duplicate(fd.as_fd(), above)? }));
    }
    let mut handed = Vec::with_capacity(aside.len());
    for (number, fd) in aside {
        handed.push(place(number, fd)?);
    }
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are allowed: it makes
    // close_range, getrlimit, fcntl, fstat and dup2 and does not allocate, io::Error from an errno included.
    unsafe { command.pre_exec(move || put_in_place(&handed)) };
    Ok(())
}

/// Holds `number`, if it is free, with the descriptor itself.
fn place(number: RawFd, fd: OwnedFd) -> io::Result<Handed> {
    if fd.as_raw_fd() == number {
        return Ok(Handed { fd, number, occupant: None });
    }
    let placed = duplicate(fd.as_fd(), number)?;
    if placed.as_raw_fd() == number {
        return Ok(Handed { fd: placed, number, occupant: None });
    }
    // SAFETY: the number was taken just now, and is borrowed for one fstat: should its owner close it meanwhile, that
    // is EBADF, and nothing is written or closed.
    let occupant = Metadata::of(unsafe { BorrowedFd::borrow_raw(number) }).ok().map(|found| found.id);
    Ok(Handed { fd, number, occupant })
}

/// fcntl(F_DUPFD_CLOEXEC): the lowest free number from `least` on.
fn duplicate(fd: BorrowedFd<'_>, least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is borrowed, hence open.
    let copy = errno::check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) })?;
    // SAFETY: the kernel returned this descriptor just now and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// In the child.
fn put_in_place(handed: &[Handed]) -> io::Result<()> {
    for Handed { fd, number, occupant } in handed {
        if fd.as_raw_fd() != *number && may_be_std_s(*number, *occupant) {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
    }
    close_all_on_exec()?;
    for Handed { fd, number, .. } in handed {
        let fd = fd.as_raw_fd();
        if fd == *number {
            // SAFETY: the descriptor is ours and open.
            errno::check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) })?;
        } else {
            // SAFETY: `fd` is open; whatever stands under `number` in this child is closed, and nothing here uses it.
            errno::retry(|| errno::check(unsafe { libc::dup2(fd, *number) }))?;
        }
    }
    Ok(())
}

/// Whether `number` is by now what std could report a failed exec through: a socket of its kind, or the writing end of a
/// pipe.
fn may_be_std_s(number: RawFd, occupant: Option<FileId>) -> bool {
    // SAFETY: the number may be open or not; it is borrowed for an fstat.
    let Ok(now) = Metadata::of(unsafe { BorrowedFd::borrow_raw(number) }) else { return false };
    if Some(now.id) == occupant {
        return false;
    }
    // SAFETY: the number is open, and only its flags are read.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
    match now.kind {
        libc::S_IFIFO => flags & libc::O_ACCMODE == libc::O_WRONLY,
        libc::S_IFSOCK => true,
        _ => false,
    }
}

/// close_range(CLOSE_RANGE_CLOEXEC) from 3 on; before Linux 5.11, one by one.
fn close_all_on_exec() -> io::Result<()> {
    let (first, last, flags) = (3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    // SAFETY: the call takes three integers and closes nothing now.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } == 0 {
        return Ok(());
    }
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the pointer leads to room for one struct rlimit.
    errno::check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()) })?;
    // SAFETY: the call returned 0, so it filled both fields.
    let limit = unsafe { limit.assume_init() }.rlim_cur;
    for fd in 3..RawFd::try_from(limit).unwrap_or(1 << 20).min(1 << 20) {
        // SAFETY: the number may be open or not; only its flag is set.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}
