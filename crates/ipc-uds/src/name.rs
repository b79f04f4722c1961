//! The name of a bound socket in the file system: who may make it, when an old one may be replaced, and its removal.
//!
//! bind(2) makes the name, nobody but us removes it. After a crash it stays and leads to nobody: connect says
//! ECONNREFUSED, bind EADDRINUSE. Whether a socket behind a name is alive is asked with connect(2) of a *datagram*
//! socket: a live stream or seqpacket socket says EPROTOTYPE and notices nothing, a dead one ECONNREFUSED.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ipc_sys::fork::ForkMark;
use ipc_sys::path::{Entry, FileId, Metadata};
use ipc_sys::{errno, socket};

use crate::address::{DIRECT, is_missing};
use crate::{Address, Error, Result};

/// What to do with a name that a dead socket has left behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Stale {
    /// [`Error::Stale`], and it stays.
    #[default]
    Fail,
    /// Replace it, under a lock file `NAME.lock` beside it that is held for as long as the socket: of many starters exactly
    /// one wins, and the others get [`Error::AddressInUse`]. A live socket (of a program that knows nothing of the lock
    /// file, too), a symbolic link, another kind of file or another user's socket is never removed.
    Replace,
}

/// A name that we made. Dropping it removes it, if it is still ours and if we are still the process that made it.
#[derive(Debug)]
pub(crate) struct BoundName {
    entry: Entry,
    id: FileId,
    /// Whose name it is; `None` where the kernel cannot tell a child (before Linux 4.14).
    mark: Option<ForkMark>,
    _lock: Option<Lock>,
}

impl BoundName {
    /// bind(2) of `fd` to a path, with exactly these permission bits from the first instant or fewer.
    pub(crate) fn bind(
        fd: &OwnedFd,
        address: &Address,
        path: &Path,
        mode: u32,
        stale: Stale,
    ) -> Result<Self> {
        address.check()?;
        let failed = |operation| move |source| Error::at(operation, address, source);
        let entry = Entry::open(path).map_err(|source| match source.raw_os_error() {
            Some(libc::EINVAL) => Error::NotASocket { path: path.to_owned() },
            _ => Error::at("open the directory of", address, source),
        })?;
        let lock = match stale {
            Stale::Fail => None,
            Stale::Replace => Some(Lock::take(address, path)?),
        };
        if stale == Stale::Replace {
            if let Standing::Dead(id) = Standing::look(&entry, path, address)? {
                entry.unlink_if(id).map_err(failed("unlink"))?;
            }
        }
        socket::set_mode(fd, mode).map_err(failed("fchmod"))?;
        match make(fd, &entry, address, path) {
            Err(error) if errno::is(&error, libc::EADDRINUSE) => {
                return Err(match Standing::look(&entry, path, address)? {
                    Standing::Dead(_) => Error::Stale { path: path.to_owned() },
                    Standing::Nothing => Error::AddressInUse { address: address.clone() },
                });
            }
            made => made.map_err(failed("bind"))?,
        }
        let found = entry.metadata().map_err(failed("stat"))?;
        let name = Self { entry, id: found.id, mark: ForkMark::new().ok(), _lock: lock };
        if found.mode != mode {
            name.widen(mode).map_err(failed("chmod"))?;
        }
        Ok(name)
    }

    /// The umask took bits away at bind(2); give them back, through a descriptor of this very inode.
    fn widen(&self, mode: u32) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let file = self.entry.open_at(libc::O_PATH, 0)?;
        if Metadata::of(&file)?.id != self.id {
            return Err(io::Error::from_raw_os_error(libc::ESTALE));
        }
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    }
}

impl Drop for BoundName {
    fn drop(&mut self) {
        // A forked child has a copy of us; the name is its parent's.
        if self.mark.is_none_or(|mark| mark.is_ours()) {
            let _ = self.entry.unlink_if(self.id);
        }
    }
}

