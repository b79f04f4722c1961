//! What a signal does when it arrives: sigaction(2), and calling what somebody else installed.
#![expect(unsafe_code, reason = "a disposition is a function pointer")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use crate::errno;
use crate::signal::{of_sigset, to_sigset};

/// A disposition as the kernel has it: `sa_handler` or `sa_sigaction`, flags and mask.
#[derive(Clone, Copy)]
pub struct Disposition(libc::sigaction);

impl std::fmt::Debug for Disposition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disposition")
            .field("address", &format_args!("{:#x}", self.0.sa_sigaction))
            .field("flags", &format_args!("{:#x}", self.0.sa_flags))
            .finish_non_exhaustive()
    }
}

/// A handler with SA_SIGINFO.
pub type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

impl Disposition {
    /// SIG_DFL.
    #[must_use]
    pub fn default_action() -> Self {
        Self::of(libc::SIG_DFL, 0, 0)
    }

    /// SIG_IGN.
    #[must_use]
    pub fn ignore() -> Self {
        Self::of(libc::SIG_IGN, 0, 0)
    }

    /// A handler, SA_SIGINFO added to `flags`.
    #[must_use]
    pub fn handler(handler: Handler, flags: i32, mask: u64) -> Self {
        Self::of(handler as *const () as usize, flags | libc::SA_SIGINFO, mask)
    }

    fn of(address: usize, flags: i32, mask: u64) -> Self {
        // SAFETY: sigaction is integers, a set of integers and an optional function pointer: all zeros are valid.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = address;
        action.sa_flags = flags;
        action.sa_mask = to_sigset(mask);
        Self(action)
    }

    /// Whether it is SIG_DFL.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0.sa_sigaction == libc::SIG_DFL
    }

    /// Whether it is SIG_IGN.
    #[must_use]
    pub fn is_ignore(&self) -> bool {
        self.0.sa_sigaction == libc::SIG_IGN
    }

    /// Whether it is this handler.
    #[must_use]
    pub fn is(&self, handler: Handler) -> bool {
        self.0.sa_sigaction == handler as *const () as usize
    }

    /// Where the handler lies, or SIG_DFL or SIG_IGN.
    #[must_use]
    pub fn address(&self) -> usize {
        self.0.sa_sigaction
    }

    /// `sa_flags`.
    #[must_use]
    pub fn flags(&self) -> i32 {
        self.0.sa_flags
    }

    /// `sa_mask`.
    #[must_use]
    pub fn mask(&self) -> u64 {
        of_sigset(&self.0.sa_mask)
    }

    /// Calls the handler that it holds; does nothing for SIG_DFL and SIG_IGN.
    ///
    /// # Safety
    /// Called from a signal handler with that handler's own arguments, and this disposition was in force for the signal.
    pub unsafe fn call(&self, signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        if self.is_default() || self.is_ignore() {
            return;
        }
        if self.0.sa_flags & libc::SA_SIGINFO != 0 {
            type Full = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: somebody installed this address with SA_SIGINFO, so it is a function of this type.
            let handler = unsafe { std::mem::transmute::<usize, Full>(self.0.sa_sigaction) };
            // SAFETY: the arguments are those of the kernel (the caller's promise).
            unsafe { handler(signal, info, context) };
        } else {
            type Short = unsafe extern "C" fn(libc::c_int);
            // SAFETY: somebody installed this address without SA_SIGINFO, so it is a function of this type.
            let handler = unsafe { std::mem::transmute::<usize, Short>(self.0.sa_sigaction) };
            // SAFETY: the argument is the kernel's (the caller's promise).
            unsafe { handler(signal) };
        }
    }
}

/// sigaction(2): what is in force. Async-signal-safe.
///
/// # Errors
/// EINVAL for a number that the kernel does not know, or that glibc keeps to itself.
pub fn disposition(signal: i32) -> io::Result<Disposition> {
    let mut old = Disposition::default_action();
    // SAFETY: `old` is a live sigaction; a null new action changes nothing.
    errno::check(unsafe { libc::sigaction(signal, ptr::null(), &raw mut old.0) })?;
    Ok(old)
}

/// sigaction(2): puts `new` in force and gives what was. Async-signal-safe.
///
/// # Safety
/// A handler in `new` does only what signal-safety(7) allows.
///
/// # Errors
/// As [`disposition`], and EINVAL for KILL and STOP.
pub unsafe fn set_disposition(signal: i32, new: &Disposition) -> io::Result<Disposition> {
    let mut old = Disposition::default_action();
    // SAFETY: both live for the call, and the handler is safe to run (the caller's promise).
    errno::check(unsafe { libc::sigaction(signal, &raw const new.0, &raw mut old.0) })?;
    Ok(old)
}
