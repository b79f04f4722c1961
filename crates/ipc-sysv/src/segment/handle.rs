//! The segment: attaching it, its state and its end.

use std::io;
use std::ptr::NonNull;

use ipc_sys::errno;
use ipc_sys::sysv::{By, segment as sys};

use super::attachment::{Attachment, ReadOnlyAttachment};
use super::create::SegmentOptions;
use super::stat::SegmentStat;
use crate::error::{Error, Limit, Result};
use crate::handle::{self, Handle, sealed::Sealed};
use crate::key::Key;
use crate::object::{Identity, Kind, Object, Origin, Permissions};

/// A shared memory segment.
///
/// The handle is a number and an [`Identity`]: cloning it and dropping it cost nothing, removing the segment is
/// [`Segment::remove`]. What is attached stays attached.
///
/// # After a crash
/// The segment stays, with whatever bytes it had; the attachments of the killed process are gone.
/// [`segments`](crate::segments()) finds it, [`Segment::remove`] removes it, [`Segment::ephemeral`] cannot be left behind.
///
/// # Fork
/// A forked child may use the handle, and is attached wherever its parent was.
///
/// # Examples
/// ```
/// use ipc_sysv::{Key, RemoveOnDrop, Segment};
///
/// let segment = RemoveOnDrop::new(Segment::create(Key::PRIVATE, 4096)?);
/// let ours = segment.attach()?;
/// let theirs = segment.attach_read_only()?;
/// ours.write_at(0, b"ABC\0")?;
/// let mut text = [0; 4];
/// theirs.read_at(0, &mut text)?;
/// assert_eq!(&text, b"ABC\0");
/// assert_eq!(segment.stat()?.attached, 2);
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Segment {
    identity: Identity,
    len: usize,
}

/// Where a segment is attached.
#[derive(Debug, Clone, Default)]
pub struct AttachOptions {
    near: Option<NonNull<u8>>,
}

impl AttachOptions {
    /// Where the kernel likes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// SHM_RND: at this address, rounded down to a multiple of SHMLBA (a page). Nothing that is mapped there is replaced:
    /// it is an error then, and so is an address in the first 64 KiB. The same place in every process is what pointers within a segment would need; offsets need
    /// no such thing.
    #[doc(alias = "SHM_RND")]
    #[must_use]
    pub fn near(mut self, address: *const u8) -> Self {
        self.near = NonNull::new(address.cast_mut());
        self
    }

    /// shmat, for reading and writing.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL (something is mapped there already, or it is too near to null) | [`Error::OutOfRange`] |
    ///
    /// Else as [`Segment::attach`].
    pub fn attach(&self, segment: &Segment) -> Result<Attachment> {
        Attachment::attach(&segment.identity, self.near)
    }

    /// shmat(SHM_RDONLY).
    ///
    /// # Errors
    /// As [`AttachOptions::attach`].
    pub fn attach_read_only(&self, segment: &Segment) -> Result<ReadOnlyAttachment> {
        ReadOnlyAttachment::attach(&segment.identity, self.near, true)
    }
}

impl Segment {
    /// shmget(IPC_CREAT | IPC_EXCL), `len` zero bytes, mode 0600: [`SegmentOptions::create`].
    ///
    /// # Errors
    /// As [`SegmentOptions::create`].
    #[doc(alias = "shmget")]
    pub fn create(key: Key, len: usize) -> Result<Self> {
        SegmentOptions::new().create(key, len)
    }

    /// shmget of an existing segment, to read and to write: [`SegmentOptions::open`].
    ///
    /// # Errors
    /// As [`SegmentOptions::open`].
    pub fn open(key: Key) -> Result<Self> {
        SegmentOptions::new().open(key, 0)
    }

    /// shmget(IPC_CREAT), mode 0600: [`SegmentOptions::open_or_create`].
    ///
    /// # Errors
    /// As [`SegmentOptions::open_or_create`].
    pub fn open_or_create(key: Key, len: usize) -> Result<(Self, Origin)> {
        SegmentOptions::new().open_or_create(key, len)
    }

    /// The segment with this id, which another process has told us.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL, EIDRM | [`Error::NotFound`] |
    pub fn from_id(id: i32) -> Result<Self> {
        let object = Object::numbered(Kind::Segment, id);
        let status = handle::status(id, sys::status);
        status.map(|status| Self::new(id, &status)).map_err(|source| handle::not_there(object, source))
    }

    /// shmget(IPC_PRIVATE), shmat and IPC_RMID at once: `len` zero bytes that are gone with the last process that has them
    /// attached. Forked children inherit them; by [`Identity::id`] others can still attach, on Linux.
    ///
    /// # Errors
    /// As [`SegmentOptions::create`] and [`Segment::attach`].
    ///
    /// # After a crash
    /// Nothing is left, except by a SIGKILL within these calls: then a segment that is private, ours, and attached by
    /// nobody.
    pub fn ephemeral(len: usize) -> Result<Attachment> {
        SegmentOptions::new().ephemeral(len)
    }

