//! Where on the header page each side of a channel writes. Words with different writers or rhythms are 128 bytes apart:
//! two lines, because x86 fetches lines in pairs.

/// Where messages begin: behind the header page.
pub(crate) const FIRST: usize = at(512);

/// The word at 8 × `index` bytes; close together for loom, which pays for each word.
const fn at(index: usize) -> usize {
    if cfg!(ipc_loom) { index / 128 * 4 + index % 128 / 16 } else { index }
}

/// What the sending side writes.
pub(crate) mod producer {
    use super::at;

    /// Whether it is attached, and what it can do.
    pub(crate) const STATE: usize = at(128);
    /// What a sleeping receiver waits on.
    pub(crate) const TICKET: usize = at(144);
    /// Whether it sleeps for want of space.
    pub(crate) const BELL: usize = at(160);
    /// How many messages it has published, ever.
    pub(crate) const WRITTEN: usize = at(176);
    /// What it counts for those who look on; see [`counters`](crate::channel::counters).
    pub(crate) const COUNTERS: usize = at(192);
    /// How many of several have left, and behind it a bit for each place: of [`mpmc`](crate::mpmc).
    pub(crate) const DEPARTURES: usize = at(352);
}

/// What the receiving side writes.
pub(crate) mod consumer {
    use super::at;

    /// Whether it is attached, and what it can do.
    pub(crate) const STATE: usize = at(256);
    /// What a sleeping sender waits on.
    pub(crate) const TICKET: usize = at(272);
    /// Whether it sleeps for want of messages.
    pub(crate) const BELL: usize = at(288);
    /// How many messages it has given back, ever.
    pub(crate) const READ: usize = at(304);
    /// What it counts for those who look on; see [`counters`](crate::channel::counters).
    pub(crate) const COUNTERS: usize = at(320);
    /// Whether any of several readers sleeps: their common bell.
    pub(crate) const ASLEEP: usize = at(336);
    /// As [`producer::DEPARTURES`](super::producer::DEPARTURES).
    pub(crate) const DEPARTURES: usize = at(368);
    /// Which of several readers there are, where the writer waits for each.
    pub(crate) const MEMBERS: usize = at(352);
}
