//! Names of POSIX shared memory: files in the tmpfs that glibc and musl agree on, /dev/shm.
//!
//! A segment is made without a name (O_TMPFILE), filled, and only then linked: nobody can meet it half-made, and who is
//! killed before that leaves nothing. Replacing one links the new one under a name that begins with [`TEMPORARY`] and
//! renames it; a kill between the two leaves that name, which [`crate::remove_stale`] sweeps.

use std::ffi::{CString, OsStr};
use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU32, Ordering};

use ipc_sys::errno::retry;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use crate::error::NAME_MAX;
use crate::{Error, Result};

/// Where POSIX shared memory lives.
pub(crate) const DIRECTORY: &str = "/dev/shm";

/// How a name begins that is on its way to replace another.
pub(crate) const TEMPORARY: &str = ".ipc-shm-";

/// A checked name and the directory that it stands in, held open.
#[derive(Debug)]
pub(crate) struct Name {
    name: CString,
    directory: OwnedFd,
}

impl Name {
    /// Checks `name`, with or without the one leading slash that POSIX asks for, and opens the directory.
    pub(crate) fn new(name: &OsStr) -> Result<Self> {
        Self::unchecked(check(name)?)
    }

    /// A name as it was found in the directory, temporary ones too.
    pub(crate) fn unchecked(name: CString) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(DIRECTORY, flags, Mode::empty())
            .map_err(|errno| Error::system("open", DIRECTORY)(errno.into()))?;
        Ok(Self { name, directory })
    }

    /// A new file without a name, readable and writable by us.
    pub(crate) fn unnamed(&self) -> Result<OwnedFd> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        retry(|| Ok(openat(&self.directory, c".", flags, mode)?))
            .map_err(Error::system("open(O_TMPFILE)", DIRECTORY))
    }

    /// shm_open of what stands there: never through a symbolic link, and never waiting for a FIFO's other side.
    pub(crate) fn open(&self, access: OFlag) -> Result<OwnedFd> {
        let flags = access | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        retry(|| Ok(openat(&self.directory, self.name.as_c_str(), flags, Mode::empty())?)).map_err(|source| {
            match source.raw_os_error() {
                Some(libc::ENOENT) => Error::NotFound { name: self.to_string() },
                _ => Error::system("shm_open", self)(source),
            }
        })
    }

    /// Gives the unnamed file this name, unless the name is taken.
    pub(crate) fn link(&self, file: &OwnedFd) -> Result<()> {
        self.link_as(file, &self.name).map_err(|errno| match errno {
            Errno::EEXIST => Error::Exists { name: self.to_string() },
            errno => Error::system("linkat from /proc/self/fd", self)(errno.into()),
        })
    }

    /// Gives the unnamed file this name, whatever bears it now.
    pub(crate) fn replace(&self, file: &OwnedFd) -> Result<()> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        loop {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            let temporary = format!("{TEMPORARY}{}-{serial}", std::process::id());
            let temporary = CString::new(temporary).unwrap_or_default();
            match self.link_as(file, &temporary) {
                // What another process of this number left behind, in another pid namespace or before us.
                Err(Errno::EEXIST) => continue,
                linked => {
                    linked.map_err(|errno| Error::system("linkat from /proc/self/fd", self)(errno.into()))?;
                }
            }
            return renameat(&self.directory, temporary.as_c_str(), &self.directory, self.name.as_c_str())
                .map_err(|errno| {
                    let _ = unlinkat(&self.directory, temporary.as_c_str(), UnlinkatFlags::NoRemoveDir);
                    Error::system("renameat", self)(errno.into())
                });
        }
    }

    /// Whether the name leads to this very file now.
    pub(crate) fn leads_to(&self, file: &OwnedFd) -> Result<bool> {
        let there = match fstatat(&self.directory, self.name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok(false),
            stat => stat.map_err(|errno| Error::system("fstatat", self)(errno.into()))?,
        };
        let ours = fstat(file).map_err(|errno| Error::system("fstat", self)(errno.into()))?;
        Ok((there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino))
    }

    /// shm_unlink: takes the name away; who has the memory attached keeps it.
    pub(crate) fn unlink(&self) -> Result<()> {
        unlinkat(&self.directory, self.name.as_c_str(), UnlinkatFlags::NoRemoveDir).map_err(|errno| {
            match errno {
                Errno::ENOENT => Error::NotFound { name: self.to_string() },
                errno => Error::system("shm_unlink", self)(errno.into()),
            }
        })
    }

    fn link_as(&self, file: &OwnedFd, name: &CString) -> nix::Result<()> {
        let source = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(AT_FDCWD, source.as_str(), &self.directory, name.as_c_str(), AtFlags::AT_SYMLINK_FOLLOW)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "/{}", self.name.to_string_lossy())
    }
}

/// One component that the kernel takes as it is.
fn check(name: &OsStr) -> Result<CString> {
    let bytes = name.as_bytes();
    let bytes = bytes.strip_prefix(b"/").unwrap_or(bytes);
    let reason = match bytes {
        b"" => "it is empty",
        b"." | b".." => "it is a directory",
        long if long.len() > NAME_MAX => "it is longer than 255 bytes",
        slash if slash.contains(&b'/') => "only the first character may be a slash",
        ours if ours.starts_with(TEMPORARY.as_bytes()) => "names that begin so are for our own use",
        usable => match CString::new(usable) {
            Ok(name) => return Ok(name),
            Err(_) => "it holds a NUL byte",
        },
    };
    Err(Error::InvalidName { name: name.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f14_only_one_component_is_a_name() {
        for bad in ["", "/", "//", ".", "..", "/..", "a/b", "/a/", "a\0b", ".ipc-shm-1", &"x".repeat(256)] {
            assert!(matches!(check(OsStr::new(bad)), Err(Error::InvalidName { .. })), "{bad:?}");
        }
        for good in ["a", "/a", "...", "a b", "é", &"x".repeat(255), &format!("/{}", "x".repeat(255))] {
            let name = check(OsStr::new(good)).unwrap();
            assert_eq!(name.to_bytes(), good.strip_prefix('/').unwrap_or(good).as_bytes());
        }
    }

    #[test]
    fn the_errno_is_that_of_the_c_library() {
        assert_eq!(check(OsStr::new(&"x".repeat(256))).unwrap_err().errno(), Some(libc::ENAMETOOLONG));
        assert_eq!(check(OsStr::new("a/b")).unwrap_err().errno(), Some(libc::EINVAL));
    }
}
