//! Ends without a socket, polled all the same: an io_uring(7) that waits for the words that their wakers move.
//!
//! Made by the process that polls, for itself. Nothing of it travels, no peer knows of it, and a waker does what it does for
//! every sleeper: IORING_OP_FUTEX_WAITV (Linux 6.7) waits as futex_waitv(2) would, without a thread that sleeps, and when it
//! ends the ring's descriptor becomes readable. A timeout that is linked to it ends it at the next look, because nobody
//! but the looks of who polls tells of a peer's death.
//!
//! The kernel finds out which words are meant when it takes the entry, and compares each then: what a waker did before shows in
//! the comparison, what it does afterwards ends the wait. From then on it knows the words by their pages and touches no
//! memory of ours, so that they may be unmapped while it waits. One wait at a time: the next one cancels the last one in
//! the same call. Until then a wait that nobody awaits any more takes no wake from anybody: wakers wake all.
//!
//! The kernel ends a wait in the context of the thread that armed it, and interrupts that thread for it: poll(2) and ppoll(2)
//! go on by themselves; epoll_wait(2), which never does, says EINTR, and what it was waiting for at the next call. (Flags for fewer
//! interruptions either change nothing for who sleeps or bind the ring to one thread.) If the thread has ended, the kernel
//! has cancelled the wait, which is a wake without a cause.
//!
//! After a crash: nothing is left. A forked child has a copy of the descriptor and not the memory (MADV_DONTFORK): it closes its
//! copy, and its parent's waits go on.
#![expect(unsafe_code, reason = "entries of a ring hold pointers")]

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use io_uring::opcode::{AsyncCancel, FutexWaitV, LinkTimeout};
use io_uring::squeue::Flags;
use io_uring::types::{self, Timespec};
use io_uring::{IoUring, Probe};
use ipc_sys::fork::ForkMark;
use ipc_sys::{errno, futex};

use crate::channel::doorbell::LOOK;
use crate::words::AtomicU64;
use crate::{Error, Result};

/// Entries that one call submits: cancel, wait, and the time for it.
const ENTRIES: u32 = 4;
/// What the ends of those are marked with that nobody looks for; waits are numbered from one on.
const NOBODYS: u64 = 0;

static NEXT_LOOK: Timespec = Timespec::new().sec(LOOK.as_secs()).nsec(LOOK.subsec_nanos());

/// A ring, and the wait that it is for.
pub(crate) struct Uring {
    ring: ManuallyDrop<Box<IoUring>>,
    waits: Mutex<Waits>,
    /// The process that has it mapped.
    mark: ForkMark,
}

#[derive(Debug, Default)]
struct Waits {
    /// The number of the last wait.
    last: u64,
    /// Whether it has not ended, for all that we have heard.
    pending: bool,
    /// What it waits for. Entries lead here, so it changes only when the kernel has taken all of them.
    words: Vec<types::FutexWaitV>,
}

