//! The queue: sending, its state and its end.

use std::io;

use ipc_sys::errno;
use ipc_sys::sysv::{By, queue as sys};
use zerocopy::{Immutable, IntoBytes};

use super::create::MessageQueueOptions;
use super::select::MessageType;
use super::stat::QueueStat;
use crate::error::{Error, Result};
use crate::handle::{self, Handle, sealed::Sealed};
use crate::key::Key;
use crate::object::{Identity, Kind, Object, Origin, Permissions};

/// A queue of messages, each with a type and a body of 0 to msgmax (8192 by default) bytes.
///
/// The handle is a number and an [`Identity`]: cloning it and dropping it cost nothing, removing the queue is
/// [`MessageQueue::remove`]. It may be used by several threads at once.
///
/// # After a crash
/// The queue stays, with every message that was sent and not received; there are no halves of messages.
/// [`queues`](crate::queues()) finds it, [`MessageQueue::remove`] removes it.
///
/// # Fork
/// A forked child may use the handle.
///
/// # Timeouts
/// There is no `send_timeout` and no `recv_timeout`, because the kernel has none: msgsnd and msgrcv end by a message, by
/// a removal or by a signal, and a signal to end them would be taken from the program (its disposition belongs to the whole
/// process). What has a timeout is semtimedop: count the messages in a [`Semaphore`](crate::Semaphore), and the places
/// that are free in another one.
/// ```
/// use std::time::Duration;
/// use ipc_sysv::{Key, MessageBuffer, MessageQueue, MessageType, RemoveOnDrop, Select, SemaphoreSet};
///
/// let queue = RemoveOnDrop::new(MessageQueue::create(Key::PRIVATE)?);
/// let counters = RemoveOnDrop::new(SemaphoreSet::create(Key::PRIVATE, &[0, 16])?);
/// let (waiting, free) = (counters.semaphore(0)?, counters.semaphore(1)?);
///
/// // The sender: a place within a second, or an error.
/// free.acquire_timeout(Duration::from_secs(1))?.consume()?;
/// queue.send(MessageType::ONE, b"hello")?;
/// waiting.add_permits(1)?;
///
/// // The receiver: a message within a second, or an error.
/// let mut buffer = MessageBuffer::new();
/// waiting.acquire_timeout(Duration::from_secs(1))?.consume()?;
/// assert_eq!(queue.recv(Select::Any, &mut buffer)?.body(), b"hello");
/// free.add_permits(1)?;
/// assert!(waiting.acquire_timeout(Duration::from_millis(10)).unwrap_err().is_timed_out());
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
/// Where the other side cannot be changed, a thread of your own that blocks in [`MessageQueue::recv`] and hands over
/// through a `std::sync::mpsc` channel, whose receiver has a timeout, does it; a message of a type of your own ends it.
///
/// # Examples
/// ```
/// use ipc_sysv::{Key, MessageBuffer, MessageQueue, MessageType, RemoveOnDrop, Select};
///
/// let queue = RemoveOnDrop::new(MessageQueue::create(Key::PRIVATE)?);
/// let urgent = MessageType::ONE;
/// let normal = MessageType::new(5).unwrap();
/// queue.send(normal, b"later")?;
/// queue.send(urgent, b"first")?;
///
/// let mut buffer = MessageBuffer::new();
/// let message = queue.recv(Select::LowestUpTo(normal), &mut buffer)?;
/// assert_eq!((message.kind(), message.body()), (urgent, &b"first"[..]));
/// # Ok::<(), ipc_sysv::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageQueue {
    identity: Identity,
}

impl MessageQueue {
    /// msgget(IPC_CREAT | IPC_EXCL), mode 0600: [`MessageQueueOptions::create`].
    ///
    /// # Errors
    /// As [`MessageQueueOptions::create`].
    #[doc(alias = "msgget")]
    pub fn create(key: Key) -> Result<Self> {
        MessageQueueOptions::new().create(key)
    }

    /// msgget of an existing queue, to send and to receive: [`MessageQueueOptions::open`].
    ///
    /// # Errors
    /// As [`MessageQueueOptions::open`].
    pub fn open(key: Key) -> Result<Self> {
        MessageQueueOptions::new().open(key)
    }

    /// msgget(IPC_CREAT), mode 0600: [`MessageQueueOptions::open_or_create`].
    ///
    /// # Errors
    /// As [`MessageQueueOptions::open_or_create`].
    pub fn open_or_create(key: Key) -> Result<(Self, Origin)> {
        MessageQueueOptions::new().open_or_create(key)
    }

    /// The queue with this id, which another process has told us.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL, EIDRM | [`Error::NotFound`] |
    pub fn from_id(id: i32) -> Result<Self> {
        let object = Object::numbered(Kind::MessageQueue, id);
        let status = handle::status(id, sys::status);
        status.map(|status| Self::new(id, &status)).map_err(|source| handle::not_there(object, source))
    }

    pub(super) fn new(id: i32, status: &sys::QueueStatus) -> Self {
        Self { identity: QueueStat::new(id, status).identity }
    }

