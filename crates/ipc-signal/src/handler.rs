//! What runs inside a signal handler: this file and nothing else. It preserves errno, allocates nothing, takes no lock,
//! and makes no system call but the write that wakes a reader (and, where a signal is to have its default effect after
//! all, sigaction and tgkill).
//!
//! A table per signal says what to do. It is never changed: registering swaps in another one, and frees the former when
//! no handler can be reading it any more (`Page::quiesce`, in registry.rs). So a handler only ever loads a pointer.
//!
//! Whatever tells two processes apart after fork lies in a page that the kernel wipes in the child: there, registrations
//! of the parent have another generation than the child, and none of them touches a descriptor that both share.
#![expect(unsafe_code, reason = "a handler gets raw pointers from the kernel and follows the table's")]

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use ipc_sys::disposition::{Disposition, disposition, set_disposition};
use ipc_sys::siginfo::Info;
use ipc_sys::signal::{errno_location, raise};
use ipc_sys::{event, fork};

use crate::{Signal, SignalInfo};

/// What to do for each signal, by number; null until somebody asks for it.
pub(crate) static TABLES: [AtomicPtr<Table>; Signal::LAST as usize + 1] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; Signal::LAST as usize + 1];

pub(crate) static PAGE: AtomicPtr<fork::Words> = AtomicPtr::new(std::ptr::null_mut());

/// What to do for one signal.
#[derive(Clone)]
pub(crate) struct Table {
    /// What was in force before us, and is called after our own.
    pub(crate) former: Disposition,
    /// In the order of registration.
    pub(crate) entries: Vec<Entry>,
    /// Somebody has put a handler over ours and may lead to it, whether or not anything is registered.
    pub(crate) buried: bool,
}

/// One registration.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    /// Of the process that registered it.
    pub(crate) generation: u64,
    pub(crate) restart: bool,
    pub(crate) mask: u64,
    pub(crate) effect: Effect,
}

/// What a registration does inside the handler.
#[derive(Clone)]
pub(crate) enum Effect {
    Flag(Arc<AtomicBool>),
    Count(Arc<AtomicU64>),
    Wake(Arc<Waker>),
    Ring(Arc<Buffer>),
    Ask(Arc<Asked>),
    Raw(Arc<dyn Fn(&SignalInfo) + Send + Sync>),
    /// SIG_IGN or SIG_DFL for the kernel while nothing else is registered.
    Ignore,
    Default,
}

/// The handler of every signal that has a registration.
pub(crate) extern "C" fn handle(number: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let errno = errno_location();
    // SAFETY: the C library's errno of this thread is always readable.
    let saved = unsafe { errno.read() };
    if let (Some(page), Some(table)) =
        (Page::known(), usize::try_from(number).ok().and_then(|at| TABLES.get(at)))
    {
        // SAFETY: installed with SA_SIGINFO, so the kernel filled `info`.
        let what = unsafe { Info::from_handler(info) };
        let former = page.read(|| {
            // SAFETY: null or a table from Box::into_raw that is freed only after `quiesce`, which waits for this reader.
            let table = unsafe { table.load(Ordering::SeqCst).as_ref() }?;
            table.run(&page, &SignalInfo::new(what));
            Some((table.former, table.entries.is_empty()))
        });
        if let Some((former, idle)) = former {
            if idle && former.is_default() {
                give_back(number, &former);
            }
            // SAFETY: the arguments are the kernel's own, and `former` was in force for this signal before us.
            unsafe { former.call(number, info, context) };
        }
    }
    // SAFETY: as above.
    unsafe { errno.write(saved) };
}

impl Table {
    fn run(&self, page: &Page, info: &SignalInfo) {
        let here = page.generation();
        for entry in &self.entries {
            entry.effect.run(info, entry.generation == here);
        }
    }
}

impl Effect {
    /// `here` is false in a child forked after the registration: descriptors are then left alone, the parent shares them.
    fn run(&self, info: &SignalInfo, here: bool) {
        match self {
            Self::Flag(flag) => flag.store(true, Ordering::SeqCst),
            Self::Count(count) => {
                count.fetch_add(1, Ordering::SeqCst);
            }
            Self::Wake(waker) if here => waker.wake(info.signal()),
            Self::Ring(buffer) if here => buffer.push(info),
            Self::Ask(asked) => asked.ask(info.signal(), here),
            Self::Raw(function) => function(info),
            Self::Wake(_) | Self::Ring(_) | Self::Ignore | Self::Default => {}
        }
    }

    /// Whether the handler is needed for it, or the kernel's own SIG_IGN or SIG_DFL does.
    pub(crate) const fn is_active(&self) -> bool {
        !matches!(self, Self::Ignore | Self::Default)
    }
}

