//! What a ring for messages of one type takes: its layout in the header, and what to expect of one that is opened.

use crate::channel::link::{Plan, Side, one_way};
use crate::channel::meet;
use crate::channel::options::check_capacity;
use crate::channel::spsc::ring::Shape;
use crate::channel::{ChannelOptions, Payload};
use crate::memory::header::{Kind, Layout};
use crate::memory::mapping::Mapping;
use crate::{Error, Refusal, Result};

/// A plan for a new channel.
pub(in crate::channel) fn plan<T: Payload>(options: &ChannelOptions) -> Result<Plan> {
    let capacity = options.capacity()?;
    let layout = layout::<T>(capacity, options.start, options.flags).ok_or(Error::InvalidParameter {
        what: "the capacity",
        value: capacity,
        reason: "so many messages of this type do not fit in the address space",
    })?;
    let plan =
        Plan { layout, permissions: options.permissions, init: init::<T>, max: usize::MAX, part: one_way };
    Ok(plan.tagged(options.tag))
}

/// What to expect of a channel whose capacity we do not know.
pub(in crate::channel) fn any_plan<T: Payload>() -> Plan {
    let layout =
        Layout { kind: Kind::Spsc, mode: 0, capacity: 0, len: 0, start: 0, flags: 0, ..fingerprint::<T>() };
    Plan {
        layout,
        permissions: ChannelOptions::new(16).permissions,
        init: init::<T>,
        max: meet::MAX,
        part: one_way,
    }
}

/// The same, for what a header says, once it is consistent.
pub(in crate::channel) fn plan_for<T: Payload>(found: &Layout) -> Result<Plan> {
    let refused = || Error::refused("the channel", Refusal::Capacity);
    let capacity = check_capacity(found.capacity).map_err(|_| refused())?;
    let layout = layout::<T>(capacity, found.start, found.flags).ok_or_else(refused)?;
    Ok(Plan { layout, ..any_plan::<T>() })
}

/// The shape of a ring that this header promises, if its memory is as long as that.
pub(super) fn shape_of<T: Payload>(found: &Layout) -> Result<Shape> {
    let plan = plan_for::<T>(found)?;
    if found.len != plan.layout.len {
        return Err(Error::refused("the channel", Refusal::Capacity));
    }
    Ok(Shape::new(found.capacity, found.start))
}

fn layout<T: Payload>(capacity: u64, start: u64, flags: u64) -> Option<Layout> {
    let len = Shape::new(capacity, start).len::<T>().filter(|len| i64::try_from(*len).is_ok())?;
    Some(Layout { capacity, len, start, flags, ..fingerprint::<T>() })
}

fn fingerprint<T: Payload>() -> Layout {
    const { assert!(size_of::<T>() > 0, "a payload type without a byte") };
    Layout {
        kind: Kind::Spsc,
        mode: 0,
        size: size_of::<T>() as u64,
        align: align_of::<T>() as u64,
        stride: Shape::stride::<T>() as u64 * 8,
        tag: 0,
        capacity: 0,
        len: 0,
        start: 0,
        flags: 0,
    }
}

fn init<T: Payload>(layout: &Layout, mapping: &Mapping, side: Side) {
    let shape = Shape::new(layout.capacity, layout.start);
    match side {
        Side::Producer => shape.init_producer::<T, _>(mapping),
        Side::Consumer => shape.init_consumer(mapping),
    }
}
