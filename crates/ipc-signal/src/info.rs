//! What came with a signal: siginfo, told apart by signal and code. A value of ours; the kernel's copy went with delivery.

use std::fmt;

use ipc_sys::siginfo::Info;

use crate::{ChildState, Pid, Signal, Value};

/// `siginfo_t`: which signal, why, from whom as far as that is known, and with what.
///
/// Every accessor answers only where the kernel filled that field; reading never depends on what a sender claims. All of
/// them are async-signal-safe.
#[derive(Clone, Copy, PartialEq, Eq)]
#[doc(alias = "siginfo_t")]
pub struct SignalInfo(Info);

/// Why a signal was sent: `si_code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// kill(2), raise of another process, or a queue that was full: then the sender is erased. SI_USER.
    User,
    /// tgkill(2), raise(3), abort(3). SI_TKILL.
    Thread,
    /// sigqueue(3), with a value. SI_QUEUE.
    Queue,
    /// A POSIX timer ran out, with a value. SI_TIMER.
    Timer,
    /// mq_notify(3), with a value. SI_MESGQ.
    MessageQueue,
    /// Asynchronous input or output ended, with a value. SI_ASYNCIO.
    AsyncIo,
    /// A descriptor with O_ASYNC became ready. SI_SIGIO and the POLL codes.
    Io,
    /// A child changed its state: [`SignalInfo::child`]. The CLD codes.
    Child,
    /// An instruction failed: [`SignalInfo::fault_address`]. The SEGV, BUS, ILL, FPE and TRAP codes.
    Fault,
    /// seccomp refused a system call. SYS_SECCOMP.
    SystemCall,
    /// The kernel by itself: a key on the terminal, an alarm, a limit. SI_KERNEL.
    Kernel,
    /// A code that this version does not know.
    Other(i32),
}

/// Who says that he sent a signal: a claim, which whoever may signal us can forge with a queued signal, and which is
/// erased where the queue was full. Never grant anything for it; a socket's peer credentials are for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimedSender {
    /// The claimed process id, which may belong to another process by now.
    pub pid: Pid,
    /// The claimed real user id.
    pub uid: u32,
}

impl SignalInfo {
    pub(crate) const fn new(info: Info) -> Self {
        Self(info)
    }

    pub(crate) const fn words(&self) -> [u64; 6] {
        self.0.words()
    }

    pub(crate) const fn from_words(words: [u64; 6]) -> Self {
        Self(Info::from_words(words))
    }

    /// Which signal.
    #[must_use]
    #[doc(alias = "si_signo")]
    pub fn signal(&self) -> Signal {
        // The kernel delivers no other numbers.
        Signal::from_number(self.0.signal()).unwrap_or(Signal::KILL)
    }

    /// `si_code`, as C has it.
    #[must_use]
    #[doc(alias = "si_code")]
    pub const fn code(&self) -> i32 {
        self.0.code()
    }

    /// Why it was sent.
    #[must_use]
    #[inline]
    pub fn cause(&self) -> Cause {
        let number = self.0.signal();
        match self.0.code() {
            libc::SI_USER => Cause::User,
            libc::SI_TKILL => Cause::Thread,
            libc::SI_QUEUE => Cause::Queue,
            libc::SI_TIMER => Cause::Timer,
            libc::SI_MESGQ => Cause::MessageQueue,
            libc::SI_ASYNCIO => Cause::AsyncIo,
            libc::SI_SIGIO => Cause::Io,
            libc::SI_KERNEL => Cause::Kernel,
            1.. if number == libc::SIGCHLD => Cause::Child,
            1.. if number == libc::SIGIO => Cause::Io,
            1.. if number == libc::SIGSYS => Cause::SystemCall,
            1.. if is_fault(number) => Cause::Fault,
            other => Cause::Other(other),
        }
    }

    /// Who claims to have sent it; `None` for what the kernel sent, and where the sender was erased or lives outside of
    /// our pid namespace (both read 0).
    #[must_use]
    #[doc(alias = "si_pid")]
    #[doc(alias = "si_uid")]
    pub fn claimed_sender(&self) -> Option<ClaimedSender> {
        match self.cause() {
            Cause::User | Cause::Thread | Cause::Queue | Cause::MessageQueue => {
                Some(ClaimedSender { pid: Pid::from_raw(self.0.pid())?, uid: self.0.uid() })
            }
            _ => None,
        }
    }

    /// The value that was queued with it; `None` for what carries none.
    #[must_use]
    #[doc(alias = "si_value")]
    #[inline]
    pub fn value(&self) -> Option<Value> {
        match self.cause() {
            Cause::Queue | Cause::Timer | Cause::MessageQueue | Cause::AsyncIo => {
                Some(Value::from_bits(self.0.value()))
            }
            _ => None,
        }
    }

    /// What happened to which child, for SIGCHLD from the kernel. SIGCHLD coalesces: take
    /// [`ChildEvents`](crate::ChildEvents) for all of them.
    #[must_use]
    #[doc(alias = "si_status")]
    pub fn child(&self) -> Option<(Pid, ChildState)> {
        if self.cause() != Cause::Child {
            return None;
        }
        Some((Pid::from_raw(self.0.pid())?, ChildState::from_code(self.0.code(), self.0.status())?))
    }

    /// Which address the failing instruction used, or stood at.
    #[must_use]
    #[doc(alias = "si_addr")]
    pub fn fault_address(&self) -> Option<u64> {
        (self.cause() == Cause::Fault).then(|| self.0.address())
    }

    /// How many further expirations of a POSIX timer this one signal stands for.
    #[must_use]
    #[doc(alias = "si_overrun")]
    pub fn timer_overrun(&self) -> Option<u32> {
        (self.cause() == Cause::Timer).then(|| self.0.overrun().unsigned_abs())
    }
}

/// As [`Signal::is_fault`] without SYS, which has a cause of its own.
const fn is_fault(number: i32) -> bool {
    matches!(number, libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP)
}

impl fmt::Debug for SignalInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalInfo")
            .field("signal", &self.signal())
            .field("cause", &self.cause())
            .field("claimed_sender", &self.claimed_sender())
            .field("value", &self.value())
            .finish_non_exhaustive()
    }
}
