//! What runs inside a signal handler: this file, and of those in handler/ what says so. It preserves errno, allocates
//! nothing, takes no lock, and makes no system call but the write that wakes a reader (to a pipe, before Linux 6.18, with
//! SIGPIPE held back around it; and, where a signal is to have its default effect after all, sigaction and tgkill).
//!
//! A table per signal says what to do. It is never changed: registering swaps in another one, and frees the former when
//! no handler can be reading it any more (`Page::quiesce`, in registry.rs). So a handler only ever loads a pointer.
#![expect(unsafe_code, reason = "a handler gets raw pointers from the kernel and follows the table's")]

mod buffer;
mod page;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};

use ipc_sys::disposition::{Disposition, disposition, set_disposition};
use ipc_sys::siginfo::Info;
use ipc_sys::signal::{errno_location, raise};
use ipc_sys::{event, pipe};

pub(crate) use buffer::Buffer;
pub(crate) use page::{PAGE, Page};

use crate::{Signal, SignalInfo};

/// What to do for each signal, by number; null until somebody asks for it.
pub(crate) static TABLES: [AtomicPtr<Table>; Signal::LAST as usize + 1] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; Signal::LAST as usize + 1];

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
            // As a reader: whoever registers meanwhile puts our handler in force after it.
            if table.entries.is_empty() && table.former.is_default() {
                give_back(number, &table.former);
            }
            Some(table.former)
        });
        if let Some(former) = former {
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
    /// Gets a byte, the signal's number, without SIGPIPE: where nobody reads, the handler of that would raise the next one.
    Pipe,
    /// The same, without SIGPIPE.
    Socket,
}

impl Waker {
    fn wake(&self, signal: Signal) {
        let byte = [signal.number().to_le_bytes()[0]];
        match self.kind {
            WakerKind::Event => event::write(&self.fd, &1_u64.to_ne_bytes()),
            WakerKind::Pipe => {
                let _ = pipe::write(self.fd.as_fd(), &byte, pipe::Wait::AsOpened);
            }
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
