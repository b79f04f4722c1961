//! What the newest value takes: four cells for it, and a version.

use crate::channel::latest::cells;
use crate::channel::link::{Plan, one_way};
use crate::channel::{Payload, meet, slots};
use crate::memory::MemoryOptions;
use crate::memory::header::{Kind, Layout};
use crate::{Error, Refusal, Result};

/// A plan for a new cell, mode 0600, no tag.
pub(super) fn plan<T: Payload>() -> Result<Plan> {
    let len = cells::len::<T>().filter(|len| i64::try_from(*len).is_ok()).ok_or(Error::InvalidParameter {
        what: "the size",
        value: size_of::<T>() as u64,
        reason: "four such values do not fit in the address space",
    })?;
    let plan = any_plan::<T>();
    Ok(Plan { layout: Layout { capacity: 4, len, ..plan.layout }, ..plan })
}

/// A plan that fits whatever flags a header has; [`check`] looks at the rest.
pub(in crate::channel) fn any_plan<T: Payload>() -> Plan {
    let layout = slots::fingerprint::<T>(Kind::Latest, cells::stride::<T>());
    // A cell is complete when it is zero: version 0.
    let permissions = MemoryOptions::new().permissions;
    Plan { layout, permissions, init: |_, _, _| (), max: meet::MAX, part: one_way }
}

/// A plan for a new cell, with another mode or a tag.
pub(in crate::channel) fn plan_with<T: Payload>(options: &MemoryOptions) -> Result<Plan> {
    Ok(Plan { permissions: options.permissions, ..plan::<T>()? }.tagged(options.tag))
}

/// Whether a header's lengths are this type's.
pub(super) fn check<T: Payload>(found: &Layout) -> Result<()> {
    let wanted = plan::<T>()?.layout;
    if (found.capacity, found.len) != (wanted.capacity, wanted.len) {
        return Err(Error::refused("the cell", Refusal::Capacity));
    }
    Ok(())
}
