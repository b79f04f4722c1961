//! What either end of a pipe can tell and be told: how much it holds, how much there is room for, whether it waits.

use std::io;
use std::os::fd::AsFd;
use std::process::{ChildStderr, ChildStdin, ChildStdout};

use ipc_sys::pipe;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::{Error, PacketReader, PacketWriter, PipeReader, PipeWriter, Result};

/// What either end of a pipe can tell and be told, on our ends and on std's.
///
/// Bring it into scope (`use ipc_pipe::PipeEnd`) to call its methods.
///
/// # Examples
/// ```
/// use ipc_pipe::PipeEnd;
/// use std::process::{Command, Stdio};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
/// let input = child.stdin.take().ok_or("piped above")?;
/// assert_eq!(input.set_capacity(200_000)?, 262_144);
/// drop(input);
/// child.wait()?;
/// # Ok(())
/// # }
/// ```
pub trait PipeEnd: AsFd {
    /// ioctl(FIONREAD): how many bytes have been written and not yet read. By the time it is told, it may be another
    /// number.
    ///
    /// # Errors
    /// ENOTTY: no pipe → [`Error::System`].
    #[doc(alias = "FIONREAD")]
    fn readable(&self) -> Result<usize> {
        pipe::readable(self).map_err(|error| Error::of_pipe("ioctl(FIONREAD)", error))
    }

    /// fcntl(F_GETPIPE_SZ): how many bytes the pipe holds; 65,536 unless it was set, or the user has too many pipes
    /// (then 4096 or 8192: /proc/sys/fs/pipe-user-pages-soft).
    ///
    /// # Errors
    /// EBADF: no pipe → [`Error::System`].
    #[doc(alias = "F_GETPIPE_SZ")]
    fn capacity(&self) -> Result<usize> {
        let size = fcntl(self, FcntlArg::F_GETPIPE_SZ);
        let size = size.map_err(|errno| Error::of_pipe("fcntl(F_GETPIPE_SZ)", errno.into()))?;
        Ok(usize::try_from(size).unwrap_or(0))
    }

    /// fcntl(F_SETPIPE_SZ): gives the pipe room for at least `bytes`, and tells what was obtained: the next power of
    /// two of pages.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EPERM: above /proc/sys/fs/pipe-max-size, or above the user's pipe-user-pages-soft, without CAP_SYS_RESOURCE | [`Error::CapacityDenied`] |
    /// | EBUSY: the pipe holds more than that now | [`Error::CapacityInUse`] |
    /// | EINVAL (2 GiB and more), ENOMEM, EBADF | [`Error::System`] |
    #[doc(alias = "F_SETPIPE_SZ")]
    fn set_capacity(&self, bytes: usize) -> Result<usize> {
        let result = match libc::c_int::try_from(bytes) {
            Ok(size) => fcntl(self, FcntlArg::F_SETPIPE_SZ(size)).map_err(io::Error::from),
            Err(_) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        };
        match result {
            Ok(size) => Ok(usize::try_from(size).unwrap_or(0)),
            Err(error) => Err(match error.raw_os_error() {
                Some(libc::EPERM) => Error::CapacityDenied { wanted: bytes },
                Some(libc::EBUSY) => Error::CapacityInUse { wanted: bytes },
                _ => Error::of_pipe("fcntl(F_SETPIPE_SZ)", error),
            }),
        }
    }

    /// fcntl(F_GETFL): whether the open file description is O_NONBLOCK, so that `Read` and `Write` give `WouldBlock`.
    ///
    /// # Errors
    /// None on Linux; [`Error::System`] if there were one.
    fn is_nonblocking(&self) -> Result<bool> {
        status(self).map(|flags| flags.contains(OFlag::O_NONBLOCK))
    }

    /// fcntl(F_SETFL, O_NONBLOCK): for everybody who shares the open file description, in other processes too. The
    /// `try_` and `_timeout` calls do without.
    ///
    /// # Errors
    /// None on Linux; [`Error::System`] if there were one.
    fn set_nonblocking(&self, on: bool) -> Result<()> {
        let mut flags = status(self)?;
        flags.set(OFlag::O_NONBLOCK, on);
        match fcntl(self, FcntlArg::F_SETFL(flags)) {
            Ok(_) => Ok(()),
            Err(errno) => Err(Error::of_pipe("fcntl(F_SETFL)", errno.into())),
        }
    }
}

fn status<P: PipeEnd + ?Sized>(end: &P) -> Result<OFlag> {
    match fcntl(end, FcntlArg::F_GETFL) {
        Ok(flags) => Ok(OFlag::from_bits_retain(flags)),
        Err(errno) => Err(Error::of_pipe("fcntl(F_GETFL)", errno.into())),
    }
}

impl PipeEnd for PipeReader {}
impl PipeEnd for PipeWriter {}
impl PipeEnd for PacketReader {}
impl PipeEnd for PacketWriter {}
impl PipeEnd for ChildStdin {}
impl PipeEnd for ChildStdout {}
impl PipeEnd for ChildStderr {}
