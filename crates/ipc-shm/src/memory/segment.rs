//! A memory file of ours: made, checked, mapped, locked; what [`crate::SharedMemory`] and every channel stand on.
//!
//! Named ones are files in /dev/shm that appear only when they are complete and are removed by the handle that made
//! them; a maker that is killed leaves the name, which `open_or_replace` replaces and `remove_stale` removes. Anonymous
//! ones are memfds, which the kernel frees with the last descriptor and mapping.

use std::ffi::{CStr, OsStr};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use ipc_sys::errno::{self, retry};
use ipc_sys::huge::{HUGE, back_by_huge_pages};
use ipc_sys::memory::memory_file;
use ipc_sys::{Deadline, futex};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, posix_fallocate};
use nix::sys::stat::{Mode, fchmod};

use crate::memory::attach::{self, Seals};
use crate::memory::header::{HEADER, Layout};
use crate::memory::lock::{self, Kind};
use crate::memory::mapping::Mapping;
use crate::memory::name::Name;
use crate::words::{Words, peer_load};
use crate::{Error, Refusal, Result};

/// What [`crate::SharedMemory::open_or_replace`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// There was nothing of this name.
    Created,
    /// There was one, and somebody has it attached.
    Opened,
    /// There was one that nobody alive has attached; a new one stands in its place.
    Replaced,
}

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

/// How others may reach a new segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permissions(pub(crate) u32);

impl Segment {
    /// A memfd that nobody but this handle can ever write.
    pub(crate) fn sealed(layout: Layout, init: impl FnOnce(&Mapping) -> Result<()>) -> Result<Self> {
        Self::anonymous(layout, Seals::Owner, init)
    }

    /// A memfd that whoever gets a descriptor may write, but not truncate.
    pub(crate) fn common(layout: Layout, init: impl FnOnce(&Mapping) -> Result<()>) -> Result<Self> {
        let segment = Self::anonymous(layout, Seals::Length, init)?;
        segment.take(lock::ATTACHED, Kind::Read)?;
        Ok(segment)
    }

    fn anonymous(layout: Layout, seals: Seals, init: impl FnOnce(&Mapping) -> Result<()>) -> Result<Self> {
        const NAME: &CStr = c"ipc-shm";
        let file = memory_file(NAME).map_err(Error::system("memfd_create", ANONYMOUS))?;
        let segment = Self::fill(file, layout, Permissions(0o600), ANONYMOUS, init)?;
        seals
            .put(&segment.file)
            .map_err(|errno| Error::system("fcntl(F_ADD_SEALS)", ANONYMOUS)(errno.into()))?;
        Ok(segment)
    }

    /// shm_open(O_CREAT | O_EXCL), except that the name appears when the segment is complete.
    pub(crate) fn create(
        name: &OsStr,
        permissions: Permissions,
        layout: Layout,
        init: impl FnOnce(&Mapping) -> Result<()>,
    ) -> Result<Self> {
        let name = Name::new(name)?;
        let mut segment = Self::nameless(&name, permissions, layout, init)?;
        name.link(&segment.file)?;
        segment.name = Some(name);
        Ok(segment)
    }

    /// shm_open of one that is there.
    pub(crate) fn open(name: &OsStr, wanted: &Layout, max: usize) -> Result<Self> {
        let name = Name::new(name)?;
        for _ in 0..ATTEMPTS {
            let file = name.open(OFlag::O_RDWR)?;
            let segment = Self::map(file, &name.to_string(), Seals::None, true, max)?;
            segment.layout.expect(wanted).map_err(|reason| Error::refused(&name, reason))?;
            // Excluded only while somebody replaces this very file: look again who bears the name then.
            if segment.try_take(lock::ATTACHED, Kind::Read)? && name.leads_to(&segment.file)? {
                return Ok(segment);
            }
            std::thread::yield_now();
        }
        Err(Error::EndInUse { object: name.to_string(), end: "the name" })
    }

    /// Opens what is there if anybody alive has it attached, else puts a new one in its place.
    pub(crate) fn open_or_replace(
        name: &OsStr,
        permissions: Permissions,
        layout: Layout,
        max: usize,
        mut init: impl FnMut(&Mapping) -> Result<()>,
    ) -> Result<(Self, Origin)> {
        let name = Name::new(name)?;
        for _ in 0..ATTEMPTS {
            let file = match name.open(OFlag::O_RDWR) {
                Ok(file) => file,
                Err(Error::NotFound { .. }) => {
                    let mut segment = Self::nameless(&name, permissions, layout, &mut init)?;
                    match name.link(&segment.file) {
                        Err(Error::Exists { .. }) => continue,
                        linked => linked?,
                    }
                    segment.name = Some(name);
                    return Ok((segment, Origin::Created));
                }
                Err(error) => return Err(error),
            };
            let found = Self::map(
                file.try_clone().map_err(Error::system("dup", &name))?,
                &name.to_string(),
                Seals::None,
                true,
                max,
            );
            match &found {
                // Ours by its magic, whatever else is wrong with it, is ours to replace when nobody uses it.
                Ok(_)
                | Err(Error::Refused {
                    reason: Refusal::NotReady | Refusal::Version | Refusal::Kind { .. } | Refusal::Capacity,
                    ..
                }) => {}
                Err(_) => return found.map(|segment| (segment, Origin::Opened)),
            }
            let alone = lock::take(&file, lock::ATTACHED, Kind::Write)
                .map_err(Error::system("fcntl(F_OFD_SETLK)", &name))?;
            if !name.leads_to(&file)? {
                continue;
            }
            if alone {
                // Whoever opens the old file now finds this lock and looks for the name again.
                let mut segment = Self::nameless(&name, permissions, layout, &mut init)?;
                name.replace(&segment.file)?;
                segment.name = Some(name);
                return Ok((segment, Origin::Replaced));
            }
            let segment = found?;
            segment.layout.expect(&layout).map_err(|reason| Error::refused(&name, reason))?;
            if segment.try_take(lock::ATTACHED, Kind::Read)? && name.leads_to(&segment.file)? {
                return Ok((segment, Origin::Opened));
            }
            std::thread::yield_now();
        }
        Err(Error::EndInUse { object: name.to_string(), end: "the name" })
    }

