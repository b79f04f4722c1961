//! The first page of every segment that this crate makes: what it is, said once, before anybody can meet it.
//!
//! Its creator writes it and stores `state` last, with Release. Whoever attaches copies each word once, checks the
//! copies and never looks at them again. Words that change later (positions, bells, counters) are further down the
//! page, 128 bytes apart where writers or rhythms differ.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
#[cfg(feature = "sysv")]
use std::sync::atomic::fence;

use ipc_sys::errno::retry;
use nix::sys::uio::pread;

use crate::tag::Tag;
use crate::words::Words;
use crate::{Error, Refusal, Result};

/// The bytes of the header page: payload begins here.
pub(crate) const HEADER: usize = 4096;

/// "ipc-shm1", as its bytes stand in memory.
const MAGIC: u64 = u64::from_le_bytes(*b"ipc-shm1");
/// The version of the layout in the low half; above it the word size and a mark that another byte order would turn.
const ABI: u64 = 0x0102_0008_0000_0001;
/// What `state` holds in a segment that is complete.
const READY: u64 = u64::from_le_bytes(*b"complete");

const WORD_MAGIC: usize = 0;
const WORD_ABI: usize = 1;
const WORD_MODE: usize = 2;
const WORD_KIND: usize = 3;
const WORD_SIZE: usize = 4;
const WORD_ALIGN: usize = 5;
const WORD_STRIDE: usize = 6;
const WORD_TAG: usize = 7;
const WORD_CAPACITY: usize = 8;
const WORD_LEN: usize = 9;
const WORD_START: usize = 10;
const WORD_FLAGS: usize = 11;
const WORD_STATE: usize = 12;

/// What a segment holds, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Which protocol.
    pub(crate) kind: Kind,
    /// Who may write, and which part of a pair this is.
    pub(crate) mode: u64,
    /// The payload type's size, 0 for plain bytes.
    pub(crate) size: u64,
    /// The payload type's alignment.
    pub(crate) align: u64,
    /// The distance between two payloads.
    pub(crate) stride: u64,
    /// What the user wants told apart beyond size and alignment.
    pub(crate) tag: u64,
    /// How many payloads.
    pub(crate) capacity: u64,
    /// The bytes of the file, this page included.
    pub(crate) len: u64,
    /// The first position.
    pub(crate) start: u64,
    /// What the creator decided for both sides.
    pub(crate) flags: u64,
}

/// A copy of the header page, made without mapping it.
#[derive(Debug)]
pub(crate) struct Page(Box<[u8; HEADER]>);

impl Page {
    /// pread of the first page.
    pub(crate) fn read(file: &OwnedFd, object: &str) -> Result<Self> {
        Self::read_at(file, object, 0)
    }

    /// pread of a page behind it.
    pub(crate) fn read_at(file: &OwnedFd, object: &str, number: libc::off_t) -> Result<Self> {
        let mut page = Box::new([0; HEADER]);
        match retry(|| Ok(pread(file, page.as_mut_slice(), number * 4096)?)) {
            Ok(HEADER) => Ok(Self(page)),
            // It was truncated after its length was looked at.
            Ok(len) => Err(Error::refused(object, Refusal::TooShort { len: len as u64 })),
            Err(error) => Err(Error::system("pread", object)(error)),
        }
    }

    /// The word at 8 × `index` bytes; 0 beyond the page.
    pub(crate) fn word(&self, index: usize) -> u64 {
        let bytes = self.0.get(index * 8..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }
}

/// What a segment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Kind {
    /// Bytes: [`crate::SharedMemory`] as it is.
    Memory = 1,
    /// One typed value: `Shared<T>`.
    Shared = 2,
    /// A ring for one sender and one receiver.
    Spsc = 3,
    /// The newest value.
    Latest = 4,
    /// One writer, any number of readers.
    Broadcast = 5,
    /// Messages of any length.
    Bytes = 6,
    /// Questions and their answers.
    Request = 7,
    /// Many senders, many receivers.
    Mpmc = 8,
    /// One writer that waits for the slowest of its readers.
    Lossless = 9,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Memory,
        Self::Shared,
        Self::Spsc,
        Self::Latest,
        Self::Broadcast,
        Self::Bytes,
        Self::Request,
        Self::Mpmc,
        Self::Lossless,
    ];

    /// The word for it, in listings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Shared => "shared",
            Self::Spsc => "spsc",
            Self::Latest => "latest",
            Self::Broadcast => "broadcast",
            Self::Bytes => "bytes",
            Self::Request => "request",
            Self::Mpmc => "mpmc",
            Self::Lossless => "lossless",
        }
    }

    /// Whether messages or values pass through it from one process to another.
    pub(crate) fn is_channel(self) -> bool {
        !matches!(self, Self::Memory | Self::Shared)
    }
}

impl Layout {
    /// Plain bytes, `len` of them behind the header.
    pub(crate) fn bytes(mode: u64, len: usize, tag: u64) -> Self {
        let capacity = len as u64;
        let len = (HEADER + len) as u64;
        Self {
            kind: Kind::Memory,
            mode,
            size: 1,
            align: 1,
            stride: 1,
            tag,
            capacity,
            len,
            start: 0,
            flags: 0,
        }
    }

