//! Registrations: what is to happen when a signal is delivered, until the registration is dropped. They end with the
//! process, and with exec.
#![expect(unsafe_code, reason = "a handler of the caller's own is unsafe to register")]

use std::fmt;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::disposition::{apply, in_force, is_installed};
use crate::handler::{Effect, Entry, Page, Table, Waker, WakerKind};
use crate::registry::table;
use crate::{Action, Error, MaskGuard, Result, Ring, Signal, SignalInfo, SignalSet};

/// sigaction(2): from now on `action` happens when `signal` is delivered, until the registration is dropped.
///
/// Several registrations for one signal all happen, in their order, and then whatever handler was installed before the
/// first of them. When the last is dropped, in any order, the former disposition is in force again. Interrupted calls are
/// restarted (SA_RESTART); [`HandlerOptions`] says otherwise.
///
/// A library that installs its own handler over ours and later puts ours back finds it in working order. One that never
/// calls the handler it found takes the signal from us, as it would in C.
///
/// After fork, [`Action::Flag`] and [`Action::Count`] act on the child's own copy; descriptors, rings and threads of the
/// parent are left alone. A registration of the child's own works as usual; to drop its copy of one of the parent's takes that
/// away in the child.
///
/// # Errors
///
/// | errno | variant |
/// | --- | --- |
/// | (KILL, STOP; the synchronous faults; what the C library keeps to itself) | [`Error::Refused`] |
/// | (a blocking descriptor, or one that is no eventfd, pipe or socket, for [`Action::Wake`]) | [`Error::Refused`] |
/// | ENOMEM, EMFILE, ENFILE, EAGAIN (a thread) | [`Error::System`] |
///
/// # Examples
/// ```
/// use ipc_signal::{on, raise, Signal};
/// use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
///
/// let flag = Arc::new(AtomicBool::new(false));
/// let registration = on(Signal::USR1, &flag)?;
/// raise(Signal::USR1)?;
/// assert!(flag.load(Ordering::SeqCst));
/// drop(registration);
/// # Ok::<(), ipc_signal::Error>(())
/// ```
#[doc(alias = "sigaction")]
#[doc(alias = "signal")]
pub fn on(signal: Signal, action: impl Into<Action>) -> Result<Registration> {
    HandlerOptions::new().on(signal, action)
}

/// sigaction(2) with a function of the caller's own, called inside the handler.
///
/// # Safety
/// `function` may be called at any instant, between any two instructions of any thread, in a forked child too. It
/// - calls only what signal-safety(7) lists and what says "async-signal-safe" here: no allocation, no lock, no printing,
///   no panic, and nothing that waits;
/// - touches no data that the interrupted code may be in the middle of changing, except through atomics;
/// - returns. errno is preserved for it.
///
/// For the faults (SEGV, BUS, ILL, FPE, TRAP, SYS), which the safe functions refuse: returning runs the same instruction again.
///
/// # Errors
/// As [`on`], without the faults.
#[doc(alias = "sigaction")]
#[doc(alias = "SA_SIGINFO")]
pub unsafe fn on_raw(
    signal: Signal,
    function: impl Fn(&SignalInfo) + Send + Sync + 'static,
) -> Result<Registration> {
    HandlerOptions::new().register(signal, Effect::Raw(Arc::new(function)), None)
}

/// How a handler is installed: `sa_flags` and `sa_mask`.
///
/// Where registrations for one signal differ, and where a former handler is chained to: calls are restarted only if all
/// of them want that, and all their masks are blocked.
///
/// A handler runs on its thread's alternate stack, where that has one (SA_ONSTACK), unless the former handler does not.
/// Children that vanish unwaited for (SA_NOCLDWAIT) go on doing so.
///
/// Two flags are not offered. SA_RESETHAND: a handler that is gone after its first delivery leaves the second one to the
/// default, in most programs by accident; where that is meant, [`Shutdown`](crate::Shutdown) does it, and who wants one
/// delivery drops the registration after it. SA_NODEFER: the handler would interrupt itself, as often as signals come, until
/// the stack ends; nothing that an [`Action`] does is so slow that it would help. A former handler that asked for either is
/// called once for each delivery, with its signal blocked.
///
/// # Examples
/// ```
/// use ipc_signal::{Action, HandlerOptions, Signal};
///
/// let registration = HandlerOptions::new()
///     .restart(false)
///     .block([Signal::INT, Signal::TERM])
///     .on(Signal::USR2, Action::thread(|info| println!("{info:?}")))?;
/// # drop(registration);
/// # Ok::<(), ipc_signal::Error>(())
/// ```
#[doc(alias = "SA_NODEFER")]
#[doc(alias = "SA_RESETHAND")]
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct HandlerOptions {
    restart: bool,
    block: SignalSet,
}

impl HandlerOptions {
    /// Restarts interrupted calls, blocks nothing but the signal itself.
    pub const fn new() -> Self {
        Self { restart: true, block: SignalSet::empty() }
    }

    /// SA_RESTART: whether a call that the handler interrupted goes on, or fails with EINTR.
    #[doc(alias = "SA_RESTART")]
    pub const fn restart(mut self, restart: bool) -> Self {
        self.restart = restart;
        self
    }

    /// `sa_mask`: what is blocked while the handler runs, besides the signal itself.
    #[doc(alias = "sa_mask")]
    pub fn block(mut self, signals: impl Into<SignalSet>) -> Self {
        self.block = signals.into();
        self
    }

