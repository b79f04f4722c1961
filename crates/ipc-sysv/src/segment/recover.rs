//! A segment that outlives its owner's death and is found again by the next start: PostgreSQL's question, whether what
//! is under our key is ours and of a dead owner, answered from four facts.
//!
//! - the creator's and the owner's uid, from IPC_STAT: another user's segment is not ours
//! - how often it was attached *before* we attached it ourselves: an owner stays attached while it lives, and so do its
//!   children; the kernel detaches the dead
//! - a magic number, the program's own, in the segment's first 8 bytes
//! - device and inode of the file that the key is made of, behind it: ftok gives the same key to many files
//!
//! These stand in a header of 64 bytes that is part of the contract between the processes that use it (native byte
//! order): magic, device, inode (8 bytes each), the owner's pid, and a 1 (4 bytes each), and 32 bytes of zeros. The magic is
//! written last. A segment whose creator died before that is known by its mode: it is made with execute permission for group
//! and others and not for the owner, which no other program does, and loses that when the header is written.

use std::num::NonZeroU64;
use std::sync::atomic::{Ordering, fence};

use ipc_sys::sysv::{self, segment as sys};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::attachment::{Attachment, ReadOnlyAttachment};
use super::create::SegmentOptions;
use super::handle::Segment;
use super::stat::SegmentStat;
use crate::error::{Call, Error, Result};
use crate::handle;
use crate::key::KeyFile;
use crate::object::{Kind, Object, Origin, Permissions};

/// In the mode: the header is not written yet.
const UNFINISHED: u32 = 0o011;
const EXECUTE: u32 = 0o111;

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Header {
    magic: u64,
    device: u64,
    inode: u64,
    owner: u32,
    version: u32,
    reserved: [u64; 4],
}

/// What is under the key.
enum Found {
    Nothing,
    /// Ours, and nobody uses it.
    Dead(Segment),
}

impl Segment {
    /// How many bytes of a segment of [`Segment::recover`] are its header: the first offset that is yours.
    pub const HEADER_LEN: usize = size_of::<Header>();

    /// As [`SegmentOptions::recover`], mode 0600.
    ///
    /// # Errors
    /// As [`SegmentOptions::recover`].
    pub fn recover(file: &KeyFile, magic: NonZeroU64, len: usize) -> Result<(Attachment, Origin)> {
        SegmentOptions::new().recover(file, magic, len)
    }

    /// Attaches the segment that another process made by [`Segment::recover`] with this file and this magic number.
    ///
    /// Whether its owner still lives it does not ask: [`SegmentStat::attached`] of before tells.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ENOENT | [`Error::NotFound`] |
    /// | (it belongs to another file with the same key) | [`Error::KeyCollision`] |
    /// | (its creator has not finished it) | [`Error::Uninitialized`] |
    /// | (it has another magic number, or no room for one) | [`Error::Foreign`] |
    ///
    /// Else as [`Segment::attach`].
    pub fn open_recoverable(file: &KeyFile, magic: NonZeroU64) -> Result<Attachment> {
        let segment = Self::open(file.key())?;
        let attachment = segment.attach()?;
        match read(&attachment, file, magic)? {
            Some(_) => Ok(attachment),
            None if is_unfinished(&segment.stat()?) => {
                Err(Error::Uninitialized { object: attachment.object() })
            }
            None => Err(Error::Foreign { object: attachment.object() }),
        }
    }
}

