//! Messages written and read in place: the sender's loan, the receiver's borrow.
//!
//! The sender's loan is sound in sealed memory, which nobody else can write, and in memory that was vouched for; the
//! receiver's borrow only in the latter. Loaned and not committed is never sent.
#![expect(unsafe_code, reason = "a loan is a reference into the mapping")]

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::time::Duration;

use crate::Result;
use crate::channel::Payload;
use crate::channel::attached::Patience;
use crate::channel::spsc::{Receiver, Sender};
use crate::memory::{Mode, Sealed, Trusted, Vouched};

/// A mode in which nobody else writes what the sender has loaned: [`Sealed`] or [`Vouched`].
pub trait Lends: Mode {}

impl Lends for Sealed {}
impl Lends for Vouched {}

/// A message that is being written where it will be read. At first it holds the bytes of some earlier message. [`Loan::commit`]
/// sends it; if it is dropped instead, nothing is sent.
///
/// # After a crash
/// A loan that was not committed leaves nothing. Touching one in a forked child is SIGSEGV, in the child alone.
pub struct Loan<'s, T: Payload, M: Lends> {
    sender: &'s mut Sender<T, M>,
    place: NonNull<T>,
}

/// A message where it was written. Dropping it counts it as read.
pub struct Borrow<'r, T: Payload> {
    receiver: &'r mut Receiver<T, Vouched>,
    place: NonNull<T>,
    payload: PhantomData<&'r T>,
}

impl<T: Payload> Sender<T, Trusted> {
    /// Allows loans.
    ///
    /// # Safety
    /// As [`crate::SharedMemory::trust`]: every process that can write this memory keeps to the protocol of this channel.
    #[must_use]
    pub unsafe fn trust(self) -> Sender<T, Vouched> {
        self.into_mode()
    }
}

impl<T: Payload, M: Lends> Sender<T, M> {
    /// A place to write the next message in, waiting for one.
    ///
    /// # Blocking
    /// As [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub fn loan(&mut self) -> Result<Loan<'_, T, M>> {
        self.room(1, Patience::ENDLESS)?;
        Ok(self.lend())
    }

    /// As [`Sender::loan`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Sender::send_timeout`].
    pub fn loan_timeout(&mut self, timeout: Duration) -> Result<Loan<'_, T, M>> {
        self.room(1, Patience::For(timeout))?;
        Ok(self.lend())
    }

    /// A place to write the next message in, if there is one now.
    ///
    /// # Errors
    /// As [`Sender::try_send`].
    pub fn try_loan(&mut self) -> Result<Loan<'_, T, M>> {
        self.room(1, Patience::None)?;
        Ok(self.lend())
    }

    fn lend(&mut self) -> Loan<'_, T, M> {
        let place = self.end.ring.next_payload_offset();
        let place = self.end.link.own.segment().mapping().at(place).cast();
        Loan { sender: self, place }
    }
}

impl<T: Payload, M: Lends> Loan<'_, T, M> {
    /// Sends the message.
    pub fn commit(self) {
        self.sender.publish(1);
    }
}

impl<T: Payload, M: Lends> Deref for Loan<'_, T, M> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: shared memory: the place is one slot's payload, aligned for T (`Shape`), mapped while the sender is
        // borrowed, and any bytes are a T. Nobody else writes it: the seals forbid it, or the caller of `trust` has
        // vouched for it; the receiver reads it only after `commit`.
        unsafe { self.place.as_ref() }
    }
}

impl<T: Payload, M: Lends> DerefMut for Loan<'_, T, M> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the sender is borrowed mutably, so this is the only reference.
        unsafe { self.place.as_mut() }
    }
}

impl<T: Payload> Receiver<T, Trusted> {
    /// Allows borrows.
    ///
    /// # Safety
    /// As [`Sender::trust`].
    #[must_use]
    pub unsafe fn trust(self) -> Receiver<T, Vouched> {
        self.into_mode()
    }
}

impl<T: Payload> Receiver<T, Vouched> {
    /// The next message in place, waiting for one.
    ///
    /// # Blocking
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn borrow(&mut self) -> Result<Borrow<'_, T>> {
        self.message(Patience::ENDLESS)?;
        Ok(self.lend())
    }

    /// As [`Receiver::borrow`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv_timeout`].
    pub fn borrow_timeout(&mut self, timeout: Duration) -> Result<Borrow<'_, T>> {
        self.message(Patience::For(timeout))?;
        Ok(self.lend())
    }

    /// The next message in place, if it is there.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`].
    pub fn try_borrow(&mut self) -> Result<Borrow<'_, T>> {
        self.message(Patience::None)?;
        Ok(self.lend())
    }

    fn lend(&mut self) -> Borrow<'_, T> {
        let place = self.end.ring.next_payload_offset();
        let place = self.end.link.peer.segment().mapping().at(place).cast();
        Borrow { receiver: self, place, payload: PhantomData }
    }
}

impl<T: Payload> Deref for Borrow<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: shared memory: as for a loan; the caller of `trust` has vouched that the sender does not write the slot
        // again before it is given back, which is when this borrow is dropped.
        unsafe { self.place.as_ref() }
    }
}

impl<T: Payload> Drop for Borrow<'_, T> {
    fn drop(&mut self) {
        if self.receiver.end.check().is_ok() {
            self.receiver.advance(1);
        }
    }
}

impl<T: Payload + fmt::Debug, M: Lends> fmt::Debug for Loan<'_, T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Loan").field(&**self).finish()
    }
}

impl<T: Payload + fmt::Debug> fmt::Debug for Borrow<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Borrow").field(&**self).finish()
    }
}
