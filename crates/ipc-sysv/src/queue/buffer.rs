//! Where msgrcv puts a message: a buffer that is kept from one receive to the next, and grows when a message is longer.

use std::fmt;
use std::io;

use ipc_sys::sysv::queue::HEADER;
use zerocopy::FromBytes;

use super::select::MessageType;
use crate::error::{Error, Result};
use crate::object::Object;

/// msgmax of a kernel that nobody has told otherwise: a buffer of this size never has to grow there.
const DEFAULT_LEN: usize = 8192;

/// How far a buffer grows by default.
const DEFAULT_LIMIT: usize = 1 << 20;

/// Room for one message. It is allocated at the first receive, never zeroed, and re-used.
///
/// A message longer than the buffer stays in the queue (E2BIG); the buffer is doubled and the call made again, up to a
/// limit that is yours: 1 MiB, unless [`MessageBuffer::limited`].
#[derive(Clone)]
pub struct MessageBuffer {
    /// The type, then the body, as msgrcv writes them.
    pub(super) bytes: Vec<u8>,
    /// The longest body that is received without growing.
    pub(super) len: usize,
    pub(super) limit: usize,
}

impl Default for MessageBuffer {
    fn default() -> Self {
        Self { bytes: Vec::new(), len: DEFAULT_LEN, limit: DEFAULT_LIMIT }
    }
}

impl MessageBuffer {
    /// For bodies up to 8192 bytes, the kernel's default msgmax, growing up to 1 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For bodies up to `len` bytes, growing up to `limit`: a longer one is [`Error::TooLong`] and stays in the queue.
    #[must_use]
    pub fn limited(len: usize, limit: usize) -> Self {
        Self { bytes: Vec::new(), len: len.min(limit), limit }
    }

    /// Makes room for twice as much; false when that is over the limit.
    pub(super) fn grow(&mut self) -> bool {
        let longer = self.len.saturating_mul(2).max(64).min(self.limit);
        let grown = longer > self.len;
        self.len = longer;
        grown
    }

    /// The message that was received last.
    pub(super) fn message(&self, kind: i64, object: Object) -> Message<'_> {
        Message {
            // The kernel lets nobody send another type.
            kind: MessageType::new(kind).unwrap_or_default(),
            body: self.bytes.get(HEADER..).unwrap_or_default(),
            object,
        }
    }
}

impl fmt::Debug for MessageBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MessageBuffer").field("len", &self.len).field("limit", &self.limit).finish()
    }
}

/// A message that was received, in the buffer that it was received into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    kind: MessageType,
    body: &'a [u8],
    object: Object,
}

impl<'a> Message<'a> {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> MessageType {
        self.kind
    }

    /// Its bytes; there may be none.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The body as a value, of a type for which any bytes are one.
    ///
    /// # Errors
    /// A body of another length is [`Error::WrongSize`]; the message is still here.
    ///
    /// # Examples
    /// ```
    /// use ipc_sysv::{Key, MessageBuffer, MessageQueue, MessageType, RemoveOnDrop, Select};
    /// use zerocopy::{FromBytes, Immutable, IntoBytes};
    ///
    /// #[derive(FromBytes, IntoBytes, Immutable)]
    /// #[repr(C)]
    /// struct Order { item: u32, count: u32 }
    ///
    /// let queue = RemoveOnDrop::new(MessageQueue::create(Key::PRIVATE)?);
    /// queue.send_value(MessageType::ONE, &Order { item: 17, count: 3 })?;
    /// let mut buffer = MessageBuffer::new();
    /// let order: Order = queue.recv(Select::Any, &mut buffer)?.value()?;
    /// assert_eq!((order.item, order.count), (17, 3));
    /// # Ok::<(), ipc_sysv::Error>(())
    /// ```
    pub fn value<T: FromBytes>(&self) -> Result<T> {
        T::read_from_bytes(self.body).map_err(|_| Error::WrongSize {
            object: self.object,
            wanted: size_of::<T>(),
            found: self.body.len(),
            source: io::Error::from_raw_os_error(libc::EBADMSG),
        })
    }
}