    /// The id, by which the kernel and other processes know it.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.identity.id
    }

    /// What the handle remembers of its queue.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// msgsnd: puts a message at the end of the queue.
    ///
    /// A body of up to 8192 bytes is put together with its type on the stack; nothing is allocated.
    ///
    /// # Blocking
    /// While the queue is full: as many bytes as [`MessageQueue::max_bytes`](QueueStat::max_bytes), or as many messages.
    /// EINTR is retried.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL (a body over msgmax) | [`Error::TooLong`] |
    /// | EINVAL (the queue is gone) | [`Error::Removed`] |
    /// | EIDRM (while blocked too) | [`Error::Removed`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | ENOMEM | [`Error::LimitReached`] |
    #[doc(alias = "msgsnd")]
    pub fn send(&self, kind: MessageType, body: &[u8]) -> Result<()> {
        errno::retry(|| sys::send(self.id(), kind.get(), body, 0))
            .map_err(|source| self.send_failed(body, source))
    }

    /// msgsnd(IPC_NOWAIT).
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EAGAIN (the queue is full) | [`Error::WouldBlock`] |
    ///
    /// Else as [`MessageQueue::send`].
    pub fn try_send(&self, kind: MessageType, body: &[u8]) -> Result<()> {
        errno::retry(|| sys::send(self.id(), kind.get(), body, libc::IPC_NOWAIT))
            .map_err(|source| self.send_failed(body, source))
    }

    /// msgsnd that gives up at a signal.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINTR (nothing was sent; the kernel never restarts msgsnd, not even with SA_RESTART) | [`Error::Interrupted`] |
    ///
    /// Else as [`MessageQueue::send`].
    pub fn send_interruptible(&self, kind: MessageType, body: &[u8]) -> Result<()> {
        sys::send(self.id(), kind.get(), body, 0).map_err(|source| self.send_failed(body, source))
    }

    /// msgsnd of a value's bytes, as [`Message::value`](crate::Message::value) takes them.
    ///
    /// # Errors
    /// As [`MessageQueue::send`].
    pub fn send_value<T: IntoBytes + Immutable>(&self, kind: MessageType, value: &T) -> Result<()> {
        self.send(kind, value.as_bytes())
    }

    /// msgctl IPC_STAT.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL, EIDRM | [`Error::Removed`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    #[doc(alias = "msgctl")]
    #[doc(alias = "IPC_STAT")]
    pub fn stat(&self) -> Result<QueueStat> {
        self.raw_status().map(|status| QueueStat::new(self.id(), &status))
    }

    /// msgctl IPC_SET of msg_qbytes: how many bytes may wait. It is read and written with owner and mode, so it races with
    /// another process that changes those.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL, EIDRM | [`Error::Removed`] |
    /// | EPERM (neither owner nor creator, or more than msgmnb without CAP_SYS_RESOURCE) | [`Error::PermissionDenied`] |
    pub fn set_max_bytes(&self, max_bytes: u64) -> Result<()> {
        let mut status = self.raw_status()?;
        status.bytes_max = max_bytes;
        self.set(&status)
    }

    /// msgctl IPC_SET: owner and mode. Owner, creator and root may.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL, EIDRM | [`Error::Removed`] |
    /// | EINVAL (a uid or gid of -1) | [`Error::OutOfRange`] |
    /// | EPERM | [`Error::PermissionDenied`] |
    #[doc(alias = "msgctl")]
    #[doc(alias = "IPC_SET")]
    pub fn set_permissions(&self, permissions: Permissions) -> Result<()> {
        let mut status = self.raw_status()?;
        permissions.write_to(&mut status.permissions);
        self.set(&status)
    }

    /// msgctl IPC_STAT: whether the queue that this handle was opened for is still there.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | (it is gone) | [`Error::Removed`] |
    /// | (another queue has its id) | [`Error::Replaced`] |
    pub fn verify(&self) -> Result<()> {
        handle::verify(self, "verify")
    }

    /// msgctl IPC_RMID, after [`MessageQueue::verify`]: removes the queue and what is in it. Whoever waits in it gets
    /// [`Error::Removed`].
    ///
    /// Between the look and the removal another process could remove the queue and create one with the same id: that
    /// takes 65,536 creations, or a write to `/proc/sys/kernel/msg_next_id`.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EPERM (owner, creator and root may) | [`Error::PermissionDenied`] |
    ///
    /// As [`MessageQueue::verify`].
    #[doc(alias = "msgctl")]
    #[doc(alias = "IPC_RMID")]
    pub fn remove(&self) -> Result<()> {
        handle::remove(self)
    }

    fn raw_status(&self) -> Result<sys::QueueStatus> {
        sys::status(By::Id(self.id()))
            .map(|(_, status)| status)
            .map_err(|source| self.failed("IPC_STAT", source))
    }

    fn set(&self, status: &sys::QueueStatus) -> Result<()> {
        sys::set(self.id(), status).map_err(|source| self.failed("IPC_SET", source))
    }

    fn send_failed(&self, body: &[u8], source: io::Error) -> Error {
        if errno::is(&source, libc::EINVAL) {
            let max = sys::limits().map_or(0, |(_, limits)| usize::try_from(limits.message_max).unwrap_or(0));
            if body.len() > max {
                let object = self.identity.object();
                return Error::TooLong { object, operation: "msgsnd", len: Some(body.len()), max, source };
            }
        }
        self.failed("msgsnd", source)
    }

    pub(super) fn failed(&self, operation: &'static str, source: io::Error) -> Error {
        handle::failed_on::<Self>(self.identity.object(), operation, source, "an argument")
    }
}

impl Handle for MessageQueue {
    fn identity(&self) -> Identity {
        self.identity
    }
}

impl Sealed for MessageQueue {
    fn look(id: i32) -> io::Result<Identity> {
        handle::status(id, sys::status).map(|status| QueueStat::new(id, &status).identity)
    }

    fn remove(id: i32) -> io::Result<()> {
        sys::remove(id)
    }
}
