//! Memory that several processes attach: shm_open and memfd_create, ftruncate, mmap, in one call each.

pub(crate) mod attach;
pub(crate) mod header;
mod holders;
mod list;
pub(crate) mod lock;
pub(crate) mod mapping;
pub(crate) mod mode;
pub(crate) mod name;
mod plain;
pub(crate) mod segment;
#[cfg(feature = "sysv")]
pub(crate) mod system_v;
mod trust;
pub(crate) mod view;

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub use holders::{Holder, holders};
pub use list::{Listed, list, remove_stale};
pub(crate) use mode::TRUSTED;
pub use mode::{Common, Mode, Sealed, Trusted, Vouched};
pub use plain::PlainMemory;
pub use segment::Origin;

use crate::{Error, Result, Tag};
use header::{HEADER, Layout};
use mode::private::Mode as _;
use segment::{Permissions, Segment};

/// Bytes that several processes have attached.
///
/// [`Sealed`]: one process writes, and no other can, whatever descriptor it holds; [`Trusted`]: all may. Bytes are copied
/// in and out by value, a word at a time, so a reader may see half of what a writer is writing: for messages use a
/// channel, for a value that many change a lock or an atomic.
///
/// From 2 MiB on it lies in huge pages, where the kernel has any (MADV_COLLAPSE, Linux 6.1, whatever `shmem_enabled` says), and
/// is mapped by them in every process: made and attached 15 times faster than in small pages, and, from 16 MiB on, faster
/// to use.
///
/// A handle belongs to the process that made it. In a forked child each call ends with [`Error::Forked`] and dropping it
/// does nothing to the parent.
///
/// # After a crash
/// Anonymous memory is freed with the last descriptor and mapping. A name stays behind when its maker is killed:
/// [`SharedMemory::open_or_replace`] replaces it, [`SharedMemory::unlink`] or [`remove_stale`] take it away.
///
/// # Examples
/// ```
/// # fn main() -> ipc_shm::Result<()> {
/// use ipc_shm::{Sealed, SharedMemory};
///
/// let ours = SharedMemory::<Sealed>::anonymous(100)?;
/// ours.write_at(10, b"hello")?;
/// // Sent over a Unix socket, or inherited by a child:
/// let descriptor = ours.share()?;
///
/// let theirs = SharedMemory::<Sealed>::from_fd(descriptor, 1 << 20)?;
/// let mut text = [0; 5];
/// theirs.read_at(10, &mut text)?;
/// assert_eq!(&text, b"hello");
/// assert!(theirs.write_at(10, b"other").is_err());
/// # Ok(())
/// # }
/// ```
#[doc(alias = "munmap")]
pub struct SharedMemory<M: Mode = Trusted> {
    segment: Segment,
    mode: PhantomData<fn() -> M>,
}

/// How new memory is made where the default will not do: mode 0600, no tag.
#[derive(Debug, Clone, Copy)]
pub struct MemoryOptions {
    pub(crate) permissions: Permissions,
    pub(crate) tag: u64,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self { permissions: Permissions(0o600), tag: 0 }
    }
}

impl MemoryOptions {
    /// Mode 0600, no tag.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// fchmod: who may open a name, in octal, whatever the umask says.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.permissions = Permissions(mode & 0o777);
        self
    }

    pub(crate) fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// What both sides must name, in opening as in making: the version of what they keep there, say.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tag = tag.into().number();
        self
    }
}

impl SharedMemory<Sealed> {
    /// memfd_create, mmap, then the seals: memory of `len` zero bytes that only this handle can write.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOSPC | [`Error::NoSpace`]; nothing was made |
    /// | EMFILE, ENFILE, ENOMEM, ENOSYS | [`Error::System`] |
    #[doc(alias = "F_ADD_SEALS")]
    #[doc(alias = "memfd_create")]
    #[doc(alias = "mmap")]
    pub fn anonymous(len: usize) -> Result<Self> {
        let layout = Layout::bytes(Sealed::WORD, valid_len(len)?, 0);
        let segment = Segment::sealed(layout, |_| Ok(()))?;
        // Held until this handle is dropped, or its process dies: the readers' proof that we live.
        segment.try_take(lock::PRODUCER, lock::Kind::Write)?;
        Ok(Self::new(segment))
    }

