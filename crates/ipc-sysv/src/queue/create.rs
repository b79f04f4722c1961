//! Creating and opening a queue: nothing to initialize, hence no race.

use std::io;

use ipc_sys::errno;
use ipc_sys::sysv::queue as sys;

use super::handle::MessageQueue;
use crate::error::{Call, Error, Limit, Result};
use crate::handle;
use crate::key::Key;
use crate::object::{Kind, Object, Origin};

/// How a queue is created or opened.
///
/// # Examples
/// ```
/// use ipc_sysv::{Key, MessageQueueOptions, RemoveOnDrop};
///
/// let queue = RemoveOnDrop::new(MessageQueueOptions::new().mode(0o620).create(Key::PRIVATE)?);
/// assert_eq!(queue.stat()?.permissions.mode, 0o620);
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MessageQueueOptions {
    mode: u32,
}

impl Default for MessageQueueOptions {
    fn default() -> Self {
        Self { mode: 0o600 }
    }
}

impl MessageQueueOptions {
    /// Mode 0600.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The nine permission bits of a new queue, whatever the umask: read is receive, write is send. Of an existing one,
    /// what it must let us do: 0o600, both, is refused where only sending is allowed, 0o200 and 0 are not.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// msgget(IPC_CREAT | IPC_EXCL).
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EEXIST | [`Error::Exists`] |
    /// | ENOSPC (MSGMNI queues) | [`Error::LimitReached`] |
    /// | ENOMEM | [`Error::LimitReached`] |
    /// | (somebody removed the queue at once) | [`Error::Removed`] |
    ///
    /// # After a crash
    /// The queue and its messages stay until somebody removes them.
    pub fn create(&self, key: Key) -> Result<MessageQueue> {
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | handle::mode_flags(self.mode);
        get(key, flags)
    }

    /// msgget of an existing queue.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ENOENT (and for [`Key::PRIVATE`], which leads to nothing) | [`Error::NotFound`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    pub fn open(&self, key: Key) -> Result<MessageQueue> {
        if key.is_private() {
            // To the kernel this would be another word for creating one.
            let object = Object::keyed(Kind::MessageQueue, key);
            return Err(Error::NotFound { object, source: io::Error::from_raw_os_error(libc::ENOENT) });
        }
        get(key, handle::mode_flags(self.mode))
    }

    /// msgget(IPC_CREAT): the queue with this key, made if it is missing, and which of the two happened.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EACCES | [`Error::PermissionDenied`] |
    ///
    /// Else as [`MessageQueueOptions::create`], except EEXIST.
    pub fn open_or_create(&self, key: Key) -> Result<(MessageQueue, Origin)> {
        // Without IPC_EXCL the kernel does not say what it did: try both until one succeeds.
        loop {
            if !key.is_private() {
                match self.open(key) {
                    Err(Error::NotFound { .. }) => {}
                    opened => return opened.map(|queue| (queue, Origin::Opened)),
                }
            }
            match self.create(key) {
                Err(Error::Exists { .. }) => {}
                created => return created.map(|queue| (queue, Origin::Created)),
            }
        }
    }
}

fn get(key: Key, flags: libc::c_int) -> Result<MessageQueue> {
    let object = Object::keyed(Kind::MessageQueue, key);
    let operation = "msgget";
    let id = sys::get(key.number(), flags).map_err(|source| {
        if errno::is(&source, libc::ENOSPC) {
            return Error::LimitReached { object, operation, which: Limit::MessageQueues, source };
        }
        Call { object, operation }.failed(source)
    })?;
    handle::status(id, sys::status).map(|status| MessageQueue::new(id, &status)).map_err(|source| {
        if handle::gone(&source) {
            return Error::Removed { object, operation, source };
        }
        Call { object, operation }.failed(source)
    })
}
