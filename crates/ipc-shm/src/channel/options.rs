//! What a channel is made with.

use crate::channel::link::{NO_BARRIER, POLLABLE};
use crate::memory::segment::Permissions;
use crate::{Error, Result, Tag};

/// How a new channel is made: its capacity, and what else its two ends agree upon. A number alone is a capacity. How an end
/// waits is its own affair: `set_wait`.
#[derive(Debug, Clone, Copy)]
pub struct ChannelOptions {
    capacity: usize,
    pub(crate) permissions: Permissions,
    pub(crate) flags: u64,
    pub(crate) start: u64,
    pub(crate) tag: u64,
}

impl ChannelOptions {
    /// Room for `capacity` messages, a power of two from 16 on (of [`bytes`](crate::bytes), for so many bytes, a power of two
    /// from 1024 on); mode 0600, no tag.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, permissions: Permissions(0o600), flags: 0, start: 0, tag: 0 }
    }

    /// fchmod: who may open a name, in octal, whatever the umask says.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.permissions = Permissions(mode & 0o777);
        self
    }

    /// What tells messages of the same size and alignment apart: the other end must name the same tag
    /// ([`spsc::Sender::open_with`](crate::spsc::Sender::open_with), [`Invitation::tag`](crate::Invitation::tag)), or is
    /// refused ([`Refusal::Tag`](crate::Refusal::Tag)).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> ipc_shm::Result<()> {
    /// use ipc_shm::{ChannelOptions, Error, MemoryOptions, Refusal, spsc};
    ///
    /// let name = format!("/ipc-shm-tag-{}", std::process::id());
    /// let sender = spsc::Sender::<u64>::create(&name, ChannelOptions::new(64).tag("millimetres"))?;
    /// let inches = spsc::Receiver::<u64>::open_with(&name, &MemoryOptions::new().tag("inches"));
    /// assert!(matches!(inches, Err(Error::Refused { reason: Refusal::Tag { .. }, .. })));
    /// spsc::Receiver::<u64>::open_with(&name, &MemoryOptions::new().tag("millimetres"))?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tag = tag.into().number();
        self
    }

    /// Never interrupts the other side's CPU by membarrier: each message costs a fence instead. For isolated CPUs.
    /// [`mpmc`](crate::mpmc) never does, whatever is asked for.
    #[must_use]
    pub fn without_barrier(mut self) -> Self {
        self.flags |= NO_BARRIER;
        self
    }

    /// socketpair(2): ends that are polled see the other side's death at once, and not at a look every 60 ms; they need no
    /// io_uring ([`Polled`](crate::Polled), tokio), and a blocking call can wait by [`Wait::Poll`](crate::Wait). One socket for each
    /// end travels beside the memory, so a channel with a name cannot be pollable, nor one whose ends any number may take.
    #[must_use]
    pub fn pollable(mut self) -> Self {
        self.flags |= POLLABLE;
        self
    }

    /// Where positions begin: tests start just below 2^32 and 2^64.
    #[doc(hidden)]
    #[must_use]
    pub fn start(mut self, start: u64) -> Self {
        self.start = start;
        self
    }

    /// The same, of a capacity in bytes.
    pub(crate) fn in_blocks_of(mut self, block: usize) -> Result<Self> {
        let bytes = self.capacity;
        if bytes < 16 * block || !bytes.is_power_of_two() {
            return Err(Error::InvalidParameter {
                what: "the capacity",
                value: bytes as u64,
                reason: "it is a power of two from 1024 bytes on",
            });
        }
        self.capacity = bytes / block;
        Ok(self)
    }

    /// The capacity, checked.
    pub(crate) fn capacity(&self) -> Result<u64> {
        check_capacity(self.capacity as u64)
    }
}

impl From<usize> for ChannelOptions {
    fn from(capacity: usize) -> Self {
        Self::new(capacity)
    }
}

/// A power of two, at least 16: fewer cost a cache line's round trip per message.
pub(crate) fn check_capacity(capacity: u64) -> Result<u64> {
    let refuse = |reason| Err(Error::InvalidParameter { what: "the capacity", value: capacity, reason });
    match capacity {
        few if few < 16 => refuse("a channel holds at least 16 messages"),
        odd if !odd.is_power_of_two() => refuse("it is not a power of two"),
        many if many > 1 << 40 => refuse("it does not fit in the address space"),
        usable => Ok(usable),
    }
}
