//! What a channel of equal slots for messages of one type takes: its layout in the header, and what to expect of one that is
//! opened. The same for every protocol over slots; each says what is its own.

use crate::channel::link::{Plan, Side, one_way};
use crate::channel::meet;
use crate::channel::options::check_capacity;
use crate::channel::{ChannelOptions, Payload};
use crate::memory::header::{Kind, Layout};
use crate::memory::mapping::Mapping;
use crate::{Error, Refusal, Result};

/// How a protocol lays its slots.
pub(in crate::channel) trait Slots<T: Payload>: Sized {
    const KIND: Kind;
    /// The words from one slot to the next.
    const STRIDE: usize;

    fn new(capacity: u64, start: u64) -> Self;

    /// The bytes of header page and slots; `None` where that does not fit.
    fn bytes(&self) -> Option<u64>;

    /// Writes what one side's words must hold before anybody can look.
    fn init(&self, mapping: &Mapping, side: Side);
}

/// A plan for a new channel.
pub(in crate::channel) fn plan<T: Payload, S: Slots<T>>(options: &ChannelOptions) -> Result<Plan> {
    let capacity = options.capacity()?;
    let layout = layout::<T, S>(capacity, options.start, options.flags).ok_or(Error::InvalidParameter {
        what: "the capacity",
        value: capacity,
        reason: "so many messages of this type do not fit in the address space",
    })?;
    let plan = Plan { layout, permissions: options.permissions, ..any_plan::<T, S>() };
    Ok(plan.tagged(options.tag))
}

/// What to expect of a channel whose capacity we do not know.
pub(in crate::channel) fn any_plan<T: Payload, S: Slots<T>>() -> Plan {
    Plan {
        layout: fingerprint::<T>(S::KIND, S::STRIDE),
        permissions: ChannelOptions::new(16).permissions,
        init: |layout, mapping, side| S::new(layout.capacity, layout.start).init(mapping, side),
        max: meet::MAX,
        part: one_way,
    }
}

/// The same, for what a header says, once it is consistent.
pub(in crate::channel) fn plan_for<T: Payload, S: Slots<T>>(found: &Layout) -> Result<Plan> {
    let layout = check_capacity(found.capacity)
        .ok()
        .and_then(|capacity| layout::<T, S>(capacity, found.start, found.flags))
        .ok_or_else(|| Error::refused("the channel", Refusal::Capacity))?;
    Ok(Plan { layout, ..any_plan::<T, S>() })
}

/// The slots that this header promises, if its memory is as long as that.
pub(in crate::channel) fn shape_of<T: Payload, S: Slots<T>>(found: &Layout) -> Result<S> {
    let promised = plan_for::<T, S>(found)?.layout;
    if found.len != promised.len {
        return Err(Error::refused("the channel", Refusal::Capacity));
    }
    Ok(S::new(promised.capacity, promised.start))
}

/// What tells one payload type from another in the header; nothing of one channel yet.
pub(in crate::channel) fn fingerprint<T: Payload>(kind: Kind, stride: usize) -> Layout {
    const { assert!(size_of::<T>() > 0, "a payload type without a byte") };
    Layout {
        kind,
        mode: 0,
        size: size_of::<T>() as u64,
        align: align_of::<T>() as u64,
        stride: stride as u64 * 8,
        tag: 0,
        capacity: 0,
        len: 0,
        start: 0,
        flags: 0,
    }
}

fn layout<T: Payload, S: Slots<T>>(capacity: u64, start: u64, flags: u64) -> Option<Layout> {
    let len = S::new(capacity, start).bytes().filter(|len| i64::try_from(*len).is_ok())?;
    Some(Layout { capacity, len, start, flags, ..fingerprint::<T>(S::KIND, S::STRIDE) })
}
