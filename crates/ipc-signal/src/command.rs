//! What a child starts with: its mask, its dispositions, its group, and what happens when its parent dies. Set between
//! fork and exec; std's own `Command` decides the rest.
#![expect(unsafe_code, reason = "what runs between fork and exec is handed to std as an unsafe closure")]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use ipc_sys::disposition::{Disposition, set_disposition};
use ipc_sys::process;
use ipc_sys::signal::{How, change_mask};

use crate::{Error, Result, Signal, SignalSet};

/// What signals do to a child, on [`std::process::Command`].
///
/// A child inherits the mask of the thread that starts it, and few programs expect one: whoever holds a
/// [`MaskGuard`](crate::MaskGuard) gives [`SignalSet::empty`] here. Signals that the parent ignores stay ignored (SIGPIPE
/// excepted, which std sets back to default), caught ones become default at exec. These methods say otherwise. Most make std
/// use fork and exec in place of posix_spawn; what runs in between is async-signal-safe.
///
/// std and ipc-pipe have traits of this name for other things; where one meets them, `use ipc_signal::CommandExt as _`.
///
/// # Examples
/// ```
/// use ipc_signal::{CommandExt, Signal};
/// use std::process::Command;
///
/// let output = Command::new("grep")
///     .args(["-E", "^SigIgn:", "/proc/self/status"])
///     .ignore_signals(Signal::HUP)?
///     .output()?;
/// assert!(String::from_utf8(output.stdout)?.trim_end().ends_with('1'));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "prctl")]
pub trait CommandExt {
    /// The child starts with exactly these blocked.
    fn signal_mask(&mut self, blocked: impl Into<SignalSet>) -> &mut Self;

    /// The child starts with SIG_DFL for these.
    ///
    /// # Errors
    /// [`Error::Refused`] for KILL and STOP.
    fn default_signals(&mut self, signals: impl Into<SignalSet>) -> Result<&mut Self>;

    /// The child starts with SIG_IGN for these, as nohup does for HUP.
    ///
    /// # Errors
    /// [`Error::Refused`] for KILL and STOP.
    fn ignore_signals(&mut self, signals: impl Into<SignalSet>) -> Result<&mut Self>;

    /// prctl(PR_SET_PDEATHSIG): the kernel sends the child this signal when the *thread* that started it ends. A parent that
    /// has died before is noticed: the child then ends before exec.
    #[doc(alias = "PR_SET_PDEATHSIG")]
    fn parent_death_signal(&mut self, signal: Signal) -> &mut Self;

    /// setpgid(0, 0): a process group of its own, whose id is the child's.
    #[doc(alias = "setpgid")]
    fn own_group(&mut self) -> &mut Self;

    /// ptrace(PTRACE_TRACEME): the child stops at exec, traced by the thread that starts it: give it to
    /// [`Tracee::adopt`](crate::Tracee::adopt) there. To ask for it twice is to ask for it.
    #[doc(alias = "PTRACE_TRACEME")]
    fn traced(&mut self) -> &mut Self;
}

impl CommandExt for Command {
    fn signal_mask(&mut self, blocked: impl Into<SignalSet>) -> &mut Self {
        let blocked = blocked.into().bits();
        before_exec(self, move || change_mask(How::Set, blocked).map(drop))
    }

    fn default_signals(&mut self, signals: impl Into<SignalSet>) -> Result<&mut Self> {
        dispositions(self, signals.into(), Disposition::default_action())
    }

    fn ignore_signals(&mut self, signals: impl Into<SignalSet>) -> Result<&mut Self> {
        dispositions(self, signals.into(), Disposition::ignore())
    }

    fn parent_death_signal(&mut self, signal: Signal) -> &mut Self {
        let parent = i32::try_from(std::process::id()).unwrap_or(0);
        before_exec(self, move || {
            process::set_parent_death_signal(signal.number())?;
            // From another pid namespace the parent reads as 0: then nothing can be told.
            match process::parent() {
                0 => Ok(()),
                now if now == parent => Ok(()),
                _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
            }
        })
    }

    fn own_group(&mut self) -> &mut Self {
        self.process_group(0)
    }

    fn traced(&mut self) -> &mut Self {
        /// Of the child's copy of the memory: that it has asked already, as often as its command says so.
        static ASKED: AtomicBool = AtomicBool::new(false);
        before_exec(self, || if ASKED.swap(true, Ordering::Relaxed) { Ok(()) } else { process::trace_me() })
    }
}

fn dispositions(command: &mut Command, signals: SignalSet, new: Disposition) -> Result<&mut Command> {
    for fixed in [Signal::KILL, Signal::STOP] {
        if signals.contains(fixed) {
            return Err(Error::Refused { signal: fixed, reason: "its disposition cannot be changed" });
        }
    }
    Ok(before_exec(command, move || {
        for signal in signals.iter() {
            // SAFETY: SIG_DFL and SIG_IGN run no code of ours.
            match unsafe { set_disposition(signal.number(), &new) } {
                // glibc keeps 32 and 33 to itself; a set of all signals means all that a program may have.
                Err(error) if error.raw_os_error() != Some(libc::EINVAL) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }))
}

/// The one place that hands a closure to be run between fork and exec.
fn before_exec(
    command: &mut Command,
    step: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) -> &mut Command {
    // SAFETY: the closures of this file make async-signal-safe system calls on numbers that they own: nothing is allocated
    // and no lock is taken.
    unsafe { command.pre_exec(step) }
}
