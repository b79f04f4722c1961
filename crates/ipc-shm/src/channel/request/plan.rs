//! What a channel for two types takes: its layout in the header, and what to expect of one that is opened.

use crate::channel::link::{Plan, Side};
use crate::channel::meet;
use crate::channel::options::check_capacity;
use crate::channel::request::exchange::{Shape, answer_stride, question_stride};
use crate::channel::{ChannelOptions, Payload};
use crate::memory::TRUSTED;
use crate::memory::header::{HEADER, Kind, Layout};
use crate::memory::mapping::Mapping;
use crate::{Error, Refusal, Result};

/// A plan for a new channel.
pub(in crate::channel) fn plan<Q: Payload, A: Payload>(options: &ChannelOptions) -> Result<Plan> {
    let capacity = options.capacity()?;
    let layout = layout::<Q, A>(capacity, options.start, options.flags).ok_or(Error::InvalidParameter {
        what: "the capacity",
        value: capacity,
        reason: "so many calls of these types do not fit in the address space",
    })?;
    let plan = Plan { layout, permissions: options.permissions, max: usize::MAX, ..any_plan::<Q, A>() };
    Ok(plan.tagged(options.tag))
}

/// What to expect of a channel whose capacity we do not know.
pub(in crate::channel) fn any_plan<Q: Payload, A: Payload>() -> Plan {
    Plan {
        layout: fingerprint::<Q, A>(),
        permissions: ChannelOptions::new(16).permissions,
        init: init::<Q, A>,
        max: meet::MAX,
        part: part::<Q, A>,
    }
}

/// The same, for what a header says, once it is consistent.
pub(super) fn plan_for<Q: Payload, A: Payload>(found: &Layout) -> Result<Plan> {
    let refused = || Error::refused("the channel", Refusal::Capacity);
    let capacity = check_capacity(found.capacity).map_err(|_| refused())?;
    let layout = layout::<Q, A>(capacity, found.start, found.flags).ok_or_else(refused)?;
    Ok(Plan { layout, ..any_plan::<Q, A>() })
}

/// How the tables lie that this header promises, if its memory is as long as that.
pub(super) fn shape_of<Q: Payload, A: Payload>(found: &Layout, side: Side) -> Result<Shape> {
    let plan = plan_for::<Q, A>(found)?;
    let promised = if found.mode == TRUSTED { plan.common() } else { plan.part(side) };
    if found.len != promised.len {
        return Err(Error::refused("the channel", Refusal::Capacity));
    }
    Ok(shape::<Q>(found))
}

fn shape<Q>(layout: &Layout) -> Shape {
    if layout.mode == TRUSTED {
        Shape::common::<Q>(layout.capacity, layout.start)
    } else {
        Shape::apart(layout.capacity, layout.start)
    }
}

fn layout<Q: Payload, A: Payload>(capacity: u64, start: u64, flags: u64) -> Option<Layout> {
    let table = |stride: usize| (stride as u64).checked_mul(8)?.checked_mul(capacity);
    let len = table(question_stride::<Q>())?.checked_add(table(answer_stride::<A>())?)?;
    let len = len.checked_add(HEADER as u64).filter(|len| i64::try_from(*len).is_ok())?;
    Some(Layout { capacity, len, start, flags, ..fingerprint::<Q, A>() })
}

/// A header page and the table that the side writes.
fn part<Q: Payload, A: Payload>(layout: &Layout, side: Side) -> u64 {
    let stride = match side {
        Side::Producer => question_stride::<Q>(),
        Side::Consumer => answer_stride::<A>(),
    };
    if layout.capacity == 0 { 0 } else { HEADER as u64 + layout.capacity * stride as u64 * 8 }
}

fn fingerprint<Q: Payload, A: Payload>() -> Layout {
    const {
        assert!(size_of::<Q>() > 0 && size_of::<A>() > 0, "a payload type without a byte");
        assert!(size_of::<Q>() >> 31 == 0 && size_of::<A>() >> 31 == 0, "a payload type of 2 GiB");
    }
    let both = |question: usize, answer: usize| (question as u64) << 32 | answer as u64;
    Layout {
        kind: Kind::Request,
        mode: 0,
        size: both(size_of::<Q>(), size_of::<A>()),
        align: both(align_of::<Q>(), align_of::<A>()),
        stride: both(question_stride::<Q>(), answer_stride::<A>()),
        tag: 0,
        capacity: 0,
        len: 0,
        start: 0,
        flags: 0,
    }
}

fn init<Q: Payload, A: Payload>(layout: &Layout, mapping: &Mapping, side: Side) {
    let shape = shape::<Q>(layout);
    match side {
        Side::Producer => shape.init_questions::<Q, _>(mapping),
        Side::Consumer => shape.init_answers::<A, _>(mapping),
    }
}
