//! A FIFO: a pipe with a name in the file system. Whoever calls mkfifo(3) owns the name and removes it; the bytes are
//! lost when the last descriptor is closed, the name stays, after a crash too.
//!
//! The name is looked at once, without following a symbolic link, and the inode is then held (O_PATH): the ends are
//! opened through that descriptor, so whatever another user puts under the name later is neither opened nor removed.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipc_sys::errno;
use ipc_sys::fork::ForkMark;
use ipc_sys::path::{Entry, FileId};
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use crate::{Error, FifoOptions, Origin, PipeEnd, PipeReader, PipeWriter, Result, rendezvous};

/// A FIFO that was made or found, checked, and is held; its ends are opened from here.
///
/// # After a crash
/// The name stays and can be opened again ([`Fifo::open_or_create`]); bytes that nobody had read are gone once no
/// process holds an end. [`Fifo::unlink`] or rm(1) removes it.
///
/// # Fork
/// A forked child may open ends of its own. An [`UnlinkGuard`] dropped in it removes nothing.
#[derive(Debug)]
pub struct Fifo {
    pub(crate) entry: Entry,
    /// The inode, opened O_PATH: no end of the pipe, but while it is held its number is not used again.
    pub(crate) node: OwnedFd,
    pub(crate) id: FileId,
    pub(crate) path: PathBuf,
}

