//! Ends that are waited for by poll and epoll: by a socket pair beside the memory and a byte in it for a sleep, where the channel
//! was made so, else by a ring of the end's own ([`uring`](crate::channel::uring)).
//!
//! The inviting side makes the pair when the channel is made pollable; one of the two descriptors travels with the
//! invitation. An end polls its own socket and its peer writes a byte into it, once for each time that the end has
//! announced that it polls: no byte, and no system call, for the messages of an end that is awake. A socket pair and not
//! an eventfd, because O_NONBLOCK of an eventfd is shared, and a peer that clears it would block us; here MSG_DONTWAIT is
//! ours.
//!
//! After a crash: the kernel closes a dead peer's socket, which is end of file on ours (POLLIN, POLLHUP), at once. That
//! holds as long as nobody else has a copy of its descriptor: a child that it forked without exec, or a process that the
//! invitation passed through and that kept one. The memory's lock is asked at each wait as everywhere else.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ipc_sys::futex::Wait;
use ipc_sys::socket::{self, message};
use ipc_sys::{Deadline, errno, poll};

use crate::channel::gather::Gather;
use crate::channel::uring::Uring;
use crate::{Error, Refusal, Result};

/// One side's descriptor, and the process at the other side, where it is watched.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    /// Whether the other descriptor of the pair has been closed, all its copies, or the watched process has ended.
    hung_up: AtomicBool,
    /// The peer's pidfd.
    watched: OnceLock<Arc<OwnedFd>>,
}

