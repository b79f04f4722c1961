//! What handles of all three kinds do alike: look whether their object is still the one they were opened for, and
//! remove that one and no other.
//!
//! A handle is a number and what was known of its object when it was opened; dropping it removes nothing. An object
//! lives until somebody removes it, after every process that used it has ended: [`RemoveOnDrop`] ties it to a scope.

use std::io;
use std::ops::Deref;

use ipc_sys::errno;
use ipc_sys::fork::ForkMark;
use ipc_sys::sysv::By;

use crate::error::{Call, Error, Result};
use crate::object::{Identity, Object};

/// A handle of a System V object: [`SemaphoreSet`](crate::SemaphoreSet), [`MessageQueue`](crate::MessageQueue) or
/// [`Segment`](crate::Segment). Nobody else implements it.
pub trait Handle: Clone + sealed::Sealed {
    /// What the handle remembers of its object.
    fn identity(&self) -> Identity;

    /// The object's id.
    fn id(&self) -> i32 {
        self.identity().id
    }
}

pub(crate) mod sealed {
    use super::{Identity, io};

    /// The two calls by which kinds differ.
    pub trait Sealed {
        /// What the kernel says of this id now; EIDRM for a segment that lives on only for those attached.
        fn look(id: i32) -> io::Result<Identity>;
        /// IPC_RMID.
        fn remove(id: i32) -> io::Result<()>;
    }
}

/// Whether the handle's object is there and the same.
pub(crate) fn verify<T: Handle>(handle: &T, operation: &'static str) -> Result<()> {
    let expected = handle.identity();
    let object = expected.object();
    match T::look(expected.id) {
        Ok(found) if found == expected => Ok(()),
        Ok(found) => Err(Error::Replaced { object, operation, found }),
        Err(source) if gone(&source) => Err(Error::Removed { object, operation, source }),
        Err(source) => Err(Call { object, operation }.failed(source)),
    }
}

/// IPC_RMID of the object that the handle was opened for.
pub(crate) fn remove<T: Handle>(handle: &T) -> Result<()> {
    verify(handle, "remove")?;
    let object = handle.identity().object();
    T::remove(handle.id()).map_err(|source| failed_on::<T>(object, "remove", source, "id"))
}

/// The error of a call on an existing id; EINVAL is looked into.
pub(crate) fn failed_on<T: Handle>(
    object: Object,
    operation: &'static str,
    source: io::Error,
    what: &'static str,
) -> Error {
    let call = Call { object, operation };
    if errno::is(&source, libc::EINVAL) {
        let exists = object.id().is_some_and(|id| !matches!(T::look(id), Err(error) if gone(&error)));
        return call.invalid(source, exists, what);
    }
    call.failed(source)
}

/// What IPC_STAT says when nothing is there: EINVAL for an id that was never given or was removed, EIDRM for one whose
/// place is used again.
pub(crate) fn gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIDRM))
}

/// The error of looking for an id that somebody told us.
pub(crate) fn not_there(object: Object, source: io::Error) -> Error {
    if gone(&source) {
        return Error::NotFound { object, source };
    }
    Call { object, operation: "open" }.failed(source)
}

/// IPC_STAT, or, where the mode does not let us read, the same by `*_STAT_ANY`.
pub(crate) fn status<S>(id: i32, call: impl Fn(By) -> io::Result<(i32, S)>) -> io::Result<S> {
    let refused = match call(By::Id(id)) {
        Err(error) if errno::is(&error, libc::EACCES) => error,
        done => return done.map(|(_, status)| status),
    };
    // The place in the table is the low part of the id: 15 bits, or 24 with the boot parameter ipcmni_extend.
    for bits in [15, 24] {
        match call(By::Index(id & ((1 << bits) - 1))) {
            Ok((found, status)) if found == id => return Ok(status),
            _ => {}
        }
    }
    Err(refused)
}

/// A mode as the lowest nine bits of the flags of semget, msgget and shmget.
pub(crate) fn mode_flags(mode: u32) -> libc::c_int {
    libc::c_int::try_from(mode & 0o777).unwrap_or(0)
}

/// A handle whose object is removed at the end of the scope: by id, and only if it is still the same object.
///
/// # After a crash
/// A process that is killed removes nothing: the object stays, as every System V object does.
///
/// # Fork
/// Dropped in a forked child, it removes nothing.
///
/// # Examples
/// ```
/// use ipc_sysv::{Key, MessageQueue, RemoveOnDrop};
///
/// let queue = RemoveOnDrop::new(MessageQueue::create(Key::PRIVATE)?);
/// queue.verify()?;
/// let handle = MessageQueue::from_id(queue.id())?;
/// drop(queue);
/// assert!(handle.verify().unwrap_err().is_removed());
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
#[derive(Debug)]
pub struct RemoveOnDrop<T: Handle> {
    handle: T,
    armed: bool,
    /// Whose duty it is; `None` where the kernel cannot tell a child (before Linux 4.14).
    mark: Option<ForkMark>,
}

impl<T: Handle> RemoveOnDrop<T> {
    /// Takes the duty to remove `handle`'s object.
    pub fn new(handle: T) -> Self {
        Self { handle, armed: true, mark: ForkMark::new().ok() }
    }

    /// Removes the object now, and says how that went.
    ///
    /// # Errors
    /// As the handle's `remove`.
    pub fn remove(mut self) -> Result<()> {
        self.armed = false;
        remove(&self.handle)
    }

    /// Gives up the duty: the object stays.
    pub fn keep(mut self) -> T {
        self.armed = false;
        self.handle.clone()
    }
}

impl<T: Handle> Deref for RemoveOnDrop<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.handle
    }
}

impl<T: Handle> Drop for RemoveOnDrop<T> {
    fn drop(&mut self) {
        if self.armed && self.mark.is_none_or(|mark| mark.is_ours()) {
            // It may be gone already, and there is nobody to tell.
            let _ = remove(&self.handle);
        }
    }
}
