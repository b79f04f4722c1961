//! A segment in our address space. Created by shmat, ended by shmdt in `Drop`; a killed process is detached by the kernel.
//!
//! Other processes write the same bytes at any time, so there is never a `&[u8]` of them: they are copied in and out
//! through atomics of 64 bits. What a segment's bytes mean is input: whoever may attach it may write anything.
#![expect(unsafe_code, reason = "the attached memory is reached through a pointer, and shmdt ends that")]

use std::fmt;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::AtomicU64;

use ipc_sys::sysv::segment as sys;
use ipc_sys::words;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::handle::Segment;
use super::stat::SegmentStat;
use crate::error::{Call, Error, Result};
use crate::handle;
use crate::object::{Identity, Object};

/// An attached segment that can be read (SHM_RDONLY).
///
/// There is no way to write through it:
/// ```compile_fail,E0599
/// # fn write(memory: &ipc_sysv::ReadOnlyAttachment) -> ipc_sysv::Result<()> {
/// memory.write_at(0, b"no")?;
/// # Ok(())
/// # }
/// ```
/// and the memory is gone when it is dropped, so it cannot be used after a detach:
/// ```compile_fail,E0382
/// # fn read(memory: ipc_sysv::ReadOnlyAttachment) -> ipc_sysv::Result<()> {
/// drop(memory);
/// memory.read_at(0, &mut [0])?;
/// # Ok(())
/// # }
/// ```
///
/// # After a fork
/// The child is attached as well (`nattch` counts it) and detaches for itself.
pub struct ReadOnlyAttachment {
    address: NonNull<u8>,
    len: usize,
    identity: Identity,
}

// SAFETY: the mapping belongs to the process, not to a thread, and every access is an atomic one.
unsafe impl Send for ReadOnlyAttachment {}
// SAFETY: as above.
unsafe impl Sync for ReadOnlyAttachment {}

impl ReadOnlyAttachment {
    /// shmat, and then IPC_STAT: from the attach on the segment cannot go, so the length is that of what is mapped, even
    /// if the id was given to another segment a moment before.
    pub(super) fn attach(expected: &Identity, near: Option<NonNull<u8>>, read_only: bool) -> Result<Self> {
        let object = expected.object();
        let call = Call { object, operation: "shmat" };
        let address = sys::attach(expected.id, near, read_only)
            .map_err(|source| handle::failed_on::<Segment>(object, "shmat", source, "the address"))?;
        let mut attachment = Self { address, len: 0, identity: *expected };
        let status = handle::status(expected.id, sys::status).map_err(|source| call.failed(source))?;
        let stat = SegmentStat::new(expected.id, &status);
        let removed = Identity { key: crate::Key::PRIVATE, ..*expected };
        if stat.identity != *expected && !(stat.is_removed && stat.identity == removed) {
            return Err(Error::Replaced { object, operation: "shmat", found: stat.identity });
        }
        attachment.len = stat.len;
        Ok(attachment)
    }

    /// How many bytes the segment has.
    #[expect(clippy::len_without_is_empty, reason = "there is no empty segment")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The segment that is attached. Its key is the one that it had when its handle was opened.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// A handle of the segment.
    #[must_use]
    pub fn segment(&self) -> Segment {
        Segment::attached(self.identity, self.len)
    }

    pub(super) fn object(&self) -> Object {
        self.identity.object()
    }

