//! The one door to references into memory that other processes may write.
#![expect(unsafe_code, reason = "trust is an unsafe function: its caller vouches for the other writers")]

use std::ptr::NonNull;

use crate::memory::{SharedMemory, Trusted, Vouched};

impl SharedMemory<Trusted> {
    /// Allows references into this memory: the only door to them.
    ///
    /// # Safety
    /// As long as references made through the result live, every process that can write this memory must keep to the
    /// protocol of what lies in it: it writes through this library only, never frees or truncates the memory, and never
    /// writes what one of us has borrowed. In practice: every process that can open it runs code that you would link.
    #[must_use]
    pub unsafe fn trust(self) -> SharedMemory<Vouched> {
        SharedMemory::new(self.segment)
    }
}

impl SharedMemory<Vouched> {
    /// Where the bytes begin: aligned to 4096, valid for [`SharedMemory::len`] bytes while this handle lives. What may be
    /// done with it is the contract of [`SharedMemory::trust`].
    #[must_use]
    pub fn as_ptr(&self) -> NonNull<u8> {
        self.segment.payload()
    }
}
