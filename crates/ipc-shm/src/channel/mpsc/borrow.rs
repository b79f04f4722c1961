//! Messages read where their senders wrote them, in lanes that were vouched for.

use std::time::Duration;

use ipc_sys::Deadline;

use crate::channel::Payload;
use crate::channel::mpsc::Receiver;
use crate::channel::select::{self, private::Source};
use crate::channel::spsc::Borrow;
use crate::memory::Vouched;
use crate::{Error, Result};

impl<T: Payload> Receiver<T, Vouched> {
    /// The next message of any lane in place, waiting for one.
    ///
    /// # Blocking
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> ipc_shm::Result<()> {
    /// use ipc_shm::{mpsc, spsc};
    ///
    /// let mut receiver = mpsc::Receiver::new();
    /// let (sender, lane) = spsc::channel::<[u64; 512]>(16)?;
    /// // SAFETY: nobody else can open this memory, and both processes run this program.
    /// receiver.admit(unsafe { lane.attach()?.trust() })?;
    /// // SAFETY: as above.
    /// let mut sender = unsafe { sender.attach()?.trust() }; // in its own process
    ///
    /// let mut message = sender.loan()?;
    /// message.fill(7);
    /// message.commit();
    ///
    /// let message = receiver.borrow()?;
    /// assert_eq!(message[511], 7);
    /// drop(message);
    /// # Ok(())
    /// # }
    /// ```
    pub fn borrow(&mut self) -> Result<Borrow<'_, T>> {
        self.borrow_until(Deadline::NEVER)
    }

    /// As [`Receiver::borrow`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv_timeout`].
    pub fn borrow_timeout(&mut self, timeout: Duration) -> Result<Borrow<'_, T>> {
        self.borrow_until(Deadline::after(timeout))
    }

    /// The next message of any lane in place, if there is one.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`].
    pub fn try_borrow(&mut self) -> Result<Borrow<'_, T>> {
        let found = self.full_lane().map_or_else(|| self.look_for_full_lane(), Ok);
        self.lend(found?)
    }

    fn borrow_until(&mut self, deadline: Deadline) -> Result<Borrow<'_, T>> {
        let how = self.wait;
        let found = select::until(self, how, deadline, Self::full_lane, Self::look_for_full_lane)?;
        self.lend(found)
    }

    fn lend(&mut self, index: usize) -> Result<Borrow<'_, T>> {
        // The lane behind this one comes first next time.
        self.first = index + 1;
        self.lanes.get_mut(index).ok_or(Error::Empty)?.receiver.try_borrow()
    }

    /// The next lane that has a message by the cheapest look.
    fn full_lane(&mut self) -> Option<usize> {
        let mut turns = select::round(self.first, self.lanes.len());
        turns.find(|index| self.lanes.get_mut(*index).is_some_and(|lane| lane.receiver.has_message()))
    }

    /// The same by closer looks, in which lanes end.
    fn look_for_full_lane(&mut self) -> Result<usize> {
        while Source::look(self)? {
            if let Some(index) = self.full_lane() {
                return Ok(index);
            }
        }
        Err(Error::Empty)
    }
}
