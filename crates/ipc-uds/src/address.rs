//! What a Unix socket is called: a path in the file system, an abstract name, or nothing.
//!
//! A path is made by `bind` and stays until somebody unlinks it, crash or not. An abstract name lives in the network
//! namespace and goes with its last descriptor; it has no owner and no permissions, so that anybody who is there first
//! has it: ask for the peer's credentials before you trust one.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipc_sys::errno;
use ipc_sys::socket::address::RawAddress;

use crate::{Error, Result};

/// The longest path that the kernel takes in one piece, its NUL not counted.
pub(crate) const DIRECT: usize = 107;

/// `sockaddr_un`: the name of a Unix socket.
///
/// A [`Path`] is taken as it is. Text (`&str`, [`FromStr`]) is read as configuration files write it: `unix:` in front is
/// dropped, then `@name` is an abstract name and anything else a path; write `./@name` for a path that begins so.
///
/// Paths may be as long as the file system allows: above 107 bytes they are reached through a descriptor and
/// /proc/self/fd, which must be mounted then.
///
/// # Examples
/// ```
/// use ipc_uds::Address;
/// use std::path::Path;
///
/// assert_eq!("unix:/run/x".parse::<Address>()?, Address::path("/run/x"));
/// assert_eq!("unix:@x".parse::<Address>()?, Address::abstract_name("x"));
/// assert_eq!(Address::from(Path::new("@x")).as_path(), Some(Path::new("@x")));
/// assert_eq!(Address::path("/run/x").to_string(), "unix:/run/x");
/// assert!("".parse::<Address>().is_err());
/// # Ok::<(), ipc_uds::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[doc(alias = "sockaddr_un")]
pub struct Address(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    Path(PathBuf),
    Abstract(Vec<u8>),
    Unnamed,
}

impl Address {
    /// A path, whatever it looks like. It is checked when it is used.
    #[must_use]
    pub fn path(path: impl AsRef<Path>) -> Self {
        Self(Kind::Path(path.as_ref().to_owned()))
    }

    /// An abstract name: up to 107 bytes, NUL allowed and counted (`rel` and `rel\0` are two names); each type of socket has
    /// its own of them. It is checked when it is used.
    #[must_use]
    pub fn abstract_name(name: impl AsRef<[u8]>) -> Self {
        Self(Kind::Abstract(name.as_ref().to_owned()))
    }

    /// No name. To bind it is to let the kernel choose an abstract name of five digits (autobind), which
    /// [`Socket::local_address`](crate::Socket::local_address) then tells.
    #[must_use]
    pub const fn unnamed() -> Self {
        Self(Kind::Unnamed)
    }

    /// The path, if it is one.
    #[must_use]
    pub fn as_path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The abstract name without its leading NUL, if it is one.
    #[must_use]
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Abstract(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it is no name: a socket that was never bound, either end of a pair.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        self.0 == Kind::Unnamed
    }

    pub(crate) fn from_raw(raw: &RawAddress) -> Self {
        let mut name = raw.name();
        Self(match name.first() {
            None => Kind::Unnamed,
            Some(0) => Kind::Abstract(name.split_off(1)),
            Some(_) => Kind::Path(std::ffi::OsString::from_vec(name).into()),
        })
    }

    /// What can be wrong with a name before the kernel sees it.
    pub(crate) fn check(&self) -> Result<()> {
        let reason = match &self.0 {
            Kind::Path(path) if path.as_os_str().is_empty() => "an empty path",
            Kind::Path(path) if path.as_os_str().as_bytes().contains(&0) => "a path cannot hold a NUL byte",
            Kind::Abstract(name) if name.len() > DIRECT => "an abstract name has at most 107 bytes",
            _ => return Ok(()),
        };
        Err(Error::InvalidAddress { address: self.clone(), reason })
    }

    /// The address of a socket that is there, for connect and sendto. A long path is opened, and named by its descriptor,
    /// which lives as long as what is returned.
    pub(crate) fn reach(&self) -> Result<Reached> {
        self.check()?;
        match &self.0 {
            Kind::Path(path) if path.as_os_str().len() > DIRECT => {
                let held = OpenOptions::new()
                    .read(true)
                    .custom_flags(libc::O_PATH)
                    .open(path)
                    .map_err(|source| Error::at("open", self, source))?;
                let raw = self.raw(format!("/proc/self/fd/{}", held.as_raw_fd()).as_bytes())?;
                Ok(Reached { raw, _held: Some(held) })
            }
            Kind::Path(path) => Ok(Reached { raw: self.raw(path.as_os_str().as_bytes())?, _held: None }),
            Kind::Abstract(name) => {
                let name: Vec<u8> = std::iter::once(&0).chain(name).copied().collect();
                Ok(Reached { raw: self.raw(&name)?, _held: None })
            }
            Kind::Unnamed => Ok(Reached { raw: self.raw(b"")?, _held: None }),
        }
    }

    /// `name` as the kernel takes it, for this address.
    pub(crate) fn raw(&self, name: &[u8]) -> Result<RawAddress> {
        let too_long = || Error::at("sockaddr_un", self, io::Error::from_raw_os_error(libc::ENAMETOOLONG));
        RawAddress::new(name).ok_or_else(too_long)
    }
}

/// An address that the kernel takes, and what must stay open meanwhile.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) raw: RawAddress,
    _held: Option<File>,
}

impl FromStr for Address {
    type Err = Error;

    /// # Errors
    /// [`Error::InvalidAddress`]: empty, a NUL in a path, an abstract name above 107 bytes.
    fn from_str(text: &str) -> Result<Self> {
        let address = Self::from(text);
        address.check()?;
        Ok(address)
    }
}

impl fmt::Display for Address {
    /// As [`FromStr`] reads it; what is no text is shown with replacement characters and escapes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Path(path) => {
                // Only this prefix keeps such a path from being read as an abstract name.
                let dot = if path.as_os_str().as_bytes().starts_with(b"@") { "./" } else { "" };
                write!(formatter, "unix:{dot}{}", path.display())
            }
            Kind::Abstract(name) => match std::str::from_utf8(name) {
                Ok(text) if !text.contains('\0') => write!(formatter, "unix:@{text}"),
                _ => write!(formatter, "unix:@{}", name.escape_ascii()),
            },
            Kind::Unnamed => formatter.write_str("unix: (unnamed)"),
        }
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        let text = text.strip_prefix("unix:").unwrap_or(text);
        match text.strip_prefix('@') {
            Some(name) => Self::abstract_name(name),
            None => Self::path(text),
        }
    }
}

impl From<String> for Address {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for Address {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::path(path)
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self(Kind::Path(path))
    }
}

impl From<&PathBuf> for Address {
    fn from(path: &PathBuf) -> Self {
        Self::path(path)
    }
}

impl From<&OsStr> for Address {
    fn from(path: &OsStr) -> Self {
        Self::path(path)
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        address.clone()
    }
}

/// Whether `error` says that what the path leads through, or to, is not there.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    errno::is(error, libc::ENOENT) || errno::is(error, libc::ENOTDIR)
}