    /// Writes the header, all but `state`.
    pub(crate) fn write(&self, words: &impl Words) {
        for (index, value) in [
            (WORD_MAGIC, MAGIC),
            (WORD_ABI, ABI),
            (WORD_MODE, self.mode),
            (WORD_KIND, self.kind as u64),
            (WORD_SIZE, self.size),
            (WORD_ALIGN, self.align),
            (WORD_STRIDE, self.stride),
            (WORD_TAG, self.tag),
            (WORD_CAPACITY, self.capacity),
            (WORD_LEN, self.len),
            (WORD_START, self.start),
            (WORD_FLAGS, self.flags),
        ] {
            words.word(index).store(value, Ordering::Relaxed);
        }
    }

    /// Declares the segment complete: what was written before is seen by who finds it so.
    pub(crate) fn finish(words: &impl Words) {
        words.word(WORD_STATE).store(READY, Ordering::Release);
    }

    /// Copies and checks what does not depend on what the caller wants: a header of ours, complete, as long as its file.
    /// `load` gives the word of an index.
    pub(crate) fn read(load: impl Fn(usize) -> u64, file_len: u64) -> Result<Self, Refusal> {
        if load(WORD_MAGIC) != MAGIC {
            return Err(Refusal::Foreign);
        }
        if load(WORD_STATE) != READY {
            return Err(Refusal::NotReady);
        }
        if load(WORD_ABI) != ABI {
            return Err(Refusal::Version);
        }
        let kind = load(WORD_KIND);
        let Some(kind) = Kind::ALL.into_iter().find(|known| *known as u64 == kind) else {
            return Err(Refusal::Kind { found: kind, wanted: 0 });
        };
        let layout = Self {
            kind,
            mode: load(WORD_MODE),
            size: load(WORD_SIZE),
            align: load(WORD_ALIGN),
            stride: load(WORD_STRIDE),
            tag: load(WORD_TAG),
            capacity: load(WORD_CAPACITY),
            len: load(WORD_LEN),
            start: load(WORD_START),
            flags: load(WORD_FLAGS),
        };
        if layout.len != file_len {
            return Err(Refusal::Capacity);
        }
        Ok(layout)
    }

    /// As [`Layout::read`], of a header in memory that may be longer than what was made in it.
    #[cfg(feature = "sysv")]
    pub(crate) fn read_within(load: impl Fn(usize) -> u64, room: u64) -> Result<Self, Refusal> {
        let len = load(WORD_LEN);
        if !(HEADER as u64..=room).contains(&len) {
            return Err(Refusal::Capacity);
        }
        // The length is read again there: another one by now is refused.
        Self::read(load, len)
    }

    /// Says whose the memory is, before anything else is written: who is killed on the way leaves this.
    #[cfg(feature = "sysv")]
    pub(crate) fn begin(words: &impl Words) {
        words.word(WORD_MAGIC).store(MAGIC, Ordering::Relaxed);
        words.word(WORD_STATE).store(0, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    #[cfg(feature = "sysv")]
    pub(crate) fn is_begun(load: impl Fn(usize) -> u64) -> bool {
        load(WORD_MAGIC) == MAGIC
    }

    #[cfg(feature = "sysv")]
    pub(crate) fn is_finished(load: impl Fn(usize) -> u64) -> bool {
        load(WORD_STATE) == READY
    }

    /// What kind of segment a file is that begins with these bytes, if it is one of ours.
    pub(crate) fn kind_of(head: &[u8; 64]) -> Option<Kind> {
        let word = |index: usize| {
            let bytes = head.get(index * 8..index * 8 + 8)?;
            Some(u64::from_ne_bytes(bytes.try_into().ok()?))
        };
        if word(WORD_MAGIC)? != MAGIC {
            return None;
        }
        let kind = word(WORD_KIND)?;
        Kind::ALL.into_iter().find(|known| *known as u64 == kind)
    }

    /// Compares with what the caller wants; `capacity` and `len` of 0 stand for any.
    pub(crate) fn expect(&self, wanted: &Self) -> Result<(), Refusal> {
        if self.mode != wanted.mode {
            return Err(Refusal::Mode);
        }
        if self.kind != wanted.kind {
            return Err(Refusal::Kind { found: self.kind as u64, wanted: wanted.kind as u64 });
        }
        let fingerprint = |layout: &Self| (layout.size, layout.align, layout.stride);
        if fingerprint(self) != fingerprint(wanted) {
            return Err(Refusal::Type);
        }
        if self.tag != wanted.tag && self.kind == Kind::Shared {
            // There the tag is the type's.
            return Err(Refusal::Type);
        }
        if self.tag != wanted.tag {
            return Err(Refusal::Tag { found: Tag::from(self.tag), wanted: Tag::from(wanted.tag) });
        }
        let agreed = |layout: &Self| (layout.capacity, layout.start, layout.flags);
        if wanted.capacity != 0 && agreed(self) != agreed(wanted) {
            return Err(Refusal::Capacity);
        }
        if wanted.len != 0 && self.len != wanted.len {
            return Err(Refusal::Capacity);
        }
        Ok(())
    }
}