    /// Where it is attached: for atomics, locks and C. Other processes write here, so a reference to it (other than to an
    /// atomic) is undefined behaviour; the pointer is valid until this is dropped.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.address.as_ptr()
    }

    /// Copies the bytes from `offset` on. What another process writes meanwhile may be there in part; 8 bytes at an
    /// offset divisible by 8 are never torn.
    ///
    /// # Errors
    /// Beyond the end: [`Error::OutOfRange`], and nothing is copied.
    pub fn read_at(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        self.check(offset, bytes.len())?;
        words::copy_out(self.words(), offset, bytes);
        Ok(())
    }

    /// Copies a value out, of a type for which any bytes are one.
    ///
    /// # Errors
    /// As [`ReadOnlyAttachment::read_at`].
    pub fn read_value<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let mut value = T::new_zeroed();
        self.read_at(offset, value.as_mut_bytes())?;
        Ok(value)
    }

    /// shmdt, and says how that went; dropping does the same silently.
    ///
    /// # Errors
    /// [`Error::System`]: EINVAL (somebody else has detached it).
    #[doc(alias = "shmdt")]
    pub fn detach(self) -> Result<()> {
        let this = std::mem::ManuallyDrop::new(self);
        let object = this.identity.object();
        this.end().map_err(|source| Error::System { object, operation: "shmdt", source })
    }

    fn end(&self) -> io::Result<()> {
        // SAFETY: `address` came from shmat, and both callers are the end of `self`: every borrow of the memory is a
        // borrow of `self`.
        unsafe { sys::detach(self.address) }
    }

    fn check(&self, offset: usize, len: usize) -> Result<()> {
        if offset.checked_add(len).is_some_and(|end| end <= self.len) {
            return Ok(());
        }
        let call = Call { object: self.identity.object(), operation: "access" };
        Err(call.out_of_range("the offset or the length", libc::ERANGE))
    }

    /// All of it; the last word may reach beyond `len`, where the rest of the last page is.
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: shared memory, docs/safety.md, section 2: whole pages from a page's start on are attached while `self`
        // lives, `len` bytes were asked for and so rounded up; every bit pattern is a u64; we store through an
        // `Attachment` only, which is attached for writing.
        unsafe { slice::from_raw_parts(self.address.as_ptr().cast(), self.len.div_ceil(8)) }
    }
}

impl Drop for ReadOnlyAttachment {
    fn drop(&mut self) {
        // There is nobody to tell that somebody else has detached it.
        let _ = self.end();
    }
}

impl fmt::Debug for ReadOnlyAttachment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, len, identity } = self;
        let id = identity.id;
        formatter
            .debug_struct("Attachment")
            .field("id", &id)
            .field("address", address)
            .field("len", len)
            .finish()
    }
}

/// An attached segment that can be read and written; for reading it is a [`ReadOnlyAttachment`].
///
/// What it allows is chosen when it is attached, and it is detached once:
/// ```compile_fail,E0382
/// # fn twice(memory: ipc_sysv::Attachment) -> ipc_sysv::Result<()> {
/// memory.detach()?;
/// memory.detach()?;
/// # Ok(())
/// # }
/// ```
///
/// # After a crash
/// The kernel detaches. The bytes stay in the segment, in the middle of a write too.
///
/// # Examples
/// ```
/// use ipc_sysv::Segment;
///
/// let memory = Segment::ephemeral(4096)?;
/// memory.write_at(10, b"hello")?;
/// let mut text = [0; 5];
/// memory.read_at(10, &mut text)?;
/// assert_eq!(&text, b"hello");
///
/// memory.write_value(64, &17_u64)?;
/// assert_eq!(memory.read_value::<u64>(64)?, 17);
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
pub struct Attachment(ReadOnlyAttachment);

impl Attachment {
    pub(super) fn attach(expected: &Identity, near: Option<NonNull<u8>>) -> Result<Self> {
        ReadOnlyAttachment::attach(expected, near, false).map(Self)
    }

    /// Where it is attached, for writing: see [`ReadOnlyAttachment::as_ptr`].
    #[must_use]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.0.address.as_ptr()
    }

    /// Copies bytes to `offset`. Another process may see them in part; 8 bytes at an offset divisible by 8 it sees whole.
    ///
    /// # Errors
    /// Beyond the end: [`Error::OutOfRange`], and nothing is written.
    pub fn write_at(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.0.check(offset, bytes.len())?;
        words::copy_in(self.0.words(), offset, bytes);
        Ok(())
    }

    /// Copies a value in, of a type without padding and pointers.
    ///
    /// # Errors
    /// As [`Attachment::write_at`].
    pub fn write_value<T: IntoBytes + Immutable>(&self, offset: usize, value: &T) -> Result<()> {
        self.write_at(offset, value.as_bytes())
    }

    /// shmdt, and says how that went; dropping does the same silently.
    ///
    /// # Errors
    /// As [`ReadOnlyAttachment::detach`].
    pub fn detach(self) -> Result<()> {
        self.0.detach()
    }
}

impl Deref for Attachment {
    type Target = ReadOnlyAttachment;

    fn deref(&self) -> &ReadOnlyAttachment {
        &self.0
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
