//! Memory, channels and locks in System V segments (feature `sysv`).
//!
//! For programs that keep to System V's keys and permissions: everything here works as under a POSIX name, in trusted memory. A
//! segment cannot be truncated, so nobody can kill with SIGBUS; and it has no descriptor, so a channel of this kind is not
//! sent, and the locks by which ends know that the other one lives are taken in a file that the caller names: any file that
//! all who may be an end can open for writing, the one that made the key, say. Nothing is written into it.
//!
//! Channels and memory are made and found by [`Place`], a typed value and its locks by
//! [`Shared::create_in`](crate::Shared::create_in) and its like.
//!
//! # After a crash
//! As for each channel. The segment itself stays until somebody removes it: remove it (IPC_RMID) as soon as both ends are
//! attached, and the kernel frees it with the last process, however that ends. Linux lets who knows its id attach even
//! then. What is killed before that leaves the segment under its key: [`Place::open_or_replace`] makes it new, and
//! `ipc_sysv`'s listing finds and removes it.
//!
//! # Examples
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::fs::File;
//!
//! use ipc_shm::{spsc, sysv};
//! use ipc_sysv::{Key, Segment};
//!
//! # let path = std::env::temp_dir().join(format!("ipc-shm-sysv-{}", std::process::id()));
//! # File::create(&path)?;
//! let lock_file = || File::options().read(true).write(true).open(&path);
//! let len = sysv::len_of::<spsc::Sender<u64>>(64)?;
//! let segment = Segment::create(Key::PRIVATE, len)?; // or Key::from_path(&path, 1)?
//! let mut sender: spsc::Sender<u64> = sysv::Place::new(segment.attach()?, &lock_file()?)?.create(64)?;
//! // In another process:
//! let mut receiver: spsc::Receiver<u64> = sysv::Place::new(segment.attach()?, &lock_file()?)?.open()?;
//! // Both are there: from now on nothing can be left behind.
//! segment.remove()?;
//! sender.send(&42)?;
//! assert_eq!(receiver.recv()?, 42);
//! # std::fs::remove_file(&path)?;
//! # Ok(())
//! # }
//! ```

mod kinds;
mod value;

use std::fs::File;

use ipc_sysv::Attachment;

use crate::Result;
use crate::channel::link::Plan;
use crate::memory::header::HEADER;
use crate::memory::mapping::Mapping;
use crate::memory::segment::Segment;
use crate::memory::{self, MemoryOptions, Origin};

/// An attached segment in which memory or a channel is to be made or found, and the file for its locks.
///
/// # After a fork
/// The memory is not inherited (MADV_DONTFORK): a child attaches for itself.
#[derive(Debug)]
pub struct Place(memory::system_v::Place);

/// What can be found in a segment: each end of a channel, and [`SharedMemory`](crate::SharedMemory).
pub trait Open: private::Open {}

/// What can be made in a segment: [`Open`], the readers of [`latest`](crate::latest) and [`broadcast`](crate::broadcast) excepted.
pub trait Create: Open + private::Create {}

impl Place {
    /// Takes an attachment and a file that is open for reading and writing. The file may be closed afterwards, and may serve
    /// any number of segments.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EACCES | [`Error::PermissionDenied`](crate::Error::PermissionDenied) |
    /// | EMFILE, ENOENT (/proc is not mounted), EISDIR | [`Error::System`](crate::Error::System) |
    /// | | [`Error::Refused`](crate::Error::Refused): the segment is shorter than a header, 4096 bytes |
    pub fn new(attachment: Attachment, lock_file: &File) -> Result<Self> {
        memory::system_v::Place::new(attachment, lock_file).map(Self)
    }

    /// How many bytes the segment has.
    #[expect(clippy::len_without_is_empty, reason = "there is no empty segment")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Makes the memory or channel in a segment that is still zero, or in which a maker was killed half-way; its permissions
    /// are the segment's.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EEXIST | [`Error::Exists`](crate::Error::Exists): there is one, of living or dead processes |
    /// | EINVAL | [`Error::InvalidParameter`](crate::Error::InvalidParameter) |
    /// | | [`Error::Refused`](crate::Error::Refused): too short, or another program's bytes |
    pub fn create<E: Create>(self, options: impl Into<E::Options>) -> Result<E> {
        Ok(self.make(&options.into(), false)?.0)
    }

    /// Attaches what another process has made.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EBUSY | [`Error::EndInUse`](crate::Error::EndInUse): this end is held by a process that lives |
    /// | | [`Error::Refused`](crate::Error::Refused), with the [`Refusal`](crate::Refusal) that says why |
    pub fn open<E: Open>(self) -> Result<E> {
        self.open_with(&MemoryOptions::new())
    }

    /// As [`Place::open`], of what was made with this tag.
    ///
    /// # Errors
    /// As [`Place::open`].
    pub fn open_with<E: Open>(self, options: &MemoryOptions) -> Result<E> {
        let plan = E::any_plan()?.tagged(options.tag);
        E::from_segment(self.0.open(&plan.common())?)
    }

    /// Attaches what is there if any process alive has it attached; else makes it new, in the place of what dead ones left.
    ///
    /// # Errors
    /// As [`Place::create`] and [`Place::open`].
    pub fn open_or_replace<E: Create>(self, options: impl Into<E::Options>) -> Result<(E, Origin)> {
        self.make(&options.into(), true)
    }

    fn make<E: Create>(self, options: &E::Options, replace: bool) -> Result<(E, Origin)> {
        let plan = E::plan(options, self.len())?;
        let init = |mapping: &Mapping| plan.init_common(mapping);
        let (segment, origin) = self.0.make(plan.common(), replace, init)?;
        Ok((E::from_segment(segment)?, origin))
    }
}

/// How long a segment must be at least.
///
/// # Errors
/// [`Error::InvalidParameter`](crate::Error::InvalidParameter), as making it would say.
pub fn len_of<E: Create>(options: impl Into<E::Options>) -> Result<usize> {
    let plan = E::plan(&options.into(), HEADER + 1)?;
    Ok(usize::try_from(plan.layout.len).unwrap_or(usize::MAX))
}

mod private {
    use super::{Plan, Result, Segment};

    #[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
    pub trait Open: Sized {
        #[doc(hidden)]
        fn any_plan() -> Result<Plan>;

        #[doc(hidden)]
        fn from_segment(segment: Segment) -> Result<Self>;
    }

    #[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
    pub trait Create: Open {
        /// How it is made.
        type Options;

        /// `room` is the length of the segment.
        #[doc(hidden)]
        fn plan(options: &Self::Options, room: usize) -> Result<Plan>;
    }
}
