//! Receiving: the next message of the lanes in turn, or all that they hold.

use std::time::Duration;

use ipc_sys::Deadline;

use crate::channel::Payload;
#[cfg(doc)]
use crate::channel::Wait;
use crate::channel::mpsc::Receiver;
use crate::channel::select::{self, private::Source};
use crate::memory::Mode;
use crate::{Error, Result};

impl<T: Payload, M: Mode> Receiver<T, M> {
    /// Receives the next message of any lane, waiting for one.
    ///
    /// # Blocking
    /// Until a message comes or the last lane has ended; a signal does not end it. It sleeps by futex_waitv (Linux 5.16);
    /// where that is missing, [`Wait::Spin`] waits, and [`Wait::Poll`] over pollable lanes.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EPIPE | [`Error::Disconnected`]: there is no lane, or none any more |
    /// | ENOSYS | [`Error::System`]: no futex_waitv |
    /// | | [`Error::Forked`] |
    #[inline]
    pub fn recv(&mut self) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.recv_until(Deadline::NEVER),
        }
    }

    /// As [`Receiver::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and as [`Receiver::recv`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.recv_until(Deadline::after(timeout)),
        }
    }

    /// Receives the next message of any lane, if there is one.
    ///
    /// # Errors
    /// [`Error::Empty`], and as [`Receiver::recv`].
    pub fn try_recv(&mut self) -> Result<T> {
        match self.next() {
            Some(message) => Ok(message),
            None => self.look(),
        }
    }

    /// Receives what is there, lane after lane, as much as `buffer` holds, and says how many. The messages of one lane come in
    /// order; the next call begins with the lane behind the last one that had any.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`]; [`Error::Empty`] where there was nothing.
    pub fn try_recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.recv_batch_by(buffer, Self::try_recv)
    }

    /// As [`Receiver::try_recv_batch`], waiting for the first message.
    ///
    /// # Blocking
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn recv_batch(&mut self, buffer: &mut [T]) -> Result<usize> {
        self.recv_batch_by(buffer, Self::recv)
    }

    /// As [`Receiver::recv_batch`], waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv_timeout`].
    pub fn recv_batch_timeout(&mut self, buffer: &mut [T], timeout: Duration) -> Result<usize> {
        self.recv_batch_by(buffer, |receiver| receiver.recv_timeout(timeout))
    }

    fn recv_batch_by(
        &mut self,
        buffer: &mut [T],
        recv: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<usize> {
        let count = self.fill(buffer);
        match buffer.split_first_mut() {
            Some((first, rest)) if count == 0 => {
                *first = recv(self)?;
                Ok(1 + self.fill(rest))
            }
            _ => Ok(count),
        }
    }

    /// One round of the cheapest look, at all that each lane has: what is wrong with one is for a closer look to say.
    fn fill(&mut self, buffer: &mut [T]) -> usize {
        let mut filled = 0;
        for turn in select::round(self.first, self.lanes.len()) {
            let Some(free @ [_, ..]) = buffer.get_mut(filled..) else { break };
            let Some(lane) = self.lanes.get_mut(turn) else { break };
            let count = lane.receiver.fill(free).unwrap_or(0);
            if count != 0 {
                filled += count;
                self.first = turn + 1;
            }
        }
        filled
    }

    /// One round of the cheapest look.
    #[inline]
    fn next(&mut self) -> Option<T> {
        let lanes = self.lanes.as_mut_slice();
        let mut turn = self.first;
        for _ in 0..lanes.len() {
            turn = if turn < lanes.len() { turn } else { 0 };
            let found = lanes.get_mut(turn)?.receiver.next();
            turn += 1;
            if found.is_some() {
                // The lane behind the one that had a message comes first next time.
                self.first = turn;
                return found;
            }
        }
        None
    }

    /// One round of closer looks, in which lanes end.
    #[cold]
    fn look(&mut self) -> Result<T> {
        while Source::look(self)? {
            if let Some(message) = self.next() {
                return Ok(message);
            }
        }
        Err(Error::Empty)
    }

    fn recv_until(&mut self, deadline: Deadline) -> Result<T> {
        let how = self.wait;
        select::until(self, how, deadline, Self::next, Self::look)
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use std::fmt;

    use super::*;
    use crate::channel::spsc;

    #[test]
    fn a_message_of_any_size_is_found_by_the_look_that_a_spinning_receiver_repeats() {
        fn check<T: Payload + Copy + PartialEq + fmt::Debug>(message: T) {
            let mut receiver = Receiver::new();
            let mut senders = Vec::new();
            for _ in 0..2 {
                let (sender, lane) = spsc::channel::<T>(16).unwrap();
                receiver.admit(lane.attach().unwrap()).unwrap();
                senders.push(sender.attach().unwrap());
            }
            for turn in 0..40 {
                assert_eq!(receiver.next(), None);
                senders[turn % 2].send(&message).unwrap();
                assert_eq!(receiver.next(), Some(message), "{} bytes, message {turn}", size_of::<T>());
            }
        }
        check(7_u64);
        check([7_u64; 7]);
        check([7_u64; 8]);
        check([7_u64; 512]);
    }
}
