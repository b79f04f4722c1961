//! What this IPC namespace holds: what `ipcs` shows, as values, and what `ipcrm` does, by filter.
//!
//! The kernel lists its table by place, `*_STAT_ANY`, which wants no permission on the object (Linux 4.17); where that is
//! refused, by `/proc/sysvipc`. An object that vanishes while we look is skipped. What is listed is a snapshot: before
//! anything is removed, it is looked at again.

mod limits;
mod proc;

pub use limits::{
    Limits, QueueLimits, QueueUsage, SegmentLimits, SegmentUsage, SemaphoreLimits, SemaphoreUsage, Usage,
    limits, usage,
};

use std::io;
use std::slice;
use std::time::{Duration, SystemTime};
use std::vec;

use ipc_sys::sysv::{self, By, queue, segment, semaphore};

use crate::error::{Call, Error, Result};
use crate::handle::{self, Handle, sealed::Sealed as _};
use crate::key::Key;
use crate::object::{Identity, Kind, Object, Permissions};
use crate::{MessageQueue, QueueStat, Segment, SegmentStat, SemaphoreSet, SemaphoreStat};

/// The semaphore sets of this IPC namespace, those we may not read too.
///
/// # Errors
/// [`Error::System`]: neither the system call nor /proc is to be had.
///
/// # Examples
/// ```
/// use ipc_sysv::{Key, RemoveOnDrop, SemaphoreSet};
///
/// let set = RemoveOnDrop::new(SemaphoreSet::create(Key::PRIVATE, &[1, 2, 3])?);
/// let found = ipc_sysv::semaphores()?.id(set.id());
/// assert_eq!(found.iter().map(|set| set.len).collect::<Vec<_>>(), [3]);
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
pub fn semaphores() -> Result<Listing<SemaphoreStat>> {
    Listing::new()
}

/// The message queues of this IPC namespace, those we may not read too.
///
/// # Errors
/// As [`semaphores`].
pub fn queues() -> Result<Listing<QueueStat>> {
    Listing::new()
}

/// The segments of this IPC namespace, those we may not read too.
///
/// # Errors
/// As [`semaphores`].
///
/// # Examples
/// What a program that was killed has left behind:
/// ```
/// # use ipc_sysv::{Key, Segment};
/// # let forgotten = Segment::create(Key::PRIVATE, 4096)?;
/// let removal = ipc_sysv::segments()?.mine().unattached().creator_dead().remove();
/// for segment in &removal.removed {
///     println!("removed {} bytes of {}", segment.len, segment.identity.id);
/// }
/// # forgotten.remove()?;
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
pub fn segments() -> Result<Listing<SegmentStat>> {
    Listing::new()
}

/// A snapshot of all objects of a kind; each filter leaves out what does not pass it.
#[derive(Debug, Clone)]
#[must_use = "a listing is only looked at, until it is told to remove"]
pub struct Listing<T>(Vec<T>);

/// What a removal did.
#[derive(Debug)]
#[must_use = "what could not be removed is in here"]
pub struct Removal<T> {
    /// What is gone by our doing.
    pub removed: Vec<T>,
    /// What is still there, and why. What others removed meanwhile is in neither list.
    pub refused: Vec<(T, Error)>,
}

/// A line of a listing: [`SemaphoreStat`], [`QueueStat`] or [`SegmentStat`]. Nobody else implements it.
pub trait Entry: Copy + sealed::Entry {
    /// Id, key, creator.
    fn identity(&self) -> Identity {
        self.head().0
    }

    /// Owner and mode.
    fn permissions(&self) -> Permissions {
        self.head().1
    }

    /// Creation, or the last change, in whole seconds.
    fn changed(&self) -> Option<SystemTime> {
        self.head().2
    }
}

impl Entry for SemaphoreStat {}
impl Entry for QueueStat {}
impl Entry for SegmentStat {}

mod sealed {
    use super::{Handle, Identity, Kind, Permissions, SystemTime, io};

    pub trait Entry: Sized {
        /// The handle of such an object.
        type Handle: Handle;
        const KIND: Kind;
        /// What every kind has.
        fn head(&self) -> (Identity, Permissions, Option<SystemTime>);
        /// The highest place in use.
        fn highest() -> io::Result<i32>;
        fn at(index: i32) -> io::Result<Self>;
        fn parse(line: &str) -> Option<Self>;
    }
}

impl<T: Entry> Listing<T> {
    fn new() -> Result<Self> {
        let object = Object::keyed(T::KIND, Key::PRIVATE);
        let listed = match by_place() {
            Ok(listed) => Ok(listed),
            Err(refused) => proc::list(T::KIND, T::parse).map_err(|_| refused),
        };
        listed.map(Self).map_err(|source| Error::System { object, operation: "list", source })
    }

    /// Only those whose owner or creator we are.
    pub fn mine(self) -> Self {
        let me = sysv::effective_uid();
        self.filter(|entry| entry.permissions().uid == me || entry.identity().creator_uid == me)
    }

    /// Only those with this key.
    pub fn key(self, key: Key) -> Self {
        self.filter(|entry| entry.identity().key == key)
    }

    /// Only the one with this id.
    pub fn id(self, id: i32) -> Self {
        self.filter(|entry| entry.identity().id == id)
    }

