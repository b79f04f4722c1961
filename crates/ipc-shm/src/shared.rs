//! One typed value in a segment of its own: made once by whoever makes the segment, before anybody else can meet it, and
//! never destroyed; the memory goes with the last process that has it attached, a name stays until it is unlinked.
#![expect(unsafe_code, reason = "a reference to the value is made from the address of the mapping")]

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use nix::fcntl::OFlag;

use crate::in_place::{AnyBits, InPlace};
use crate::memory::header::{HEADER, Kind, Layout};
use crate::memory::mapping::Mapping;
use crate::memory::segment::{Permissions, Segment};
use crate::memory::{MemoryOptions, Origin};
use crate::{Common, Error, Result, Trusted, Vouched};

/// One value that several processes use in place: a lock and what it guards, a semaphore, counters.
///
/// [`Shared::get`] gives the reference: at once where every bit pattern is harmless ([`AnyBits`]), else behind
/// [`Shared::trust`]. A handle belongs to the process that made it: a forked child gets [`Error::Forked`] and attaches anew
/// from a descriptor of [`Shared::share`]; a reference from before the fork kills the child (SIGSEGV), never the parent, and a
/// guard that is dropped there does nothing.
///
/// # After a crash
/// The value stays as the killed process left it; each type of [`InPlace`] says what that means. A process killed while it
/// creates leaves nothing that another could open. A name stays: [`Shared::open_or_replace`] makes a new value when nobody
/// alive has the old one attached.
///
/// # Examples
/// ```
/// # fn main() -> ipc_shm::Result<()> {
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use ipc_shm::Shared;
///
/// let name = format!("/ipc-shm-counter-{}", std::process::id());
/// let ours = Shared::<AtomicU64>::create(&name, |counter| {
///     counter.store(1, Ordering::Relaxed);
///     Ok(())
/// })?;
/// // In another process:
/// let theirs = Shared::<AtomicU64>::open(&name)?;
/// theirs.get()?.fetch_add(1, Ordering::Relaxed);
/// assert_eq!(ours.get()?.load(Ordering::Relaxed), 2);
/// # Ok(())
/// # }
/// ```
pub struct Shared<T: InPlace, M: Common = Trusted> {
    segment: ManuallyDrop<Segment>,
    value: PhantomData<(T, fn() -> M)>,
}

impl<T: InPlace> Shared<T> {
    pub(crate) const LAYOUT: Layout = Layout {
        kind: Kind::Shared,
        mode: crate::memory::TRUSTED,
        size: size_of::<T>() as u64,
        align: align_of::<T>() as u64,
        stride: size_of::<T>() as u64,
        tag: T::KIND,
        capacity: 1,
        len: (HEADER + size_of::<T>()) as u64,
        start: 0,
        flags: 0,
    };

    /// Makes the value in anonymous memory; others attach it from a descriptor of [`Shared::share`]. `prepare` sees it
    /// before anybody else can.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOSPC | [`Error::NoSpace`]; nothing was made |
    /// | EMFILE, ENFILE, ENOMEM, ENOSYS | [`Error::System`] |
    /// | | what `prepare` returns; nothing was made |
    pub fn anonymous(prepare: impl FnOnce(&T) -> Result<()>) -> Result<Self> {
        Ok(Self::new(Segment::common(Self::LAYOUT, |mapping| init(mapping, prepare))?))
    }

