//! Tracing a child: ptrace(2), the little of it that `trace` and crash tests are written with. The kernel ties a tracee to
//! the thread that traces it; when that thread ends, the tracee goes on alone, or dies with
//! [`Tracee::spawn`], which asks for that.

use std::fmt;
use std::marker::PhantomData;
use std::process::{Child, Command};

use ipc_sys::errno::{is, retry};
use ipc_sys::process::{self as sys, Request, SyscallStop, Whom};
use ipc_sys::siginfo::Info;

use crate::{ChildState, CommandExt, Error, Pid, Result, Signal, SignalInfo};

/// A process under our trace: it stops at every signal before that is delivered, and goes on when it is told to.
///
/// A tracee belongs to the thread that traces it, so it is neither `Send` nor `Sync`. Dropped while stopped it is
/// detached and goes on. The end of a child is only looked at, and left for std's [`Child`] to reap.
///
/// # After a crash
/// A tracee that was started or adopted is killed with its tracer; one that was attached is let go and runs on.
///
/// # Examples
/// ```
/// use ipc_signal::{Stop, Signal, Tracee};
/// use std::process::Command;
///
/// let (mut tracee, mut child) = Tracee::spawn(Command::new("sh").args(["-c", "kill -USR1 $$"]))?;
/// tracee.resume(None)?;
/// let Stop::Signal(info) = tracee.next_stop()? else { panic!() };
/// assert_eq!(info.signal(), Signal::USR1);
/// tracee.resume(Some(Signal::USR1))?;
/// assert!(matches!(tracee.next_stop()?, Stop::End(state) if state.to_string() == "killed by SIGUSR1"));
/// child.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[doc(alias = "ptrace")]
pub struct Tracee {
    pid: Pid,
    stopped: bool,
    ended: bool,
    /// Whether its end is ours to take: of a process that is not our child, so that its parent hears of it.
    reaps: bool,
    of_this_thread: PhantomData<*const ()>,
}

/// Why a tracee stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// A signal has arrived and is not delivered yet: [`Tracee::resume`] with it, or without. A finished
    /// [`Tracee::step`] is `TRAP` with [`Stop::is_step`].
    Signal(SignalInfo),
    /// A job control signal has stopped it, as it would an untraced process: [`Tracee::listen`] leaves it so.
    Group(Signal),
    /// It is about to make a system call.
    SyscallEntry {
        /// The call's number: `libc::SYS_write`.
        number: u64,
        /// Its arguments.
        arguments: [u64; 6],
    },
    /// A system call has ended: the result, or negative errno.
    SyscallExit(i64),
    /// exec has replaced its program.
    Exec,
    /// SIGCONT has ended such a stop; or [`Tracee::attach`] has made it stand still.
    Continued,
    /// It is no more. A child is still to be waited for.
    End(ChildState),
}

impl Stop {
    /// Whether this is the end of a single step.
    #[must_use]
    pub fn is_step(&self) -> bool {
        /// The kernel's TRAP_TRACE, and TRAP_BRKPT for a step out of a signal handler.
        const STEPPED: [i32; 2] = [2, 1];
        matches!(self, Self::Signal(info) if info.signal() == Signal::TRAP && STEPPED.contains(&info.code()))
    }
}

/// A system call's stop is told from a signal TRAP, and so is exec.
const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACEEXEC;

