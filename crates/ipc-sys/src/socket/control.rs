//! Control data: a row of (length, level, type, bytes), each aligned to 8, as sendmsg takes it and recvmsg gives it.
//!
//! Descriptors in received control data are ours from that moment: whatever else is wrong with the message, each of them
//! ends in an [`OwnedFd`]. The taking apart ([`Items`]) trusts no length and makes no descriptor, so it can be fuzzed.
#![expect(
    unsafe_code,
    reason = "received descriptors are taken over, and control memory is read after the kernel wrote it"
)]

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// SCM_MAX_FD: more descriptors in one message are EINVAL.
pub const MAX_DESCRIPTORS: usize = 253;

/// SCM_PIDFD of SO_PASSPIDFD, Linux 6.5.
pub const SCM_PIDFD: libc::c_int = 0x04;

const HEADER: usize = 16;

/// CMSG_SPACE.
const fn space(len: usize) -> usize {
    HEADER + len.next_multiple_of(8)
}

/// Room for everything that one message can carry: 253 descriptors, credentials, a pidfd, a security label, and
/// whatever timestamp an inherited socket option adds.
const WORDS: usize = (space(MAX_DESCRIPTORS * 4) + space(12) + space(4) + space(256) + space(64)) / 8;

/// Control memory, uninitialised until somebody writes it.
#[derive(Debug)]
pub struct Control {
    words: MaybeUninit<[u64; WORDS]>,
    /// Bytes written, from the start.
    len: usize,
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl Control {
    /// No control data yet.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        let mut new = MaybeUninit::<Self>::uninit();
        // Written alone: a literal of both fields is a constant, for which the compiler zeroes the words, too, and that costs
        // more than the rest of a send.
        // SAFETY: the pointer leads to a place for a `Self` that is ours.
        let len = unsafe { &raw mut (*new.as_mut_ptr()).len };
        // SAFETY: as above, and `len` is the place of its field.
        unsafe { len.write(0) };
        // SAFETY: `len` was written, and `words` need not be.
        unsafe { new.assume_init() }
    }

