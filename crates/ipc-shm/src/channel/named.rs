//! How two ends find each other by a name, in memory common to processes that trust each other: one makes the memory, the
//! other opens it.
//!
//! The name appears when the memory is complete. Dropping the end that made it removes it; what a killed one leaves is
//! taken up by [`open_or_replace`], or removed by [`crate::remove_stale`].

use std::ffi::OsStr;

use crate::Result;
use crate::channel::link::{Link, Plan};
use crate::channel::meet::private::End;
use crate::memory::{MemoryOptions, Origin};

/// An end of a new channel.
pub(in crate::channel) fn create<E: End>(name: impl AsRef<OsStr>, plan: &Plan) -> Result<E> {
    E::from_link(Link::create(name.as_ref(), E::SIDE, plan)?)
}

/// An end of a channel that is there.
pub(in crate::channel) fn open<E: End>(name: impl AsRef<OsStr>, options: &MemoryOptions) -> Result<E> {
    E::from_link(Link::open(name.as_ref(), E::SIDE, &E::plan().tagged(options.tag))?)
}

/// An end of a channel that somebody alive has attached, or of a new one.
pub(in crate::channel) fn open_or_replace<E: End>(
    name: impl AsRef<OsStr>,
    plan: &Plan,
) -> Result<(E, Origin)> {
    let (link, origin) = Link::open_or_replace(name.as_ref(), E::SIDE, plan)?;
    Ok((E::from_link(link)?, origin))
}