impl Fifo {
    /// mkfifo: makes a FIFO of mode 0600, which must not be there yet.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EEXIST: whatever stands there | [`Error::Exists`] |
    /// | ENOENT: a directory on the way is missing, or the path is empty | [`Error::NotFound`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EDQUOT, EINVAL (a NUL byte, a name that ends in `/`, `.` or `..`), ELOOP, ENAMETOOLONG, ENOSPC, ENOTDIR, EROFS, EMFILE | [`Error::System`] |
    #[doc(alias = "mkfifo")]
    #[doc(alias = "mknod")]
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        FifoOptions::new().create(path)
    }

    /// stat, without following a link: a FIFO that is there, ours or root's. No end is opened yet.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | ENOENT, an empty path too | [`Error::NotFound`] |
    /// | none: a file, a directory, a socket, a symbolic link | [`Error::NotFifo`] |
    /// | none: another user's | [`Error::ForeignOwner`] |
    /// | EACCES: no search permission on a directory | [`Error::PermissionDenied`] |
    /// | EINVAL, ELOOP, ENAMETOOLONG, ENOTDIR, EMFILE | [`Error::System`] |
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        FifoOptions::new().open(path)
    }

    /// mkfifo with mode 0600, and where the name is taken already, the FIFO that is there; [`Origin`] tells
    /// which. However many processes start at once, one of them makes it and all use the same.
    ///
    /// # Errors
    /// Those of [`Fifo::create`] but EEXIST, and those of [`Fifo::open`] but ENOENT.
    ///
    /// # Examples
    /// ```
    /// use ipc_pipe::{Fifo, Origin};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = std::env::temp_dir().join(format!("ipc-pipe-doc-{}", std::process::id()));
    /// let (mine, first) = Fifo::open_or_create(&path)?;
    /// let (same, second) = Fifo::open_or_create(&path)?;
    /// assert_eq!((first, second), (Origin::Created, Origin::Opened));
    /// assert!(mine.unlink()?);
    /// assert!(!same.unlink()?, "it is gone already");
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<(Self, Origin)> {
        FifoOptions::new().open_or_create(path)
    }

    /// The name that it was made or found under.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// open(O_RDONLY): the reading end.
    ///
    /// # Blocking
    /// Until somebody has it open for writing, or waits to. A signal does not show.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EACCES: the mode does not let us read | [`Error::PermissionDenied`] |
    /// | EMFILE, ENFILE; ENOENT: /proc is not mounted | [`Error::System`] |
    pub fn reader(&self) -> Result<PipeReader> {
        self.open_node(OpenOptions::new().read(true)).map(PipeReader::from)
    }

    /// open(O_RDONLY | O_NONBLOCK): the reading end, now, whether there is a writer or not; before the first writer it
    /// reads as if at the end of file. The end itself then waits as usual.
    ///
    /// # Errors
    /// As [`Fifo::reader`].
    pub fn try_reader(&self) -> Result<PipeReader> {
        let reader = self.open_now(OpenOptions::new().read(true)).map(PipeReader::from)?;
        reader.set_nonblocking(false)?;
        Ok(reader)
    }

    /// As [`Fifo::reader`]; gives up after `timeout`.
    ///
    /// # Blocking
    /// At most `timeout`. A writer that waits in its own open already is met at once. While we wait we count as a
    /// reader: a writer that comes in the instant in which we give up finds nobody and gets EPIPE.
    ///
    /// # Errors
    /// As [`Fifo::reader`], and
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | none: no writer came | [`Error::TimedOut`] |
    /// | EMFILE, ENOSPC: the user's inotify instances or watches are used up | [`Error::System`] |
    pub fn reader_timeout(&self, timeout: Duration) -> Result<PipeReader> {
        rendezvous::reader(self, timeout)
    }

    /// open(O_RDWR): a reading end that never sees the end of file, because it counts as a writer itself: for a server
    /// whose clients come and go. It does not wait for a writer.
    ///
    /// # Errors
    /// As [`Fifo::reader`]; EACCES also where the mode does not let us write.
    #[doc(alias = "O_RDWR")]
    pub fn keep_alive_reader(&self) -> Result<PipeReader> {
        self.open_node(OpenOptions::new().read(true).write(true)).map(PipeReader::from)
    }

    /// open(O_WRONLY): the writing end.
    ///
    /// # Blocking
    /// Until somebody has it open for reading, or waits to. A signal does not show.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EACCES: the mode does not let us write | [`Error::PermissionDenied`] |
    /// | EMFILE, ENFILE; ENOENT: /proc is not mounted | [`Error::System`] |
    pub fn writer(&self) -> Result<PipeWriter> {
        self.open_node(OpenOptions::new().write(true)).map(PipeWriter::from)
    }

    /// open(O_WRONLY | O_NONBLOCK): the writing end, if somebody reads, or waits in open to do so. The end itself then
    /// waits as usual.
    ///
    /// # Errors
    /// As [`Fifo::writer`], and
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ENXIO | [`Error::NoReader`] |
    #[doc(alias = "ENXIO")]
    pub fn try_writer(&self) -> Result<PipeWriter> {
        let writer = self.open_now(OpenOptions::new().write(true)).map(PipeWriter::from)?;
        writer.set_nonblocking(false)?;
        Ok(writer)
    }

    /// As [`Fifo::writer`]; gives up after `timeout`.
    ///
    /// # Blocking
    /// At most `timeout`. The kernel offers no way to wait for a reader that itself waits in open, other than to wait
    /// there, too: where nobody reads yet, a thread does, and at the deadline we open the reading end for an instant to
    /// let it go. Other processes that wait to write at that moment come out of their open as well, and get EPIPE if
    /// they write before a reader has come: let only one writer wait with a timeout.
    ///
    /// # Errors
    /// As [`Fifo::writer`], and
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | none: no reader came | [`Error::TimedOut`] |
    /// | EACCES: nor may we read, so the wait cannot be ended | [`Error::PermissionDenied`] |
    /// | EAGAIN: no thread can be started | [`Error::System`] |
    pub fn writer_timeout(&self, timeout: Duration) -> Result<PipeWriter> {
        rendezvous::writer(self, timeout)
    }

    /// unlink, if this very FIFO still has the name: true when it was removed, false when it is gone or the name is by
    /// now another object's.
    ///
    /// Ends that are open stay so.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EACCES, EPERM (a sticky directory) | [`Error::PermissionDenied`] |
    /// | EROFS | [`Error::System`] |
    pub fn unlink(&self) -> Result<bool> {
        self.entry.unlink_if(self.id).map_err(|error| self.failed("unlink", error))
    }

    /// Removes the name when the guard is dropped, as [`Fifo::unlink`] does, in this process only: a forked child's
    /// copy of the guard removes nothing.
    #[must_use]
    pub fn unlink_on_drop(self) -> UnlinkGuard {
        UnlinkGuard { mark: ForkMark::new().ok(), fifo: self }
    }

    fn open_now(&self, options: &mut OpenOptions) -> Result<OwnedFd> {
        self.open_node(options.custom_flags(libc::O_NONBLOCK))
    }

    pub(crate) fn open_node(&self, options: &OpenOptions) -> Result<OwnedFd> {
        match errno::retry(|| options.open(self.node_path())) {
            Ok(file) => Ok(file.into()),
            Err(error) if errno::is(&error, libc::ENXIO) => Err(Error::NoReader { path: self.path.clone() }),
            Err(error) => Err(self.failed("open", error)),
        }
    }

    /// faccessat(R_OK): EACCES where we may not open it for reading.
    pub(crate) fn check_readable(&self) -> Result<()> {
        let (flags, path) = (AtFlags::AT_EACCESS, self.node_path());
        faccessat(AT_FDCWD, &path, AccessFlags::R_OK, flags)
            .map_err(|errno| self.failed("open", errno.into()))
    }

    pub(crate) fn clone_node(&self) -> Result<OwnedFd> {
        self.node.try_clone().map_err(|error| self.failed("fcntl(F_DUPFD_CLOEXEC)", error))
    }

    /// A way to the held inode that no other process can bend.
    pub(crate) fn node_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.node.as_raw_fd()))
    }

    pub(crate) fn failed(&self, operation: &'static str, source: io::Error) -> Error {
        Error::of(operation, &self.path, source)
    }
}

/// A FIFO whose name goes when this is dropped, if it is still this FIFO's.
#[derive(Debug)]
pub struct UnlinkGuard {
    fifo: Fifo,
    /// Whose name it is; `None` where the kernel cannot tell a child (before Linux 4.14).
    mark: Option<ForkMark>,
}

impl std::ops::Deref for UnlinkGuard {
    type Target = Fifo;

    fn deref(&self) -> &Fifo {
        &self.fifo
    }
}

impl Drop for UnlinkGuard {
    fn drop(&mut self) {
        if self.mark.is_none_or(|mark| mark.is_ours()) {
            let _ = self.fifo.unlink();
        }
    }
}
