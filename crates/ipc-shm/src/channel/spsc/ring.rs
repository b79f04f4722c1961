//! The ring for one sender and one receiver: the algorithm, over any [`Words`].
//!
//! Small messages (up to 56 bytes) live in *slots*: a sequence number and the payload in one cache line, so that one line
//! crosses from core to core per message. Slot `pos & mask` holds message `pos` when its sequence is `pos + 1`, and is
//! free for it when its sequence is `pos + 1 - capacity`. Larger ones are *packed* without sequence numbers; one word,
//! `written`, says how many there are.
//!
//! Positions only ever grow (modulo 2^64); an index is a position under our own mask, never a peer's word. The receiver
//! gives space back a quarter of the ring at a time while the sender does not sleep for it, so a sender may find the
//! ring full with `capacity - capacity / 4 + 1` messages in it: that many are guaranteed.

mod consumer;
mod producer;
mod shape;

pub(crate) use consumer::Consumer;
pub(crate) use producer::Producer;
pub(crate) use shape::Shape;
