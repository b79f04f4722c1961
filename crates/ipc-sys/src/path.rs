//! Names in directories that others may write, such as /tmp: what stands there, whose it is, and removing it only
//! when it is still the same inode.
//!
//! A name is looked at through the descriptor of its directory, so that renaming a parent in between changes nothing,
//! and never through a symbolic link in its last component.
#![expect(unsafe_code, reason = "fstatat and unlinkat take C strings, openat gives a raw descriptor")]

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::errno;

/// A name in a directory that is held open: what `*at` calls take.
#[derive(Debug)]
pub struct Entry {
    directory: OwnedFd,
    name: CString,
}

/// What an inode is known by for as long as somebody holds it: device and number. Numbers are re-used after the last
/// link and the last descriptor are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    device: libc::dev_t,
    inode: libc::ino_t,
}

/// The part of `struct stat` that decides whether a name may be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// Which inode.
    pub id: FileId,
    /// The S_IFMT bits: S_IFIFO, S_IFSOCK, S_IFREG …
    pub kind: libc::mode_t,
    /// The permission bits, set-id and sticky bits included.
    pub mode: libc::mode_t,
    /// The owner.
    pub uid: libc::uid_t,
    /// The owning group.
    pub gid: libc::gid_t,
}

impl Entry {
    /// Opens the directory that holds `path`, following links up to there, and keeps the last component.
    ///
    /// # Errors
    /// ENOENT (an empty path too), ENOTDIR, EACCES, ELOOP, ENAMETOOLONG; EINVAL when `path` holds a NUL byte or ends
    /// in `/`, `.` or `..`, which cannot name an object that is to be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path.as_os_str().is_empty() {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        // What `file_name` does not look at: to it both end in the component before.
        let named = ![&b"/"[..], b"/."].iter().any(|end| path.as_os_str().as_bytes().ends_with(end));
        let name = path.file_name().filter(|_| named).ok_or(io::Error::from_raw_os_error(libc::EINVAL))?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = c_string(parent.map_or(OsStr::new("."), Path::as_os_str))?;
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: `parent` is a live NUL-terminated string.
        let fd = errno::retry(|| errno::check(unsafe { libc::open(parent.as_ptr(), flags) }))?;
        // SAFETY: the kernel returned this descriptor just now and nobody else owns it.
        let directory = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { directory, name: c_string(name)? })
    }

    /// A name relative to a directory that the caller holds: the directory is duplicated, CLOEXEC.
    ///
    /// # Errors
    /// EMFILE; EINVAL when `name` is empty, holds a NUL or a `/`, or is `.` or `..`.
    pub fn at(directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<Self> {
        let bytes = name.as_bytes();
        if bytes.is_empty() || bytes.contains(&b'/') || bytes == b"." || bytes == b".." {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        Ok(Self { directory: directory.try_clone_to_owned()?, name: c_string(name)? })
    }

    /// The last component, as the `*at` calls want it.
    #[must_use]
    pub fn name(&self) -> &CStr {
        &self.name
    }

    /// fstatat(AT_SYMLINK_NOFOLLOW): what stands under the name now; a symbolic link is reported as one.
    ///
    /// # Errors
    /// ENOENT, EACCES.
    pub fn metadata(&self) -> io::Result<Metadata> {
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        let directory = self.directory.as_raw_fd();
        // SAFETY: the name is NUL-terminated and `stat` has room for one struct stat, both alive during the call.
        errno::check(unsafe {
            libc::fstatat(directory, self.name.as_ptr(), stat.as_mut_ptr(), libc::AT_SYMLINK_NOFOLLOW)
        })?;
        // SAFETY: the call returned 0, so it filled every field.
        Ok(Metadata::new(&unsafe { stat.assume_init() }))
    }

    /// openat with O_NOFOLLOW and O_CLOEXEC added: a symbolic link is ELOOP, never followed.
    ///
    /// # Errors
    /// Those of open(2); EINTR is retried.
    pub fn open_at(&self, flags: libc::c_int, mode: libc::mode_t) -> io::Result<OwnedFd> {
        let directory = self.directory.as_raw_fd();
        let flags = flags | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let fd = errno::retry(|| {
            // SAFETY: the name is NUL-terminated and alive; the mode is passed as openat's variadic argument wants it.
            errno::check(unsafe { libc::openat(directory, self.name.as_ptr(), flags, mode) })
        })?;
        // SAFETY: the kernel returned this descriptor just now and nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Removes the name when it still stands for `id`: true when it was removed, false when it is gone or is by now
    /// another object's.
    ///
    /// The kernel has no "unlink this inode": between the look and the unlink somebody who may write the directory
    /// could put another object there. Nobody who shares the directory under the sticky bit can do that to us.
    ///
    /// # Errors
    /// EACCES, EPERM, EBUSY, EROFS.
    pub fn unlink_if(&self, id: FileId) -> io::Result<bool> {
        match self.metadata() {
            Ok(found) if found.id == id => {}
            Ok(_) => return Ok(false),
            Err(error) if errno::is(&error, libc::ENOENT) => return Ok(false),
            Err(error) => return Err(error),
        }
        // SAFETY: the name is NUL-terminated and alive.
        match errno::check(unsafe { libc::unlinkat(self.directory.as_raw_fd(), self.name.as_ptr(), 0) }) {
            Ok(_) => Ok(true),
            Err(error) if errno::is(&error, libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Entry {
    /// The directory, opened O_PATH.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Metadata {
    /// fstat: what an open descriptor is.
    ///
    /// # Errors
    /// EOVERFLOW, ENOMEM.
    pub fn of(fd: impl AsFd) -> io::Result<Self> {
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: the descriptor is borrowed, hence open, and `stat` has room for one struct stat.
        errno::check(unsafe { libc::fstat(fd.as_fd().as_raw_fd(), stat.as_mut_ptr()) })?;
        // SAFETY: the call returned 0, so it filled every field.
        Ok(Self::new(&unsafe { stat.assume_init() }))
    }

    fn new(stat: &libc::stat) -> Self {
        Self {
            id: FileId { device: stat.st_dev, inode: stat.st_ino },
            kind: stat.st_mode & libc::S_IFMT,
            mode: stat.st_mode & !libc::S_IFMT,
            uid: stat.st_uid,
            gid: stat.st_gid,
        }
    }
}

/// A path as C wants it.
///
/// # Errors
/// EINVAL when it holds a NUL byte.
pub fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("ipc-sys-{}-{name}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn errno_of<T: std::fmt::Debug>(result: io::Result<T>) -> Option<i32> {
        result.unwrap_err().raw_os_error()
    }

    #[test]
    fn a_link_is_seen_as_a_link_and_never_followed() {
        let directory = Directory::new("link");
        fs::write(directory.0.join("target"), "secret").unwrap();
        symlink(directory.0.join("target"), directory.0.join("link")).unwrap();
        let entry = Entry::open(&directory.0.join("link")).unwrap();
        assert_eq!(entry.metadata().unwrap().kind, libc::S_IFLNK);
        assert_eq!(errno_of(entry.open_at(libc::O_RDONLY, 0)), Some(libc::ELOOP));
    }

    #[test]
    fn only_the_same_inode_is_unlinked() {
        let directory = Directory::new("unlink");
        let (mine, other) = (directory.0.join("mine"), directory.0.join("other"));
        fs::write(&mine, "1").unwrap();
        fs::write(&other, "2").unwrap();
        let entry = Entry::open(&mine).unwrap();
        let id = entry.metadata().unwrap().id;
        fs::rename(&other, &mine).unwrap();
        assert!(!entry.unlink_if(id).unwrap());
        assert_eq!(fs::read_to_string(&mine).unwrap(), "2");
        assert!(entry.unlink_if(entry.metadata().unwrap().id).unwrap());
        assert!(!entry.unlink_if(id).unwrap());
    }

    #[test]
    fn names_that_cannot_be_made_are_refused() {
        for (path, errno) in [
            ("", libc::ENOENT),
            ("/", libc::EINVAL),
            ("a/..", libc::EINVAL),
            ("a/.", libc::EINVAL),
            ("a/", libc::EINVAL),
        ] {
            assert_eq!(errno_of(Entry::open(Path::new(path))), Some(errno), "{path:?}");
        }
        assert_eq!(errno_of(Entry::open(Path::new("a\0b"))), Some(libc::EINVAL));
        let here = Entry::open(Path::new("a")).unwrap();
        for name in ["", ".", "..", "a/b"] {
            assert_eq!(errno_of(Entry::at(here.as_fd(), OsStr::new(name))), Some(libc::EINVAL), "{name:?}");
        }
    }
}
