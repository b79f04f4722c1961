//! What the semaphores of a set are now: the values, one or all, who operated last, and who waits. The numbers are the
//! kernel's, and may be old when they are read.

use std::io;
use std::num::NonZeroU32;

use ipc_sys::sysv::semaphore as sys;

use super::op::VALUE_MAX;
use super::set::SemaphoreSet;
use crate::error::{Error, Result};
use crate::handle;
use crate::object::pid;

impl SemaphoreSet {
    /// semctl GETVAL.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EINVAL (an index that the set does not have) | [`Error::OutOfRange`] |
    /// | EINVAL (the set is gone) | [`Error::Removed`] |
    /// | EIDRM | [`Error::Removed`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    #[doc(alias = "GETVAL")]
    #[doc(alias = "semctl")]
    pub fn value(&self, index: u16) -> Result<u16> {
        let value = self.at("GETVAL", sys::value(self.id(), index.into()))?;
        Ok(u16::try_from(value).unwrap_or(VALUE_MAX))
    }

    /// semctl GETPID: who changed the semaphore last, by semop, SETVAL or SETALL, as seen from our pid namespace.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`].
    #[doc(alias = "GETPID")]
    pub fn last_pid(&self, index: u16) -> Result<Option<NonZeroU32>> {
        self.at("GETPID", sys::last_pid(self.id(), index.into())).map(pid)
    }

    /// semctl GETNCNT: how many processes wait for this value to grow.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`].
    #[doc(alias = "GETNCNT")]
    pub fn waiting_for_increase(&self, index: u16) -> Result<usize> {
        let count = self.at("GETNCNT", sys::waiting_for_increase(self.id(), index.into()))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// semctl GETZCNT: how many processes wait for this value to be 0.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`].
    #[doc(alias = "GETZCNT")]
    pub fn waiting_for_zero(&self, index: u16) -> Result<usize> {
        let count = self.at("GETZCNT", sys::waiting_for_zero(self.id(), index.into()))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// semctl SETVAL: sets one value, wakes who can go on, and clears every process's undo of this semaphore.
    ///
    /// It races with whoever operates on the semaphore: to initialize one, create the set with its values.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ERANGE (over 32,767) | [`Error::OutOfRange`] |
    ///
    /// Else as [`SemaphoreSet::value`].
    #[doc(alias = "SETVAL")]
    #[doc(alias = "semctl")]
    pub fn set_value(&self, index: u16, value: u16) -> Result<()> {
        self.at("SETVAL", sys::set_value(self.id(), index.into(), value.into()))
    }

    /// semctl GETALL: all values at one moment.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EIDRM, EINVAL (the set is gone) | [`Error::Removed`] |
    /// | (the id belongs to a larger set by now) | [`Error::Replaced`] |
    /// | EACCES | [`Error::PermissionDenied`] |
    /// | ENOMEM | [`Error::LimitReached`] |
    #[doc(alias = "GETALL")]
    #[doc(alias = "semctl")]
    pub fn values(&self) -> Result<Vec<u16>> {
        let mut values = vec![0; self.len()];
        sys::values(self.id(), &mut values).map_err(|source| self.all_failed("GETALL", source))?;
        Ok(values)
    }

    /// semctl SETALL: sets all values at one moment, wakes who can go on, and clears every process's undo of this set.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | (not as many values as the set has) | [`Error::WrongSize`] |
    /// | ERANGE (a value over 32,767) | [`Error::OutOfRange`] |
    ///
    /// Else as [`SemaphoreSet::values`].
    #[doc(alias = "SETALL")]
    #[doc(alias = "semctl")]
    pub fn set_values(&self, values: &[u16]) -> Result<()> {
        if values.len() != self.len() {
            return Err(Error::WrongSize {
                object: self.identity().object(),
                wanted: values.len(),
                found: self.len(),
                source: io::Error::from_raw_os_error(libc::EINVAL),
            });
        }
        sys::set_values(self.id(), values).map_err(|source| self.all_failed("SETALL", source))
    }

    fn at<T>(&self, operation: &'static str, result: io::Result<T>) -> Result<T> {
        result.map_err(|source| match source.raw_os_error() {
            Some(libc::ERANGE) => {
                Error::OutOfRange { object: self.identity().object(), operation, what: "the value", source }
            }
            _ => handle::failed_on::<Self>(
                self.identity().object(),
                operation,
                source,
                "the semaphore's index",
            ),
        })
    }

    fn all_failed(&self, operation: &'static str, source: io::Error) -> Error {
        match source.raw_os_error() {
            Some(libc::EFAULT) => {
                handle::verify(self, operation).err().unwrap_or_else(|| self.failed(operation, source))
            }
            Some(libc::ERANGE) => {
                let object = self.identity().object();
                Error::OutOfRange { object, operation, what: "a value", source }
            }
            _ => self.failed(operation, source),
        }
    }
}
