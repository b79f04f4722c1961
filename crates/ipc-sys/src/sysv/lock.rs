//! flock of `/proc/sysvipc/sem`: a lock that every process of an IPC namespace can reach, leaves no object behind, and
//! is released by the kernel when its holder dies.
//!
//! Who creates a set holds it shared until the set is initialized; who wants to adopt a set holds it exclusively, and so
//! knows that no such creator is alive. It works between processes that see the same mount of /proc. Whoever may open
//! the file may lock it, for ever too: nobody waits here without a deadline.
#![expect(unsafe_code, reason = "flock is not in std before 1.89")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use crate::errno;

/// Held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    /// flock belongs to the open file: closing it unlocks.
    _file: File,
}

impl Lock {
    /// Shared: several creators at once.
    ///
    /// # Errors
    /// EWOULDBLOCK: somebody adopts; ENOENT, EACCES: no /proc.
    pub fn try_shared() -> io::Result<Self> {
        Self::try_lock(libc::LOCK_SH)
    }

    /// Exclusive: no creator is between semget and its first semop.
    ///
    /// # Errors
    /// EWOULDBLOCK: there is one, or somebody else adopts; ENOENT, EACCES: no /proc.
    pub fn try_exclusive() -> io::Result<Self> {
        Self::try_lock(libc::LOCK_EX)
    }

    fn try_lock(how: libc::c_int) -> io::Result<Self> {
        let file = File::open("/proc/sysvipc/sem")?;
        // SAFETY: the descriptor is open: `file` owns it.
        errno::retry(|| errno::check(unsafe { libc::flock(file.as_raw_fd(), how | libc::LOCK_NB) }))?;
        Ok(Self { _file: file })
    }
}
