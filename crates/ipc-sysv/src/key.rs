//! The key: a number by which processes that share nothing else find the same object. Nobody creates or removes a key;
//! it exists for as long as an object has it. The kernel knows one table per kind, so a queue and a segment may have
//! the same key.
//!
//! `ftok` is not a name: it keeps 8 bits of the device, 16 bits of the inode and 8 bits of the project, so that two
//! files in the same directory can give the same key (65,493 files sufficed), and a file that was removed and made
//! again gives another one. [`KeyFile`] keeps what ftok throws away, for those who can compare it.
#![cfg_attr(test, expect(unsafe_code, reason = "the tests' reference is C's ftok"))]

use std::fmt;
use std::fs;
use std::num::ParseIntError;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};

/// A System V key, or [`Key::PRIVATE`].
///
/// ```
/// use ipc_sysv::Key;
///
/// let key: Key = "0x4d2".parse()?;
/// assert_eq!(key, Key::new(1234));
/// assert_eq!(key.to_string(), "0x000004d2");
/// # Ok::<(), std::num::ParseIntError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(i32);

impl Key {
    /// IPC_PRIVATE: creates an object that no key leads to. Only its id does, by inheritance or by being told.
    pub const PRIVATE: Self = Self(libc::IPC_PRIVATE);

    /// The key with this number; 0 is [`Key::PRIVATE`].
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The number, as C's `key_t`.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Whether this is [`Key::PRIVATE`].
    #[must_use]
    pub const fn is_private(self) -> bool {
        self.0 == Self::PRIVATE.0
    }

    const fn from_bits(bits: u32) -> Self {
        Self(i32::from_ne_bytes(bits.to_ne_bytes()))
    }

    /// ftok: the key of an existing file and a project number (`b'a'`), the same as in C, of whose `proj_id` only the
    /// low 8 bits count as well.
    ///
    /// Two files may have the same key: see [`KeyFile`].
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG | [`Error::KeyFile`] |
    /// | EINVAL (a `project` of 0 with a file whose key then is IPC_PRIVATE) | [`Error::KeyFile`] |
    ///
    /// # Examples
    /// ```
    /// use ipc_sysv::Key;
    ///
    /// assert_eq!(Key::from_path("/", b'a')?, Key::from_path("/", b'a')?);
    /// assert_ne!(Key::from_path("/", b'a')?, Key::from_path("/", b'b')?);
    /// # Ok::<(), ipc_sysv::Error>(())
    /// ```
    #[doc(alias = "ftok")]
    pub fn from_path(path: impl AsRef<Path>, project: u8) -> Result<Self> {
        KeyFile::open(path, project).map(|file| file.key())
    }
}

impl From<i32> for Key {
    fn from(number: i32) -> Self {
        Self(number)
    }
}

impl fmt::Display for Key {
    /// As `ipcs` shows it: `0x000004d2`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#010x}", self.0)
    }
}

impl FromStr for Key {
    type Err = ParseIntError;

    /// Decimal (negative too), or hexadecimal after `0x`, with up to 32 bits as `ipcs` prints them.
    fn from_str(text: &str) -> std::result::Result<Self, ParseIntError> {
        match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => u32::from_str_radix(digits, 16).map(Self::from_bits),
            None => text.parse().map(Self),
        }
    }
}

/// The file behind a key: what [`Key::from_path`] throws away.
///
/// Compare two of them to find a collision; [`Segment::recover`](crate::Segment) stores one in the segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyFile {
    path: PathBuf,
    project: u8,
    device: u64,
    inode: u64,
    key: Key,
}

impl KeyFile {
    /// ftok, with what it stands on.
    ///
    /// # Errors
    /// As [`Key::from_path`].
    pub fn open(path: impl AsRef<Path>, project: u8) -> Result<Self> {
        let path = path.as_ref();
        let failed = |source| Error::KeyFile { path: path.to_path_buf(), source };
        let metadata = fs::metadata(path).map_err(failed)?;
        let (device, inode) = (metadata.dev(), metadata.ino());
        let number = (u32::from(project) << 24)
            | (u32::try_from(device & 0xff).unwrap_or(0) << 16)
            | u32::try_from(inode & 0xffff).unwrap_or(0);
        let key = Key::from_bits(number);
        if key.is_private() {
            return Err(failed(std::io::Error::from_raw_os_error(libc::EINVAL)));
        }
        Ok(Self { path: path.to_path_buf(), project, device, inode, key })
    }

    /// The key that ftok makes of it.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// The path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The project number.
    #[must_use]
    pub fn project(&self) -> u8 {
        self.project
    }

    /// The device and the inode, which for as long as the file exists no other file has.
    #[must_use]
    pub fn file_id(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether `other` is a different file and yet has the same key.
    #[must_use]
    pub fn collides_with(&self, other: &Self) -> bool {
        self.key == other.key && self.file_id() != other.file_id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ftok_is_libcs() {
        for (path, project) in [(c"/", b'a'), (c"/proc", b'f'), (c"/etc/passwd", 255), (c"/tmp", 1)] {
            // SAFETY: a literal with its NUL.
            let expected = unsafe { libc::ftok(path.as_ptr(), i32::from(project) | 0x6600) };
            assert_eq!(Key::from_path(path.to_str().unwrap(), project).unwrap().number(), expected);
        }
    }

    #[test]
    fn a_missing_file_has_no_key() {
        let error = Key::from_path("/nonexistent", b'a').unwrap_err();
        assert_eq!(error.errno(), Some(libc::ENOENT));
        assert!(error.to_string().contains("/nonexistent"));
    }

    #[test]
    fn text_is_read_as_ipcrm_reads_it() {
        assert_eq!("1234".parse(), Ok(Key::new(1234)));
        assert_eq!("-2".parse(), Ok(Key::new(-2)));
        assert_eq!("0xffffffff".parse(), Ok(Key::new(-1)));
        for bad in ["", "0x", "x", "4294967296", "0x100000000", " 1"] {
            assert!(bad.parse::<Key>().is_err(), "{bad:?}");
        }
    }
}
