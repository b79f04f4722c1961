//! One typed value, a lock and what it guards say, in a System V segment.

use super::Place;
use crate::in_place::InPlace;
use crate::memory::Origin;
use crate::memory::header::HEADER;
use crate::memory::mapping::Mapping;
use crate::memory::segment::Segment;
use crate::shared::init;
use crate::{Result, Shared};

/// Feature `sysv`: the value in a System V segment, whose permissions are its own.
impl<T: InPlace> Shared<T> {
    /// How long a segment must be at least.
    pub const SEGMENT_LEN: usize = HEADER + size_of::<T>();

    /// Makes the value in a segment that is still zero, or in which a maker was killed half-way. `prepare` sees it before
    /// anybody else can. The segment stays when this handle is dropped; see [`sysv`](crate::sysv).
    ///
    /// # Errors
    /// | errno | error |
    /// | --- | --- |
    /// | EEXIST | [`Error::Exists`](crate::Error::Exists): there is one, of living or dead processes |
    /// | | [`Error::Refused`](crate::Error::Refused): too short, or another program's bytes |
    /// | | what `prepare` returns; the next one makes it anew |
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::fs::File;
    ///
    /// use ipc_shm::sysv::Place;
    /// use ipc_shm::{LockError, Mutex, Shared};
    /// use ipc_sysv::{Key, Segment};
    ///
    /// type Total = Shared<Mutex<u64>>;
    /// # let path = std::env::temp_dir().join(format!("ipc-shm-value-{}", std::process::id()));
    /// # File::create(&path)?;
    /// let lock_file = || File::options().read(true).write(true).open(&path);
    /// let segment = Segment::create(Key::PRIVATE, Total::SEGMENT_LEN)?;
    /// let ours = Total::create_in(Place::new(segment.attach()?, &lock_file()?)?, |_| Ok(()))?;
    /// // In another process:
    /// let theirs = Total::open_in(Place::new(segment.attach()?, &lock_file()?)?)?;
    /// segment.remove()?;
    /// // SAFETY: both of them are this process.
    /// let (ours, theirs) = unsafe { (ours.trust(), theirs.trust()) };
    /// *theirs.get()?.lock().map_err(LockError::give_up)? += 1;
    /// assert_eq!(*ours.get()?.lock().map_err(LockError::give_up)?, 1);
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_in(place: Place, prepare: impl FnOnce(&T) -> Result<()>) -> Result<Self> {
        Ok(Self::new(make::<T>(place, false, prepare)?.0))
    }

    /// Attaches the value that another process has made.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused), with the [`Refusal`](crate::Refusal) that says why.
    pub fn open_in(place: Place) -> Result<Self> {
        Self::checked(place.0.open(&Self::LAYOUT)?, OBJECT)
    }

    /// Attaches the value if any process alive has it attached; else makes it new, in the place of what dead ones left.
    ///
    /// # Errors
    /// As [`Shared::create_in`] and [`Shared::open_in`].
    pub fn open_or_replace_in(
        place: Place,
        prepare: impl FnOnce(&T) -> Result<()>,
    ) -> Result<(Self, Origin)> {
        let (segment, origin) = make::<T>(place, true, prepare)?;
        Ok((Self::checked(segment, OBJECT)?, origin))
    }
}

const OBJECT: &str = "the System V segment";

fn make<T: InPlace>(
    place: Place,
    replace: bool,
    prepare: impl FnOnce(&T) -> Result<()>,
) -> Result<(Segment, Origin)> {
    place.0.make(Shared::<T>::LAYOUT, replace, |mapping: &Mapping| init(mapping, prepare))
}
