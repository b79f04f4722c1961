//! The 48 bytes of siginfo that mean something, from wherever the kernel writes them.
#![expect(unsafe_code, reason = "a handler is given a pointer")]

use std::ptr;

/// What came with a signal: the first 48 bytes of the kernel's `siginfo_t`, beyond which no field lies.
///
/// Which of the fields below holds something depends on signal and code; asking for another gives bits, never undefined
/// behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info([u64; 6]);

impl Info {
    /// Takes over what a handler was given. Async-signal-safe.
    ///
    /// # Safety
    /// `info` points at a `siginfo_t` that the kernel filled.
    #[must_use]
    pub unsafe fn from_handler(info: *const libc::siginfo_t) -> Self {
        // SAFETY: siginfo_t is 128 bytes aligned to 8, filled by the kernel (the caller's promise): its first 48 bytes
        // are six initialised words.
        Self(unsafe { ptr::read(info.cast::<[u64; 6]>()) })
    }

    /// Puts a signalfd's record into the same order.
    #[must_use]
    pub fn from_signalfd(record: &libc::signalfd_siginfo) -> Self {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let head = [pair(record.ssi_signo, unsigned(record.ssi_errno)), u64::from(unsigned(record.ssi_code))];
        let signal = signed(record.ssi_signo);
        let sender = pair(record.ssi_pid, record.ssi_uid);
        let rest = match record.ssi_code {
            libc::SI_TIMER => [pair(record.ssi_tid, record.ssi_overrun), record.ssi_ptr, 0, 0],
            libc::SI_SIGIO => [u64::from(record.ssi_band), u64::from(unsigned(record.ssi_fd)), 0, 0],
            code if code <= 0 || code == libc::SI_KERNEL => [sender, record.ssi_ptr, 0, 0],
            _ => match signal {
                libc::SIGCHLD => {
                    [sender, u64::from(unsigned(record.ssi_status)), record.ssi_utime, record.ssi_stime]
                }
                libc::SIGIO => [u64::from(record.ssi_band), u64::from(unsigned(record.ssi_fd)), 0, 0],
                libc::SIGSYS => {
                    [record.ssi_call_addr, pair(unsigned(record.ssi_syscall), record.ssi_arch), 0, 0]
                }
                libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP => {
                    [record.ssi_addr, u64::from(record.ssi_addr_lsb), 0, 0]
                }
                _ => [sender, record.ssi_ptr, 0, 0],
            },
        };
        Self([head[0], head[1], rest[0], rest[1], rest[2], rest[3]])
    }

    /// The words themselves, to be stored somewhere and made into an `Info` again.
    #[must_use]
    pub const fn words(&self) -> [u64; 6] {
        self.0
    }

    /// See [`Info::words`].
    #[must_use]
    pub const fn from_words(words: [u64; 6]) -> Self {
        Self(words)
    }

    /// `si_signo`.
    #[must_use]
    pub const fn signal(&self) -> i32 {
        low(self.0[0])
    }
    /// `si_errno`, which seccomp fills.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        high(self.0[0])
    }
    /// `si_code`.
    #[must_use]
    pub const fn code(&self) -> i32 {
        low(self.0[1])
    }
    /// `si_pid`, or `si_timerid`.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        low(self.0[2])
    }
    /// `si_uid`.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        unsigned(high(self.0[2]))
    }
    /// `si_overrun`.
    #[must_use]
    pub const fn overrun(&self) -> i32 {
        high(self.0[2])
    }
    /// `si_value`.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.0[3]
    }
    /// `si_status`, or `si_fd`, or `si_syscall`.
    #[must_use]
    pub const fn status(&self) -> i32 {
        low(self.0[3])
    }
    /// `si_addr`, or `si_band`.
    #[must_use]
    pub const fn address(&self) -> u64 {
        self.0[2]
    }
    /// `si_utime` and `si_stime`, in clock ticks.
    #[must_use]
    pub const fn times(&self) -> (u64, u64) {
        (self.0[4], self.0[5])
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
const fn low(word: u64) -> i32 {
    signed(word as u32)
}

const fn high(word: u64) -> i32 {
    low(word >> 32)
}

/// The same 32 bits; std's own methods came after our oldest compiler.
pub(crate) const fn signed(bits: u32) -> i32 {
    i32::from_ne_bytes(bits.to_ne_bytes())
}

/// The same 32 bits.
pub(crate) const fn unsigned(bits: i32) -> u32 {
    u32::from_ne_bytes(bits.to_ne_bytes())
}
