//! Receiving: by type, into a buffer that grows, looking without taking. A message is the kernel's until a call has copied
//! the whole of it; what does not fit stays in the queue.

use std::io;

use ipc_sys::errno;
use ipc_sys::sysv::queue as sys;

use super::buffer::{Message, MessageBuffer};
use super::handle::MessageQueue;
use super::iterate::Messages;
use super::select::Select;
use crate::error::{Error, Result};

impl MessageQueue {
    /// msgrcv: takes the message that has waited longest of those that `select` takes.
    ///
    /// One system call, unless the message is longer than the buffer: then it stays, the buffer grows, and the call is
    /// made again.
    ///
    /// # Blocking
    /// Until there is such a message. EINTR is retried.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EIDRM, EINVAL (the queue is gone; while blocked too) | [`Error::Removed`] |
    /// | E2BIG (at the buffer's limit; the message stays) | [`Error::TooLong`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | ENOMEM | [`Error::LimitReached`] |
    ///
    /// # After a crash
    /// A receiver that is killed has taken the message or has not. If it has, it is lost with it.
    #[doc(alias = "msgrcv")]
    pub fn recv<'a>(&self, select: Select, buffer: &'a mut MessageBuffer) -> Result<Message<'a>> {
        self.recv_with(select, 0, buffer, true)
    }

    /// msgrcv(IPC_NOWAIT).
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ENOMSG (there is no such message) | [`Error::WouldBlock`] |
    ///
    /// Else as [`MessageQueue::recv`].
    pub fn try_recv<'a>(&self, select: Select, buffer: &'a mut MessageBuffer) -> Result<Message<'a>> {
        self.recv_with(select, libc::IPC_NOWAIT, buffer, true)
    }

    /// msgrcv that gives up at a signal.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINTR (nothing was taken; the kernel never restarts msgrcv, not even with SA_RESTART) | [`Error::Interrupted`] |
    ///
    /// Else as [`MessageQueue::recv`].
    pub fn recv_interruptible<'a>(
        &self,
        select: Select,
        buffer: &'a mut MessageBuffer,
    ) -> Result<Message<'a>> {
        self.recv_with(select, 0, buffer, false)
    }

    /// msgrcv(MSG_NOERROR): as [`MessageQueue::recv`], but of a body longer than `max` the rest is lost, and the kernel
    /// does not say so.
    ///
    /// # Errors
    /// As [`MessageQueue::recv`], except E2BIG.
    #[doc(alias = "MSG_NOERROR")]
    pub fn recv_truncated<'a>(
        &self,
        select: Select,
        max: usize,
        buffer: &'a mut MessageBuffer,
    ) -> Result<Message<'a>> {
        let (msgtyp, flags) = select.to_raw();
        let flags = flags | sys::NOERROR;
        let kind = errno::retry(|| sys::recv(self.id(), &mut buffer.bytes, max, msgtyp, flags))
            .map_err(|source| self.failed("msgrcv", source))?;
        Ok(buffer.message(kind, self.identity().object()))
    }

    /// msgrcv(MSG_COPY): a copy of the message at this place, counted from 0 in the order of arrival; `None` when there
    /// are not so many. Nothing is taken.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ENOSYS (a kernel without CONFIG_CHECKPOINT_RESTORE) | [`Error::System`] |
    ///
    /// Else as [`MessageQueue::recv`].
    ///
    /// # Examples
    /// ```
    /// use ipc_sysv::{Key, MessageBuffer, MessageQueue, MessageType, RemoveOnDrop};
    ///
    /// let queue = RemoveOnDrop::new(MessageQueue::create(Key::PRIVATE)?);
    /// queue.send(MessageType::ONE, b"still here")?;
    /// let mut buffer = MessageBuffer::new();
    /// assert_eq!(queue.peek(0, &mut buffer)?.unwrap().body(), b"still here");
    /// assert!(queue.peek(1, &mut buffer)?.is_none());
    /// assert_eq!(queue.stat()?.messages, 1);
    /// # Ok::<(), ipc_sysv::Error>(())
    /// ```
    #[doc(alias = "MSG_COPY")]
    pub fn peek<'a>(&self, index: usize, buffer: &'a mut MessageBuffer) -> Result<Option<Message<'a>>> {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        match self.recv_growing(index, sys::COPY | libc::IPC_NOWAIT, buffer, true) {
            Ok(kind) => Ok(Some(buffer.message(kind, self.identity().object()))),
            Err(Error::WouldBlock { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The messages that `select` takes, as they come, until the queue is removed.
    ///
    /// # Examples
    /// ```
    /// use ipc_sysv::{Key, MessageQueue, MessageType, Select};
    ///
    /// let queue = MessageQueue::create(Key::PRIVATE)?;
    /// queue.send(MessageType::ONE, b"one")?;
    /// queue.send(MessageType::ONE, b"two")?;
    /// for message in queue.messages(Select::Any) {
    ///     let (_, body) = message?;
    ///     if body == b"two" {
    ///         queue.remove()?;
    ///     }
    /// }
    /// # Ok::<(), ipc_sysv::Error>(())
    /// ```
    pub fn messages(&self, select: Select) -> Messages<'_> {
        Messages::new(self, select)
    }

    fn recv_with<'a>(
        &self,
        select: Select,
        flags: libc::c_int,
        buffer: &'a mut MessageBuffer,
        retry: bool,
    ) -> Result<Message<'a>> {
        let (msgtyp, selection) = select.to_raw();
        let kind = self.recv_growing(msgtyp, flags | selection, buffer, retry)?;
        Ok(buffer.message(kind, self.identity().object()))
    }

    /// msgrcv until the buffer is large enough; gives the type.
    fn recv_growing(
        &self,
        msgtyp: i64,
        flags: libc::c_int,
        buffer: &mut MessageBuffer,
        retry: bool,
    ) -> Result<i64> {
        loop {
            let received = sys::recv(self.id(), &mut buffer.bytes, buffer.len, msgtyp, flags);
            match received.as_ref().err().and_then(io::Error::raw_os_error) {
                Some(libc::EINTR) if retry => {}
                Some(libc::E2BIG) if buffer.grow() => {}
                Some(libc::E2BIG) => {
                    let object = self.identity().object();
                    let source = io::Error::from_raw_os_error(libc::E2BIG);
                    return Err(Error::TooLong {
                        object,
                        operation: "msgrcv",
                        len: None,
                        max: buffer.limit,
                        source,
                    });
                }
                _ => return received.map_err(|source| self.failed("msgrcv", source)),
            }
        }
    }
}