    /// Attaches another process's sealed memory for reading. It is at most `max` bytes long.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | | [`Error::Refused`], with the [`crate::Refusal`] that says why |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ENOMEM | [`Error::System`] |
    pub fn from_fd(descriptor: impl Into<OwnedFd>, max: usize) -> Result<Self> {
        let wanted = Layout { len: 0, capacity: 0, ..Layout::bytes(Sealed::WORD, 0, 0) };
        Ok(Self::new(Segment::sealed_from(descriptor.into(), &wanted, max.saturating_add(HEADER))?))
    }

    /// Whether the process that made the memory still holds it.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn owner_is_alive(&self) -> Result<bool> {
        self.segment.check_fork()?;
        Ok(self.segment.mapping().is_writable() || self.segment.is_held(lock::PRODUCER)?)
    }

    /// A descriptor of this memory for another process, which can read by it and nothing else.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOENT (/proc is not mounted), EMFILE, ENFILE | [`Error::System`] |
    /// | | [`Error::Forked`] |
    pub fn share(&self) -> Result<OwnedFd> {
        self.segment.share(OFlag::O_RDONLY)
    }
}

impl SharedMemory<Trusted> {
    /// memfd_create and mmap: memory of `len` zero bytes that whoever gets a descriptor may write, but not truncate.
    ///
    /// # Errors
    /// As [`SharedMemory::<Sealed>::anonymous`].
    #[doc(alias = "memfd_create")]
    #[doc(alias = "mmap")]
    pub fn anonymous(len: usize) -> Result<Self> {
        let layout = Layout::bytes(Trusted::WORD, valid_len(len)?, 0);
        Ok(Self::new(Segment::common(layout, |_| Ok(()))?))
    }

    /// shm_open(O_CREAT | O_EXCL), posix_fallocate, mmap: new memory of `len` zero bytes under a name, mode 0600. Others
    /// meet the name only once the memory is complete. Dropping this handle removes the name; see
    /// [`SharedMemory::persist`].
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EEXIST | [`Error::Exists`] |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`], [`Error::InvalidParameter`] (a length of 0) |
    /// | ENOSPC | [`Error::NoSpace`]; nothing was made |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ENOENT (/proc is not mounted) | [`Error::System`] |
    #[doc(alias = "shm_open")]
    #[doc(alias = "ftruncate")]
    pub fn create(name: impl AsRef<OsStr>, len: usize) -> Result<Self> {
        Self::create_with(name, len, &MemoryOptions::new())
    }

    /// As [`SharedMemory::create`], with another mode or a tag.
    ///
    /// # Errors
    /// As [`SharedMemory::create`].
    pub fn create_with(name: impl AsRef<OsStr>, len: usize, options: &MemoryOptions) -> Result<Self> {
        let layout = Layout::bytes(Trusted::WORD, valid_len(len)?, options.tag);
        Ok(Self::new(Segment::create(name.as_ref(), options.permissions, layout, |_| Ok(()))?))
    }

    /// shm_open of memory that is there, made by this library; for a C program's see [`PlainMemory`].
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOENT | [`Error::NotFound`] |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ELOOP (a symbolic link) | [`Error::System`] |
    /// | | [`Error::Refused`], with the [`crate::Refusal`] that says why |
    #[doc(alias = "shm_open")]
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        Self::open_with(name, &MemoryOptions::new())
    }

    /// As [`SharedMemory::open`], of memory that was made with this tag.
    ///
    /// # Errors
    /// As [`SharedMemory::open`].
    pub fn open_with(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<Self> {
        let wanted = Layout { len: 0, capacity: 0, ..Layout::bytes(Trusted::WORD, 0, options.tag) };
        Ok(Self::new(Segment::open(name.as_ref(), &wanted, usize::MAX)?))
    }

    /// Opens the memory of this name if any process alive has it attached; else makes it new, in the place of what a dead
    /// one left.
    ///
    /// # Errors
    /// As [`SharedMemory::create`] and [`SharedMemory::open`]. What this library did not make is refused and left alone.
    pub fn open_or_replace(name: impl AsRef<OsStr>, len: usize) -> Result<(Self, Origin)> {
        Self::open_or_replace_with(name, len, &MemoryOptions::new())
    }

    /// As [`SharedMemory::open_or_replace`], with another mode or a tag.
    ///
    /// # Errors
    /// As [`SharedMemory::open_or_replace`].
    pub fn open_or_replace_with(
        name: impl AsRef<OsStr>,
        len: usize,
        options: &MemoryOptions,
    ) -> Result<(Self, Origin)> {
        let layout = Layout::bytes(Trusted::WORD, valid_len(len)?, options.tag);
        let (segment, origin) =
            Segment::open_or_replace(name.as_ref(), options.permissions, layout, usize::MAX, |_| Ok(()))?;
        Ok((Self::new(segment), origin))
    }

    /// shm_unlink: takes a name away. Who has the memory attached keeps it.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOENT | [`Error::NotFound`] |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`] |
    /// | EACCES, EPERM (another user's) | [`Error::PermissionDenied`] |
    /// | EISDIR | [`Error::System`] |
    #[doc(alias = "shm_unlink")]
    pub fn unlink(name: impl AsRef<OsStr>) -> Result<()> {
        name::Name::new(name.as_ref())?.unlink()
    }

    /// Attaches common memory from a descriptor that was received or inherited. It is at most `max` bytes long.
    ///
    /// # Errors
    /// As [`SharedMemory::<Sealed>::from_fd`]; a descriptor for reading only is [`Error::PermissionDenied`].
    pub fn from_fd(descriptor: impl Into<OwnedFd>, max: usize) -> Result<Self> {
        let wanted = Layout { len: 0, capacity: 0, ..Layout::bytes(Trusted::WORD, 0, 0) };
        Ok(Self::new(Segment::common_from(descriptor.into(), &wanted, max.saturating_add(HEADER))?))
    }
}

