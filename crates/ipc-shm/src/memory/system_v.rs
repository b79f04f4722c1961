//! A System V segment as memory of ours: our header at its beginning, and a file of the user's for the locks.
//!
//! A segment has no descriptor, so nothing of it can be locked, and its count of attachments does not say whose they are.
//! The locks that say who lives are therefore taken in a file that all who may be an end can open for writing: the one
//! whose path made the key, say. Nothing is written there. Each segment takes bytes of its own, by its id.
//!
//! Whoever attaches first, alone, writes the header; a maker that is killed before READY leaves a segment that the next
//! one writes anew. Nobody here removes a segment: that is `ipc_sysv`'s business, and the kernel's once it is removed and
//! the last process has gone.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;

use ipc_sys::errno::retry;
use ipc_sysv::Attachment;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::memory::header::{HEADER, Layout};
use crate::memory::lock::{self, Kind};
use crate::memory::mapping::Mapping;
use crate::memory::segment::{ATTEMPTS, Origin, Segment};
use crate::words::{Words, peer_load};
use crate::{Error, Refusal, Result};

/// An attached segment that nobody has looked into yet, and the locks that go with it.
#[derive(Debug)]
pub(crate) struct Place {
    mapping: Mapping,
    /// Our own opening of the lock file.
    file: OwnedFd,
    /// Where in it this segment's bytes begin.
    locks: libc::off_t,
    object: String,
}

impl Place {
    pub(crate) fn new(attachment: Attachment, locks: &File) -> Result<Self> {
        let id = attachment.identity().id;
        let object = format!("System V segment {id}");
        let path = format!("/proc/self/fd/{}", locks.as_raw_fd());
        // An opening of our own: a clone of the caller's would share its locks.
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = retry(|| Ok(open(path.as_str(), flags, Mode::empty())?))
            .map_err(Error::system("open of the lock file", &object))?;
        if attachment.len() < HEADER {
            return Err(Error::refused(&object, Refusal::TooShort { len: attachment.len() as u64 }));
        }
        let mapping = Mapping::attached(attachment).map_err(Error::system("madvise", &object))?;
        Ok(Self { mapping, file, locks: libc::off_t::from(id) * lock::BYTES, object })
    }

    /// The bytes of the segment.
    pub(crate) fn len(&self) -> usize {
        self.mapping.len()
    }

    /// Makes the memory; whoever is alone does it, even in the place of what dead ones left, if `replace`.
    pub(crate) fn make(
        self,
        layout: Layout,
        replace: bool,
        init: impl FnOnce(&Mapping) -> Result<()>,
    ) -> Result<(Segment, Origin)> {
        if layout.len > self.mapping.len() as u64 {
            return Err(Error::refused(&self.object, Refusal::TooShort { len: self.mapping.len() as u64 }));
        }
        for _ in 0..ATTEMPTS {
            if !self.take(Kind::Write)? {
                if !replace {
                    return Err(Error::Exists { name: self.object });
                }
                if self.take(Kind::Read)? && self.found()? == Found::Complete {
                    return Ok((self.attach(&layout)?, Origin::Opened));
                }
                // Somebody is just making it, or is just finding out that nobody has.
                lock::release(&self.file, self.locks + lock::ATTACHED)
                    .map_err(Error::system("fcntl(F_OFD_SETLK)", &self.object))?;
                std::thread::yield_now();
                continue;
            }
            let found = self.found()?;
            if found == Found::Complete && !replace {
                return Err(Error::Exists { name: self.object });
            }
            let origin = if found == Found::Empty { Origin::Created } else { Origin::Replaced };
            Layout::begin(&self.mapping);
            self.mapping.clear(8, layout.len);
            layout.write(&self.mapping);
            init(&self.mapping)?;
            Layout::finish(&self.mapping);
            // From the write lock to the read lock, without letting go.
            self.take(Kind::Read)?;
            return Ok((self.into_segment(layout), origin));
        }
        Err(Error::EndInUse { object: self.object, end: "the memory" })
    }

    /// Attaches what another process has made.
    pub(crate) fn open(self, wanted: &Layout) -> Result<Segment> {
        for _ in 0..ATTEMPTS {
            if self.take(Kind::Read)? {
                return self.attach(wanted);
            }
            std::thread::yield_now();
        }
        Err(Error::EndInUse { object: self.object, end: "the memory" })
    }

    fn attach(self, wanted: &Layout) -> Result<Segment> {
        let refused = |reason| Error::refused(&self.object, reason);
        if self.found()? != Found::Complete {
            return Err(refused(Refusal::NotReady));
        }
        let load = |index| peer_load(self.mapping.word(index));
        let layout = Layout::read_within(load, self.mapping.len() as u64).map_err(refused)?;
        layout.expect(wanted).map_err(refused)?;
        Ok(self.into_segment(layout))
    }

    /// What the first page holds. Who is alone may ask; whoever else asks gets what it is by now.
    ///
    /// # Errors
    /// [`Refusal::Foreign`]: bytes that are not ours.
    fn found(&self) -> Result<Found> {
        let load = |index| peer_load(self.mapping.word(index));
        if Layout::is_begun(load) {
            let complete = Layout::is_finished(load);
            return Ok(if complete { Found::Complete } else { Found::Unfinished });
        }
        if self.mapping.words(0, HEADER / 8).iter().all(|word| word.load(Ordering::Relaxed) == 0) {
            return Ok(Found::Empty);
        }
        Err(Error::refused(&self.object, Refusal::Foreign))
    }

    fn take(&self, kind: Kind) -> Result<bool> {
        lock::take(&self.file, self.locks + lock::ATTACHED, kind)
            .map_err(Error::system("fcntl(F_OFD_SETLK)", &self.object))
    }

    fn into_segment(self, layout: Layout) -> Segment {
        Segment::in_system_v(self.mapping, layout, self.file, self.locks)
    }
}

/// What a segment holds before it is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Zeros, as the kernel gave it.
    Empty,
    /// What a maker that was killed had begun.
    Unfinished,
    Complete,
}
