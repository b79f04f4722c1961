//! A memory file of ours, mapped and locked: what [`crate::SharedMemory`] and every channel stand on. How it comes to be is
//! in `segment/make.rs`, how one that is there is attached in `segment/find.rs`.
//!
//! A handle that made a name removes it when it is dropped. Its locks say that it lives; the kernel drops them when its
//! process is killed.

mod find;
mod make;

use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

#[cfg(feature = "sysv")]
pub(crate) use find::ATTEMPTS;
pub use find::Origin;
pub(crate) use make::{Permissions, allocate};

use crate::memory::header::{HEADER, Layout};
use crate::memory::lock::{self, Kind};
use crate::memory::mapping::Mapping;
use crate::memory::name::Name;
use crate::{Error, Result};

/// A complete memory file with our header, mapped.
#[derive(Debug)]
pub(crate) struct Segment {
    mapping: Mapping,
    layout: Layout,
    /// Our own opening, whose locks say that we live. It never leaves this process.
    file: OwnedFd,
    /// Where in that file our locks begin: at 0, unless it is a lock file that several segments share.
    locks: libc::off_t,
    /// The name that we made and take away again.
    name: Option<Name>,
    /// Whether the name stays.
    keep: AtomicBool,
    /// Which of [`LOCKS`] are let go when this handle is dropped.
    held: AtomicU8,
}

impl Segment {
    fn over(mapping: Mapping, layout: Layout, file: OwnedFd, locks: libc::off_t) -> Self {
        let (keep, held) = (AtomicBool::new(false), AtomicU8::new(0));
        Self { mapping, layout, file, locks, name: None, keep, held }
    }

    /// A System V segment with a header of ours in it, and the file that its locks are in.
    #[cfg(feature = "sysv")]
    pub(crate) fn in_system_v(
        mut mapping: Mapping,
        layout: Layout,
        file: OwnedFd,
        locks: libc::off_t,
    ) -> Self {
        mapping.shorten(layout.len);
        let segment = Self::over(mapping, layout, file, locks);
        // Taken while the segment was looked at, through an opening of our own.
        segment.held.store(1, Ordering::Relaxed);
        segment
    }

    /// The memory.
    #[inline]
    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// What its header said when it was attached.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The capacity of the channel in it, as it was asked for.
    pub(crate) fn capacity(&self) -> usize {
        usize::try_from(self.layout.capacity).unwrap_or(usize::MAX)
    }

    /// Where the payload begins.
    #[inline]
    pub(crate) fn payload(&self) -> NonNull<u8> {
        self.mapping.at(HEADER)
    }

    /// Whether this is the process that attached it.
    #[inline]
    pub(crate) fn check_fork(&self) -> Result<()> {
        if self.mapping.is_ours() { Ok(()) } else { Err(Error::Forked) }
    }

    /// Takes a byte, or says false where another handle excludes it.
    pub(crate) fn try_take(&self, byte: libc::off_t, kind: Kind) -> Result<bool> {
        let taken = lock::take(&self.file, self.locks + byte, kind)
            .map_err(Error::system("fcntl(F_OFD_SETLK)", DESCRIPTOR))?;
        if let (true, Some(lock)) = (taken, LOCKS.iter().position(|lock| *lock == byte)) {
            self.held.fetch_or(1 << lock, Ordering::Relaxed);
        }
        Ok(taken)
    }

    /// Lets a byte go that this handle has taken.
    pub(crate) fn give_back(&self, byte: libc::off_t) -> Result<()> {
        lock::release(&self.file, self.locks + byte).map_err(Error::system("fcntl(F_OFD_SETLK)", DESCRIPTOR))
    }

    fn take(&self, byte: libc::off_t, kind: Kind) -> Result<()> {
        if self.try_take(byte, kind)? {
            Ok(())
        } else {
            Err(Error::EndInUse { object: DESCRIPTOR.to_owned(), end: "the memory" })
        }
    }

    /// Whether another handle, in this or another process, holds this byte for writing.
    pub(crate) fn is_held(&self, byte: libc::off_t) -> Result<bool> {
        lock::is_excluded(&self.file, self.locks + byte, Kind::Read)
            .map_err(Error::system("fcntl(F_OFD_GETLK)", DESCRIPTOR))
    }

    /// As [`Segment::is_held`], of any of `count` bytes.
    pub(crate) fn is_any_held(&self, first: libc::off_t, count: usize) -> Result<bool> {
        lock::are_excluded(&self.file, first, count, Kind::Read)
            .map_err(Error::system("fcntl(F_OFD_GETLK)", DESCRIPTOR))
    }

    /// An opening of its own for another process: for reading only where the memory is sealed.
    pub(crate) fn share(&self, access: OFlag) -> Result<OwnedFd> {
        self.check_fork()?;
        if !self.mapping.is_file() {
            let source = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
            return Err(Error::system("open", "a System V segment, which has no descriptor")(source));
        }
        self.opened_again(access)
    }

    fn opened_again(&self, access: OFlag) -> Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        open(path.as_str(), access | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|errno| Error::system("open through /proc/self/fd", DESCRIPTOR)(errno.into()))
    }

    /// An opening of its own of the file that our locks are in, and the bytes of it for locks within what lies here.
    pub(crate) fn lock_file(&self) -> Result<(OwnedFd, Range<libc::off_t>)> {
        self.check_fork()?;
        let file = self.opened_again(OFlag::O_RDWR)?;
        #[cfg(feature = "sysv")]
        if !self.mapping.is_file() {
            return Ok((file, lock::within(self.locks / lock::BYTES)));
        }
        Ok((file, lock::WITHIN))
    }

    /// Takes the name away that this handle made, as dropping it does.
    pub(crate) fn remove_name(&mut self) {
        // A forked child takes nothing away.
        let removes = self.mapping.is_ours() && !self.keep.load(Ordering::Relaxed);
        if let (Some(name), true) = (self.name.take(), removes) {
            if let Ok(true) = name.leads_to(&self.file) {
                let _ = name.unlink();
            }
        }
    }

    /// Leaves the name in place when this handle is dropped.
    pub(crate) fn persist(&self) {
        self.keep.store(true, Ordering::Relaxed);
    }
}

impl Drop for Segment {
    /// The last close would let the locks go, too; but a process that another thread has just forked, and that has not come
    /// to its exec yet, holds every descriptor of ours until then.
    fn drop(&mut self) {
        self.remove_name();
        if self.mapping.is_ours() {
            let held = self.held.load(Ordering::Relaxed);
            for (_, lock) in LOCKS.iter().enumerate().filter(|(lock, _)| held & (1 << lock) != 0) {
                let _ = self.give_back(*lock);
            }
        }
    }
}

/// What a handle takes for as long as it lives.
const LOCKS: [libc::off_t; 3] = [lock::ATTACHED, lock::PRODUCER, lock::CONSUMER];

const DESCRIPTOR: &str = "the descriptor";

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_end_is_free_while_another_process_still_holds_the_descriptor() {
        let segment = Segment::sealed(Layout::bytes(0, 64, 0), |_| Ok(())).unwrap();
        assert!(segment.try_take(lock::PRODUCER, Kind::Write).unwrap());
        let other = segment.opened_again(OFlag::O_RDONLY).unwrap();
        let is_held = || lock::is_excluded(&other, lock::PRODUCER, Kind::Read).unwrap();
        // What a child has between fork and exec, and a mapping.
        let copy = segment.file.try_clone().unwrap();
        let mapped = Mapping::new(&copy, 4096, false).unwrap();
        assert!(is_held());
        drop(segment);
        assert!(!is_held());
        drop((mapped, copy));
    }
}
