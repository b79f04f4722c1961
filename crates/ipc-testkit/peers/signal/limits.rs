//! Where the kernel says no: a full queue, another user, no descriptors left.

use ipc_signal::{
    ChildEvents, Clock, Error, MaskGuard, Pid, PosixTimer, ProcessFd, Ring, Shutdown, Signal, SignalFd,
    Target, Tracee, Value, exists, queue, send, try_wait,
};
use ipc_testkit::role::{self, hear, say};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, setresgid, setresuid};

use crate::argument;

/// Becomes a user whom nobody else is, so that nobody else's pending signals count.
fn become_somebody(uid: u32) -> role::Result {
    setresgid(Gid::from_raw(uid), Gid::from_raw(uid), Gid::from_raw(uid))?;
    setresuid(Uid::from_raw(uid), Uid::from_raw(uid), Uid::from_raw(uid))?;
    Ok(())
}

/// `full-queue UID`: with room for three, and then for none.
pub(crate) fn full_queue(arguments: &[String]) -> role::Result {
    become_somebody(argument(arguments, 0)?)?;
    setrlimit(Resource::RLIMIT_SIGPENDING, 3, 3)?;
    let (signal, other) = (Signal::from_number(40)?, Signal::from_number(41)?);
    let _blocked = MaskGuard::block([signal, other])?;
    say("ready")?;
    hear()?;
    while let Ok(info) = try_wait([signal, other]) {
        say(format_args!(
            "{:?} {:?} {:?}",
            info.cause(),
            info.claimed_sender(),
            info.value().map(Value::as_i32)
        ))?;
    }
    setrlimit(Resource::RLIMIT_SIGPENDING, 0, 0)?;
    let here = Target::Thread { process: Pid::own(), thread: Pid::own_thread() };
    let full = |result: Result<(), Error>| matches!(result, Err(Error::QueueFull { .. }));
    assert!(full(send(here, signal)), "tgkill of a real-time signal");
    assert!(full(queue(here, signal, 1)) && full(queue(Pid::own(), signal, 1)));
    assert!(full(ProcessFd::open(Pid::own())?.queue(signal, 1)));
    assert!(full(PosixTimer::new(Clock::Monotonic, signal, 1).map(drop)));
    assert!(try_wait(signal).is_err(), "what was refused was not sent");
    say("ok")
}

/// `no-rights UID PID`: what may not be done to somebody else's process.
pub(crate) fn no_rights(arguments: &[String]) -> role::Result {
    become_somebody(argument(arguments, 0)?)?;
    let other: Pid = argument(arguments, 1)?;
    let refused = |result: Result<(), Error>| matches!(result, Err(Error::PermissionDenied { .. }));
    let process = ProcessFd::open(other)?;
    assert!(refused(send(other, Signal::TERM)));
    assert!(refused(send(Target::Thread { process: other, thread: other }, Signal::TERM)));
    assert!(refused(queue(other, Signal::TERM, 1)));
    assert!(refused(process.send(Signal::TERM)) && refused(process.queue(Signal::TERM, 1)));
    assert!(refused(Tracee::attach(other).map(drop)));
    assert!(exists(other)?, "not ours, but there");
    say("ok")
}

/// `no-descriptors`: everything that makes one, when there is none.
pub(crate) fn no_descriptors(_: &[String]) -> role::Result {
    let _blocked = MaskGuard::block(Signal::USR1)?;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard)?;
    let full = |result: Result<(), Error>| result.is_err_and(|error| error.errno() == Some(libc::EMFILE));
    assert!(full(Ring::with_capacity(1).map(drop)) && full(Shutdown::on(Signal::USR2).map(drop)));
    assert!(full(SignalFd::new(Signal::USR1).map(drop)) && full(ProcessFd::open(Pid::own()).map(drop)));
    assert!(full(ChildEvents::new().map(drop)));
    say("ok")
}
