//! How two processes come to hold the two ends of a channel of ipc-shm.

use std::os::fd::OwnedFd;

use ipc_shm::{End, Invitation, Offer};

use crate::cell::{self, Cell};
use crate::meet::Meet;

/// How many messages a ring holds: a MiB, but 16 at least and 1024 at most.
pub(crate) fn capacity(cell: &Cell) -> usize {
    ((1 << 20) / cell.payload).clamp(16, 1024)
}

pub(crate) fn waits(cell: &Cell) -> ipc_shm::Wait {
    match cell.wait {
        cell::Wait::Spin => ipc_shm::Wait::Spin,
        cell::Wait::Park | cell::Wait::Block => ipc_shm::Wait::Park,
    }
}

/// Sends the invitation and completes the offer.
pub(crate) fn offered<E: End, O: End>(meet: &mut Meet, (offer, invitation): (Offer<E>, Invitation<O>)) -> E {
    meet.give(b"invitation", invitation);
    offer.complete(meet.take().1.try_into().unwrap()).unwrap()
}

/// Accepts the other side's invitation.
pub(crate) fn invited<E: End>(meet: &mut Meet) -> E
where
    Invitation<E>: TryFrom<Vec<OwnedFd>, Error: std::fmt::Debug>,
{
    let invitation: Invitation<E> = meet.take().1.try_into().unwrap();
    let (end, acceptance) = invitation.accept().unwrap();
    meet.give(b"acceptance", acceptance);
    end
}
