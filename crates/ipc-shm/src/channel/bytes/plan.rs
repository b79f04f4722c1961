//! What a channel for messages of any length takes: a ring of blocks, under a kind of its own.

use crate::Result;
use crate::channel::ChannelOptions;
use crate::channel::bytes::block::{BLOCK, Block};
use crate::channel::link::Plan;
use crate::channel::spsc::plan as ring;
use crate::memory::header::{Kind, Layout};

/// A plan for a new channel of so many bytes.
pub(in crate::channel) fn plan(options: &ChannelOptions) -> Result<Plan> {
    Ok(of_bytes(ring::plan::<Block>(&options.in_blocks_of(BLOCK)?)?))
}

/// What to expect of a channel whose capacity we do not know.
pub(in crate::channel) fn any_plan() -> Plan {
    of_bytes(ring::any_plan::<Block>())
}

/// The same, for what a header says, once it is consistent.
pub(super) fn plan_for(found: &Layout) -> Result<Plan> {
    Ok(of_bytes(ring::plan_for::<Block>(found)?))
}

fn of_bytes(plan: Plan) -> Plan {
    Plan { layout: Layout { kind: Kind::Bytes, ..plan.layout }, ..plan }
}

/// The longest message of a ring of so many blocks.
#[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide on every target")]
pub(super) fn max_len(blocks: u64) -> usize {
    blocks as usize * BLOCK - 8
}