    /// Registers `action`; see the function [`on`].
    ///
    /// # Errors
    /// As [`on`].
    pub fn on(self, signal: Signal, action: impl Into<Action>) -> Result<Registration> {
        if signal.is_fault() {
            let reason = "returning from its handler runs the failed instruction again; only on_raw, which is unsafe, takes it";
            return Err(Error::Refused { signal, reason });
        }
        let effect = match action.into() {
            Action::Flag(flag) => Effect::Flag(flag),
            Action::Count(count) => Effect::Count(count),
            Action::Wake(fd) => Effect::Wake(Arc::new(waker(signal, fd)?)),
            Action::Ring(ring) => Effect::Ring(ring.buffer),
            Action::Ignore => Effect::Ignore,
            Action::Default => Effect::Default,
            Action::Thread(closure) => return self.on_thread(signal, closure),
        };
        self.register(signal, effect, None)
    }

    fn on_thread(
        self,
        signal: Signal,
        mut closure: Box<dyn FnMut(SignalInfo) + Send>,
    ) -> Result<Registration> {
        /// As many as may be on their way while the closure is busy.
        const CAPACITY: usize = 1024;
        let ring = Ring::with_capacity(CAPACITY)?;
        let source = ring.clone();
        // Blocked while the thread is born, which inherits it: no handler interrupts the closure.
        let blocked = MaskGuard::block(SignalSet::all())?;
        let thread = std::thread::Builder::new()
            .name(signal.to_string())
            .spawn(move || {
                while let Some(info) = source.next() {
                    closure(info);
                }
            })
            .map_err(Error::system("pthread_create"));
        drop(blocked);
        let reader = Reader { ring: ring.clone(), thread: Some(thread?) };
        self.register(signal, Effect::Ring(ring.buffer), Some(reader))
    }

    pub(crate) fn register(
        self,
        signal: Signal,
        effect: Effect,
        reader: Option<Reader>,
    ) -> Result<Registration> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if matches!(signal, Signal::KILL | Signal::STOP) {
            return Err(Error::Refused { signal, reason: "it cannot be caught, blocked or ignored" });
        }
        let page = Page::here().map_err(Error::system("mmap"))?;
        let id = NEXT.fetch_add(1, Ordering::SeqCst);
        page.locked(|| {
            let generation = page.claim_generation();
            let entry = Entry { id, generation, restart: self.restart, mask: self.block.bits(), effect };
            let mut next = match table(signal).filter(|table| is_installed(signal, table)) {
                Some(table) => table,
                None => Table { former: in_force(signal)?, entries: Vec::new(), buried: false },
            };
            next.entries.push(entry);
            apply(page, signal, next)
        })?;
        Ok(Registration { signal, id, reader })
    }
}

impl Default for HandlerOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A place in a signal's disposition; dropped, it is given back.
///
/// # After a crash
/// Nothing is left: dispositions end with the process.
#[must_use = "the former disposition comes back when the registration is dropped"]
pub struct Registration {
    signal: Signal,
    id: u64,
    reader: Option<Reader>,
}

impl Registration {
    /// For which signal.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.signal
    }

    /// How many deliveries the thread of [`Action::Thread`] has missed, because its closure was busy while more than 1024
    /// arrived; 0 for every other action. A [`Ring`] counts its own.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.reader.as_ref().map_or(0, |reader| reader.ring.overflowed())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(page) = Page::known() {
            page.locked(|| {
                if let Some(mut next) = table(self.signal) {
                    next.entries.retain(|entry| entry.id != self.id);
                    // Nothing can be done about a disposition that cannot be restored, and nothing makes it fail.
                    let _ = apply(page, self.signal, next);
                }
            });
        }
        self.reader.take();
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("signal", &self.signal).finish_non_exhaustive()
    }
}

/// The thread behind [`Action::Thread`].
pub(crate) struct Reader {
    ring: Ring,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.ring.is_ours() {
            // A forked child has no such thread, and may neither join it nor let it go.
            std::mem::forget(self.thread.take());
            return;
        }
        self.ring.close();
        if let Some(thread) = self.thread.take() {
            // The closure itself may drop its registration: a thread does not wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                // A closure that panicked has said so on standard error.
                let _ = thread.join();
            }
        }
    }
}

/// How to write to this descriptor; a regular file or a terminal wakes nobody.
fn waker(signal: Signal, fd: OwnedFd) -> Result<Waker> {
    let refused = |reason| Error::Refused { signal, reason };
    let file = File::from(fd);
    let kind = file.metadata().map_err(Error::system("fstat"))?.file_type();
    let kind = if kind.is_fifo() {
        WakerKind::Pipe
    } else if kind.is_socket() {
        WakerKind::Socket
    } else if kind.is_file() || kind.is_dir() || kind.is_char_device() || kind.is_block_device() {
        return Err(refused("the descriptor to be woken is no eventfd, pipe or socket"));
    } else {
        WakerKind::Event
    };
    let fd = OwnedFd::from(file);
    if kind != WakerKind::Socket && !ipc_sys::event::is_nonblocking(&fd).map_err(Error::system("fcntl"))? {
        return Err(refused(
            "the descriptor to be woken must be non-blocking, or a full one would stop the program in the handler",
        ));
    }
    Ok(Waker { fd, kind })
}
