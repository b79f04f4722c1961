//! What a ring for messages of one type takes: slots, and a word page of each side.

use crate::Result;
use crate::channel::link::{Plan, Side};
use crate::channel::slots::{self, Slots};
use crate::channel::spsc::ring::Shape;
use crate::channel::{ChannelOptions, Payload};
use crate::memory::header::{Kind, Layout};
use crate::memory::mapping::Mapping;

impl<T: Payload> Slots<T> for Shape {
    const KIND: Kind = Kind::Spsc;
    const STRIDE: usize = Self::stride::<T>();

    fn new(capacity: u64, start: u64) -> Self {
        Self::new(capacity, start)
    }

    fn bytes(&self) -> Option<u64> {
        self.len::<T>()
    }

    fn init(&self, mapping: &Mapping, side: Side) {
        match side {
            Side::Producer => self.init_producer::<T, _>(mapping),
            Side::Consumer => self.init_consumer(mapping),
        }
    }
}

/// A plan for a new channel.
pub(in crate::channel) fn plan<T: Payload>(options: &ChannelOptions) -> Result<Plan> {
    Ok(Plan { max: usize::MAX, ..slots::plan::<T, Shape>(options)? })
}

/// What to expect of a channel whose capacity we do not know.
pub(in crate::channel) fn any_plan<T: Payload>() -> Plan {
    slots::any_plan::<T, Shape>()
}

/// The same, for what a header says, once it is consistent.
pub(in crate::channel) fn plan_for<T: Payload>(found: &Layout) -> Result<Plan> {
    slots::plan_for::<T, Shape>(found)
}
