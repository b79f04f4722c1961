//! vmsplice(2): pages of our memory become pages of a pipe, without a copy. The pipe then refers to them until they are
//! read, and nobody can know when that was: so the memory must never be written again. These types see to it.
//!
//! The memory is anonymous and private; it is unmapped when its owner is dropped, and its pages are freed when the pipe
//! has let go of them, too.

use std::io::{self, IoSlice};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use ipc_sys::{errno, sigpipe};
use memmap2::{Mmap, MmapMut};
use nix::fcntl::SpliceFFlags;

use crate::writer::written;
use crate::{Error, PipeWriter, Result};

/// Memory of whole pages, to be filled and given away.
#[derive(Debug)]
pub struct Pages(MmapMut);

impl Pages {
    /// mmap(MAP_PRIVATE | MAP_ANONYMOUS): `len` bytes of zeros.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | ENOMEM | [`Error::System`] |
    pub fn new(len: usize) -> Result<Self> {
        MmapMut::map_anon(len).map(Self).map_err(|error| failed("mmap", error))
    }

    /// mprotect(PROT_READ): from now on nobody writes it, so it may be spliced as often as one likes.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | ENOMEM | [`Error::System`] |
    pub fn freeze(self) -> Result<FrozenPages> {
        self.0.make_read_only().map(FrozenPages).map_err(|error| failed("mprotect", error))
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Memory that nobody will write any more: what [`PipeWriter::vmsplice`] may send over and over.
#[derive(Debug)]
pub struct FrozenPages(Mmap);

impl Deref for FrozenPages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl PipeWriter {
    /// vmsplice(SPLICE_F_GIFT): gives the pages to the pipe, all of them. They are unmapped here, so what is read is
    /// what they held now.
    ///
    /// # Blocking
    /// Until there was room for all, O_NONBLOCK or not. A signal does not show.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EPIPE: the pages are gone, and nobody reads what went before | [`Error::PeerGone`] |
    /// | EBADF: no pipe, or its reading end; ENOMEM | [`Error::System`] |
    ///
    /// # Examples
    /// ```
    /// use ipc_pipe::PipeEnd;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (reader, writer) = ipc_pipe::pipe()?;
    /// let mut pages = ipc_pipe::Pages::new(8192)?;
    /// pages.fill(7);
    /// writer.gift(pages)?;
    /// assert_eq!(reader.readable()?, 8192);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "SPLICE_F_GIFT")]
    #[doc(alias = "vmsplice")]
    #[expect(clippy::needless_pass_by_value, reason = "that they are given away is the point")]
    pub fn gift(&self, pages: Pages) -> Result<()> {
        let mut rest: &[u8] = &pages;
        let given = sigpipe::held(|| {
            while !rest.is_empty() {
                let len = vmsplice(self, rest, SpliceFFlags::SPLICE_F_GIFT)?;
                rest = rest.get(len..).unwrap_or_default();
            }
            Ok(())
        });
        given.map_err(|error| Error::of_pipe("vmsplice", error))
    }

    /// vmsplice: sends pages from `offset` on, without a copy: how many bytes, as many as there was room for.
    ///
    /// # Blocking
    /// Until there is room for a page: this call does not look at O_NONBLOCK. A signal does not show.
    ///
    /// # Errors
    /// | errno | variant |
    /// | --- | --- |
    /// | EPIPE | [`Error::PeerGone`] |
    /// | EBADF: no pipe, or its reading end; ENOMEM | [`Error::System`] |
    ///
    /// # Panics
    /// When `offset` is behind the end of `pages`.
    pub fn vmsplice(&self, pages: &FrozenPages, offset: usize) -> Result<usize> {
        self.frozen(pages, offset, SpliceFFlags::empty())
    }

    /// As [`PipeWriter::vmsplice`], without waiting for room.
    ///
    /// # Errors
    /// As there; EAGAIN is [`Error::Full`].
    ///
    /// # Panics
    /// As there.
    pub fn try_vmsplice(&self, pages: &FrozenPages, offset: usize) -> Result<usize> {
        self.frozen(pages, offset, SpliceFFlags::SPLICE_F_NONBLOCK)
    }

    /// As [`PipeWriter::vmsplice`]; gives up when there was no room within `timeout`.
    ///
    /// # Errors
    /// As there; [`Error::TimedOut`]: nothing was sent.
    ///
    /// # Panics
    /// As there.
    pub fn vmsplice_timeout(&self, pages: &FrozenPages, offset: usize, timeout: Duration) -> Result<usize> {
        let rest = rest(pages, offset);
        written(
            "vmsplice",
            sigpipe::held(|| {
                self.end()
                    .until(libc::POLLOUT, timeout, || vmsplice(self, rest, SpliceFFlags::SPLICE_F_NONBLOCK))
            }),
        )
    }

    fn frozen(&self, pages: &FrozenPages, offset: usize, flags: SpliceFFlags) -> Result<usize> {
        let rest = rest(pages, offset);
        written("vmsplice", sigpipe::held(|| vmsplice(self, rest, flags)).map(Some))
    }
}

fn rest(pages: &FrozenPages, offset: usize) -> &[u8] {
    assert!(offset <= pages.len(), "offset {offset} is behind the end of {} bytes", pages.len());
    pages.get(offset..).unwrap_or_default()
}

fn vmsplice(writer: &PipeWriter, bytes: &[u8], flags: SpliceFFlags) -> io::Result<usize> {
    errno::retry(|| Ok(nix::fcntl::vmsplice(writer, &[IoSlice::new(bytes)], flags)?))
}

fn failed(operation: &'static str, source: io::Error) -> Error {
    Error::of(operation, "pages", source)
}
