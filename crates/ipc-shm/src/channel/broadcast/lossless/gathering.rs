//! The writer's wait until so many readers are there.

use crate::channel::broadcast::lossless::log::Log;
use crate::channel::doorbell::Sleep;
use crate::channel::sleeper::Sleeper;
use crate::words::{AtomicU64, Words};

/// A writer that waits for readers to join.
pub(crate) struct Gathering<'l, T, W> {
    pub(crate) log: &'l mut Log<T, W>,
    /// How many it waits for.
    pub(crate) count: usize,
}

impl<T, W: Words> Sleeper for Gathering<'_, T, W> {
    fn is_ready(&self) -> bool {
        self.log.readers().count() >= self.count
    }

    fn announce(&mut self, _: Sleep) -> bool {
        let Log { memory, room, .. } = &mut *self.log;
        room.announce(memory, None)
    }

    fn retract(&mut self) {
        self.log.room.retract(&self.log.memory);
    }

    fn ticket(&self) -> (&AtomicU64, u32) {
        self.log.room.ticket(&self.log.memory)
    }
}