/// bind(2), whatever the length of the path.
fn make(fd: &OwnedFd, entry: &Entry, address: &Address, path: &Path) -> io::Result<()> {
    let raw = |name: &[u8]| {
        socket::address::RawAddress::new(name).ok_or(io::Error::from_raw_os_error(libc::ENAMETOOLONG))
    };
    if path.as_os_str().len() <= DIRECT {
        return socket::bind(fd, &address.reach()?.raw);
    }
    let directory = format!("/proc/self/fd/{}/", entry.as_fd().as_raw_fd());
    let name = [directory.as_bytes(), entry.name().to_bytes()].concat();
    if name.len() <= DIRECT {
        return socket::bind(fd, &raw(&name)?);
    }
    // The last component alone is too long for sockaddr_un: bind under a short name, then give it the long one, which
    // link(2) refuses when it is taken.
    let short = format!("{directory}.{:x}-{:x}", std::process::id(), fd.as_raw_fd());
    socket::bind(fd, &raw(short.as_bytes())?)?;
    let linked = std::fs::hard_link(&short, std::ffi::OsStr::from_bytes(&name));
    std::fs::remove_file(&short)?;
    linked.map_err(|error| match error.raw_os_error() {
        Some(libc::EEXIST) => io::Error::from_raw_os_error(libc::EADDRINUSE),
        _ => error,
    })
}

/// What stands under a name that we want, if it does not forbid us to have it.
enum Standing {
    Nothing,
    Dead(FileId),
}

impl Standing {
    fn look(entry: &Entry, path: &Path, address: &Address) -> Result<Self> {
        let found = match entry.metadata() {
            Err(error) if is_missing(&error) => return Ok(Self::Nothing),
            found => found.map_err(|source| Error::at("stat", address, source))?,
        };
        if found.kind != libc::S_IFSOCK {
            return Err(Error::NotASocket { path: path.to_owned() });
        }
        match alive(address) {
            Ok(true) => Err(Error::AddressInUse { address: address.clone() }),
            Ok(false) if found.uid != socket::effective_uid() => {
                Err(Error::ForeignOwner { path: path.to_owned(), uid: found.uid })
            }
            Ok(false) => Ok(Self::Dead(found.id)),
            Err(Error::NotFound { .. }) => Ok(Self::Nothing),
            Err(error) => Err(error),
        }
    }
}

/// Whether some socket is bound to the address: the datagram question of this module's head.
fn alive(address: &Address) -> Result<bool> {
    let asker = socket::socket(libc::SOCK_DGRAM).map_err(|source| Error::of("socket", source))?;
    match socket::connect(&asker, &address.reach()?.raw) {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::ECONNREFUSED) => Ok(false),
            // A datagram socket that is connected to somebody else says EPERM.
            Some(libc::EPROTOTYPE | libc::EPERM) => Ok(true),
            _ => Err(Error::at("connect", address, error)),
        },
    }
}

/// `NAME.lock`, held by flock(2): the kernel lets go of it with the process, so that a file left by a crash locks nobody
/// out.
#[derive(Debug)]
struct Lock {
    entry: Entry,
    id: FileId,
    mark: Option<ForkMark>,
    _file: OwnedFd,
}

impl Lock {
    fn take(address: &Address, path: &Path) -> Result<Self> {
        let mut name: OsString = path.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let failed = |source: io::Error| match source.raw_os_error() {
            Some(libc::ELOOP | libc::EISDIR) => Error::NotASocket { path: path.clone() },
            _ => Error::at("open", &Address::path(&path), source),
        };
        let entry = Entry::open(&path).map_err(failed)?;
        loop {
            let file = entry
                .open_at(libc::O_RDWR | libc::O_CREAT | libc::O_NONBLOCK | libc::O_NOCTTY, 0o600)
                .map_err(failed)?;
            let found = Metadata::of(&file).map_err(failed)?;
            if found.kind != libc::S_IFREG {
                return Err(Error::NotASocket { path });
            }
            if found.uid != socket::effective_uid() {
                return Err(Error::ForeignOwner { path, uid: found.uid });
            }
            if !socket::try_lock(&file).map_err(failed)? {
                return Err(Error::AddressInUse { address: address.clone() });
            }
            // Whoever held it before us may have removed the name meanwhile: then ours locks nothing.
            if entry.metadata().is_ok_and(|now| now.id == found.id) {
                return Ok(Self { entry, id: found.id, mark: ForkMark::new().ok(), _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.mark.is_none_or(|mark| mark.is_ours()) {
            let _ = self.entry.unlink_if(self.id);
        }
    }
}
