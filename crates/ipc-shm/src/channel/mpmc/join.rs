//! How a participant comes: it makes the queue or finds it, by name or by descriptor, and takes a place in it.
//!
//! Who makes a name removes it when dropped; what a killed one leaves is taken up by `open_or_replace`, or removed by
//! [`crate::remove_stale`].

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use crate::Result;
use crate::channel::link::{Plan, Side};
use crate::channel::mpmc::member::Member;
use crate::channel::mpmc::ring::Shape;
use crate::channel::mpmc::roll::Role;
use crate::channel::slots::{self, Slots};
use crate::channel::{ChannelOptions, Payload};
use crate::memory::Origin;
use crate::memory::header::Kind;
use crate::memory::mapping::Mapping;
use crate::memory::segment::Segment;

impl<T: Payload> Member<T> {
    pub(super) fn create(name: &OsStr, options: &ChannelOptions, role: Role) -> Result<Self> {
        let plan = plan::<T>(options)?;
        let init = |mapping: &Mapping| init_all(&plan, mapping);
        Self::of(Segment::create(name, plan.permissions, plan.common(), init)?, role)
    }

    pub(super) fn anonymous(options: &ChannelOptions, role: Role) -> Result<Self> {
        let plan = plan::<T>(options)?;
        Self::of(Segment::common(plan.common(), |mapping| init_all(&plan, mapping))?, role)
    }

    pub(super) fn open(name: &OsStr, tag: u64, role: Role) -> Result<Self> {
        let plan = slots::any_plan::<T, Shape>().tagged(tag);
        Self::of(Segment::open(name, &plan.common(), plan.max)?, role)
    }

    pub(super) fn open_or_replace(
        name: &OsStr,
        options: &ChannelOptions,
        role: Role,
    ) -> Result<(Self, Origin)> {
        let plan = plan::<T>(options)?;
        let init = |mapping: &Mapping| init_all(&plan, mapping);
        let (segment, origin) =
            Segment::open_or_replace(name, plan.permissions, plan.common(), plan.max, init)?;
        Ok((Self::of(segment, role)?, origin))
    }

    pub(super) fn from_fd(descriptor: OwnedFd, tag: u64, role: Role) -> Result<Self> {
        let plan = slots::any_plan::<T, Shape>().tagged(tag);
        Self::of(Segment::common_from(descriptor, &plan.common(), plan.max)?, role)
    }

    fn of(segment: Segment, role: Role) -> Result<Self> {
        let shape = slots::shape_of::<T, Shape>(segment.layout())?;
        Self::join(segment, shape, role)
    }
}

fn plan<T: Payload>(options: &ChannelOptions) -> Result<Plan> {
    slots::plan::<T, Shape>(options)?.without_sockets(
        "a queue for many",
        "pollable: nothing carries a socket to all who come, and polling needs none",
    )
}

fn init_all(plan: &Plan, mapping: &Mapping) -> Result<()> {
    (plan.init)(&plan.layout, mapping, Side::Producer);
    Ok(())
}

impl<T: Payload> Slots<T> for Shape {
    const KIND: Kind = Kind::Mpmc;
    const STRIDE: usize = Self::stride::<T>();

    fn new(capacity: u64, start: u64) -> Self {
        Self::new(capacity, start)
    }

    fn bytes(&self) -> Option<u64> {
        self.len::<T>()
    }

    fn init(&self, mapping: &Mapping, _: Side) {
        Self::init::<T, _>(*self, mapping);
    }
}