impl SegmentOptions {
    /// A segment of our own for as long as we live: shmget(IPC_CREAT | IPC_EXCL), and where the key is taken, a look whether it
    /// is one of ours whose owner died; that is removed and made anew, `len` zero bytes behind the
    /// [header](Segment::HEADER_LEN). What belongs to somebody else is not touched.
    ///
    /// Stay attached: the attachment is what shows that you live. Remove the segment at your end
    /// ([`ReadOnlyAttachment::segment`]), or let the next start do it.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | (somebody has it attached, or is just making it) | [`Error::InUse`] |
    /// | (it belongs to another file with the same key) | [`Error::KeyCollision`] |
    /// | (another user owns or created it) | [`Error::ForeignOwner`] |
    /// | (it has another magic number, or no room for one) | [`Error::Foreign`] |
    ///
    /// Else as [`SegmentOptions::create`], except EEXIST, and [`Segment::attach`].
    ///
    /// # After a crash
    /// At whatever instruction we are killed, the next call finds a dead segment of ours and makes it anew
    /// ([`Origin::Adopted`]). If a child of ours still has it attached, that is [`Error::InUse`].
    ///
    /// # Examples
    /// ```
    /// use std::num::NonZeroU64;
    /// use ipc_sysv::{KeyFile, Origin, Segment};
    ///
    /// const MAGIC: NonZeroU64 = NonZeroU64::new(0x6d79_7072_6f67_0001).unwrap();
    /// # let path = std::env::temp_dir().join(format!("ipc-sysv-doc-{}", std::process::id()));
    /// # std::fs::write(&path, "")?;
    /// let file = KeyFile::open(&path, b'a')?;
    /// let (memory, origin) = Segment::recover(&file, MAGIC, 4096)?;
    /// assert_eq!(origin, Origin::Created);
    /// memory.write_at(Segment::HEADER_LEN, b"hello")?;
    ///
    /// // Another process:
    /// let theirs = Segment::open_recoverable(&file, MAGIC)?;
    /// let mut text = [0; 5];
    /// theirs.read_at(Segment::HEADER_LEN, &mut text)?;
    /// assert_eq!(&text, b"hello");
    /// memory.segment().remove()?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recover(&self, file: &KeyFile, magic: NonZeroU64, len: usize) -> Result<(Attachment, Origin)> {
        let unfinished = self.clone().mode(self.permission_bits() & !EXECUTE | UNFINISHED);
        let mut origin = Origin::Created;
        loop {
            match unfinished.create(file.key(), Segment::HEADER_LEN.saturating_add(len)) {
                Ok(segment) => {
                    return self.finish(&segment, file, magic).map(|attachment| (attachment, origin));
                }
                Err(Error::Exists { .. }) => {}
                Err(error) => return Err(error),
            }
            match look(file, magic)? {
                Found::Nothing => {}
                Found::Dead(segment) => match segment.remove() {
                    Ok(()) => origin = Origin::Adopted,
                    // Somebody else was about the same.
                    Err(error) if error.is_removed() => {}
                    Err(error) => return Err(error),
                },
            }
        }
    }

    /// Writes the header of a new segment, the magic last, and takes the mark off its mode.
    fn finish(&self, segment: &Segment, file: &KeyFile, magic: NonZeroU64) -> Result<Attachment> {
        let guard = handle::RemoveOnDrop::new(segment.clone());
        let attachment = segment.attach()?;
        let (device, inode) = file.file_id();
        let owner = std::process::id();
        let header = Header { magic: 0, device, inode, owner, version: 1, reserved: [0; 4] };
        attachment.write_value(0, &header)?;
        fence(Ordering::Release);
        attachment.write_value(0, &magic.get())?;
        let Permissions { uid, gid, .. } = segment.stat()?.permissions;
        segment.set_permissions(Permissions { mode: self.permission_bits() & !EXECUTE, uid, gid })?;
        guard.keep();
        Ok(attachment)
    }
}

/// Whose the segment under the key is.
fn look(file: &KeyFile, magic: NonZeroU64) -> Result<Found> {
    let object = Object::keyed(Kind::Segment, file.key());
    let operation = "recover";
    let me = sysv::effective_uid();
    let segment = match Segment::open(file.key()) {
        Err(Error::NotFound { .. } | Error::Removed { .. }) => return Ok(Found::Nothing),
        Err(Error::PermissionDenied { .. }) => return Err(Error::ForeignOwner { object, uid: None }),
        opened => opened?,
    };
    // Before our own attach: afterwards there is one more.
    let stat = match handle::status(segment.id(), sys::status) {
        Err(error) if handle::gone(&error) => return Ok(Found::Nothing),
        status => SegmentStat::new(
            segment.id(),
            &status.map_err(|source| Call { object, operation }.failed(source))?,
        ),
    };
    let others = [stat.permissions.uid, stat.identity.creator_uid].into_iter().find(|uid| *uid != me);
    if let Some(uid) = others {
        return Err(Error::ForeignOwner { object, uid: Some(uid) });
    }
    let in_use = Error::InUse { object: segment.identity().object(), attached: stat.attached };
    let attachment = match segment.attach_read_only() {
        Err(error) if error.is_removed() => return Ok(Found::Nothing),
        attached => attached?,
    };
    let owner_is_dead = match read(&attachment, file, magic)? {
        Some(_) => stat.attached == 0,
        None if is_unfinished(&stat) => {
            stat.attached == 0 && stat.identity.creator_pid.is_some_and(|pid| !sysv::process_exists(pid))
        }
        None => return Err(Error::Foreign { object: segment.identity().object() }),
    };
    if owner_is_dead { Ok(Found::Dead(segment)) } else { Err(in_use) }
}

/// The header, when it has our magic number; then it must have our file too.
fn read(memory: &ReadOnlyAttachment, file: &KeyFile, magic: NonZeroU64) -> Result<Option<Header>> {
    if memory.len() < Segment::HEADER_LEN || memory.read_value::<u64>(0)? != magic.get() {
        return Ok(None);
    }
    fence(Ordering::Acquire);
    let header: Header = memory.read_value(0)?;
    if (header.device, header.inode) != file.file_id() {
        return Err(Error::KeyCollision { key: file.key(), path: file.path().to_path_buf() });
    }
    Ok(Some(header))
}

fn is_unfinished(stat: &SegmentStat) -> bool {
    stat.permissions.mode & EXECUTE == UNFINISHED
}
