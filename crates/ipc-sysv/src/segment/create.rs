//! Creating a segment: zeroed memory of a size that never changes.

use std::io;

use ipc_sys::sysv::segment as sys;

use super::attachment::Attachment;
use super::handle::Segment;
use crate::error::{Call, Error, Limit, Result};
use crate::handle;
use crate::key::Key;
use crate::object::{Kind, Object, Origin};

/// How a segment is created or opened.
///
/// # Examples
/// ```
/// use ipc_sysv::{Key, RemoveOnDrop, SegmentOptions};
///
/// let segment = RemoveOnDrop::new(SegmentOptions::new().mode(0o640).create(Key::PRIVATE, 1 << 16)?);
/// assert_eq!(segment.stat()?.len, 65536);
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SegmentOptions {
    mode: u32,
    flags: libc::c_int,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self { mode: 0o600, flags: 0 }
    }
}

impl SegmentOptions {
    /// Mode 0600, pages of the usual size, memory reserved.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The nine permission bits of a new segment, whatever the umask; of an existing one, what it must let us do: 0o600,
    /// read and write, is refused where only reading is allowed, 0o400 and 0 are not.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// SHM_HUGETLB: huge pages of the system's default size. Wants CAP_IPC_LOCK or the group of
    /// `/proc/sys/vm/hugetlb_shm_group`.
    #[doc(alias = "SHM_HUGETLB")]
    #[must_use]
    pub fn huge_pages(self, yes: bool) -> Self {
        self.set(libc::SHM_HUGETLB, yes)
    }

    /// SHM_NORESERVE: swap is not reserved; touching a page may then be SIGBUS when memory is short.
    #[doc(alias = "SHM_NORESERVE")]
    #[must_use]
    pub fn no_reserve(self, yes: bool) -> Self {
        self.set(libc::SHM_NORESERVE, yes)
    }

    pub(super) fn permission_bits(&self) -> u32 {
        self.mode
    }

    fn set(mut self, flag: libc::c_int, yes: bool) -> Self {
        self.flags = if yes { self.flags | flag } else { self.flags & !flag };
        self
    }

    /// shmget(IPC_CREAT | IPC_EXCL): `len` zero bytes.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EEXIST | [`Error::Exists`] |
    /// | EINVAL (a length of 0) | [`Error::OutOfRange`] |
    /// | EINVAL (over SHMMAX) | [`Error::TooLong`] |
    /// | ENOSPC (SHMMNI segments, SHMALL pages) | [`Error::LimitReached`] |
    /// | ENOMEM, ENFILE | [`Error::LimitReached`] |
    /// | EPERM (huge pages without the privilege) | [`Error::PermissionDenied`] |
    /// | (somebody removed the segment at once) | [`Error::Removed`] |
    ///
    /// # After a crash
    /// The segment stays until somebody removes it, whether or not anybody is attached.
    pub fn create(&self, key: Key, len: usize) -> Result<Segment> {
        self.get(key, len, libc::IPC_CREAT | libc::IPC_EXCL)
    }

    /// shmget(IPC_CREAT): the segment with this key, made if it is missing, and which of the two happened. It tells nothing
    /// about whether its creator has written there yet; where that matters, let one side `create` and the other `open`, or see
    /// [`SegmentOptions::recover`].
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL (the segment is smaller than `len`; a larger one is opened) | [`Error::WrongSize`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    ///
    /// Else as [`SegmentOptions::create`], except EEXIST.
    pub fn open_or_create(&self, key: Key, len: usize) -> Result<(Segment, Origin)> {
        loop {
            if !key.is_private() {
                match self.open(key, len) {
                    Err(Error::NotFound { .. }) => {}
                    opened => return opened.map(|segment| (segment, Origin::Opened)),
                }
            }
            match self.create(key, len) {
                Err(Error::Exists { .. }) => {}
                created => return created.map(|segment| (segment, Origin::Created)),
            }
        }
    }

    /// shmget of an existing segment of at least `len` bytes; 0 takes any.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ENOENT (and for [`Key::PRIVATE`], which leads to nothing) | [`Error::NotFound`] |
    /// | EINVAL (it is smaller) | [`Error::WrongSize`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    pub fn open(&self, key: Key, len: usize) -> Result<Segment> {
        if key.is_private() {
            let object = Object::keyed(Kind::Segment, key);
            return Err(Error::NotFound { object, source: io::Error::from_raw_os_error(libc::ENOENT) });
        }
        self.get(key, len, 0)
    }

    /// IPC_PRIVATE, shmat, IPC_RMID.
    pub(super) fn ephemeral(&self, len: usize) -> Result<Attachment> {
        let segment = handle::RemoveOnDrop::new(self.create(Key::PRIVATE, len)?);
        let attachment = Attachment::attach(&segment.identity(), None)?;
        segment.remove()?;
        Ok(attachment)
    }

    fn get(&self, key: Key, len: usize, flags: libc::c_int) -> Result<Segment> {
        let object = Object::keyed(Kind::Segment, key);
        let operation = "shmget";
        let creates = flags & libc::IPC_CREAT != 0;
        let flags = flags | handle::mode_flags(self.mode) | if creates { self.flags } else { 0 };
        let id = sys::get(key.number(), len, flags).map_err(|source| match source.raw_os_error() {
            Some(libc::EINVAL) if creates => invalid_len(object, len, source),
            Some(libc::EINVAL) => too_small(key, len, source),
            Some(libc::ENOSPC) => Error::LimitReached { object, operation, which: full(), source },
            _ => Call { object, operation }.failed(source),
        })?;
        handle::status(id, sys::status).map(|status| Segment::new(id, &status)).map_err(|source| {
            if handle::gone(&source) {
                return Error::Removed { object, operation, source };
            }
            Call { object, operation }.failed(source)
        })
    }
}

fn invalid_len(object: Object, len: usize, source: io::Error) -> Error {
    let operation = "shmget";
    if len == 0 {
        return Error::OutOfRange { object, operation, what: "a length of 0", source };
    }
    let max = sys::limits().map_or(0, |(_, limits)| usize::try_from(limits.len_max).unwrap_or(usize::MAX));
    Error::TooLong { object, operation, len: Some(len), max, source }
}

/// The segment under the key is smaller than what was asked for: how large is it?
fn too_small(key: Key, wanted: usize, source: io::Error) -> Error {
    let object = Object::keyed(Kind::Segment, key);
    let id = sys::get(key.number(), 0, 0);
    let status = id.and_then(|id| handle::status(id, sys::status));
    let found = status.map_or(0, |status| usize::try_from(status.len).unwrap_or(usize::MAX));
    Error::WrongSize { object, wanted, found, source }
}

fn full() -> Limit {
    let segments = sys::usage().map_or(0, |(_, usage)| u64::try_from(usage.segments).unwrap_or(0));
    let max = sys::limits().map_or(u64::MAX, |(_, limits)| limits.segments_max);
    if segments >= max { Limit::Segments } else { Limit::Pages }
}
