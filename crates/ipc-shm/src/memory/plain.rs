//! POSIX shared memory laid out by somebody else: a C program's, byte for byte, without a header.
//!
//! The file in /dev/shm is made and removed like every other of ours. It cannot be sealed: whoever may write it may also
//! truncate it, and touching what is gone is SIGBUS, in C as here.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use nix::fcntl::{OFlag, posix_fallocate};

use crate::memory::attach::{self, Seals};
use crate::memory::mapping::Mapping;
use crate::memory::name::Name;
use crate::memory::segment::allocate;
use crate::memory::{MemoryOptions, check_range, valid_len};
use crate::{Error, Refusal, Result};

/// The bytes of a POSIX shared memory object, as a C program's `shm_open` and `mmap` would give them.
///
/// Bytes are copied in and out; nothing orders them between processes but what both agree on. A forked child shares the
/// memory, as in C; only the process that made the name removes it.
///
/// # After a crash
/// The name and the bytes stay until [`PlainMemory::unlink`].
///
/// # Examples
/// ```
/// # fn main() -> ipc_shm::Result<()> {
/// use ipc_shm::PlainMemory;
///
/// let name = format!("/ipc-shm-doc-{}", std::process::id());
/// let ours = PlainMemory::create(&name, 4096)?;
/// let theirs = PlainMemory::open(&name)?;
/// theirs.write_at(0, b"ABC\0")?;
/// let mut text = [0; 4];
/// ours.read_at(0, &mut text)?;
/// assert_eq!(&text, b"ABC\0");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PlainMemory {
    mapping: Mapping,
    len: usize,
    file: OwnedFd,
    name: Option<Name>,
}

impl PlainMemory {
    /// shm_open(O_CREAT | O_EXCL), posix_fallocate, mmap: `len` zero bytes, mode 0600. The name appears when the memory has
    /// its length. Dropping this handle removes the name; see [`PlainMemory::persist`].
    ///
    /// # Errors
    /// As [`crate::SharedMemory::create`].
    #[doc(alias = "shm_open")]
    pub fn create(name: impl AsRef<OsStr>, len: usize) -> Result<Self> {
        Self::create_with(name, len, &MemoryOptions::new())
    }

    /// As [`PlainMemory::create`], with another mode. There is no header that could hold a tag.
    ///
    /// # Errors
    /// As [`crate::SharedMemory::create`].
    pub fn create_with(name: impl AsRef<OsStr>, len: usize, options: &MemoryOptions) -> Result<Self> {
        let len = valid_len(len)?;
        let name = Name::new(name.as_ref())?;
        let file = name.unnamed()?;
        let object = name.to_string();
        allocate(&file, len as u64, options.permissions, &object)?;
        let mapping = Mapping::inherited(&file, len, true).map_err(Error::system("mmap", &object))?;
        name.link(&file)?;
        Ok(Self { mapping, len, file, name: Some(name) })
    }

    /// shm_open and mmap of what is there, all of it. Holes that ftruncate left are filled first, so that a full tmpfs is
    /// an error here and not SIGBUS later.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOENT | [`Error::NotFound`] |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ELOOP (a symbolic link) | [`Error::System`] |
    /// | ENOSPC | [`Error::NoSpace`] |
    /// | | [`Error::Refused`]: not a file in memory, or of no bytes yet |
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        let name = Name::new(name.as_ref())?;
        let object = name.to_string();
        let file = name.open(OFlag::O_RDWR)?;
        let len = match attach::check(&file, &object, Seals::None, 1, usize::MAX) {
            Err(Error::Refused { reason: Refusal::Sparse, .. }) => fill_holes(&file, &object)?,
            checked => checked?,
        };
        let mapping = Mapping::inherited(&file, len, true).map_err(Error::system("mmap", &object))?;
        Ok(Self { mapping, len, file, name: None })
    }

    /// shm_unlink: takes a name away. Who has the memory mapped keeps it.
    ///
    /// # Errors
    /// As [`crate::SharedMemory::unlink`].
    #[doc(alias = "shm_unlink")]
    pub fn unlink(name: impl AsRef<OsStr>) -> Result<()> {
        crate::SharedMemory::unlink(name)
    }

    /// Leaves the name in place when this handle is dropped.
    pub fn persist(&mut self) {
        self.name = None;
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: memory of no bytes cannot be mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies bytes out, from `offset`. Each aligned 8 bytes are one moment's; more are not.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`].
    pub fn read_at(&self, offset: usize, buffer: &mut [u8]) -> Result<()> {
        check_range(offset, buffer.len(), self.len)?;
        self.mapping.copy_out(offset, buffer);
        Ok(())
    }

    /// Copies bytes in, at `offset`. Each aligned 8 bytes appear at once; more do not.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`].
    pub fn write_at(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        check_range(offset, bytes.len(), self.len)?;
        self.mapping.copy_in(offset, bytes);
        Ok(())
    }
}

impl Drop for PlainMemory {
    fn drop(&mut self) {
        if let (Some(name), true) = (&self.name, self.mapping.is_ours()) {
            if let Ok(true) = name.leads_to(&self.file) {
                let _ = name.unlink();
            }
        }
    }
}

fn fill_holes(file: &OwnedFd, object: &str) -> Result<usize> {
    let stat = nix::sys::stat::fstat(file).map_err(|errno| Error::system("fstat", object)(errno.into()))?;
    match posix_fallocate(file, 0, stat.st_size) {
        Ok(()) => {}
        Err(nix::errno::Errno::ENOSPC) => {
            return Err(Error::NoSpace { len: usize::try_from(stat.st_size).unwrap_or(usize::MAX) });
        }
        Err(errno) => return Err(Error::system("posix_fallocate", object)(errno.into())),
    }
    attach::check(file, object, Seals::None, 1, usize::MAX)
}