impl Socket {
    /// socketpair(AF_UNIX, SOCK_STREAM): one descriptor for each side.
    pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd)> {
        socket::pair(libc::SOCK_STREAM).map_err(Error::system("socketpair", "the channel"))
    }

    /// One of a pair that came with an invitation. What is not a stream socket of this machine could do anything when it is
    /// polled.
    pub(crate) fn received(fd: OwnedFd) -> Result<Arc<Self>> {
        let is = |name, wanted| socket::option(&fd, name).is_ok_and(|found| found == wanted);
        let stream = is(libc::SO_DOMAIN, libc::AF_UNIX) && is(libc::SO_TYPE, libc::SOCK_STREAM);
        if !stream || !is(libc::SO_ACCEPTCONN, 0) {
            return Err(Error::refused("the descriptor", Refusal::NotSocket));
        }
        Ok(Self::new(fd))
    }

    /// One of a pair of ours.
    pub(crate) fn new(fd: OwnedFd) -> Arc<Self> {
        Arc::new(Self { fd, hung_up: AtomicBool::new(false), watched: OnceLock::new() })
    }

    /// Makes the other side's descriptor readable. A socket that is full is so already.
    pub(crate) fn signal(&self) -> bool {
        match message::send(&self.fd, &[0], libc::MSG_DONTWAIT) {
            Ok(_) => true,
            Err(error) => !errno::is(&error, libc::ENOBUFS) && !errno::is(&error, libc::ENOMEM),
        }
    }

    /// Takes away what makes our descriptor readable, and finds out whether that was the end; an honest peer has sent a few
    /// bytes at most.
    pub(crate) fn drain(&self) {
        let mut bytes = [0; 64];
        match message::recv(&self.fd, &mut bytes, libc::MSG_DONTWAIT) {
            Err(error) if errno::is(&error, libc::EAGAIN) => {}
            Ok(0) | Err(_) => self.hung_up.store(true, Ordering::Relaxed),
            Ok(_) => {}
        }
        if self.watched.get().is_some_and(has_exited) {
            self.hung_up.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the last [`Socket::drain`] found the end.
    pub(crate) fn hung_up(&self) -> bool {
        self.hung_up.load(Ordering::Relaxed)
    }

    /// The peer's process, to be polled beside the socket.
    pub(crate) fn watch(&self, pidfd: Arc<OwnedFd>) {
        let _ = self.watched.set(pidfd);
    }

    /// The peer's pidfd, if it was given.
    pub(crate) fn watched(&self) -> Option<&OwnedFd> {
        self.watched.get().map(Arc::as_ref)
    }

    /// ppoll(2) of the socket, and of the pidfd where there is one. A wake is `Changed`: whether it had a cause, only the
    /// next look knows.
    pub(crate) fn poll(&self, deadline: Deadline) -> io::Result<Wait> {
        let ready = match self.watched() {
            Some(pidfd) => poll::wait_any([self.fd.as_fd(), pidfd.as_fd()], libc::POLLIN, deadline)?,
            None => poll::wait(&self.fd, libc::POLLIN, deadline)?.is_some(),
        };
        Ok(if ready { Wait::Changed } else { Wait::TimedOut })
    }
}

/// Whether the process of a pidfd has ended.
pub(crate) fn has_exited(process: &Arc<OwnedFd>) -> bool {
    let now = Deadline::after(Duration::ZERO);
    poll::wait(process.as_ref(), libc::POLLIN, now).is_ok_and(|found| found.is_some())
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What an end is polled by.
#[derive(Debug)]
pub(crate) enum Readiness {
    /// Its own socket.
    Socket(Arc<Socket>),
    /// A ring of its own, where it has no socket.
    Ring(Uring),
    /// The sockets of its lanes, and a ring for those without.
    Several(Arc<Gather>),
}

impl Readiness {
    /// The socket of an end, or a new ring in its place.
    pub(in crate::channel) fn of(socket: Option<&Arc<Socket>>) -> Result<Self> {
        match socket {
            Some(socket) => Ok(Self::Socket(socket.clone())),
            None => Uring::new().map(Self::Ring),
        }
    }

    fn ring(&self) -> Option<&Uring> {
        match self {
            Self::Socket(_) => None,
            Self::Ring(ring) => Some(ring),
            Self::Several(gather) => gather.ring(),
        }
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket(socket) => socket.as_fd(),
            Self::Ring(ring) => ring.as_fd(),
            Self::Several(gather) => gather.as_fd(),
        }
    }
}

/// An end of a channel that can be made [`Polled`].
pub trait Pollable: private::Pollable {}

pub(in crate::channel) mod private {
    use super::{Arc, Readiness, Result, Socket, Uring};

    pub trait Pollable {
        /// Its socket, if its channel is pollable.
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "the trait is sealed: who cannot name this type need not")]
        fn socket(&self) -> Option<&Arc<Socket>>;

        /// What it is polled by.
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "as above")]
        fn readiness(&self) -> Result<Readiness> {
            Readiness::of(self.socket())
        }

        /// See [`super::Polled::arm`]; `ring` waits for what has no socket.
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "as above")]
        fn arm(&mut self, ring: Option<&Uring>) -> Result<bool>;
    }
}

