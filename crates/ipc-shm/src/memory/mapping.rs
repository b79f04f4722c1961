//! mmap of a memory file, as words that are only ever reached through atomics; from 2 MiB on where huge pages fit.
//!
//! The mapping is not inherited by a forked child (MADV_DONTFORK), which would be a second writer of the same end. A
//! handle that finds itself in a child leaves the address range alone: it may belong to somebody else by then.
#![expect(unsafe_code, reason = "the words of a mapping are made from its address")]

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ipc_sys::fork::ForkMark;
use ipc_sys::huge::{AlignedMap, HUGE};
use ipc_sys::memory::dont_fork;
use ipc_sys::{Deadline, futex, words};
use memmap2::{MmapOptions, MmapRaw};

use crate::words::Words;

/// A mapped file, shared, whole.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    owner: ManuallyDrop<Owner>,
    len: usize,
    writable: bool,
    mark: ForkMark,
    /// Whether it stays mapped when this is dropped.
    kept: AtomicBool,
}

/// What ends the mapping when it is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "they are kept to be dropped")]
enum Owner {
    /// munmap.
    File(MmapRaw),
    /// munmap, of what begins where a huge page can.
    Aligned(AlignedMap),
    /// shmdt.
    #[cfg(feature = "sysv")]
    SystemV(ipc_sysv::Attachment),
}

// SAFETY: the mapping belongs to the process, not to a thread, its owner is Send, and the words are reached as atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above; the owner is Sync.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes, and all their pages now (MAP_POPULATE).
    pub(crate) fn new(file: impl AsFd, len: usize, writable: bool) -> io::Result<Self> {
        let mark = ForkMark::new()?;
        let mapping = Self::of_file(map(file, len, writable)?, len, writable, mark);
        // SAFETY: the whole pages of a mapping of ours; who has a handle in a child is refused, and does not unmap.
        unsafe { dont_fork(mapping.start, len) }?;
        Ok(mapping)
    }

    /// As [`Mapping::new`], but a forked child keeps the memory: for bytes that have no protocol to break.
    pub(crate) fn inherited(file: impl AsFd, len: usize, writable: bool) -> io::Result<Self> {
        let mark = ForkMark::new()?;
        Ok(Self::of_file(map(file, len, writable)?, len, writable, mark))
    }

    /// A System V segment, all of it, which a forked child does not inherit.
    #[cfg(feature = "sysv")]
    pub(crate) fn attached(attachment: ipc_sysv::Attachment) -> io::Result<Self> {
        let mark = ForkMark::new()?;
        let len = attachment.len();
        let start = NonNull::new(attachment.as_mut_ptr()).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: the kernel attached these whole pages just now, and the attachment is ours alone.
        unsafe { dont_fork(start, len) }?;
        Ok(Self::over(start, Owner::SystemV(attachment), len, true, mark))
    }

    fn of_file((start, owner): (NonNull<u8>, Owner), len: usize, writable: bool, mark: ForkMark) -> Self {
        Self::over(start, owner, len, writable, mark)
    }

    fn over(start: NonNull<u8>, owner: Owner, len: usize, writable: bool, mark: ForkMark) -> Self {
        Self { start, owner: ManuallyDrop::new(owner), len, writable, mark, kept: AtomicBool::new(false) }
    }

    /// Leaves it mapped for good: something that outlives this handle leads to it.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// Whether others can be given a descriptor of it.
    pub(crate) fn is_file(&self) -> bool {
        matches!(*self.owner, Owner::File(_) | Owner::Aligned(_))
    }

    /// Uses the first `len` bytes of what is mapped.
    #[cfg(feature = "sysv")]
    pub(crate) fn shorten(&mut self, len: u64) {
        self.len = usize::try_from(len).map_or(self.len, |len| len.min(self.len));
    }

    /// Makes the bytes zero again, in whole words.
    #[cfg(feature = "sysv")]
    pub(crate) fn clear(&self, from: usize, to: u64) {
        let to = usize::try_from(to.div_ceil(8)).unwrap_or(usize::MAX);
        for word in self.all().get(from / 8..to).unwrap_or_default() {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Whether this is still the process that mapped it.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.mark.is_ours()
    }

    /// The process that mapped it.
    pub(crate) fn mark(&self) -> ForkMark {
        self.mark
    }

    /// Whether we may write it.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// The bytes of the file.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The byte at `offset`, at most [`Mapping::len`]. Whoever makes a reference from it answers for who writes meanwhile.
    #[inline]
    pub(crate) fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.len);
        // SAFETY: `offset` is within the mapping or one past its end.
        unsafe { self.start.add(offset) }
    }

    /// All of it as words; the last one may reach into the zeroed rest of the last page.
    #[inline]
    pub(crate) fn all(&self) -> &[AtomicU64] {
        let first = self.start.as_ptr().cast::<AtomicU64>();
        // SAFETY: shared memory: the range is mapped while `self` lives (rounded up to whole pages by the kernel), page
        // aligned, and other processes' writes cannot make a word invalid, as every bit pattern is a u64. We never write
        // through a read-only mapping (`is_writable` is asked first), and load there with Relaxed only.
        unsafe { slice::from_raw_parts(first, self.len.div_ceil(8)) }
    }

    /// Copies bytes out, a word at a time. The caller has checked the range.
    pub(crate) fn copy_out(&self, offset: usize, buffer: &mut [u8]) {
        words::copy_out(self.all(), offset, buffer);
    }

    /// Copies bytes in, a word at a time; the neighbours of an edge keep what they hold. The caller has checked the
    /// range and that it may write.
    pub(crate) fn copy_in(&self, offset: usize, bytes: &[u8]) {
        words::copy_in(self.all(), offset, bytes);
    }
}