/// Nobody is registered any more, and whoever had replaced our handler has put it back: the default shall happen.
fn give_back(number: i32, default: &Disposition) {
    if disposition(number).is_ok_and(|now| now.is(handle)) {
        die_of(number, default);
    }
}

/// The default action, as soon as this handler has returned and its signal is no longer blocked.
fn die_of(number: i32, default: &Disposition) {
    // SAFETY: SIG_DFL runs no code.
    if unsafe { set_disposition(number, default) }.is_ok() {
        let _ = raise(number);
    }
}

/// A descriptor to be written to, and how it is done.
#[derive(Debug)]
pub(crate) struct Waker {
    pub(crate) fd: OwnedFd,
    pub(crate) kind: WakerKind,
}

/// What stands behind the descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakerKind {
    /// Counts: gets 1 added.
    Event,
    /// Gets a byte, the signal's number.
    Pipe,
    /// The same, without SIGPIPE.
    Socket,
}

impl Waker {
    fn wake(&self, signal: Signal) {
        let byte = [signal.number().to_le_bytes()[0]];
        match self.kind {
            WakerKind::Event => event::write(&self.fd, &1_u64.to_ne_bytes()),
            WakerKind::Pipe => event::write(&self.fd, &byte),
            WakerKind::Socket => event::send(&self.fd, &byte),
        }
    }
}

/// What `Shutdown` shares with the handler.
#[derive(Debug)]
pub(crate) struct Asked {
    /// 0 until asked; the signal that asked, or -1 for the program itself.
    pub(crate) by: AtomicI32,
    pub(crate) event: OwnedFd,
}

impl Asked {
    fn ask(&self, signal: Signal, here: bool) {
        if self.by.compare_exchange(0, signal.number(), Ordering::SeqCst, Ordering::SeqCst).is_err() {
            die_of(signal.number(), &Disposition::default_action());
        } else if here {
            event::write(&self.event, &1_u64.to_ne_bytes());
        }
    }
}

/// A bounded queue that handlers on any number of threads push to, each cell with a turn number of its own that says
/// whose it is; what does not fit is counted.
#[derive(Debug)]
pub(crate) struct Buffer {
    cells: Box<[Cell]>,
    /// The next turn to push, and to pop.
    tail: AtomicUsize,
    head: AtomicUsize,
    pub(crate) overflow: AtomicU64,
    pub(crate) closed: AtomicBool,
    pub(crate) event: OwnedFd,
}

/// `turn` is its index when empty, index + 1 when filled, and grows by the number of cells with each round.
#[derive(Debug)]
struct Cell {
    turn: AtomicUsize,
    words: [AtomicU64; 6],
}

impl Buffer {
    /// `capacity` is rounded up to a power of two, and to at least 2.
    pub(crate) fn new(capacity: usize, event: OwnedFd) -> Self {
        // With one cell "filled in this round" and "empty in the next" would be the same turn.
        let len = capacity.max(2).next_power_of_two();
        let cell = |at| Cell { turn: AtomicUsize::new(at), words: [const { AtomicU64::new(0) }; 6] };
        Self {
            cells: (0..len).map(cell).collect(),
            tail: AtomicUsize::new(0),
            head: AtomicUsize::new(0),
            overflow: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            event,
        }
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.cells.len()
    }

