//! Several descriptors behind one: an epoll(7) instance, which is readable when one of those is that it holds.
//!
//! It holds the socket of each side that has one, and one ring for all the others. Made by the process that polls; it never
//! leaves that process, and the kernel closes it with its last handle.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::channel::select;
use crate::channel::uring::Uring;
use crate::{Error, Result};

/// What an end with several sides is polled by.
#[derive(Debug)]
pub(crate) struct Gather {
    epoll: Epoll,
    /// Made for the first side that has no socket.
    ring: OnceLock<Uring>,
}

impl Gather {
    /// epoll_create1(EPOLL_CLOEXEC).
    fn new() -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(system("epoll_create1"))?;
        Ok(Self { epoll, ring: OnceLock::new() })
    }

    /// What `place` holds: made at the first call, with the sides that `add` adds.
    ///
    /// # Errors
    /// As [`Gather::add`].
    pub(in crate::channel) fn once(
        place: &OnceLock<Arc<Self>>,
        add: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<Arc<Self>> {
        if let Some(gather) = place.get() {
            return Ok(gather.clone());
        }
        let gather = Self::new()?;
        add(&gather)?;
        Ok(place.get_or_init(|| Arc::new(gather)).clone())
    }

    /// EPOLL_CTL_ADD of whatever a source is polled by.
    ///
    /// # Errors
    /// [`Error::NoUring`]; [`Error::System`] (EMFILE, ENOMEM, ENOSPC).
    pub(in crate::channel) fn add<S: select::Sleeps>(&self, source: &S) -> Result<()> {
        let mut added = Ok(());
        source.descriptors(&mut |descriptor| {
            if added.is_ok() {
                added = match descriptor {
                    Some(descriptor) => self.hold(descriptor),
                    None => self.hold_ring(),
                };
            }
        });
        added
    }

    fn hold(&self, descriptor: BorrowedFd<'_>) -> Result<()> {
        self.epoll.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, 0)).map_err(system("epoll_ctl"))
    }

    fn hold_ring(&self) -> Result<()> {
        if self.ring.get().is_none() {
            let ring = Uring::new()?;
            self.hold(ring.as_fd())?;
            let _ = self.ring.set(ring);
        }
        Ok(())
    }

    /// What waits for the sides that have no socket.
    pub(crate) fn ring(&self) -> Option<&Uring> {
        self.ring.get()
    }

    /// EPOLL_CTL_DEL of the same: a copy of the descriptor in a forked child would keep it in.
    pub(in crate::channel) fn remove<S: select::Sleeps>(&self, source: &S) {
        source.descriptors(&mut |descriptor| {
            // What was never in need not go out.
            let _ = descriptor.map(|descriptor| self.epoll.delete(descriptor));
        });
    }
}

fn system(operation: &'static str) -> impl FnOnce(nix::Error) -> Error {
    move |errno| Error::system(operation, "the channels")(errno.into())
}

impl AsFd for Gather {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}
