//! Where the kernel says no: a full queue, another user, no descriptors left.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ipc_signal::{
    Action, ChildEvents, Clock, Disposition, Error, MaskGuard, Pid, PosixTimer, ProcessFd, Ring, Shutdown,
    Signal, SignalFd, SignalSet, SignalStream, Target, Tracee, Value, disposition, exists, mask, on, queue,
    send, try_wait, wait_child_timeout,
};
use ipc_testkit::role::{self, hear, say};
use ipc_testkit::{audit, refuse};
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

/// What a call gives when the kernel refuses one system call in its thread: the errno, if it is told.
fn refused(
    calls: &[libc::c_long],
    errno: i32,
    operation: impl FnOnce() -> Result<(), Error> + Send,
) -> Option<i32> {
    std::thread::scope(|scope| {
        let refusing = scope.spawn(|| {
            calls.iter().for_each(|call| refuse::call(*call, errno).unwrap());
            operation().err().and_then(|error| error.errno())
        });
        refusing.join().unwrap()
    })
}

/// `refusals`: each errno of the tables that a system call can be made to give. Says how many.
pub(crate) fn refusals(_: &[String]) -> role::Result {
    let told = std::cell::Cell::new(0);
    let tell =
        |calls: &[libc::c_long], errnos: &[i32], operation: &(dyn Fn() -> Result<(), Error> + Sync)| {
            for errno in errnos {
                assert_eq!(refused(calls, *errno, operation), Some(*errno), "system call {calls:?}");
                told.set(told.get() + 1);
            }
        };
    // Nothing is registered yet, so the page that fork wipes is not there.
    tell(&[libc::SYS_madvise], &[libc::ENOMEM], &|| on(Signal::USR1, Action::Ignore).map(drop));
    tell(&[libc::SYS_madvise], &[libc::ENOMEM], &|| {
        PosixTimer::new(Clock::Monotonic, Signal::USR1, 1).map(drop)
    });
    let blocked = MaskGuard::block(Signal::USR1)?;
    let (ring, shutdown, process) =
        (Ring::with_capacity(1)?, Shutdown::on(Signal::TERM)?, ProcessFd::open(Pid::own())?);
    let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn()?;
    // tokio's first runtime opens two descriptors that stay.
    drop(tokio::runtime::Builder::new_current_thread().enable_io().build()?);
    let before = audit::Audit::begin();
    let full = [libc::EMFILE, libc::ENFILE, libc::ENOMEM];
    let eventfd = [libc::SYS_eventfd2];
    tell(&eventfd, &full, &|| Ring::with_capacity(1).map(drop));
    tell(&eventfd, &full, &|| Shutdown::on(Signal::USR2).map(drop));
    tell(&eventfd, &full, &|| ChildEvents::new().map(drop));
    tell(&eventfd, &full, &|| on(Signal::USR2, Action::thread(drop)).map(drop));
    tell(&[libc::SYS_signalfd4], &full, &|| SignalFd::new(Signal::USR1).map(drop));
    tell(&[libc::SYS_signalfd4], &[libc::ENODEV], &|| SignalFd::new(Signal::USR1).map(drop));
    tell(&[libc::SYS_pidfd_open], &full, &|| ProcessFd::open(Pid::own()).map(drop));
    tell(&[libc::SYS_pidfd_open], &full, &|| ChildEvents::new()?.watch(&child));
    tell(&[libc::SYS_pidfd_open], &full, &|| wait_child_timeout(&child, Duration::ZERO).map(drop));
    tell(&[libc::SYS_epoll_create1], &full, &|| ChildEvents::new().map(drop));
    tell(&[libc::SYS_epoll_ctl], &[libc::ENOMEM, libc::ENOSPC], &|| ChildEvents::new().map(drop));
    tell(&[libc::SYS_timer_create], &[libc::ENOMEM], &|| {
        PosixTimer::new(Clock::Monotonic, Signal::USR1, 1).map(drop)
    });
    tell(&[libc::SYS_ppoll], &[libc::ENOMEM], &|| ring.recv().map(drop));
    tell(&[libc::SYS_ppoll], &[libc::ENOMEM], &|| ring.recv_timeout(Duration::MAX).map(drop));
    tell(&[libc::SYS_ppoll], &[libc::ENOMEM], &|| shutdown.wait());
    tell(&[libc::SYS_ppoll], &[libc::ENOMEM], &|| process.wait_end());
    tell(&[libc::SYS_ppoll], &[libc::ENOMEM], &|| {
        SignalFd::new(Signal::USR1)?.recv_batch(&mut Vec::new()).map(drop)
    });
    // A thread that cannot start (glibc says EAGAIN for every reason) leaves mask and disposition as they were.
    tell(&[libc::SYS_clone3, libc::SYS_clone], &[libc::EAGAIN], &|| {
        let before = mask()?;
        let result = on(Signal::USR2, Action::thread(drop)).map(drop);
        assert_eq!((mask()?, disposition(Signal::USR2)?), (before, Disposition::Default));
        result
    });
    // In a runtime that stands already.
    let in_tokio = |operation: &(dyn Fn(&tokio::runtime::Runtime) -> Result<(), Error> + Sync)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        refuse::call(libc::SYS_epoll_ctl, libc::ENOSPC).unwrap();
        operation(&runtime)
    };
    tell(&[], &[libc::ENOSPC], &|| {
        in_tokio(&|runtime| {
            let signals = SignalFd::new(Signal::USR1)?;
            runtime.block_on(async { SignalStream::new(signals).map(drop) })
        })
    });
    tell(&[], &[libc::ENOSPC], &|| in_tokio(&|runtime| runtime.block_on(shutdown.asked_async())));
    before.end();
    // PTRACE_SEIZE, of whose bits no earlier request has this one: the child that was started already is not left behind.
    let left = std::thread::scope(|scope| {
        let tracing = scope.spawn(|| {
            refuse::flag(libc::SYS_ptrace, 0, 0x4000, libc::EPERM).unwrap();
            assert!(
                Tracee::spawn(&mut Command::new("true"))
                    .is_err_and(|error| error.errno() == Some(libc::EPERM))
            );
            std::fs::read_to_string(format!("/proc/self/task/{}/children", Pid::own_thread())).unwrap()
        });
        tracing.join().unwrap()
    });
    assert_eq!(left, "");
    // What was refused has taken no place.
    for signal in [Signal::USR2, Signal::CHLD] {
        assert_eq!(disposition(signal)?, Disposition::Default);
    }
    drop(blocked);
    assert_eq!(mask()?, SignalSet::empty());
    let flag = Arc::new(AtomicBool::new(false));
    drop(on(Signal::USR2, &flag)?);
    child.kill()?;
    child.wait()?;
    say(told.get())
}
