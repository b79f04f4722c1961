//! What a broadcast takes: slots, which the writer alone writes.

use crate::channel::Payload;
use crate::channel::broadcast::log::Shape;
use crate::channel::link::Side;
use crate::channel::slots::Slots;
use crate::memory::header::Kind;
use crate::memory::mapping::Mapping;

impl<T: Payload> Slots<T> for Shape {
    const KIND: Kind = Kind::Broadcast;
    const STRIDE: usize = Self::stride::<T>();

    fn new(capacity: u64, start: u64) -> Self {
        Self::new(capacity, start)
    }

    fn bytes(&self) -> Option<u64> {
        self.len::<T>()
    }

    fn init(&self, mapping: &Mapping, side: Side) {
        if side == Side::Producer {
            Self::init::<T, _>(*self, mapping);
        }
    }
}