impl Words for Mapping {
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "no peer's word becomes an index: positions are masked by our constant"
    )]
    fn words(&self, first: usize, count: usize) -> &[AtomicU64] {
        &self.all()[first..first + count]
    }

    fn wait(&self, index: usize, expected: u32, deadline: Deadline) -> io::Result<futex::Wait> {
        futex::wait_low(self.word(index), expected, deadline)
    }

    fn wake(&self, index: usize, count: i32) {
        // It fails only where the page is gone, and then there is nobody to wake.
        let _ = futex::wake_low(self.word(index), count);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.mark.is_ours() && !*self.kept.get_mut() {
            // SAFETY: dropped here and nowhere else, and not used again.
            unsafe { ManuallyDrop::drop(&mut self.owner) }
        }
    }
}

fn map(file: impl AsFd, len: usize, writable: bool) -> io::Result<(NonNull<u8>, Owner)> {
    if len >= HUGE {
        // Huge pages are worth a try, and no reason to fail.
        if let Ok(map) = AlignedMap::new(file.as_fd(), len, writable) {
            return Ok((map.start(), Owner::Aligned(map)));
        }
    }
    let mut options = MmapOptions::new();
    options.len(len).populate();
    let file = file.as_fd().as_raw_fd();
    let map = if writable { options.map_raw(file) } else { options.map_raw_read_only(file) }?;
    let start = NonNull::new(map.as_mut_ptr()).ok_or(io::ErrorKind::InvalidInput)?;
    Ok((start, Owner::File(map)))
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use ipc_sys::memory::memory_file;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_go_in_and_come_out_at_any_offset(
            writes in prop::collection::vec((0_usize..64, prop::collection::vec(any::<u8>(), 0..32)), 1..20),
        ) {
            let file = memory_file(c"test").unwrap();
            nix::unistd::ftruncate(&file, 96).unwrap();
            let mapping = Mapping::new(&file, 96, true).unwrap();
            let mut model = [0; 96];
            for (offset, bytes) in writes {
                mapping.copy_in(offset, &bytes);
                model[offset..offset + bytes.len()].copy_from_slice(&bytes);
                let mut part = vec![0; bytes.len()];
                mapping.copy_out(offset, &mut part);
                prop_assert_eq!(part, bytes);
                let mut found = [0; 96];
                mapping.copy_out(0, &mut found);
                prop_assert_eq!(found, model);
            }
        }
    }
}
