//! `sockaddr_un`: a family and up to 108 bytes of which the length is part of the name. Nothing in the file system means
//! unnamed; a first byte of 0 is an abstract name; anything else is a path, ended by its length or by a NUL.
#![expect(unsafe_code, reason = "the kernel fills a sockaddr_un through a pointer")]

use std::fmt;
use std::io;
use std::mem::{offset_of, size_of};

const HEADER: usize = offset_of!(libc::sockaddr_un, sun_path);

#[expect(clippy::cast_possible_truncation, reason = "AF_UNIX is 1")]
const FAMILY: libc::sa_family_t = libc::AF_UNIX as libc::sa_family_t;

/// Room in `sun_path`.
pub const CAPACITY: usize = size_of::<libc::sockaddr_un>() - HEADER;

/// An address as the kernel takes and gives it.
#[derive(Clone, Copy)]
pub struct RawAddress {
    raw: libc::sockaddr_un,
    len: libc::socklen_t,
}

impl RawAddress {
    /// An address whose `sun_path` holds exactly `name`; `None` when it is longer than [`CAPACITY`]. An empty name is the
    /// unnamed address, for which bind(2) chooses an abstract one.
    #[must_use]
    pub fn new(name: &[u8]) -> Option<Self> {
        let mut address = Self::empty();
        for (to, from) in address.raw.sun_path.get_mut(..name.len())?.iter_mut().zip(name) {
            *to = libc::c_char::from_ne_bytes([*from]);
        }
        address.len = super::socklen(HEADER + name.len());
        Some(address)
    }

    /// What `call` writes into a sockaddr_un, of which it is given the address and the room.
    pub(super) fn filled(
        call: impl FnOnce(*mut libc::sockaddr, *mut libc::socklen_t) -> io::Result<()>,
    ) -> io::Result<Self> {
        let mut address = Self::empty();
        address.len = super::socklen(size_of::<libc::sockaddr_un>());
        call((&raw mut address.raw).cast(), &raw mut address.len)?;
        Ok(address)
    }

    pub(super) fn empty() -> Self {
        // SAFETY: sockaddr_un holds integers only, and zero is one of each.
        let mut raw: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        raw.sun_family = FAMILY;
        Self { raw, len: super::socklen(HEADER) }
    }

    pub(super) fn as_ptr(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        ((&raw const self.raw).cast(), self.len)
    }

    /// Where the kernel may write `size_of::<sockaddr_un>()` bytes, and what then tells their number.
    pub(super) fn as_mut_parts(&mut self) -> (*mut libc::sockaddr_un, &mut libc::socklen_t) {
        (&raw mut self.raw, &mut self.len)
    }

    /// The bytes of `sun_path` that belong to the name: empty, a NUL and an abstract name, or a path without its NUL.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        // The kernel reports the length it would have liked: 111 for a path of 108 bytes.
        let len = usize::try_from(self.len).unwrap_or(0).saturating_sub(HEADER).min(CAPACITY);
        let mut name: Vec<u8> =
            self.raw.sun_path.iter().take(len).flat_map(|byte| byte.to_ne_bytes()).collect();
        if name.first().is_some_and(|first| *first != 0) {
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            name.truncate(end);
        }
        name
    }
}

impl fmt::Debug for RawAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RawAddress({})", self.name().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_108_bytes_fits_and_one_of_109_does_not() {
        assert_eq!(CAPACITY, 108);
        assert_eq!(RawAddress::new(&[b'x'; 108]).unwrap().name(), [b'x'; 108]);
        assert!(RawAddress::new(&[b'x'; 109]).is_none());
    }

    #[test]
    fn an_abstract_name_keeps_its_nuls_and_a_path_ends_at_its_first() {
        assert_eq!(RawAddress::new(b"\0a\0").unwrap().name(), b"\0a\0");
        assert_eq!(RawAddress::new(b"/a\0junk").unwrap().name(), b"/a");
        assert_eq!(RawAddress::new(b"").unwrap().name(), b"");
    }
}
