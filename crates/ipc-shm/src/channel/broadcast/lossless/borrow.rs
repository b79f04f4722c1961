//! Messages read where they were written, in memory whose writers the caller has vouched for.
//!
//! The cursor moves when the borrow ends, so the writer does not come here before: as long as nobody takes this reader for
//! dead, which is part of the contract.
#![expect(unsafe_code, reason = "a borrow is a reference into the mapping")]

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::time::Duration;

use crate::Result;
use crate::channel::Payload;
use crate::channel::attached::Patience;
use crate::channel::broadcast::lossless::Reader;
use crate::memory::{Trusted, Vouched};

/// A message where it was written. Dropping it counts it as read.
///
/// # After a crash
/// A reader killed with one holds the writer up until it is found dead, as any. Touching one in a forked child is SIGSEGV,
/// in the child alone.
pub struct Borrow<'r, T: Payload> {
    reader: &'r mut Reader<T, Vouched>,
    place: NonNull<T>,
    payload: PhantomData<&'r T>,
}

impl<T: Payload> Reader<T, Trusted> {
    /// Allows borrows.
    ///
    /// # Safety
    /// As [`crate::SharedMemory::trust`]: every process that can write this memory keeps to the protocol of this channel;
    /// and no code of this process closes or unlocks descriptors that are not its own, by which this reader would look dead,
    /// and the writer would go over what is borrowed.
    #[must_use]
    pub unsafe fn trust(self) -> Reader<T, Vouched> {
        self.into_mode()
    }
}

impl<T: Payload> Reader<T, Vouched> {
    /// The next message in place, waiting for one.
    ///
    /// # Blocking
    /// As [`Reader::recv`].
    ///
    /// # Errors
    /// As [`Reader::recv`].
    pub fn borrow(&mut self) -> Result<Borrow<'_, T>> {
        self.message(1, Patience::ENDLESS)?;
        Ok(self.lend())
    }

    /// As [`Reader::borrow`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Reader::recv_timeout`].
    pub fn borrow_timeout(&mut self, timeout: Duration) -> Result<Borrow<'_, T>> {
        self.message(1, Patience::For(timeout))?;
        Ok(self.lend())
    }

    /// The next message in place, if it is there.
    ///
    /// # Errors
    /// As [`Reader::try_recv`].
    pub fn try_borrow(&mut self) -> Result<Borrow<'_, T>> {
        self.message(1, Patience::None)?;
        Ok(self.lend())
    }

    fn lend(&mut self) -> Borrow<'_, T> {
        const { assert!(align_of::<T>() <= 64, "a payload aligned to more than 64 bytes") };
        let place = self.segment().mapping().at(self.seat.reading.offset()).cast();
        Borrow { reader: self, place, payload: PhantomData }
    }
}

impl<T: Payload> Deref for Borrow<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: shared memory: the place is one message, aligned for T (messages begin at a page's beginning and lie a
        // multiple of the size apart), mapped while the reader is borrowed, and any bytes are a T. The caller of `trust` has
        // vouched that the writer does not come here before our cursor has moved, which this borrow's drop does.
        unsafe { self.place.as_ref() }
    }
}

impl<T: Payload> Drop for Borrow<'_, T> {
    fn drop(&mut self) {
        if self.reader.check().is_ok() {
            // That it came too late is for the next call to say.
            let _ = self.reader.seat.reading.advance(1);
        }
    }
}

impl<T: Payload + fmt::Debug> fmt::Debug for Borrow<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Borrow").field(&**self).finish()
    }
}
