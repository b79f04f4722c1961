//! Messages written and read in place, in memory that was vouched for: the sender's loan, the receiver's borrow.
//!
//! Either is a claim with its owner's mark. A loan that its process died with is passed over, a message that was borrowed
//! goes to another receiver: the others find it within 60 ms. Touching one in a forked child is SIGSEGV, in the child alone.
#![expect(unsafe_code, reason = "a loan is a reference into the mapping")]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::time::Duration;

use ipc_sys::Deadline;

use crate::channel::Payload;
use crate::channel::mpmc::bell::{MESSAGES, ROOM};
use crate::channel::mpmc::{Receiver, Sender};
use crate::memory::{Trusted, Vouched};
use crate::{Error, Result};

/// A message that is being written where it will be read. At first it holds the bytes of some earlier message. [`Loan::commit`]
/// sends it; if it is dropped instead, nothing is sent. Messages sent after it are received only once it is committed or dropped.
#[must_use = "dropped, it is never sent"]
pub struct Loan<'s, T: Payload> {
    sender: &'s mut Sender<T, Vouched>,
    pos: u64,
    place: NonNull<T>,
    committed: bool,
}

/// A message where it was written: nobody else gets it, unless this process dies first. [`Borrow::done`] ends that; if it is
/// dropped before, the message is available to any receiver again within 60 ms.
pub struct Borrow<'r, T: Payload> {
    receiver: &'r mut Receiver<T, Vouched>,
    pos: u64,
    place: NonNull<T>,
    done: bool,
}

impl<T: Payload> Sender<T, Trusted> {
    /// Allows loans.
    ///
    /// # Safety
    /// As [`crate::SharedMemory::trust`]: every process that can write this memory keeps to the protocol of this channel, and
    /// none takes the locks off the descriptors of this crate: one that looked dead with a loan or a borrow out would share its
    /// place with another.
    #[must_use]
    pub unsafe fn trust(self) -> Sender<T, Vouched> {
        self.into_mode()
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

impl<T: Payload> Sender<T, Vouched> {
    /// A place to write the next message in, waiting for one.
    ///
    /// # Blocking
    /// As [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    ///
    /// # After a crash
    /// The others pass the place over: the message was never there.
    pub fn loan(&mut self) -> Result<Loan<'_, T>> {
        let pos = self.claim_within(|| Deadline::NEVER)?;
        Ok(self.lend(pos))
    }

    /// As [`Sender::loan`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Sender::send_timeout`].
    pub fn loan_timeout(&mut self, timeout: Duration) -> Result<Loan<'_, T>> {
        let deadline = Deadline::after(timeout);
        let pos = self.claim_within(|| deadline)?;
        Ok(self.lend(pos))
    }

    /// A place to write the next message in, if there is one now.
    ///
    /// # Errors
    /// As [`Sender::try_send`].
    pub fn try_loan(&mut self) -> Result<Loan<'_, T>> {
        let pos = self.claim_looking()?;
        Ok(self.lend(pos))
    }

    fn lend(&mut self, pos: u64) -> Loan<'_, T> {
        let place = self.member.place(pos);
        Loan { sender: self, pos, place, committed: false }
    }
}

impl<T: Payload> Loan<'_, T> {
    /// Sends the message.
    ///
    /// # Errors
    /// [`Error::TakenAway`]: we looked dead; the message was not sent. [`Error::Forked`].
    pub fn commit(mut self) -> Result<()> {
        self.sender.member.check()?;
        self.committed = true;
        self.sender.commit(self.pos)
    }
}

impl<T: Payload> Deref for Loan<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: shared memory: the place is one slot's payload, aligned for T (`Shape`), mapped while the sender is borrowed,
        // and any bytes are a T. The slot bears our claim, so nobody who keeps to the protocol touches it before `commit`: the
        // caller of `trust` has vouched for that.
        unsafe { self.place.as_ref() }
    }
}

impl<T: Payload> DerefMut for Loan<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the sender is borrowed mutably, so this is the only reference.
        unsafe { self.place.as_mut() }
    }
}

impl<T: Payload> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        let member = &self.sender.member;
        if !self.committed && member.check().is_ok() {
            member.ring.pass_over(self.pos);
            // What stands behind it can be received now, and its place be used again.
            MESSAGES.ring(&member.ring.memory);
            ROOM.ring(&member.ring.memory);
        }
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
    ///
    /// # After a crash
    /// Another receiver gets the message.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> ipc_shm::Result<()> {
    /// use ipc_shm::mpmc;
    ///
    /// let sender = mpmc::Sender::<[u64; 512]>::anonymous(16)?;
    /// let receiver = mpmc::Receiver::<[u64; 512]>::from_fd(sender.share()?)?; // in its own process
    /// // SAFETY: nobody else can open this memory, and both processes run this program.
    /// let mut sender = unsafe { sender.trust() };
    /// // SAFETY: as above.
    /// let mut receiver = unsafe { receiver.trust() };
    ///
    /// let mut message = sender.loan()?;
    /// message.fill(7);
    /// message.commit()?;
    ///
    /// let message = receiver.borrow()?;
    /// assert_eq!(message[511], 7);
    /// message.done()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn borrow(&mut self) -> Result<Borrow<'_, T>> {
        let pos = self.claim_within(|| Deadline::NEVER)?;
        Ok(self.lend(pos))
    }

    /// As [`Receiver::borrow`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv_timeout`].
    pub fn borrow_timeout(&mut self, timeout: Duration) -> Result<Borrow<'_, T>> {
        let deadline = Deadline::after(timeout);
        let pos = self.claim_within(|| deadline)?;
        Ok(self.lend(pos))
    }

    /// The next message in place, if it is there.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`].
    pub fn try_borrow(&mut self) -> Result<Borrow<'_, T>> {
        let pos = self.claim_looking()?;
        Ok(self.lend(pos))
    }

    fn lend(&mut self, pos: u64) -> Borrow<'_, T> {
        let place = self.member.place(pos);
        Borrow { receiver: self, pos, place, done: false }
    }
}

impl<T: Payload> Borrow<'_, T> {
    /// The work is done: nobody else gets the message.
    ///
    /// # Errors
    /// [`Error::TakenAway`]: we looked dead, and another receiver may have it; [`Error::Forked`].
    pub fn done(mut self) -> Result<()> {
        self.receiver.member.check()?;
        self.done = true;
        if self.receiver.release(self.pos) { Ok(()) } else { Err(Error::TakenAway) }
    }
}

impl<T: Payload> Deref for Borrow<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: shared memory: as for a loan; the slot bears our claim, so nobody who keeps to the protocol writes it again
        // before it is given back, by `done` or when this is dropped.
        unsafe { self.place.as_ref() }
    }
}

impl<T: Payload> Drop for Borrow<'_, T> {
    fn drop(&mut self) {
        if !self.done {
            self.receiver.give_back(self.pos);
        }
    }
}

impl<T: Payload + fmt::Debug> fmt::Debug for Loan<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Loan").field(&**self).finish()
    }
}

impl<T: Payload + fmt::Debug> fmt::Debug for Borrow<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Borrow").field(&**self).finish()
    }
}