    /// Async-signal-safe, and lock-free: a push that another one interrupts holds nobody up but the reader.
    fn push(&self, info: &SignalInfo) {
        if self.store(info.words()) {
            event::write(&self.event, &1_u64.to_ne_bytes());
        } else {
            self.overflow.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn store(&self, words: [u64; 6]) -> bool {
        let mut turn = self.tail.load(Ordering::Relaxed);
        loop {
            let Some(cell) = self.cells.get(turn & (self.cells.len() - 1)) else { return false };
            // Acquire pairs with the Release of `pop`: the cell's words have been read before we write them.
            let seen = cell.turn.load(Ordering::Acquire);
            if seen == turn {
                let next = turn.wrapping_add(1);
                match self.tail.compare_exchange_weak(turn, next, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => {
                        for (to, from) in cell.words.iter().zip(words) {
                            to.store(from, Ordering::Relaxed);
                        }
                        // Release: whoever sees the turn sees the words.
                        cell.turn.store(next, Ordering::Release);
                        return true;
                    }
                    Err(now) => turn = now,
                }
            } else if is_before(seen, turn) {
                return false;
            } else {
                turn = self.tail.load(Ordering::Relaxed);
            }
        }
    }

    /// The oldest; `None` when empty, or while the push of the oldest has been interrupted in the middle.
    pub(crate) fn pop(&self) -> Option<SignalInfo> {
        let mut turn = self.head.load(Ordering::Relaxed);
        loop {
            let cell = self.cells.get(turn & (self.cells.len() - 1))?;
            // Acquire pairs with the Release of `store`.
            let seen = cell.turn.load(Ordering::Acquire);
            let next = turn.wrapping_add(1);
            if seen == next {
                match self.head.compare_exchange_weak(turn, next, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => {
                        let words = cell.words.each_ref().map(|word| word.load(Ordering::Relaxed));
                        // Release: the words have been read before the cell is empty.
                        cell.turn.store(turn.wrapping_add(self.cells.len()), Ordering::Release);
                        return Some(SignalInfo::from_words(words));
                    }
                    Err(now) => turn = now,
                }
            } else if is_before(seen, next) {
                return None;
            } else {
                turn = self.head.load(Ordering::Relaxed);
            }
        }
    }
}

/// Whether turn `a` comes before turn `b`, across the wrap.
const fn is_before(a: usize, b: usize) -> bool {
    a.wrapping_sub(b) > usize::MAX / 2
}

/// The page that fork wipes: who we are, who is in a handler, who is registering.
#[derive(Clone, Copy)]
pub(crate) struct Page(&'static fork::Words);

/// The words of the page, each in a cache line of its own.
impl Page {
    pub(crate) fn generation_word(&self) -> &AtomicU64 {
        &self.0[0]
    }
    pub(crate) fn lock_word(&self) -> &AtomicU64 {
        &self.0[8]
    }
    pub(crate) fn side_word(&self) -> &AtomicU64 {
        &self.0[16]
    }
    pub(crate) fn readers(&self, side: u64) -> &AtomicU64 {
        if side & 1 == 0 { &self.0[24] } else { &self.0[32] }
    }
}

impl Page {
    /// The page, if anything has ever been registered. Async-signal-safe.
    pub(crate) fn known() -> Option<Self> {
        // SAFETY: null, or a page that is never unmapped.
        unsafe { PAGE.load(Ordering::SeqCst).as_ref() }.map(Self)
    }

    /// 0 in a forked child that has registered nothing itself.
    pub(crate) fn generation(&self) -> u64 {
        self.generation_word().load(Ordering::SeqCst)
    }

    /// Runs `look` as a reader of the tables. Async-signal-safe.
    ///
    /// SeqCst throughout: a reader counts itself before it loads a pointer, `quiesce` looks at the count after the pointer
    /// was swapped, so one of the two sees the other.
    fn read<T>(&self, look: impl FnOnce() -> T) -> T {
        let side = self.side_word().load(Ordering::SeqCst);
        self.readers(side).fetch_add(1, Ordering::SeqCst);
        let seen = look();
        self.readers(side).fetch_sub(1, Ordering::SeqCst);
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn info(value: u64) -> SignalInfo {
        SignalInfo::from_words([34, u64::from(u32::MAX), 1, value, 0, 0])
    }

    #[test]
    fn a_buffer_gives_back_in_order_and_counts_what_did_not_fit() {
        let buffer = Buffer::new(3, event::eventfd().unwrap());
        assert_eq!(buffer.capacity(), 4);
        for round in 0..5 {
            for value in 0..6 {
                buffer.push(&info(round * 10 + value));
            }
            for value in 0..4 {
                let popped = buffer.pop().and_then(|info| info.value()).map(Value::as_u64);
                assert_eq!(popped, Some(round * 10 + value));
            }
            assert!(buffer.pop().is_none());
        }
        assert_eq!(buffer.overflow.load(Ordering::SeqCst), 10);
    }

    #[test]
    fn the_smallest_buffer_holds_as_many_as_it_says() {
        for capacity in [0, 1, 2] {
            let buffer = Buffer::new(capacity, event::eventfd().unwrap());
            for value in 0..4 {
                buffer.push(&info(value));
            }
            assert_eq!((buffer.capacity(), buffer.overflow.load(Ordering::SeqCst)), (2, 2));
            let popped = std::iter::from_fn(|| buffer.pop()).map(|info| info.value().map(Value::as_u64));
            assert_eq!(popped.collect::<Vec<_>>(), [Some(0), Some(1)], "{capacity}");
        }
    }

    #[test]
    fn pushes_from_several_threads_lose_and_double_nothing() {
        const EACH: u64 = 5_000;
        let buffer = Buffer::new(16, event::eventfd().unwrap());
        let mut seen = vec![0_u32; 3 * 5_000];
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let buffer = &buffer;
                scope.spawn(move || {
                    for value in 0..EACH {
                        while !buffer.store(info(thread * EACH + value).words()) {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            for _ in 0..3 * EACH {
                let popped = loop {
                    match buffer.pop() {
                        Some(info) => break info,
                        None => std::thread::yield_now(),
                    }
                };
                seen[usize::try_from(popped.value().unwrap().as_u64()).unwrap()] += 1;
            }
        });
        assert!(seen.iter().all(|count| *count == 1));
    }
}
