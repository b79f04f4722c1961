//! What is looked at before foreign memory is mapped, and in which order: what it is, where it lives, whether it can
//! still change, how long it is, whether it is all there. A device or a FUSE file could block whoever touches it, a file
//! that shrinks kills with SIGBUS, a sparse one makes the receiver pay for its pages.

use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};

use crate::{Error, Refusal, Result};

/// Which seals a descriptor must carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seals {
    /// None: a named segment, which cannot be sealed.
    None,
    /// Its length is fixed: common memory without a name.
    Length,
    /// Its length is fixed and only its owner writes it.
    Owner,
}

impl Seals {
    fn flags(self) -> SealFlag {
        let length = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
        match self {
            Self::None => SealFlag::empty(),
            Self::Length => length,
            Self::Owner => length | SealFlag::F_SEAL_FUTURE_WRITE,
        }
    }

    /// Adds them, and that no more can be added.
    pub(crate) fn put(self, file: impl AsFd) -> nix::Result<()> {
        let seals = self.flags() | SealFlag::F_SEAL_SEAL;
        fcntl(file, FcntlArg::F_ADD_SEALS(seals)).map(drop)
    }

    /// An unsealable file does not fail the question, it answers with F_SEAL_SEAL alone: hence each bit is looked at.
    fn are_on(self, file: impl AsFd) -> bool {
        let found = fcntl(file, FcntlArg::F_GET_SEALS).unwrap_or(0);
        SealFlag::from_bits_retain(found).contains(self.flags())
    }
}

/// Checks a descriptor and gives the length of the file, between `min` and `max` bytes.
pub(crate) fn check(file: impl AsFd, object: &str, seals: Seals, min: usize, max: usize) -> Result<usize> {
    let refused = |reason| Err(Error::refused(object, reason));
    let stat = fstat(file.as_fd()).map_err(|errno| Error::system("fstat", object)(errno.into()))?;
    if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return refused(Refusal::NotRegular);
    }
    let system = fstatfs(file.as_fd()).map_err(|errno| Error::system("fstatfs", object)(errno.into()))?;
    if system.filesystem_type() != TMPFS_MAGIC {
        return refused(Refusal::NotTmpfs);
    }
    if !seals.are_on(file.as_fd()) {
        return refused(Refusal::NotSealed);
    }
    // Again: until it was sealed its maker could cut it short or punch holes, and the first look may be older than that.
    let stat = fstat(file.as_fd()).map_err(|errno| Error::system("fstat", object)(errno.into()))?;
    let len = u64::try_from(stat.st_size).unwrap_or(0);
    if len > max as u64 {
        return refused(Refusal::TooLong { len, max: max as u64 });
    }
    if len < min as u64 {
        return refused(Refusal::TooShort { len });
    }
    if u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512) < len {
        return refused(Refusal::Sparse);
    }
    usize::try_from(len).map_err(|_| Error::refused(object, Refusal::TooLong { len, max: max as u64 }))
}