impl Uring {
    /// io_uring_setup(2).
    ///
    /// # Errors
    /// [`Error::NoUring`]; [`Error::System`] (EMFILE, ENFILE, ENOMEM).
    pub(crate) fn new() -> Result<Self> {
        let mark = ForkMark::new().map_err(failed("mmap"))?;
        let ring: IoUring = IoUring::builder().dontfork().build(ENTRIES).map_err(failed("io_uring_setup"))?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe).map_err(failed("io_uring_register"))?;
        if !probe.is_supported(FutexWaitV::CODE) {
            return Err(Error::NoUring { source: io::Error::from_raw_os_error(libc::EOPNOTSUPP) });
        }
        Ok(Self { ring: ManuallyDrop::new(Box::new(ring)), waits: Mutex::default(), mark })
    }

    /// Whether this process made it.
    pub(crate) fn is_ours(&self) -> bool {
        self.mark.is_ours()
    }

    /// io_uring_enter(2): has the descriptor become readable when a waker moves one of these words, each of which was last
    /// seen to hold what stands beside it, and if `looks`, at the next look; false, and nothing waited for, where one has
    /// been moved by now.
    ///
    /// # Errors
    /// [`Error::Forked`]; [`Error::NoUring`] under a filter that has come since; [`Error::System`] (ENOMEM, EAGAIN; EFAULT where
    /// the page of a word is gone).
    pub(crate) fn wait_for(&self, words: &[(&AtomicU64, u32)], looks: bool) -> Result<bool> {
        if !self.is_ours() {
            return Err(Error::Forked);
        }
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_all_taken() {
            self.submit()?;
        }
        self.drain(&mut waits)?;
        waits.words.clear();
        waits.words.extend(words.iter().map(|(word, expected)| {
            types::FutexWaitV::new()
                .uaddr(futex::address(word))
                .val(u64::from(*expected))
                .flags(futex::FUTEX2_SIZE_U32)
        }));
        self.push(&mut waits, looks)?;
        self.submit()?;
        // What was cancelled has ended by now, unless another thread had armed it.
        self.drain(&mut waits)?;
        Ok(waits.pending)
    }

    /// Puts entries into the queue: to cancel the last wait if it has not ended, to wait anew, and to end that at the next look.
    fn push(&self, waits: &mut Waits, looks: bool) -> Result<()> {
        let cancel = waits
            .pending
            .then(|| AsyncCancel::new(waits.last).build().user_data(NOBODYS).flags(Flags::SKIP_SUCCESS));
        waits.last += 1;
        let count = u32::try_from(waits.words.len()).unwrap_or(u32::MAX);
        let wait = FutexWaitV::new(waits.words.as_ptr(), count).build();
        let wait = wait.user_data(waits.last).flags(if looks { Flags::IO_LINK } else { Flags::empty() });
        let look = looks.then(|| LinkTimeout::new(&raw const NEXT_LOOK).build().user_data(NOBODYS));
        // SAFETY: the lock of `waits` keeps every other borrower of the queue away.
        let mut queue = unsafe { self.ring.submission_shared() };
        for entry in cancel.iter().chain([&wait]).chain(&look) {
            // SAFETY: the kernel reads what an entry leads to when it takes the entry, and not again (IORING_FEAT_SUBMIT_STABLE):
            // a static, and `waits.words`, which stay as they are until all entries are taken. The addresses of the words are
            // borrowed atomics; of one that is unmapped by the time of a belated submission it says EFAULT.
            unsafe { queue.push(entry) }.map_err(|_| full())?;
        }
        waits.pending = true;
        Ok(())
    }

    fn submit(&self) -> Result<()> {
        self.ring.submit().map_err(failed("io_uring_enter"))?;
        // It takes fewer where its memory is short; what is left goes first the next time.
        if self.is_all_taken() { Ok(()) } else { Err(full()) }
    }

    /// Whether the kernel has taken every entry.
    fn is_all_taken(&self) -> bool {
        // SAFETY: the lock of `waits`, which each caller holds, keeps every other borrower of the queue away.
        unsafe { self.ring.submission_shared() }.is_empty()
    }

    /// Takes away what makes the descriptor readable, and notes whether the last wait has ended.
    fn drain(&self, waits: &mut Waits) -> Result<()> {
        let mut ended = Ok(());
        // SAFETY: the lock of `waits` keeps every other borrower of the queue away.
        for completion in unsafe { self.ring.completion_shared() } {
            if completion.user_data() == waits.last {
                waits.pending = false;
                ended = match -completion.result() {
                    // Woken; cancelled, or at the next look; changed meanwhile.
                    ..=0 | libc::ECANCELED | libc::EAGAIN => Ok(()),
                    errno => Err(failed("futex_waitv")(io::Error::from_raw_os_error(errno))),
                };
            }
        }
        ended
    }
}

/// What a kernel that has no such rings, or gives none to us, is told from one that has none left.
fn failed(operation: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| {
        if [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EINVAL].iter().any(|no| errno::is(&source, *no)) {
            return Error::NoUring { source };
        }
        Error::system(operation, "the channel")(source)
    }
}

fn full() -> Error {
    failed("io_uring_enter")(io::Error::from_raw_os_error(libc::EAGAIN))
}

impl AsFd for Uring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring is open as long as `self`, from which the descriptor is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        if self.is_ours() {
            // SAFETY: nobody uses the ring after this.
            unsafe { ManuallyDrop::drop(&mut self.ring) };
        } else {
            // What it thinks to have mapped may be somebody else's in a child.
            // SAFETY: this process's copy of the descriptor, which nobody closes for the ring that is forgotten here.
            drop(unsafe { OwnedFd::from_raw_fd(self.ring.as_raw_fd()) });
        }
    }
}

impl fmt::Debug for Uring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Uring").field("fd", &self.ring.as_raw_fd()).finish_non_exhaustive()
    }
}
