//! What can be made and found in a System V segment, kind by kind.

use super::{Create, Open, private};
use crate::channel::broadcast::log::Shape;
use crate::channel::broadcast::lossless;
use crate::channel::inlet::{Inlet, with_fences};
use crate::channel::link::{Link, Plan, Side, one_way, register};
use crate::channel::{Payload, broadcast, bytes, latest, meet, request, slots, spsc};
use crate::memory::header::{HEADER, Layout};
use crate::memory::mode::TRUSTED;
use crate::memory::segment::Segment;
use crate::memory::{MemoryOptions, SharedMemory};
use crate::{ChannelOptions, Result};

/// An end that holds a lock of its own.
fn end<E: meet::End>(segment: Segment) -> Result<E> {
    E::from_link(link(segment, E::SIDE)?)
}

fn link(segment: Segment, side: Side) -> Result<Link> {
    let registered = register(segment.layout().flags);
    Link::common(segment, side, registered, None)
}

impl<T: Payload> Open for spsc::Sender<T> {}
impl<T: Payload> Create for spsc::Sender<T> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::Open for spsc::Sender<T> {
    fn any_plan() -> Result<Plan> {
        Ok(spsc::plan::any_plan::<T>())
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        end(segment)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::Create for spsc::Sender<T> {
    type Options = ChannelOptions;

    fn plan(options: &ChannelOptions, _: usize) -> Result<Plan> {
        spsc::plan::plan::<T>(options)
    }
}

impl<T: Payload> Open for spsc::Receiver<T> {}
impl<T: Payload> Create for spsc::Receiver<T> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::Open for spsc::Receiver<T> {
    fn any_plan() -> Result<Plan> {
        Ok(spsc::plan::any_plan::<T>())
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        end(segment)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::Create for spsc::Receiver<T> {
    type Options = ChannelOptions;

    fn plan(options: &ChannelOptions, _: usize) -> Result<Plan> {
        spsc::plan::plan::<T>(options)
    }
}

impl Open for bytes::Sender {}
impl Create for bytes::Sender {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl private::Open for bytes::Sender {
    fn any_plan() -> Result<Plan> {
        Ok(bytes::plan::any_plan())
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        end(segment)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl private::Create for bytes::Sender {
    type Options = ChannelOptions;

    fn plan(options: &ChannelOptions, _: usize) -> Result<Plan> {
        bytes::plan::plan(options)
    }
}

impl Open for bytes::Receiver {}
impl Create for bytes::Receiver {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl private::Open for bytes::Receiver {
    fn any_plan() -> Result<Plan> {
        Ok(bytes::plan::any_plan())
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        end(segment)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl private::Create for bytes::Receiver {
    type Options = ChannelOptions;

    fn plan(options: &ChannelOptions, _: usize) -> Result<Plan> {
        bytes::plan::plan(options)
    }
}

impl<T: Payload> Open for latest::Writer<T> {}
impl<T: Payload> Create for latest::Writer<T> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::Open for latest::Writer<T> {
    fn any_plan() -> Result<Plan> {
        Ok(latest::plan::any_plan::<T>())
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        Self::new(link(segment, Side::Producer)?)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::Create for latest::Writer<T> {
    type Options = MemoryOptions;

    fn plan(options: &MemoryOptions, _: usize) -> Result<Plan> {
        Ok(with_fences(latest::plan::plan_with::<T>(options)?))
    }
}

impl<T: Payload> Open for latest::Reader<T> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::Open for latest::Reader<T> {
    fn any_plan() -> Result<Plan> {
        Ok(latest::plan::any_plan::<T>())
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        Self::new(Inlet::new(segment))
    }
}

impl<T: Payload> Open for broadcast::Writer<T> {}
impl<T: Payload> Create for broadcast::Writer<T> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::Open for broadcast::Writer<T> {
    fn any_plan() -> Result<Plan> {
        Ok(slots::any_plan::<T, Shape>())
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        Self::new(link(segment, Side::Producer)?)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::Create for broadcast::Writer<T> {
    type Options = ChannelOptions;

    fn plan(options: &ChannelOptions, _: usize) -> Result<Plan> {
        Ok(with_fences(slots::plan::<T, Shape>(options)?))
    }
}

impl<T: Payload> Open for broadcast::Reader<T> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::Open for broadcast::Reader<T> {
    fn any_plan() -> Result<Plan> {
        Ok(slots::any_plan::<T, Shape>())
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        Self::new(Inlet::new(segment))
    }
}

impl<T: Payload> Open for lossless::Writer<T> {}
impl<T: Payload> Create for lossless::Writer<T> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::Open for lossless::Writer<T> {
    fn any_plan() -> Result<Plan> {
        Ok(lossless::place::any_plan::<T>(0))
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        Self::new(link(segment, Side::Producer)?)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::Create for lossless::Writer<T> {
    type Options = ChannelOptions;

    fn plan(options: &ChannelOptions, _: usize) -> Result<Plan> {
        lossless::place::plan::<T>(options)
    }
}

impl<T: Payload> Open for lossless::Reader<T> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<T: Payload> private::Open for lossless::Reader<T> {
    fn any_plan() -> Result<Plan> {
        Ok(lossless::place::any_plan::<T>(0))
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        Self::new(segment)
    }
}

impl<Q: Payload, A: Payload> Open for request::Client<Q, A> {}
impl<Q: Payload, A: Payload> Create for request::Client<Q, A> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<Q: Payload, A: Payload> private::Open for request::Client<Q, A> {
    fn any_plan() -> Result<Plan> {
        Ok(request::plan::any_plan::<Q, A>())
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        end(segment)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<Q: Payload, A: Payload> private::Create for request::Client<Q, A> {
    type Options = ChannelOptions;

    fn plan(options: &ChannelOptions, _: usize) -> Result<Plan> {
        request::plan::plan::<Q, A>(options)
    }
}

impl<Q: Payload, A: Payload> Open for request::Server<Q, A> {}
impl<Q: Payload, A: Payload> Create for request::Server<Q, A> {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<Q: Payload, A: Payload> private::Open for request::Server<Q, A> {
    fn any_plan() -> Result<Plan> {
        Ok(request::plan::any_plan::<Q, A>())
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        end(segment)
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl<Q: Payload, A: Payload> private::Create for request::Server<Q, A> {
    type Options = ChannelOptions;

    fn plan(options: &ChannelOptions, _: usize) -> Result<Plan> {
        request::plan::plan::<Q, A>(options)
    }
}

impl Open for SharedMemory {}
impl Create for SharedMemory {}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl private::Open for SharedMemory {
    fn any_plan() -> Result<Plan> {
        Ok(plan_of(Layout { len: 0, capacity: 0, ..Layout::bytes(TRUSTED, 0, 0) }))
    }

    fn from_segment(segment: Segment) -> Result<Self> {
        Ok(Self::new(segment))
    }
}

#[expect(private_interfaces, reason = "the trait is sealed: who cannot name these types need not")]
impl private::Create for SharedMemory {
    type Options = MemoryOptions;

    fn plan(options: &MemoryOptions, room: usize) -> Result<Plan> {
        // As much as there is room for.
        let len = room.saturating_sub(HEADER).max(1);
        Ok(plan_of(Layout::bytes(TRUSTED, len, options.tag)))
    }
}

fn plan_of(layout: Layout) -> Plan {
    let permissions = MemoryOptions::new().permissions();
    Plan { layout, permissions, init: |_, _, _| (), max: usize::MAX, part: one_way }
}
