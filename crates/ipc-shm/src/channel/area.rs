//! Where on the header page each side of a channel writes. Words with different writers or rhythms are 128 bytes apart:
//! two lines, because x86 fetches lines in pairs.

/// What the sending side writes.
pub(crate) mod producer {
    /// Whether it is attached, and what it can do.
    pub(crate) const STATE: usize = 128;
    /// What a sleeping receiver waits on.
    pub(crate) const TICKET: usize = 144;
    /// Whether it sleeps for want of space.
    pub(crate) const BELL: usize = 160;
    /// How many messages it has published, ever.
    pub(crate) const WRITTEN: usize = 176;
}

/// What the receiving side writes.
pub(crate) mod consumer {
    /// Whether it is attached, and what it can do.
    pub(crate) const STATE: usize = 256;
    /// What a sleeping sender waits on.
    pub(crate) const TICKET: usize = 272;
    /// Whether it sleeps for want of messages.
    pub(crate) const BELL: usize = 288;
    /// How many messages it has given back, ever.
    pub(crate) const READ: usize = 304;
}
