//! New memory: a file, its length, its words, its header, and last its name.
//!
//! A named file is made without its name, which it gets when it is complete: a maker that is killed before leaves nothing,
//! one that is killed later leaves the name, which [`Segment::open_or_replace`] replaces and [`crate::remove_stale`] removes.
//! An anonymous one is a memfd, which the kernel frees with the last descriptor and mapping.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, OwnedFd};

use ipc_sys::errno::{self, retry};
use ipc_sys::huge::{HUGE, back_by_huge_pages};
use ipc_sys::memory::memory_file;
use nix::errno::Errno;
use nix::fcntl::posix_fallocate;
use nix::sys::stat::{Mode, fchmod};

use super::Segment;
use crate::memory::attach::Seals;
use crate::memory::header::Layout;
use crate::memory::lock::{self, Kind};
use crate::memory::mapping::Mapping;
use crate::memory::name::Name;
use crate::{Error, Result};

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

    /// A complete one that has no name yet.
    pub(super) fn nameless(
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
}

const ANONYMOUS: &str = "anonymous memory";

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