    pub(super) fn new(id: i32, status: &sys::SegmentStatus) -> Self {
        let stat = SegmentStat::new(id, status);
        Self { identity: stat.identity, len: stat.len }
    }

    pub(super) const fn attached(identity: Identity, len: usize) -> Self {
        Self { identity, len }
    }

    /// The id, by which the kernel and other processes know it.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.identity.id
    }

    /// What the handle remembers of its segment.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// How many bytes it has.
    #[expect(clippy::len_without_is_empty, reason = "there is no empty segment")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// shmat, for reading and writing, where the kernel likes.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EIDRM, EINVAL (the segment is gone) | [`Error::Removed`] |
    /// | (another segment has the id; it is detached again) | [`Error::Replaced`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | ENOMEM | [`Error::LimitReached`] |
    ///
    /// # After a crash
    /// The kernel detaches a process that has ended.
    #[doc(alias = "shmat")]
    pub fn attach(&self) -> Result<Attachment> {
        AttachOptions::new().attach(self)
    }

    /// shmat(SHM_RDONLY).
    ///
    /// # Errors
    /// As [`Segment::attach`].
    #[doc(alias = "SHM_RDONLY")]
    pub fn attach_read_only(&self) -> Result<ReadOnlyAttachment> {
        AttachOptions::new().attach_read_only(self)
    }

    /// shmctl IPC_STAT.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL, EIDRM | [`Error::Removed`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    #[doc(alias = "shmctl")]
    #[doc(alias = "IPC_STAT")]
    pub fn stat(&self) -> Result<SegmentStat> {
        let status = sys::status(By::Id(self.id()));
        let (id, status) = status.map_err(|source| self.failed("IPC_STAT", source))?;
        Ok(SegmentStat::new(id, &status))
    }

    /// shmctl IPC_SET: owner and mode. Owner, creator and root may.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL, EIDRM | [`Error::Removed`] |
    /// | EINVAL (a uid or gid of -1) | [`Error::OutOfRange`] |
    /// | EPERM | [`Error::PermissionDenied`] |
    #[doc(alias = "shmctl")]
    #[doc(alias = "IPC_SET")]
    pub fn set_permissions(&self, permissions: Permissions) -> Result<()> {
        let mut status = sys::SegmentStatus::default();
        permissions.write_to(&mut status.permissions);
        sys::set_permissions(self.id(), &status).map_err(|source| self.failed("IPC_SET", source))
    }

    /// shmctl SHM_LOCK: its pages stay in memory once they are there.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ENOMEM (RLIMIT_MEMLOCK) | [`Error::LimitReached`] |
    /// | EPERM (neither owner nor creator, or a limit of 0, without CAP_IPC_LOCK) | [`Error::PermissionDenied`] |
    /// | EINVAL, EIDRM | [`Error::Removed`] |
    #[doc(alias = "SHM_LOCK")]
    pub fn lock(&self) -> Result<()> {
        sys::lock(self.id()).map_err(|source| {
            if errno::is(&source, libc::ENOMEM) {
                let object = self.identity.object();
                return Error::LimitReached {
                    object,
                    operation: "SHM_LOCK",
                    which: Limit::LockedMemory,
                    source,
                };
            }
            self.failed("SHM_LOCK", source)
        })
    }

    /// shmctl SHM_UNLOCK.
    ///
    /// # Errors
    /// As [`Segment::lock`], except ENOMEM.
    #[doc(alias = "SHM_UNLOCK")]
    pub fn unlock(&self) -> Result<()> {
        sys::unlock(self.id()).map_err(|source| self.failed("SHM_UNLOCK", source))
    }

    /// shmctl IPC_STAT: whether the segment that this handle was opened for is still there. One that was removed and is
    /// still attached by somebody is not.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | (it is gone) | [`Error::Removed`] |
    /// | (another segment has its id) | [`Error::Replaced`] |
    pub fn verify(&self) -> Result<()> {
        handle::verify(self, "verify")
    }

    /// shmctl IPC_RMID, after [`Segment::verify`]: takes the key away at once, and the memory with the last detach.
    ///
    /// Between the look and the removal another process could remove the segment and create one with the same id: that
    /// takes 65,536 creations, or a write to `/proc/sys/kernel/shm_next_id`.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EPERM (owner, creator and root may) | [`Error::PermissionDenied`] |
    ///
    /// As [`Segment::verify`].
    #[doc(alias = "shmctl")]
    #[doc(alias = "IPC_RMID")]
    pub fn remove(&self) -> Result<()> {
        handle::remove(self)
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> Error {
        handle::failed_on::<Self>(self.identity.object(), operation, source, "an argument")
    }
}

impl Handle for Segment {
    fn identity(&self) -> Identity {
        self.identity
    }
}

impl Sealed for Segment {
    fn look(id: i32) -> io::Result<Identity> {
        let stat = handle::status(id, sys::status).map(|status| SegmentStat::new(id, &status))?;
        if stat.is_removed {
            return Err(io::Error::from_raw_os_error(libc::EIDRM));
        }
        Ok(stat.identity)
    }

    fn remove(id: i32) -> io::Result<()> {
        sys::remove(id)
    }
}
