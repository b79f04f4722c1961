//! What all clients of a server together may make it hold: bytes and descriptors that came and that nobody has taken.
//!
//! No kernel object: counters in this process. A connection that ends gives back what it held.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Error, Result};

/// A limit on what is in flight in many [`Framed`](crate::Framed) connections together.
///
/// In flight are the bytes of messages that have not come whole, those that wait behind them, those of the message that the
/// last `recv` gave, until the next one, and the descriptors that came and were not given out yet.
///
/// Half of the budget is divided among the clients: what each may always hold, whatever the others do. The other half is
/// for whoever needs more. A client that needs more of it than there is left is cut off with [`Error::OverBudget`]; so
/// clients that mean harm, however many, take nothing from one whose messages fit into its own part.
///
/// The buffers behind are at most twice as large as what they hold, and 16 KiB for each client; of a sequenced-packet
/// socket as large as a message may be. Descriptors beyond the budget are open for the moment in which they are counted.
///
/// # Examples
/// ```
/// use ipc_uds::{Budget, Error, Framed, Stream};
/// use std::io::Write;
///
/// let budget = Budget::new(2, 1024, 0);
/// let mut clients = Vec::new();
/// for _ in 0..2 {
///     let (ours, theirs) = Stream::pair()?;
///     clients.push((Framed::new(ours, 4096, 0)?.within(&budget), Framed::new(theirs, 4096, 0)?));
/// }
/// let (ours, theirs) = &mut clients[0];
/// theirs.send(&[0; 2000])?;
/// assert!(matches!(ours.recv(), Err(Error::OverBudget { max_bytes: 1024, .. })));
/// let (ours, theirs) = &mut clients[1];
/// theirs.send(b"hello")?;
/// assert_eq!(ours.recv()?.ok_or("the end")?.bytes, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    max_bytes: usize,
    max_descriptors: usize,
    own_bytes: usize,
    own_descriptors: usize,
    /// How many more connections get a part of their own.
    parts: AtomicUsize,
    /// What is left for whoever needs more.
    bytes: AtomicUsize,
    descriptors: AtomicUsize,
}

impl Budget {
    /// At most `max_bytes` and `max_descriptors` in flight, in parts for `clients`. A connection more than these has no part
    /// of its own. [`Server::budget`](crate::Server::budget) knows how many clients there are.
    #[must_use]
    pub fn new(clients: usize, max_bytes: usize, max_descriptors: usize) -> Self {
        let clients = clients.max(1);
        let (own_bytes, own_descriptors) = (max_bytes / 2 / clients, max_descriptors / 2 / clients);
        let shared = Shared {
            max_bytes,
            max_descriptors,
            own_bytes,
            own_descriptors,
            parts: AtomicUsize::new(clients),
            bytes: AtomicUsize::new(max_bytes - clients * own_bytes),
            descriptors: AtomicUsize::new(max_descriptors - clients * own_descriptors),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn account(&self) -> Account {
        let shared = Arc::clone(&self.shared);
        let has_part = take(&shared.parts, 1);
        let own = |part| Holding { own: if has_part { part } else { 0 }, held: 0 };
        Account { bytes: own(shared.own_bytes), descriptors: own(shared.own_descriptors), has_part, shared }
    }
}

/// What one connection holds; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Account {
    shared: Arc<Shared>,
    bytes: Holding,
    descriptors: Holding,
    has_part: bool,
}

impl Account {
    /// How many more bytes may be received. What fits into the connection's own part is never asked of the others'.
    pub(super) fn room(&self) -> Result<usize> {
        let own = self.bytes.own.saturating_sub(self.bytes.held);
        let room = if own > 0 { own } else { self.shared.bytes.load(Ordering::Relaxed) };
        if room > 0 { Ok(room) } else { Err(self.over()) }
    }

    /// So many are held from now on. To hold less never fails.
    pub(super) fn hold(&mut self, bytes: usize, descriptors: usize) -> Result<()> {
        let fits = self.bytes.hold(&self.shared.bytes, bytes)
            && self.descriptors.hold(&self.shared.descriptors, descriptors);
        if fits { Ok(()) } else { Err(self.over()) }
    }

    fn over(&self) -> Error {
        let Shared { max_bytes, max_descriptors, .. } = *self.shared;
        Error::OverBudget { max_bytes, max_descriptors }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.bytes.hold(&self.shared.bytes, 0);
        self.descriptors.hold(&self.shared.descriptors, 0);
        self.shared.parts.fetch_add(usize::from(self.has_part), Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Holding {
    own: usize,
    held: usize,
}

impl Holding {
    /// False when `left` has not enough, and nothing has changed then.
    fn hold(&mut self, left: &AtomicUsize, held: usize) -> bool {
        let (before, after) = (self.held.saturating_sub(self.own), held.saturating_sub(self.own));
        if after > before && !take(left, after - before) {
            return false;
        }
        if before > after {
            left.fetch_add(before - after, Ordering::Relaxed);
        }
        self.held = held;
        true
    }
}

// Relaxed: the counters guard no other memory.
fn take(left: &AtomicUsize, count: usize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(count)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(budget: &Budget) -> (usize, usize, usize) {
        let Shared { bytes, descriptors, parts, .. } = &*budget.shared;
        let read = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        (read(bytes), read(descriptors), read(parts))
    }

    #[test]
    fn a_part_of_ones_own_is_nobody_elses() {
        let budget = Budget::new(4, 1001, 17);
        assert_eq!(left(&budget), (501, 9, 4));
        let (mut greedy, mut modest) = (budget.account(), budget.account());
        assert!(greedy.hold(125 + 501, 2 + 9).is_ok());
        assert_eq!(left(&budget), (0, 0, 2));
        assert!(matches!(
            greedy.hold(627, 11),
            Err(Error::OverBudget { max_bytes: 1001, max_descriptors: 17 })
        ));
        assert!(greedy.room().is_err());
        assert!(matches!(modest.room(), Ok(125)));
        assert!(modest.hold(125, 2).is_ok());
        assert!(modest.hold(126, 2).is_err());
        assert!(modest.hold(125, 3).is_err());
        greedy.hold(625, 11).expect("less");
        assert!(modest.hold(126, 2).is_ok());
        drop((greedy, modest));
        assert_eq!(left(&budget), (501, 9, 4));
    }

    #[test]
    fn more_connections_than_parts_never_hold_more_than_the_budget() {
        let budget = Budget::new(2, 100, 0);
        let mut accounts: Vec<Account> = (0..5).map(|_| budget.account()).collect();
        let held =
            accounts.iter_mut().flat_map(|account| (1..=100).map(|bytes| account.hold(bytes, 0).is_ok()));
        assert_eq!(held.filter(|held| *held).count(), 100);
        drop(accounts);
        assert_eq!(left(&budget), (50, 0, 2));
    }
}
