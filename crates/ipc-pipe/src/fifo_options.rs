//! Which FIFO is made, and which one that is there already is accepted: a FIFO, and of whom.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use ipc_sys::path::{Entry, Metadata};
use nix::sys::stat::Mode;

use crate::{Error, Fifo, Result};

/// What `open_or_create` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The FIFO is new.
    Created,
    /// It was there.
    Opened,
}

/// Whose FIFO may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Owner {
    /// Ours (the effective user's) or root's.
    #[default]
    OursOrRoot,
    /// This user's, ours or root's: for the FIFO of a server that runs as somebody else.
    User(u32),
    /// Anybody's: only in a directory that nobody untrusted may write.
    Anybody,
}

/// How a FIFO is made and which one is accepted; [`Fifo::create`] and its sisters are the defaults.
#[derive(Debug, Clone)]
pub struct FifoOptions {
    mode: u32,
    owner: Owner,
}

impl Default for FifoOptions {
    fn default() -> Self {
        Self { mode: 0o600, owner: Owner::OursOrRoot }
    }
}

impl FifoOptions {
    /// Mode 0600, and only our own FIFO or root's.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The permission bits of a FIFO that is made, of which the kernel takes away the umask's.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Whose FIFO is accepted.
    #[must_use]
    pub fn owner(mut self, owner: Owner) -> Self {
        self.owner = owner;
        self
    }

    /// mkfifo: makes a new FIFO.
    ///
    /// # Errors
    /// As [`Fifo::create`].
    pub fn create(&self, path: impl AsRef<Path>) -> Result<Fifo> {
        let path = path.as_ref();
        self.make(entry(path)?, path.to_owned())
    }

    /// mkfifoat: makes a new FIFO, by its name in an open directory.
    ///
    /// # Errors
    /// As [`Fifo::create`]; EINVAL, [`Error::System`], when `name` holds a `/`.
    #[doc(alias = "mkfifoat")]
    pub fn create_at(&self, directory: impl AsFd, name: impl AsRef<OsStr>) -> Result<Fifo> {
        let name = name.as_ref();
        self.make(entry_at(directory, name)?, name.into())
    }

    /// stat, without following a link: a FIFO that is there.
    ///
    /// # Errors
    /// As [`Fifo::open`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Fifo> {
        let path = path.as_ref();
        self.find(entry(path)?, path.to_owned())
    }

    /// fstatat: a FIFO that is there, by its name in an open directory.
    ///
    /// # Errors
    /// As [`Fifo::open`]; EINVAL, [`Error::System`], when `name` holds a `/`.
    pub fn open_at(&self, directory: impl AsFd, name: impl AsRef<OsStr>) -> Result<Fifo> {
        let name = name.as_ref();
        self.find(entry_at(directory, name)?, name.into())
    }

    /// mkfifo, and where the name is taken already, the FIFO that is there; [`Origin`] tells which.
    ///
    /// # Errors
    /// As [`Fifo::open_or_create`].
    pub fn open_or_create(&self, path: impl AsRef<Path>) -> Result<(Fifo, Origin)> {
        let path = path.as_ref();
        // A FIFO that is removed between the two calls is made anew; somebody who does that for ever gets an error.
        for _ in 0..16 {
            match self.create(path) {
                Err(Error::Exists { .. }) => {}
                created => return created.map(|fifo| (fifo, Origin::Created)),
            }
            match self.open(path) {
                Err(Error::NotFound { .. }) => {}
                opened => return opened.map(|fifo| (fifo, Origin::Opened)),
            }
        }
        Err(Error::NotFound { path: path.to_owned() })
    }

    fn make(&self, entry: Entry, path: PathBuf) -> Result<Fifo> {
        let mode = Mode::from_bits_truncate(self.mode);
        nix::unistd::mkfifoat(&entry, entry.name(), mode)
            .map_err(|errno| of_path("mkfifo", &path, errno.into()))?;
        // Whatever stands there by now must still be a FIFO of ours.
        self.find(entry, path)
    }

    fn find(&self, entry: Entry, path: PathBuf) -> Result<Fifo> {
        let node = entry.open_at(libc::O_PATH, 0).map_err(|error| of_path("open", &path, error))?;
        let found = Metadata::of(&node).map_err(|error| of_path("fstat", &path, error))?;
        if found.kind != libc::S_IFIFO {
            return Err(Error::NotFifo { path, found: kind(found.kind) });
        }
        if !self.accepts(found.uid) {
            return Err(Error::ForeignOwner { path, uid: found.uid });
        }
        Ok(Fifo { entry, node, id: found.id, path })
    }

    fn accepts(&self, uid: u32) -> bool {
        let ours = uid == 0 || uid == nix::unistd::geteuid().as_raw();
        match self.owner {
            Owner::OursOrRoot => ours,
            Owner::User(user) => ours || uid == user,
            Owner::Anybody => true,
        }
    }
}

fn entry(path: &Path) -> Result<Entry> {
    Entry::open(path).map_err(|error| of_path("open", path, error))
}

fn entry_at(directory: impl AsFd, name: &OsStr) -> Result<Entry> {
    Entry::at(directory.as_fd(), name).map_err(|error| of_path("openat", Path::new(name), error))
}

fn of_path(operation: &'static str, path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    match source.raw_os_error() {
        Some(libc::EEXIST) => Error::Exists { path },
        Some(libc::ENOENT) => Error::NotFound { path },
        _ => Error::of(operation, path, source),
    }
}

fn kind(format: libc::mode_t) -> &'static str {
    match format {
        libc::S_IFREG => "a regular file",
        libc::S_IFDIR => "a directory",
        libc::S_IFLNK => "a symbolic link",
        libc::S_IFSOCK => "a socket",
        libc::S_IFCHR | libc::S_IFBLK => "a device",
        _ => "something else",
    }
}