    /// Common memory from a descriptor that was received or inherited.
    pub(crate) fn common_from(file: OwnedFd, wanted: &Layout, max: usize) -> Result<Self> {
        let segment = Self::map(file, DESCRIPTOR, Seals::Length, true, max)?;
        segment.layout.expect(wanted).map_err(|reason| Error::refused(DESCRIPTOR, reason))?;
        segment.take(lock::ATTACHED, Kind::Read)?;
        // Whoever got the same descriptor shares this opening, and with it a lock that does not exclude him.
        segment.held.store(0, Ordering::Relaxed);
        Ok(segment)
    }

    /// Another process's sealed memory, for reading.
    pub(crate) fn sealed_from(file: OwnedFd, wanted: &Layout, max: usize) -> Result<Self> {
        let segment = Self::map(file, DESCRIPTOR, Seals::Owner, false, max)?;
        segment.layout.expect(wanted).map_err(|reason| Error::refused(DESCRIPTOR, reason))?;
        Ok(segment)
    }

    fn nameless(
        name: &Name,
        permissions: Permissions,
        layout: Layout,
        init: impl FnOnce(&Mapping) -> Result<()>,
    ) -> Result<Self> {
        let segment = Self::fill(name.unnamed()?, layout, permissions, &name.to_string(), init)?;
        segment.take(lock::ATTACHED, Kind::Read)?;
        Ok(segment)
    }

    /// Allocates, maps and writes a new file, header last.
    fn fill(
        file: OwnedFd,
        layout: Layout,
        permissions: Permissions,
        object: &str,
        init: impl FnOnce(&Mapping) -> Result<()>,
    ) -> Result<Self> {
        let len = allocate(&file, layout.len, permissions, object)?;
        let mapping = Mapping::new(&file, len, true).map_err(Error::system("mmap", object))?;
        layout.write(&mapping);
        init(&mapping)?;
        Layout::finish(&mapping);
        Ok(Self::over(mapping, layout, file, 0))
    }

    /// Checks and maps what somebody else made.
    fn map(file: OwnedFd, object: &str, seals: Seals, writable: bool, max: usize) -> Result<Self> {
        let len = attach::check(&file, object, seals, HEADER, max)?;
        let mapping = Mapping::new(&file, len, writable).map_err(Error::system("mmap", object))?;
        let load = |index| peer_load(mapping.word(index));
        let layout = Layout::read(load, len as u64).map_err(|reason| Error::refused(object, reason))?;
        Ok(Self::over(mapping, layout, file, 0))
    }

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

impl Words for Mapping {
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "no peer's word becomes an index: positions are masked by our constant"
    )]
    fn words(&self, first: usize, count: usize) -> &[AtomicU64] {
        &self.all()[first..first + count]
    }

    fn wait(&self, index: usize, expected: u32, deadline: Deadline) -> io::Result<futex::Wait> {
        futex::wait_low(self.word(index), expected, deadline)
    }

    fn wake(&self, index: usize, count: i32) {
        // It fails only where the page is gone, and then there is nobody to wake.
        let _ = futex::wake_low(self.word(index), count);
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

/// How often a name is looked up again while others replace it.
pub(crate) const ATTEMPTS: usize = 1000;
const ANONYMOUS: &str = "anonymous memory";
const DESCRIPTOR: &str = "the descriptor";

/// Gives the file its length, all of it backed by memory, so that no access can die of SIGBUS for want of it; by huge pages
/// from 2 MiB on, where the kernel has them.
pub(crate) fn allocate(file: &OwnedFd, len: u64, permissions: Permissions, object: &str) -> Result<usize> {
    let too_long = || Error::NoSpace { len: usize::MAX };
    let (size, offset) =
        (usize::try_from(len).map_err(|_| too_long())?, i64::try_from(len).map_err(|_| too_long())?);
    fchmod(file, Mode::from_bits_truncate(permissions.0))
        .map_err(|errno| Error::system("fchmod", object)(errno.into()))?;
    if size >= HUGE {
        back_by_huge_pages(file.as_fd(), size);
    }
    match retry(|| Ok(posix_fallocate(file, 0, offset)?)) {
        Ok(()) => Ok(size),
        Err(error) if errno::is(&error, Errno::ENOSPC as i32) => Err(Error::NoSpace { len: size }),
        Err(error) if errno::is(&error, Errno::EFBIG as i32) => Err(Error::NoSpace { len: size }),
        Err(error) => Err(Error::system("posix_fallocate", object)(error)),
    }
}

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