    /// Adds SCM_RIGHTS; false, and nothing added, when there are more than [`MAX_DESCRIPTORS`].
    #[must_use]
    #[inline]
    pub fn push_descriptors(&mut self, descriptors: &[BorrowedFd<'_>]) -> bool {
        if descriptors.len() > MAX_DESCRIPTORS {
            return false;
        }
        if descriptors.is_empty() {
            return true;
        }
        let half = |fd: Option<&BorrowedFd<'_>>| u64::from(fd.map_or(0, |fd| bits(fd.as_raw_fd())));
        let data = descriptors.chunks(2).map(|two| half(two.first()) | (half(two.get(1)) << 32));
        self.push(libc::SCM_RIGHTS, descriptors.len() * 4, data);
        true
    }

    /// Adds SCM_CREDENTIALS.
    pub fn push_credentials(&mut self, credentials: libc::ucred) {
        let first = u64::from(bits(credentials.pid)) | (u64::from(credentials.uid) << 32);
        self.push(libc::SCM_CREDENTIALS, 12, [first, u64::from(credentials.gid)].into_iter());
    }

    /// Both targets are little-endian (lib.rs refuses others), so that two ints are one word, the first one low.
    #[inline]
    fn push(&mut self, kind: libc::c_int, len: usize, data: impl Iterator<Item = u64>) {
        let level = u64::from(bits(libc::SOL_SOCKET));
        let header = [(HEADER + len) as u64, level | (u64::from(bits(kind)) << 32)];
        let at = self.len / 8;
        let mut end = at;
        for (to, word) in self.words_mut().iter_mut().skip(at).zip(header.into_iter().chain(data)) {
            to.write(word);
            end += 1;
        }
        self.len = end * 8;
    }

    #[inline]
    fn words_mut(&mut self) -> &mut [MaybeUninit<u64>] {
        // SAFETY: an uninitialised array of words is an array of uninitialised words, borrowed as long as `self` is.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), WORDS) }
    }

    /// What was added, for sendmsg.
    #[inline]
    pub(super) fn filled(&self) -> (*const u64, usize) {
        (self.words.as_ptr().cast(), self.len)
    }

    /// The whole memory, for recvmsg.
    #[inline]
    pub(super) fn room(&mut self) -> (*mut u64, usize) {
        (self.words.as_mut_ptr().cast(), WORDS * 8)
    }

    /// # Safety
    /// The kernel must have written items that take `len` bytes, from the start.
    #[inline]
    pub(super) unsafe fn set_len(&mut self, len: usize) {
        self.len = len.min(WORDS * 8);
        let mut at = 0;
        while at + HEADER <= self.len {
            let header = self.words_mut().get(at / 8).copied();
            // SAFETY: the first word of an item's header, which the kernel wrote (the caller's promise).
            let len = header.map_or(0, |word| unsafe { word.assume_init() });
            let Ok(len) = usize::try_from(len) else { return };
            let (from, to) = (at.saturating_add(len), at.saturating_add(len).saturating_add(7) & !7);
            // Between an item and the next one's header the kernel leaves up to 7 bytes as they were.
            for gap in self.bytes_mut().get_mut(from..to.min(WORDS * 8)).unwrap_or_default() {
                gap.write(0);
            }
            at = to.max(at + HEADER);
        }
    }

    fn bytes_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: an uninitialised word is eight uninitialised bytes, borrowed as long as `self` is.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), WORDS * 8) }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are initialised: `push` wrote them, or the kernel and `set_len` between its items.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.len) }
    }

    /// Takes over what was received.
    ///
    /// # Safety
    /// The content must come from one recvmsg and be taken once: its descriptors are not owned by anybody yet.
    pub(super) unsafe fn take(&mut self) -> Ancillary {
        let mut found = Ancillary::default();
        for item in Items::new(self.bytes()) {
            match (item.level, item.kind) {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    found.descriptors.reserve(item.data.len() / 4);
                    for raw in item.ints().filter(|raw| *raw >= 0) {
                        // SAFETY: the kernel installed this descriptor for us; by contract nobody else owns it.
                        found.descriptors.push(unsafe { OwnedFd::from_raw_fd(raw) });
                    }
                }
                // Where no descriptor could be made, the kernel writes the negative errno in its place.
                (libc::SOL_SOCKET, SCM_PIDFD) => match item.ints().next() {
                    // SAFETY: as above.
                    Some(raw) if raw >= 0 => found.pidfd = Some(unsafe { OwnedFd::from_raw_fd(raw) }),
                    _ => {}
                },
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => found.credentials = item.credentials(),
                (libc::SOL_SOCKET, SCM_SECURITY) => {
                    let label = item.data.strip_suffix(&[0]).unwrap_or(item.data);
                    found.security = Some(label.to_vec());
                }
                _ => {}
            }
        }
        self.len = 0;
        found
    }
}

const SCM_SECURITY: libc::c_int = 0x03;

/// The same 32 bits; `cast_unsigned` is younger than our MSRV.
#[inline]
const fn bits(int: libc::c_int) -> u32 {
    u32::from_ne_bytes(int.to_ne_bytes())
}

/// What came with a message.
#[derive(Debug, Default)]
pub struct Ancillary {
    /// SCM_RIGHTS.
    pub descriptors: Vec<OwnedFd>,
    /// SCM_CREDENTIALS.
    pub credentials: Option<Credentials>,
    /// SCM_PIDFD.
    pub pidfd: Option<OwnedFd>,
    /// SCM_SECURITY.
    pub security: Option<Vec<u8>>,
}

/// `struct ucred`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The process; 0 when it is in a pid namespace that we do not see.
    pub pid: libc::pid_t,
    /// The user.
    pub uid: libc::uid_t,
    /// The group.
    pub gid: libc::gid_t,
}

/// One row of control data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// `cmsg_level`.
    pub level: libc::c_int,
    /// `cmsg_type`.
    pub kind: libc::c_int,
    /// What follows the header.
    pub data: &'a [u8],
}

impl<'a> Item<'a> {
    /// The data as whole ints; a rest of one to three bytes is nothing.
    #[inline]
    pub fn ints(&self) -> impl Iterator<Item = libc::c_int> + use<'a> {
        self.data.chunks_exact(4).filter_map(|four| four.try_into().ok()).map(libc::c_int::from_ne_bytes)
    }

    /// The data as a `struct ucred`.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        let mut ints = self.ints();
        let (pid, uid, gid) = (ints.next()?, ints.next()?, ints.next()?);
        Some(Credentials { pid, uid: bits(uid), gid: bits(gid) })
    }
}