impl Tracee {
    /// Starts `command` traced: it stands still at its first instruction, and is killed when the calling thread ends.
    ///
    /// # Errors
    /// [`Error::System`] with what std says of the start; as [`Tracee::adopt`], and the child is killed then.
    pub fn spawn(command: &mut Command) -> Result<(Self, Child)> {
        let mut child = command.traced().spawn().map_err(Error::system("spawn"))?;
        match Self::adopt(&child) {
            Ok(tracee) => Ok((tracee, child)),
            Err(error) => {
                // It may stand still, and nobody else knows of it.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Takes over a child that this thread started with [`CommandExt::traced`], and waits until it stands at its first
    /// instruction. It is killed when the calling thread ends.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ECHILD (not a child) | [`Error::NoChild`] |
    /// | ESRCH (not traced by this thread, or gone) | [`Error::NotStopped`] |
    pub fn adopt(child: impl Into<Pid>) -> Result<Self> {
        let mut tracee = Self::of(child.into(), false);
        // TRACEME gives the old kind of trace, in which a stopped process cannot be left stopped. So it is let go into a
        // stop, before its first instruction, and seized there.
        tracee.look(libc::WSTOPPED)?;
        tracee.go(Request::Detach, Some(Signal::STOP))?;
        tracee.request(Request::Seize, OPTIONS | libc::PTRACE_O_EXITKILL)?;
        while !matches!(tracee.next_stop()?, Stop::Group(_)) {
            tracee.resume(None)?;
        }
        crate::send(tracee.pid, Signal::CONT)?;
        loop {
            tracee.resume(None)?;
            match tracee.next_stop()? {
                Stop::Signal(info) if info.signal() == Signal::CONT => return Ok(tracee),
                Stop::End(_) => return Err(tracee.not_stopped()),
                _ => {}
            }
        }
    }

    /// PTRACE_SEIZE and PTRACE_INTERRUPT: traces a running process and makes it stand still. The kernel's ptrace access
    /// check decides who may. The end of a process that is not our child is reported to us first, then to its parent.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EPERM (not ours, traced already, or ourselves) | [`Error::PermissionDenied`] |
    /// | ESRCH | [`Error::NoSuchProcess`] |
    #[doc(alias = "PTRACE_ATTACH")]
    #[doc(alias = "PTRACE_SEIZE")]
    pub fn attach(process: impl Into<Pid>) -> Result<Self> {
        let pid = process.into();
        let options = usize::try_from(OPTIONS).unwrap_or(0);
        sys::trace(Request::Seize, pid.raw(), options).map_err(|source| match source.raw_os_error() {
            Some(libc::EPERM) => {
                Error::PermissionDenied { operation: "tracing it", target: format!("process {pid}") }
            }
            Some(libc::ESRCH) => Error::NoSuchProcess { target: format!("process {pid}") },
            _ => Error::System { operation: "ptrace(SEIZE)", source },
        })?;
        let mut tracee = Self::of(pid, true);
        tracee.request(Request::Interrupt, 0)?;
        match tracee.next_stop()? {
            Stop::End(_) => Err(tracee.not_stopped()),
            _ => Ok(tracee),
        }
    }

    /// Whom we trace.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// PTRACE_CONT: lets it run, with `signal` delivered or, with `None`, without the one that it stopped for.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ESRCH | [`Error::NotStopped`] |
    #[doc(alias = "PTRACE_CONT")]
    pub fn resume(&mut self, signal: Option<Signal>) -> Result<()> {
        self.go(Request::Continue, signal)
    }

    /// PTRACE_SYSCALL: as [`Tracee::resume`], up to the next system call's entry or exit.
    ///
    /// # Errors
    /// As [`Tracee::resume`].
    #[doc(alias = "PTRACE_SYSCALL")]
    pub fn resume_to_syscall(&mut self, signal: Option<Signal>) -> Result<()> {
        self.go(Request::ToSyscall, signal)
    }

    /// PTRACE_SINGLESTEP: lets it run one instruction; a system call is one.
    ///
    /// # Errors
    /// As [`Tracee::resume`].
    #[doc(alias = "PTRACE_SINGLESTEP")]
    pub fn step(&mut self, signal: Option<Signal>) -> Result<()> {
        self.go(Request::Step, signal)
    }

    /// PTRACE_LISTEN: leaves it in the stop that [`Stop::Group`] reported, until SIGCONT comes or a signal kills it.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ESRCH | [`Error::NotStopped`] |
    /// | EIO (at a signal or a system call) | [`Error::System`] |
    #[doc(alias = "PTRACE_LISTEN")]
    pub fn listen(&mut self) -> Result<()> {
        self.go(Request::Listen, None)
    }

    /// Waits until it stops or ends.
    ///
    /// # Blocking
    /// For ever; EINTR is retried.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | ECHILD (somebody else reaped it) | [`Error::NoChild`] |
    /// | ESRCH (killed between stop and look) | [`Error::NotStopped`] |
    pub fn next_stop(&mut self) -> Result<Stop> {
        let seen = if self.reaps {
            self.look(libc::WSTOPPED | libc::WEXITED)?
        } else {
            self.look(libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT)?
        };
        if let Some(state) = ChildState::from_code(seen.code(), seen.status()).filter(|state| state.is_end())
        {
            self.ended = true;
            return Ok(Stop::End(state));
        }
        // A stop is taken, so that it is not reported again; killed between look and take, the child has none to take.
        let info = if self.reaps { seen } else { self.look(libc::WSTOPPED | libc::WNOHANG).unwrap_or(seen) };
        self.stopped = true;
        self.explain(info.status())
    }

    /// PTRACE_PEEKDATA: the eight bytes at `address` of its memory.
    ///
    /// # Errors
    ///
    /// | errno | variant |
    /// | --- | --- |
    /// | EIO, EFAULT (nothing there) | [`Error::System`] |
    /// | ESRCH | [`Error::NotStopped`] |
    #[doc(alias = "PTRACE_PEEKDATA")]
    pub fn read_word(&self, address: usize) -> Result<u64> {
        sys::read_word(self.pid.raw(), address).map_err(|error| self.failed("ptrace(PEEKDATA)", error))
    }

    /// PTRACE_POKEDATA: writes eight bytes at `address` of its memory, read-only pages included.
    ///
    /// # Errors
    /// As [`Tracee::read_word`].
    #[doc(alias = "PTRACE_POKEDATA")]
    pub fn write_word(&mut self, address: usize, word: u64) -> Result<()> {
        sys::write_word(self.pid.raw(), address, word).map_err(|error| self.failed("ptrace(POKEDATA)", error))
    }

    /// PTRACE_DETACH: lets it go on untraced, with `signal` delivered.
    ///
    /// # Errors
    /// As [`Tracee::resume`].
    #[doc(alias = "PTRACE_DETACH")]
    pub fn detach(mut self, signal: Option<Signal>) -> Result<()> {
        self.go(Request::Detach, signal)
    }

    fn of(pid: Pid, reaps: bool) -> Self {
        Self { pid, stopped: false, ended: false, reaps, of_this_thread: PhantomData }
    }

    fn look(&self, options: i32) -> Result<Info> {
        match retry(|| sys::wait(Whom::Process(self.pid.raw()), options)) {
            Ok(Some(info)) => Ok(info),
            Ok(None) => Err(self.not_stopped()),
            Err(error) if is(&error, libc::ECHILD) => {
                Err(Error::NoChild { target: format!("process {}", self.pid) })
            }
            Err(source) => Err(Error::System { operation: "waitid", source }),
        }
    }

    fn go(&mut self, request: Request, signal: Option<Signal>) -> Result<()> {
        self.request(request, signal.map_or(0, Signal::number))?;
        self.stopped = false;
        Ok(())
    }

    fn request(&self, request: Request, data: i32) -> Result<()> {
        let data = usize::try_from(data).unwrap_or(0);
        sys::trace(request, self.pid.raw(), data).map_err(|error| self.failed("ptrace", error))
    }

    /// What waitid's status of a stop means: the signal, and above it an event.
    fn explain(&self, status: i32) -> Result<Stop> {
        const SYSCALL: i32 = libc::SIGTRAP | 0x80;
        let pid = self.pid.raw();
        match (status & 0xff, status >> 8) {
            (SYSCALL, _) => {
                match sys::trace_syscall(pid)
                    .map_err(|error| self.failed("ptrace(GET_SYSCALL_INFO)", error))?
                {
                    SyscallStop::Entry { number, arguments } => Ok(Stop::SyscallEntry { number, arguments }),
                    SyscallStop::Exit(result) => Ok(Stop::SyscallExit(result)),
                    SyscallStop::None => Err(self.not_stopped()),
                }
            }
            (libc::SIGTRAP, libc::PTRACE_EVENT_EXEC) => Ok(Stop::Exec),
            (libc::SIGTRAP, libc::PTRACE_EVENT_STOP) => Ok(Stop::Continued),
            (number, libc::PTRACE_EVENT_STOP) => Signal::from_number(number).map(Stop::Group),
            _ => {
                let info = sys::trace_info(pid).map_err(|error| self.failed("ptrace(GETSIGINFO)", error))?;
                Ok(Stop::Signal(SignalInfo::new(info)))
            }
        }
    }

    fn failed(&self, operation: &'static str, source: std::io::Error) -> Error {
        if is(&source, libc::ESRCH) { self.not_stopped() } else { Error::System { operation, source } }
    }

    fn not_stopped(&self) -> Error {
        Error::NotStopped { pid: self.pid.number() }
    }
}

/// Lets a stopped tracee go on alone.
impl Drop for Tracee {
    fn drop(&mut self) {
        if self.stopped && !self.ended {
            // It may have been killed meanwhile: then there is nobody to let go.
            let _ = sys::trace(Request::Detach, self.pid.raw(), 0);
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(info) => write!(f, "signal {}", info.signal()),
            Self::Group(signal) => write!(f, "stopped by {signal}"),
            Self::SyscallEntry { number, .. } => write!(f, "system call {number}"),
            Self::SyscallExit(result) => write!(f, "system call returned {result}"),
            Self::Exec => f.write_str("exec"),
            Self::Continued => f.write_str("continued"),
            Self::End(state) => state.fmt(f),
        }
    }
}
