//! The words of a segment, found once and kept with it: what a channel's end polls.
#![expect(unsafe_code, reason = "the words are kept beside the mapping that they lie in")]

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ipc_sys::{Deadline, futex};

use crate::channel::Socket;
use crate::memory::header::HEADER;
use crate::memory::segment::Segment;
use crate::words::Words;

type HeaderPage = [AtomicU64; HEADER / 8];

/// The words of a segment that stays mapped as long as this lives.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// The header page, which every segment has: its words are found without a check, as their indices are constants.
    header: NonNull<HeaderPage>,
    words: NonNull<[AtomicU64]>,
    segment: Arc<Segment>,
    /// What this side of a channel polls, and signals the other side by.
    socket: Option<Arc<Socket>>,
}

// SAFETY: it is a shared reference to atomics, which are Sync, together with an owner of their memory, which is Send and
// Sync.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    pub(crate) fn new(segment: Arc<Segment>) -> Self {
        let words = segment.mapping().all();
        let Some(header) = words.first_chunk() else { unreachable!("a segment without a header page") };
        Self { header: NonNull::from(header), words: NonNull::from(words), segment, socket: None }
    }

    pub(crate) fn with_socket(self, socket: Option<Arc<Socket>>) -> Self {
        Self { socket, ..self }
    }

    pub(crate) fn socket(&self) -> Option<&Arc<Socket>> {
        self.socket.as_ref()
    }

    #[inline]
    fn all(&self) -> &[AtomicU64] {
        // SAFETY: shared memory: the words belong to `segment`, which `self` keeps mapped in this process; in a forked
        // child, which does not have the mapping, each call of an end returns `Forked` before it comes here.
        unsafe { self.words.as_ref() }
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }
}

impl Words for View {
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "no peer's word becomes an index: positions are masked by our constant"
    )]
    fn words(&self, first: usize, count: usize) -> &[AtomicU64] {
        &self.all()[first..][..count]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "as above")]
    fn word(&self, index: usize) -> &AtomicU64 {
        &self.all()[index]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "as above")]
    fn header(&self, index: usize) -> &AtomicU64 {
        // SAFETY: shared memory: as in `all`, of which this is the beginning.
        let header = unsafe { self.header.as_ref() };
        &header[index]
    }

    fn wait(&self, index: usize, expected: u32, deadline: Deadline) -> io::Result<futex::Wait> {
        futex::wait_low(self.word(index), expected, deadline)
    }

    fn wait_for(&self, index: usize, expected: u32, timeout: Duration) -> io::Result<futex::Wait> {
        futex::wait_low_for(self.word(index), expected, timeout)
    }

    fn wake(&self, index: usize, count: i32) {
        // It fails only where the page is gone, and then there is nobody to wake.
        let _ = futex::wake_low(self.word(index), count);
    }

    fn has_socket(&self) -> bool {
        self.socket().is_some()
    }

    fn signal(&self) -> bool {
        self.socket().is_none_or(|socket| socket.signal())
    }

    fn drain(&self) {
        if let Some(socket) = self.socket() {
            socket.drain();
        }
    }

    fn poll(&self, deadline: Deadline) -> io::Result<futex::Wait> {
        self.socket().ok_or_else(|| io::Error::from_raw_os_error(libc::EOPNOTSUPP))?.poll(deadline)
    }
}