    /// Only those that were created, or changed by IPC_SET (a set by SETVAL too), at least so long ago. The kernel counts
    /// whole seconds and knows no creation time.
    pub fn older_than(self, age: Duration) -> Self {
        let limit = SystemTime::now().checked_sub(age);
        self.filter(|entry| matches!((entry.changed(), limit), (Some(at), Some(limit)) if at <= limit))
    }

    /// Only those that `pass`.
    pub fn filter(mut self, pass: impl FnMut(&T) -> bool) -> Self {
        self.0.retain(pass);
        self
    }

    /// Without copying: what is listed.
    pub fn iter(&self) -> slice::Iter<'_, T> {
        self.0.iter()
    }

    /// IPC_RMID of all that is left in the listing, each only if it is still the same object.
    ///
    /// # Examples
    /// ```
    /// use ipc_sysv::{Key, MessageQueue};
    ///
    /// let queue = MessageQueue::create(Key::PRIVATE)?;
    /// let removal = ipc_sysv::queues()?.id(queue.id()).remove();
    /// assert_eq!(removal.removed.len(), 1);
    /// assert!(queue.verify().unwrap_err().is_removed());
    /// # Ok::<(), ipc_sysv::Error>(())
    /// ```
    pub fn remove(self) -> Removal<T> {
        let mut removal = Removal { removed: Vec::new(), refused: Vec::new() };
        for entry in self.0 {
            match remove(&entry) {
                Ok(true) => removal.removed.push(entry),
                Ok(false) => {}
                Err(error) => removal.refused.push((entry, error)),
            }
        }
        removal
    }
}

impl Listing<SegmentStat> {
    /// Only those that nobody has attached.
    pub fn unattached(self) -> Self {
        self.filter(|segment| segment.attached == 0)
    }

    /// Only those whose creator has ended. A creator whose pid was given to another process counts as living, and so does
    /// one of another pid namespace.
    pub fn creator_dead(self) -> Self {
        self.filter(|segment| segment.identity.creator_pid.is_some_and(|pid| !sysv::process_exists(pid)))
    }
}

impl<T> IntoIterator for Listing<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> vec::IntoIter<T> {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Listing<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> slice::Iter<'a, T> {
        self.0.iter()
    }
}

fn by_place<T: Entry>() -> io::Result<Vec<T>> {
    let highest = T::highest()?;
    let mut listed = Vec::new();
    let mut refused = None;
    for index in 0..=highest {
        match T::at(index) {
            Ok(entry) => listed.push(entry),
            // An empty place, or one that was emptied meanwhile; before 4.17 every place says so.
            Err(error) if handle::gone(&error) => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    match refused {
        Some(error) if listed.is_empty() => Err(error),
        _ => Ok(listed),
    }
}

/// True when it was there, was the same, and is removed.
fn remove<T: Entry>(entry: &T) -> Result<bool> {
    let identity = entry.identity();
    let call = Call { object: identity.object(), operation: "remove" };
    match T::Handle::look(identity.id) {
        Ok(found) if found == identity => {}
        Ok(_) => return Ok(false),
        Err(error) if handle::gone(&error) => return Ok(false),
        Err(error) => return Err(call.failed(error)),
    }
    match T::Handle::remove(identity.id) {
        Ok(()) => Ok(true),
        Err(error) if handle::gone(&error) => Ok(false),
        Err(error) => Err(call.failed(error)),
    }
}

impl sealed::Entry for SemaphoreStat {
    type Handle = SemaphoreSet;
    const KIND: Kind = Kind::SemaphoreSet;

    fn head(&self) -> (Identity, Permissions, Option<SystemTime>) {
        (self.identity, self.permissions, self.changed)
    }

    fn highest() -> io::Result<i32> {
        semaphore::limits().map(|(highest, _)| highest)
    }

    fn at(index: i32) -> io::Result<Self> {
        semaphore::status(By::Index(index)).map(|(id, status)| Self::new(id, &status))
    }

    fn parse(line: &str) -> Option<Self> {
        proc::semaphores(line).map(|(id, status)| Self::new(id, &status))
    }
}

impl sealed::Entry for QueueStat {
    type Handle = MessageQueue;
    const KIND: Kind = Kind::MessageQueue;

    fn head(&self) -> (Identity, Permissions, Option<SystemTime>) {
        (self.identity, self.permissions, self.changed)
    }

    fn highest() -> io::Result<i32> {
        queue::limits().map(|(highest, _)| highest)
    }

    fn at(index: i32) -> io::Result<Self> {
        queue::status(By::Index(index)).map(|(id, status)| Self::new(id, &status))
    }

    fn parse(line: &str) -> Option<Self> {
        proc::queue(line).map(|(id, status)| Self::new(id, &status))
    }
}

impl sealed::Entry for SegmentStat {
    type Handle = Segment;
    const KIND: Kind = Kind::Segment;

    fn head(&self) -> (Identity, Permissions, Option<SystemTime>) {
        (self.identity, self.permissions, self.changed)
    }

    fn highest() -> io::Result<i32> {
        segment::limits().map(|(highest, _)| highest)
    }

    fn at(index: i32) -> io::Result<Self> {
        segment::status(By::Index(index)).map(|(id, status)| Self::new(id, &status))
    }

    fn parse(line: &str) -> Option<Self> {
        proc::segment(line).map(|(id, status)| Self::new(id, &status))
    }
}
