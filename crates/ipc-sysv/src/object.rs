//! What every System V object has: a kind, an id, perhaps a key, an owner and a creator.
//!
//! Neither id nor key is an identity. A key is given again as soon as its object is removed; an id holds a sequence
//! number and comes back after 65,536 further creations in the same place (at once, where somebody writes
//! `/proc/sys/kernel/*_next_id`). There is no creation time: the ctime moves with IPC_SET, and a set's with SETVAL too.
//! What does not move is the creator's uid and gid and, of a segment, the creator's pid: together they are the
//! [`Identity`] that a handle remembers. Two objects that agree in all of it cannot be told apart.

use std::fmt;
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use ipc_sys::sysv;

use crate::key::Key;

/// The three kinds of System V objects; each has ids and keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A set of semaphores.
    SemaphoreSet,
    /// A message queue.
    MessageQueue,
    /// A shared memory segment.
    Segment,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::SemaphoreSet => "semaphore set",
            Self::MessageQueue => "message queue",
            Self::Segment => "segment",
        })
    }
}

/// The object that an error is about: what is known of it, its id or its key or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Object {
    kind: Kind,
    id: Option<i32>,
    key: Option<Key>,
}

impl Object {
    pub(crate) const fn keyed(kind: Kind, key: Key) -> Self {
        Self { kind, id: None, key: Some(key) }
    }

    pub(crate) const fn numbered(kind: Kind, id: i32) -> Self {
        Self { kind, id: Some(id), key: None }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its id, where it is known.
    #[must_use]
    pub const fn id(&self) -> Option<i32> {
        self.id
    }

    /// Its key, where it is known.
    #[must_use]
    pub const fn key(&self) -> Option<Key> {
        self.key
    }
}

impl fmt::Display for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind;
        match (self.id, self.key) {
            (Some(id), Some(key)) if !key.is_private() => write!(formatter, "{kind} {id} (key {key})"),
            (Some(id), _) => write!(formatter, "{kind} {id}"),
            (None, Some(key)) if !key.is_private() => write!(formatter, "{kind} with key {key}"),
            (None, _) => write!(formatter, "a private {kind}"),
        }
    }
}

/// What a handle remembers of its object, and what does not change while that lives (except that a segment's key becomes
/// [`Key::PRIVATE`] when it is removed while attached).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// What it is.
    pub kind: Kind,
    /// The number by which every call names it.
    pub id: i32,
    /// The key that led to it.
    pub key: Key,
    /// Who created it.
    pub creator_uid: u32,
    /// The creator's group.
    pub creator_gid: u32,
    /// The creator's process, as seen from our pid namespace. The kernel keeps it for segments only.
    pub creator_pid: Option<NonZeroU32>,
}

impl Identity {
    pub(crate) fn new(
        kind: Kind,
        id: i32,
        permissions: &sysv::Permissions,
        creator: Option<NonZeroU32>,
    ) -> Self {
        let key = Key::new(permissions.key);
        let (creator_uid, creator_gid) = (permissions.creator_uid, permissions.creator_gid);
        Self { kind, id, key, creator_uid, creator_gid, creator_pid: creator }
    }

    pub(crate) const fn object(&self) -> Object {
        Object { kind: self.kind, id: Some(self.id), key: Some(self.key) }
    }
}

/// Who owns an object and what the others may do with it: what IPC_SET changes.
///
/// The mode has nine bits, as that of a file; write means alter, and execute means nothing. The creator keeps the right
/// to change and remove the object whoever the owner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permissions {
    /// The nine bits: 0o600.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
}

impl Permissions {
    pub(crate) fn of(raw: &sysv::Permissions) -> Self {
        Self { mode: raw.mode & 0o777, uid: raw.uid, gid: raw.gid }
    }

    pub(crate) fn write_to(self, raw: &mut sysv::Permissions) {
        raw.mode = self.mode & 0o777;
        raw.uid = self.uid;
        raw.gid = self.gid;
    }
}

/// What `open_or_create` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The object is new.
    Created,
    /// It was there.
    Opened,
    /// It was there, its creator had died before it was initialized, and we did that.
    Adopted,
}

/// A pid of the kernel's, where 0 means nobody or somebody of another pid namespace.
pub(crate) fn pid(raw: i32) -> Option<NonZeroU32> {
    u32::try_from(raw).ok().and_then(NonZeroU32::new)
}

/// A time of the kernel's in whole seconds, where 0 means never.
pub(crate) fn time(seconds: i64) -> Option<SystemTime> {
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