impl<M: Common> SharedMemory<M> {
    /// A descriptor of this memory for another process, with its own opening: its locks are not ours.
    ///
    /// # Errors
    /// As [`SharedMemory::<Sealed>::share`].
    pub fn share(&self) -> Result<OwnedFd> {
        self.segment.share(OFlag::O_RDWR)
    }

    /// Leaves the name in place when this handle is dropped, for those who open it later.
    pub fn persist(&self) {
        self.segment.persist();
    }
}

impl<M: Mode> SharedMemory<M> {
    pub(crate) fn new(segment: Segment) -> Self {
        Self { segment, mode: PhantomData }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.segment.mapping().len() - HEADER
    }

    /// Never: memory of no bytes cannot be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies bytes out, from `offset`. Each aligned 8 bytes are one moment's; more are not.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`], [`Error::Forked`].
    pub fn read_at(&self, offset: usize, buffer: &mut [u8]) -> Result<()> {
        self.segment.check_fork()?;
        check_range(offset, buffer.len(), self.len())?;
        self.segment.mapping().copy_out(HEADER + offset, buffer);
        Ok(())
    }

    /// Copies bytes in, at `offset`. Each aligned 8 bytes appear at once; more do not.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`], [`Error::ReadOnly`], [`Error::Forked`].
    pub fn write_at(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.segment.check_fork()?;
        check_range(offset, bytes.len(), self.len())?;
        if !self.segment.mapping().is_writable() {
            return Err(Error::ReadOnly);
        }
        self.segment.mapping().copy_in(HEADER + offset, bytes);
        Ok(())
    }

    /// As [`SharedMemory::read_at`], of one typed value.
    ///
    /// # Errors
    /// As [`SharedMemory::read_at`].
    pub fn read<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let mut value = T::new_zeroed();
        self.read_at(offset, value.as_mut_bytes())?;
        Ok(value)
    }

    /// As [`SharedMemory::write_at`], of one typed value.
    ///
    /// # Errors
    /// As [`SharedMemory::write_at`].
    pub fn write<T: IntoBytes + Immutable>(&self, offset: usize, value: &T) -> Result<()> {
        self.write_at(offset, value.as_bytes())
    }
}

impl<M: Mode> fmt::Debug for SharedMemory<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = std::any::type_name::<M>().rsplit("::").next().unwrap_or("");
        write!(formatter, "SharedMemory<{mode}>({} bytes)", self.len())
    }
}

fn valid_len(len: usize) -> Result<usize> {
    let refuse = |reason| Err(Error::InvalidParameter { what: "the length", value: len as u64, reason });
    match len {
        0 => refuse("memory has at least one byte"),
        long if long > isize::MAX.unsigned_abs() - 2 * HEADER => {
            refuse("it does not fit in the address space")
        }
        usable => Ok(usable),
    }
}

pub(crate) fn check_range(offset: usize, len: usize, size: usize) -> Result<()> {
    match offset.checked_add(len) {
        Some(end) if end <= size => Ok(()),
        _ => Err(Error::OutOfBounds { offset, len, size }),
    }
}
