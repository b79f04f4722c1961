//! Messages written and read in place: the sender's loan, the receiver's borrow.
//!
//! As in [`spsc`](crate::spsc): the loan is sound in sealed memory, which nobody else can write, and in memory that was
//! vouched for; the borrow only in the latter. Loaned and not committed is never sent.
#![expect(unsafe_code, reason = "a loan is a reference into the mapping")]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;
use std::time::Duration;

use ipc_sys::Deadline;

use crate::Result;
use crate::channel::attached::Patience;
use crate::channel::bytes::block::{self, HEAD, blocks};
use crate::channel::bytes::{Receiver, Sender};
use crate::channel::spsc::Lends;
use crate::memory::{Trusted, Vouched};

/// A message that is being written where it will be read. At first it holds some earlier bytes. [`Loan::commit`] sends it; if it
/// is dropped instead, nothing is sent.
///
/// # After a crash
/// A loan that was not committed leaves nothing. Touching one in a forked child is SIGSEGV, in the child alone.
pub struct Loan<'s, M: Lends> {
    sender: &'s mut Sender<M>,
    place: NonNull<u8>,
    len: usize,
    /// How many blocks before it are passed over.
    pad: u64,
}

/// A message where it was written. Dropping it counts it as read.
pub struct Borrow<'r> {
    receiver: &'r mut Receiver<Vouched>,
    place: NonNull<u8>,
    len: usize,
    blocks: u64,
}

impl Sender<Trusted> {
    /// Allows loans.
    ///
    /// # Safety
    /// As [`crate::SharedMemory::trust`]: every process that can write this memory keeps to the protocol of this channel.
    #[must_use]
    pub unsafe fn trust(self) -> Sender<Vouched> {
        self.into_mode()
    }
}

impl<M: Lends> Sender<M> {
    /// A place to write the next message in, of at most `len` bytes, waiting for one.
    ///
    /// # Blocking
    /// As [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> ipc_shm::Result<()> {
    /// use ipc_shm::{Sealed, bytes};
    ///
    /// let (offer, invitation) = bytes::Sender::<Sealed>::offer(4096)?;
    /// let (mut receiver, acceptance) = invitation.accept()?; // in the other process
    /// let mut sender = offer.complete(acceptance)?;
    /// let mut loan = sender.loan(1000)?;
    /// loan[..5].copy_from_slice(b"hello");
    /// loan.truncate(5);
    /// loan.commit();
    /// let mut message = Vec::new();
    /// receiver.recv(&mut message)?;
    /// assert_eq!(message, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn loan(&mut self, len: usize) -> Result<Loan<'_, M>> {
        let wanted = self.wanted(len)?;
        let pad = self.room(wanted, Patience::ENDLESS)?;
        Ok(self.lend(len, pad))
    }

    /// As [`Sender::loan`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Sender::send_timeout`].
    pub fn loan_timeout(&mut self, len: usize, timeout: Duration) -> Result<Loan<'_, M>> {
        let wanted = self.wanted(len)?;
        let pad = self.room(wanted, Patience::Until(Deadline::after(timeout)))?;
        Ok(self.lend(len, pad))
    }

    /// A place to write the next message in, of at most `len` bytes, if there is one now.
    ///
    /// # Errors
    /// As [`Sender::try_send`].
    pub fn try_loan(&mut self, len: usize) -> Result<Loan<'_, M>> {
        let wanted = self.wanted(len)?;
        let pad = self.room(wanted, Patience::None)?;
        Ok(self.lend(len, pad))
    }

    fn lend(&mut self, len: usize, pad: u64) -> Loan<'_, M> {
        let place = self.ring.end.ring.row_offset(pad) + HEAD;
        let place = self.ring.end.link.own.segment().mapping().at(place);
        Loan { sender: self, place, len, pad }
    }
}

impl<M: Lends> Loan<'_, M> {
    /// Shortens the message to its first `len` bytes.
    ///
    /// # Panics
    /// Where it is not that long.
    pub fn truncate(&mut self, len: usize) {
        assert!(len <= self.len, "a loan of {} bytes has no first {len}", self.len);
        self.len = len;
    }

    /// Sends the message.
    pub fn commit(self) {
        let Self { sender, len, pad, .. } = self;
        // It fitted when it was loaned.
        let Some(blocks) = blocks(len as u64) else { return };
        block::write_len(&sender.ring.end.ring, pad, len as u64);
        sender.publish(pad, blocks, 1);
    }
}

impl<M: Lends> Deref for Loan<'_, M> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: shared memory: `room` made sure of `len` bytes in a row behind a message's head, mapped while the sender
        // is borrowed. Nobody else writes them: the seals forbid it, or the caller of `trust` has vouched for it; the
        // receiver reads them only after `commit`.
        unsafe { slice::from_raw_parts(self.place.as_ptr(), self.len) }
    }
}

impl<M: Lends> DerefMut for Loan<'_, M> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the sender is borrowed mutably, so this is the only reference.
        unsafe { slice::from_raw_parts_mut(self.place.as_ptr(), self.len) }
    }
}

impl Receiver<Trusted> {
    /// Allows borrows.
    ///
    /// # Safety
    /// As [`Sender::trust`].
    #[must_use]
    pub unsafe fn trust(self) -> Receiver<Vouched> {
        self.into_mode()
    }
}

impl Receiver<Vouched> {
    /// The next message in place, waiting for one.
    ///
    /// # Blocking
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn borrow(&mut self) -> Result<Borrow<'_>> {
        let (len, blocks) = self.next(Patience::ENDLESS)?;
        Ok(self.lend(len, blocks))
    }

    /// As [`Receiver::borrow`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv_timeout`].
    pub fn borrow_timeout(&mut self, timeout: Duration) -> Result<Borrow<'_>> {
        let (len, blocks) = self.next(Patience::Until(Deadline::after(timeout)))?;
        Ok(self.lend(len, blocks))
    }

    /// The next message in place, if it is there.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`].
    pub fn try_borrow(&mut self) -> Result<Borrow<'_>> {
        let (len, blocks) = self.next(Patience::None)?;
        Ok(self.lend(len, blocks))
    }

    fn lend(&mut self, len: usize, blocks: u64) -> Borrow<'_> {
        let place = self.ring.end.ring.next_payload_offset() + HEAD;
        let place = self.ring.end.link.peer.segment().mapping().at(place);
        Borrow { receiver: self, place, len, blocks }
    }
}

impl Deref for Borrow<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: shared memory: `next` made sure that the message lies in a row within the ring, which stays mapped while
        // the receiver is borrowed; the caller of `trust` has vouched that the sender does not write it again before it is
        // given back, which is when this borrow is dropped.
        unsafe { slice::from_raw_parts(self.place.as_ptr(), self.len) }
    }
}

impl Drop for Borrow<'_> {
    fn drop(&mut self) {
        if self.receiver.ring.end.check().is_ok() {
            self.receiver.advance(self.blocks);
        }
    }
}

impl<M: Lends> fmt::Debug for Loan<'_, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Loan").field("len", &self.len).finish_non_exhaustive()
    }
}

impl fmt::Debug for Borrow<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Borrow").field("len", &self.len).finish_non_exhaustive()
    }
}
