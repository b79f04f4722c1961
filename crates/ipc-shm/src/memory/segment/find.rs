//! Memory that is there already: found by its name or received, checked, mapped, and held, so that nobody takes it for
//! abandoned.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use nix::fcntl::OFlag;

use super::make::Permissions;
use super::{DESCRIPTOR, Segment};
use crate::memory::attach::{self, Seals};
use crate::memory::header::{HEADER, Layout};
use crate::memory::lock::{self, Kind};
use crate::memory::mapping::Mapping;
use crate::memory::name::Name;
use crate::words::{Words, peer_load};
use crate::{Error, Refusal, Result};

/// What [`crate::SharedMemory::open_or_replace`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// There was nothing of this name.
    Created,
    /// There was one, and somebody has it attached.
    Opened,
    /// There was one that nobody alive has attached; a new one stands in its place.
    Replaced,
}

impl Segment {
    /// shm_open of one that is there.
    pub(crate) fn open(name: &OsStr, wanted: &Layout, max: usize) -> Result<Self> {
        let name = Name::new(name)?;
        for _ in 0..ATTEMPTS {
            let file = name.open(OFlag::O_RDWR)?;
            let segment = Self::map(file, &name.to_string(), Seals::None, true, max)?;
            segment.layout.expect(wanted).map_err(|reason| Error::refused(&name, reason))?;
            // Excluded only while somebody replaces this very file: look again who bears the name then.
            if segment.try_take(lock::ATTACHED, Kind::Read)? && name.leads_to(&segment.file)? {
                return Ok(segment);
            }
            std::thread::yield_now();
        }
        Err(Error::EndInUse { object: name.to_string(), end: "the name" })
    }

    /// Opens what is there if anybody alive has it attached, else puts a new one in its place.
    pub(crate) fn open_or_replace(
        name: &OsStr,
        permissions: Permissions,
        layout: Layout,
        max: usize,
        mut init: impl FnMut(&Mapping) -> Result<()>,
    ) -> Result<(Self, Origin)> {
        let name = Name::new(name)?;
        for _ in 0..ATTEMPTS {
            let file = match name.open(OFlag::O_RDWR) {
                Ok(file) => file,
                Err(Error::NotFound { .. }) => {
                    let mut segment = Self::nameless(&name, permissions, layout, &mut init)?;
                    match name.link(&segment.file) {
                        Err(Error::Exists { .. }) => continue,
                        linked => linked?,
                    }
                    segment.name = Some(name);
                    return Ok((segment, Origin::Created));
                }
                Err(error) => return Err(error),
            };
            let found = Self::map(
                file.try_clone().map_err(Error::system("dup", &name))?,
                &name.to_string(),
                Seals::None,
                true,
                max,
            );
            match &found {
                // Ours by its magic, whatever else is wrong with it, is ours to replace when nobody uses it.
                Ok(_)
                | Err(Error::Refused {
                    reason: Refusal::NotReady | Refusal::Version | Refusal::Kind { .. } | Refusal::Capacity,
                    ..
                }) => {}
                Err(_) => return found.map(|segment| (segment, Origin::Opened)),
            }
            let alone = lock::take(&file, lock::ATTACHED, Kind::Write)
                .map_err(Error::system("fcntl(F_OFD_SETLK)", &name))?;
            if !name.leads_to(&file)? {
                continue;
            }
            if alone {
                // Whoever opens the old file now finds this lock and looks for the name again.
                let mut segment = Self::nameless(&name, permissions, layout, &mut init)?;
                name.replace(&segment.file)?;
                segment.name = Some(name);
                return Ok((segment, Origin::Replaced));
            }
            let segment = found?;
            segment.layout.expect(&layout).map_err(|reason| Error::refused(&name, reason))?;
            if segment.try_take(lock::ATTACHED, Kind::Read)? && name.leads_to(&segment.file)? {
                return Ok((segment, Origin::Opened));
            }
            std::thread::yield_now();
        }
        Err(Error::EndInUse { object: name.to_string(), end: "the name" })
    }

    /// Common memory from a descriptor that was received or inherited.
    pub(crate) fn common_from(file: OwnedFd, wanted: &Layout, max: usize) -> Result<Self> {
        let mut segment = Self::map(file, DESCRIPTOR, Seals::Length, true, max)?;
        segment.layout.expect(wanted).map_err(|reason| Error::refused(DESCRIPTOR, reason))?;
        // Whoever else has the same descriptor shares its opening: our locks would not exclude him, and live as long as he
        // does. Where another of our own cannot be had (no /proc, or a file that only its owner may open), it must do.
        let own = segment.opened_again(OFlag::O_RDWR);
        let is_own = own.is_ok();
        if let Ok(own) = own {
            segment.file = own;
        }
        segment.take(lock::ATTACHED, Kind::Read)?;
        if !is_own {
            segment.held.store(0, Ordering::Relaxed);
        }
        Ok(segment)
    }

    /// Another process's sealed memory, for reading.
    pub(crate) fn sealed_from(file: OwnedFd, wanted: &Layout, max: usize) -> Result<Self> {
        let segment = Self::map(file, DESCRIPTOR, Seals::Owner, false, max)?;
        segment.layout.expect(wanted).map_err(|reason| Error::refused(DESCRIPTOR, reason))?;
        Ok(segment)
    }

    /// Checks and maps what somebody else made.
    fn map(file: OwnedFd, object: &str, seals: Seals, writable: bool, max: usize) -> Result<Self> {
        let len = attach::check(&file, object, seals, HEADER, max)?;
        let mapping = Mapping::new(&file, len, writable).map_err(Error::system("mmap", object))?;
        let load = |index| peer_load(mapping.word(index));
        let layout = Layout::read(load, len as u64).map_err(|reason| Error::refused(object, reason))?;
        Ok(Self::over(mapping, layout, file, 0))
    }
}

/// How often a name is looked up again while others replace it.
pub(crate) const ATTEMPTS: usize = 1000;