    /// Makes the value under a new name in POSIX shared memory, mode 0600. `prepare` sees it before anybody else can.
    /// Dropping this handle removes the name; see [`Shared::persist`].
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EEXIST | [`Error::Exists`] |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`] |
    /// | ENOSPC | [`Error::NoSpace`]; nothing was made |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ENOENT (/proc is not mounted) | [`Error::System`] |
    /// | | what `prepare` returns; nothing was made |
    #[doc(alias = "shm_open")]
    pub fn create(name: impl AsRef<OsStr>, prepare: impl FnOnce(&T) -> Result<()>) -> Result<Self> {
        Self::create_with(name, &MemoryOptions::new(), prepare)
    }

    /// As [`Shared::create`], with another mode. A tag is not looked at: the type is it.
    ///
    /// # Errors
    /// As [`Shared::create`].
    pub fn create_with(
        name: impl AsRef<OsStr>,
        options: &MemoryOptions,
        prepare: impl FnOnce(&T) -> Result<()>,
    ) -> Result<Self> {
        let init = |mapping: &Mapping| init(mapping, prepare);
        Ok(Self::new(Segment::create(name.as_ref(), options.permissions(), Self::LAYOUT, init)?))
    }

    /// Opens a value that was made under this name.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | ENOENT | [`Error::NotFound`] |
    /// | EINVAL, ENAMETOOLONG | [`Error::InvalidName`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ELOOP (a symbolic link) | [`Error::System`] |
    /// | | [`Error::Refused`]: [`crate::Refusal::Type`] for another type, or one made by a program with another C library |
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self> {
        let segment = Segment::open(name.as_ref(), &Self::LAYOUT, usize::MAX)?;
        Self::checked(segment, &name.as_ref().to_string_lossy())
    }

    /// Opens the value of this name if any process alive has it attached; else makes it new, in the place of what a dead
    /// one left.
    ///
    /// # Errors
    /// As [`Shared::create`] and [`Shared::open`].
    pub fn open_or_replace(
        name: impl AsRef<OsStr>,
        mut prepare: impl FnMut(&T) -> Result<()>,
    ) -> Result<(Self, Origin)> {
        let init = |mapping: &Mapping| init(mapping, &mut prepare);
        let permissions = Permissions(0o600);
        let (segment, origin) =
            Segment::open_or_replace(name.as_ref(), permissions, Self::LAYOUT, usize::MAX, init)?;
        Ok((Self::checked(segment, &name.as_ref().to_string_lossy())?, origin))
    }

    /// Attaches the value from a descriptor that was received or inherited.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | | [`Error::Refused`], with the [`crate::Refusal`] that says why |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | EMFILE, ENOMEM | [`Error::System`] |
    pub fn from_fd(descriptor: impl Into<OwnedFd>) -> Result<Self> {
        let len = HEADER + size_of::<T>();
        Self::checked(Segment::common_from(descriptor.into(), &Self::LAYOUT, len)?, "the descriptor")
    }

    /// Allows references to a value that other processes could make invalid: the only door to the locks that guard data.
    ///
    /// # Safety
    /// As long as the result lives, every process that can write this memory must change the value only through this
    /// library, or through the same C library's pthread functions where a type says so, and never truncate the memory.
    /// In practice: every process that can open it runs code that you would link.
    #[must_use]
    pub unsafe fn trust(self) -> Shared<T, Vouched> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped and not used again, so the segment has one owner.
        let segment = unsafe { ManuallyDrop::take(&mut this.segment) };
        Shared::new(segment)
    }

    pub(crate) fn checked(segment: Segment, object: &str) -> Result<Self> {
        let place = segment.payload().cast::<T>();
        // SAFETY: the segment's layout is that of `T`, so its payload is mapped, aligned and long enough.
        unsafe { T::check(place.as_ptr()) }.map_err(|reason| Error::refused(object, reason))?;
        Ok(Self::new(segment))
    }
}

impl<T: InPlace, M: Common> Shared<T, M> {
    pub(crate) fn new(segment: Segment) -> Self {
        const { assert!(align_of::<T>() <= HEADER, "the payload begins at a page") };
        Self { segment: ManuallyDrop::new(segment), value: PhantomData }
    }

    /// A descriptor of this memory for another process, with its own opening.
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EACCES (its mode no longer allows it) | [`Error::PermissionDenied`] |
    /// | ENOENT (/proc is not mounted), EMFILE, ENFILE | [`Error::System`] |
    /// | EOPNOTSUPP | [`Error::System`]: a System V segment has no descriptor |
    /// | | [`Error::Forked`] |
    pub fn share(&self) -> Result<OwnedFd> {
        self.segment.share(OFlag::O_RDWR)
    }

    /// Leaves the name in place when this handle is dropped, for those who open it later.
    pub fn persist(&mut self) {
        self.segment.persist();
    }

    /// An opening of its own of the file that the locks of this memory are in, and which bytes of it are for locks within
    /// the value.
    pub(crate) fn lock_file(&self) -> Result<(OwnedFd, Range<libc::off_t>)> {
        self.segment.lock_file()
    }

    /// How far into the value a part of it lies; `None` for what is no part of it.
    pub(crate) fn offset_of<U>(&self, part: &U) -> Option<usize> {
        let offset = std::ptr::from_ref(part).addr().checked_sub(self.segment.payload().addr().get())?;
        (offset.checked_add(size_of::<U>())? <= size_of::<T>()).then_some(offset)
    }

    /// The value, in a process that did not inherit the handle by fork.
    fn value(&self) -> Result<&T> {
        self.segment.check_fork()?;
        // SAFETY: shared memory: the payload is mapped as long as `self` is borrowed, aligned and long enough (the layout
        // is that of `T`), and was initialised by `T::init` before the header said so. What others write meanwhile is
        // harmless (`AnyBits`) or vouched for in `trust`; each caller has one of the two.
        Ok(unsafe { self.segment.payload().cast::<T>().as_ref() })
    }
}

impl<T: AnyBits> Shared<T> {
    /// The value.
    ///
    /// # Errors
    /// [`Error::Forked`], in a child of the process that attached it.
    #[inline]
    pub fn get(&self) -> Result<&T> {
        self.value()
    }
}

impl<T: InPlace> Shared<T, Vouched> {
    /// The value.
    ///
    /// # Errors
    /// [`Error::Forked`], in a child of the process that attached it.
    #[inline]
    pub fn get(&self) -> Result<&T> {
        self.value()
    }
}

impl<T: InPlace, M: Common> Drop for Shared<T, M> {
    fn drop(&mut self) {
        // A guard that was forgotten holds its lock still: memory in the C library's list must not go away.
        let place = self.segment.payload().cast::<T>();
        // SAFETY: the payload is mapped (in a forked child, which has it not, `check_fork` comes first), aligned and long
        // enough.
        if self.segment.check_fork().is_ok() && unsafe { T::is_held(place.as_ptr()) } {
            self.segment.remove_name();
            return;
        }
        // SAFETY: dropped here and nowhere else, and not used again.
        unsafe { ManuallyDrop::drop(&mut self.segment) }
    }
}

impl<T: InPlace + fmt::Debug, M: Common> fmt::Debug for Shared<T, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Shared").field(&std::any::type_name::<T>()).finish()
    }
}

/// Makes the value in memory that nobody else has seen.
pub(crate) fn init<T: InPlace>(mapping: &Mapping, prepare: impl FnOnce(&T) -> Result<()>) -> Result<()> {
    let place = mapping.at(HEADER).cast::<T>();
    // SAFETY: new memory: zeroed, page aligned, long enough for the layout's `T`, and nobody else knows of it.
    unsafe { T::init(place.as_ptr()) }?;
    let _prepared = Prepared { mapping, place };
    // SAFETY: initialised above; mapped during the call.
    prepare(unsafe { place.as_ref() })
}

/// Memory that `prepare` has had in its hands: what it locked and forgot is held still, whether or not it panicked and
/// whatever becomes of the rest of the making.
struct Prepared<'m, T: InPlace> {
    mapping: &'m Mapping,
    place: NonNull<T>,
}

impl<T: InPlace> Drop for Prepared<'_, T> {
    fn drop(&mut self) {
        // SAFETY: initialised, aligned, and mapped as long as `mapping` is borrowed.
        if unsafe { T::is_held(self.place.as_ptr()) } {
            self.mapping.keep();
        }
    }
}
