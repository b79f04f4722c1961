//! Sockets that systemd, or whoever speaks its protocol, has opened for us: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES in the
//! environment, descriptors from 3 on.
//!
//! The service manager made them and keeps them: their names are its to remove, connections wait in them while we are
//! restarted, and a stop must not shut them down.

use std::env;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use ipc_sys::socket;

use crate::{Connection, Datagram, Error, Listener, Result};

/// A socket that was handed to this process when it was started.
#[derive(Debug)]
pub struct Activated {
    fd: OwnedFd,
    name: Option<String>,
}

/// sd_listen_fds(3): takes the sockets that this process was started with, in the order of the unit's configuration; none
/// when there is nothing for this process.
///
/// Call it first in `main`, while there is one thread. It makes them close-on-exec and removes the variables from the
/// environment, so that no child believes that they are meant for it. Variables for another process (LISTEN_PID) are left
/// as they are.
///
/// A descriptor that is close-on-exec already cannot have been handed over: it is one of this program's own, and nothing is taken.
///
/// # Errors
/// Variables that make no sense, a descriptor that is not open or our own, a second thread or a second call, no /proc →
/// [`Error::Activation`].
///
/// # Examples
/// ```no_run
/// use ipc_uds::{Listener, Server, Stream, activated};
///
/// let listener: Listener = match activated()?.into_iter().next() {
///     Some(socket) => socket.into_listener()?,
///     None => Listener::bind("/run/x.socket")?,
/// };
/// Server::new(listener).serve(|_client: &Stream| Ok(()))?;
/// # Ok::<(), ipc_uds::Error>(())
/// ```
#[doc(alias = "sd_listen_fds")]
#[doc(alias = "LISTEN_FDS")]
pub fn activated() -> Result<Vec<Activated>> {
    const MAX: RawFd = 4096;
    const REFUSED: fn(&'static str) -> Error = |reason| Error::Activation { reason };
    let Some(count) = env::var_os("LISTEN_FDS") else { return Ok(Vec::new()) };
    let is_ours = env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    if !is_ours {
        return Ok(Vec::new());
    }
    let count =
        count.to_str().and_then(|text| text.parse::<RawFd>().ok()).filter(|count| (0..=MAX).contains(count));
    let count = count.ok_or_else(|| REFUSED("LISTEN_FDS is no number of descriptors"))?;
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(|name| (!matches!(name, "" | "unknown")).then(|| name.to_owned()));
    let taken = socket::inherited::take(count, &["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"])
        .map_err(|source| match source.raw_os_error() {
            Some(libc::EBADF) => REFUSED("a descriptor of LISTEN_FDS is not open"),
            Some(libc::EBUSY) => REFUSED("a descriptor of LISTEN_FDS was opened by this program"),
            _ => REFUSED("/proc, which counts our threads, is not mounted"),
        })?
        .ok_or_else(|| REFUSED("activated() is called once, before there is a second thread"))?;
    Ok(taken.into_iter().map(|fd| Activated { fd, name: names.next().flatten() }).collect())
}

impl Activated {
    /// FileDescriptorName= of the unit, if it says one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// A Unix socket of this type that listens.
    ///
    /// # Errors
    /// Anything else → [`Error::Activation`]; it is closed.
    pub fn into_listener<S: Connection>(self) -> Result<Listener<S>> {
        self.check(&[libc::AF_UNIX], S::KIND, true)?;
        Ok(self.fd.into())
    }

    /// A Unix datagram socket.
    ///
    /// # Errors
    /// Anything else → [`Error::Activation`]; it is closed.
    pub fn into_datagram(self) -> Result<Datagram> {
        self.check(&[libc::AF_UNIX], libc::SOCK_DGRAM, false)?;
        Ok(self.fd.into())
    }

    /// A TCP socket that listens.
    ///
    /// # Errors
    /// Anything else → [`Error::Activation`]; it is closed.
    pub fn into_tcp_listener(self) -> Result<TcpListener> {
        self.check(&[libc::AF_INET, libc::AF_INET6], libc::SOCK_STREAM, true)?;
        Ok(self.fd.into())
    }

    fn check(&self, families: &[libc::c_int], kind: libc::c_int, listens: bool) -> Result<()> {
        let is = |name| {
            socket::option(&self.fd, name).map_err(|_| Error::Activation { reason: "it is no socket" })
        };
        if !families.contains(&is(libc::SO_DOMAIN)?) {
            return Err(Error::Activation { reason: "it is a socket of another family" });
        }
        if is(libc::SO_TYPE)? != kind {
            return Err(Error::Activation { reason: "it is a socket of another type" });
        }
        if (is(libc::SO_ACCEPTCONN)? != 0) != listens {
            return Err(Error::Activation {
                reason: "it should listen and does not, or the other way round",
            });
        }
        Ok(())
    }
}

impl AsFd for Activated {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Activated> for OwnedFd {
    /// The descriptor, unchecked: a FIFO or a file, perhaps.
    fn from(activated: Activated) -> Self {
        activated.fd
    }
}