/// An end with a descriptor for poll(2), epoll(7) or any event loop.
///
/// Its descriptor is readable when there is something to do: a message for a receiver, room for a sender, or the other
/// side's end. It is meant for level and edge triggered waiting alike, for reading (POLLIN) and nothing else. Before each
/// wait call [`Polled::arm`]; after it, use the end with its `try_` calls until they say
/// [`Empty`](Error::Empty) or [`Full`](Error::Full).
///
/// Any end of any channel will do. That of a [pollable](crate::ChannelOptions::pollable) channel is polled by its socket; any other
/// by an io_uring(7) of its own that waits for the word by which the other side wakes (Linux 6.7), one descriptor and some
/// pages, which no other process has or knows of.
///
/// An end that is not armed costs the other side no system call, whatever the descriptor says.
///
/// # Blocking
/// The calls of the end itself wait as they do without. Where it has no socket, the kernel ends a wait in the context of the
/// thread that called [`Polled::arm`], and interrupts what that sleeps in: poll and ppoll go on, and so does every call of this
/// crate; an epoll_wait of your own says EINTR, though no signal has come, and finds the descriptor readable when it is called
/// again. Whatever never goes on after a signal (semop, say) does so too. If the thread ends, the descriptor becomes readable.
///
/// # After a crash
/// Without a socket: the descriptor becomes readable every 60 ms while the end is armed, for a look at the other side, and a
/// death is told within 100 ms.
///
/// With one, a death is seen at once, as end of file, unless somebody else holds a copy of the dead process's socket: a child
/// that it forked without exec, or the process that passed the invitation on. Poll a pidfd beside it, or wait for at most
/// some 60 ms at a time, where that may be.
///
/// A forked child has a copy of the descriptor, of which [`Polled::arm`] says [`Error::Forked`]; what it does with it
/// does not disturb its parent.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use ipc_shm::{ChannelOptions, Polled, spsc};
/// use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
/// use std::os::fd::AsFd;
///
/// let (sender, receiver) = spsc::channel::<u64>(ChannelOptions::new(16).pollable())?;
/// // Each in its own process:
/// let mut sender = sender.attach()?;
/// let mut receiver = Polled::new(receiver.attach()?)?;
///
/// assert!(receiver.arm()?); // nothing there
/// sender.send(&42)?;
/// poll(&mut [PollFd::new(receiver.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
/// assert_eq!(receiver.try_recv()?, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Polled<E: Pollable> {
    end: E,
    readiness: Readiness,
}

impl<E: Pollable> Polled<E> {
    /// io_uring_setup(2), where this end has no socket; of one with several lanes, an epoll(7) instance that holds the socket of
    /// each and one ring for those without.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOSYS, EPERM, EOPNOTSUPP | [`Error::NoUring`]: there is no socket, and no io_uring here: the kernel is older than 6.7, or it is forbidden, as containers do |
    /// | EOPNOTSUPP | [`Error::NotInvited`]: a sealed reader that the writer does not know of |
    /// | EMFILE, ENOMEM, ENOSPC | [`Error::System`] |
    pub fn new(end: E) -> Result<Self> {
        let readiness = end.readiness()?;
        Ok(Self { end, readiness })
    }

    /// io_uring_enter(2), where this end has no socket: asks for the descriptor to become readable. `true`, wait for it;
    /// `false`, do not: there is something to do now, or the other side is gone, as the next call of the end will say.
    ///
    /// What an earlier wait left in the descriptor is taken out, and one that goes on is cancelled, in the same call. A sender is told of room for a message, one of
    /// [`bytes`](crate::bytes) of room for the message that was last refused; a client, of the answer to any call in flight
    /// and, where its last question found no place, of one.
    ///
    /// # Errors
    /// [`Error::PeerCorrupt`], [`Error::Forked`]; [`Error::System`] (ENOMEM, EAGAIN, where the kernel is short of memory; EFAULT,
    /// where the file under the memory was truncated); [`Error::NoUring`], where io_uring was forbidden since.
    pub fn arm(&mut self) -> Result<bool> {
        self.end.arm(self.readiness.ring())
    }

    /// The pidfd of the process at the other side, if it is watched and there is a socket, to be polled beside that: as readable,
    /// it has ended, and [`Polled::arm`] says so. Where there is none, the looks every 60 ms ask it.
    #[must_use]
    pub fn watched(&self) -> Option<Arc<OwnedFd>> {
        match &self.readiness {
            Readiness::Socket(socket) => socket.watched.get().cloned(),
            // It is polled with the sockets, or looked at every 60 ms.
            Readiness::Several(_) | Readiness::Ring(_) => None,
        }
    }

    /// The end itself.
    #[must_use]
    pub fn into_inner(self) -> E {
        self.end
    }
}

impl<E: Pollable> std::ops::Deref for Polled<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.end
    }
}

impl<E: Pollable> std::ops::DerefMut for Polled<E> {
    fn deref_mut(&mut self) -> &mut E {
        &mut self.end
    }
}

impl<E: Pollable> AsFd for Polled<E> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readiness.as_fd()
    }
}

impl<E: Pollable> AsRawFd for Polled<E> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