/// Walks over control data as CMSG_NXTHDR does, and ends at the first length that cannot be.
#[derive(Debug, Clone)]
pub struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    /// Of these bytes.
    #[must_use]
    pub fn new(control: &'a [u8]) -> Self {
        Self(control)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let (len, rest) = self.0.split_first_chunk::<8>()?;
        let (level, rest) = rest.split_first_chunk::<4>()?;
        let (kind, _) = rest.split_first_chunk::<4>()?;
        let len = usize::try_from(u64::from_ne_bytes(*len)).ok()?;
        let data = self.0.get(HEADER..len)?;
        self.0 = len.checked_next_multiple_of(8).and_then(|next| self.0.get(next..)).unwrap_or(&[]);
        Some(Item { level: i32::from_ne_bytes(*level), kind: i32::from_ne_bytes(*kind), data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_pushed_is_what_is_walked_over() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let mut control = Control::new();
        assert!(control.push_descriptors(&[file.as_fd(); 3]));
        control.push_credentials(libc::ucred { pid: 7, uid: 8, gid: u32::MAX });
        let items: Vec<Item<'_>> = Items::new(control.bytes()).collect();
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].ints().collect::<Vec<_>>(), [file.as_raw_fd(); 3]);
        assert_eq!(items[1].credentials(), Some(Credentials { pid: 7, uid: 8, gid: u32::MAX }));
    }

    /// One descriptor is 4 bytes, and put_cmsg leaves the other 4 up to the next header as they were.
    #[test]
    fn what_the_kernel_leaves_between_two_items_is_initialised() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut control = Control::new();
        assert!(control.push_descriptors(&[ours.as_fd()]));
        let bytes = [std::io::IoSlice::new(b"!")];
        super::super::message::send_message(&ours, &bytes, &control, None, 0).unwrap();
        let mut control = Control::new();
        for word in control.words_mut() {
            word.write(u64::MAX);
        }
        let (data, room) = control.room();
        let mut byte = [0_u8];
        let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        // SAFETY: msghdr holds integers and pointers, of which zero and null are valid.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
        (header.msg_control, header.msg_controllen) = (data.cast(), room as _);
        // SAFETY: both pointers lead to live memory of the stated length.
        assert_eq!(unsafe { libc::recvmsg(theirs.as_raw_fd(), &raw mut header, 0) }, 1);
        // SAFETY: all of it was written above.
        unsafe { control.set_len(header.msg_controllen as usize) };
        assert_eq!(control.bytes().get(20..), Some(&[0; 4][..]));
        // SAFETY: one recvmsg filled it, and this is the first take.
        assert_eq!(unsafe { control.take() }.descriptors.len(), 1);
    }

    #[test]
    fn the_largest_message_fits_and_one_more_is_refused() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let mut control = Control::new();
        assert!(!control.push_descriptors(&[file.as_fd(); MAX_DESCRIPTORS + 1]));
        assert!(control.push_descriptors(&[file.as_fd(); MAX_DESCRIPTORS]));
        control.push_credentials(libc::ucred { pid: 1, uid: 2, gid: 3 });
        assert_eq!(Items::new(control.bytes()).count(), 2);
    }

    #[test]
    fn lengths_are_those_of_libc() {
        for len in [0_u32, 1, 4, 12, 253 * 4] {
            // SAFETY: CMSG_SPACE is arithmetic.
            let theirs = unsafe { libc::CMSG_SPACE(len) };
            assert_eq!(space(len as usize), theirs as usize);
        }
    }

    #[test]
    fn a_length_that_lies_ends_the_walk() {
        for len in [0_u64, 15, 25, u64::MAX, u64::MAX - 6, 1 << 63] {
            let mut bytes = len.to_ne_bytes().to_vec();
            bytes.extend([0; 16]);
            assert_eq!(Items::new(&bytes).count(), 0, "{len}");
        }
        let mut bytes = 21_u64.to_ne_bytes().to_vec();
        bytes.extend([1; 16]);
        let items: Vec<Item<'_>> = Items::new(&bytes).collect();
        assert_eq!((items.len(), items[0].data.len(), items[0].ints().count()), (1, 5, 1));
    }
}
