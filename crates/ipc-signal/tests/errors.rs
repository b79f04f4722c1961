//! Each row of the error tables that one process can provoke; full queues, other users and missing descriptors are
//! provoked in the test kit's peers.
#![expect(clippy::unwrap_used, reason = "in a test a panic is how it fails")]

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ipc_signal::{
    Action, ChildState, Children, Clock, Error, HandlerOptions, IntervalTimer, MaskGuard, Pid, PosixTimer,
    ProcessFd, Ring, Schedule, Shutdown, Signal, SignalFd, SignalSet, Stop, Target, Tracee, Waiting,
    disposition, exists, on, queue, raise, send, try_wait, try_wait_child, wait, wait_child,
    wait_child_timeout, wait_timeout,
};

fn errno<T>(result: Result<T, Error>) -> Option<i32> {
    result.err().and_then(|error| error.errno())
}

/// A process id that nobody has: of a child that has been waited for.
fn nobody() -> Pid {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = Pid::of_child(&child);
    child.wait().unwrap();
    pid
}

fn sleeper() -> Child {
    Command::new("sleep").arg("60").spawn().unwrap()
}

#[test]
fn kill03_numbers_that_are_no_signal_are_refused() {
    for number in [0, -1, 65, i32::MIN, i32::MAX] {
        assert!(matches!(Signal::from_number(number), Err(Error::UnknownSignal { .. })));
    }
    assert!(matches!(Signal::realtime(200), Err(Error::UnknownSignal { .. })));
}

#[test]
fn kill13_numbers_that_are_no_process_are_refused() {
    for number in [0, 1 << 31, u32::MAX] {
        assert!(matches!(Pid::try_from(number), Err(Error::InvalidPid { .. })));
    }
    for text in ["", "0", "-1", "-2147483648", "1.5", " 1", "0x10"] {
        assert!(matches!(text.parse::<Pid>(), Err(Error::InvalidPid { .. })), "{text:?}");
    }
}

#[test]
fn nobody_there_is_no_such_process() {
    let nobody = nobody();
    let thread = Target::Thread { process: Pid::own(), thread: nobody };
    for result in [
        send(nobody, Signal::TERM),
        send(Target::Group(nobody), Signal::TERM),
        send(thread, Signal::TERM),
        queue(nobody, Signal::TERM, 1),
        queue(thread, Signal::TERM, 1),
        ProcessFd::open(nobody).map(drop),
        Tracee::attach(nobody).map(drop),
    ] {
        assert!(matches!(result, Err(Error::NoSuchProcess { .. })), "{result:?}");
    }
    assert!(!exists(nobody).unwrap() && !exists(Target::Group(nobody)).unwrap());
}

/// A thread of another process is not reached through its number alone: a stale one is safe.
#[test]
fn tgkill03_a_thread_is_named_with_its_process() {
    let mut child = sleeper();
    let stranger = Target::Thread { process: Pid::own(), thread: Pid::of_child(&child) };
    assert!(matches!(send(stranger, Signal::TERM), Err(Error::NoSuchProcess { .. })));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A zombie exists, can be sent to, and does nothing.
#[test]
fn a_zombie_exists_until_it_is_reaped() {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = Pid::of_child(&child);
    let process = ProcessFd::of_child(&child).unwrap();
    wait_child(pid, Waiting::ENDS.looking()).unwrap();
    assert!(exists(pid).unwrap());
    send(pid, Signal::TERM).unwrap();
    process.send(Signal::TERM).unwrap();
    assert!(process.end().unwrap().unwrap().success());
    child.wait().unwrap();
    assert!(!exists(pid).unwrap());
    assert!(matches!(process.send(Signal::TERM), Err(Error::NoSuchProcess { .. })));
    assert!(matches!(process.queue(Signal::TERM, 1), Err(Error::NoSuchProcess { .. })));
    assert!(matches!(process.reap(), Err(Error::NoChild { .. })));
}

#[test]
fn groups_and_everyone_are_reached_by_name_only() {
    let init = Pid::try_from(1).unwrap();
    assert!(matches!(send(Target::Group(init), Signal::TERM), Err(Error::Refused { .. })));
    for target in [Target::Group(nobody()), Target::OwnGroup, Target::Everyone] {
        assert!(matches!(queue(target, Signal::TERM, 1), Err(Error::Refused { .. })));
    }
    assert!(exists(Target::Group(init)).unwrap() && exists(Target::OwnGroup).unwrap());
    // Everyone but us and init: in a container there may be nobody else.
    let mut somebody = sleeper();
    assert!(exists(Target::Everyone).unwrap());
    somebody.kill().unwrap();
    somebody.wait().unwrap();
}

/// LTP's kill02 and kill06: a group's signal reaches the group, and nobody else.
#[test]
fn kill02_a_group_is_reached_and_nobody_else() {
    use ipc_signal::CommandExt;
    let mut leader = Command::new("sleep").arg("60").own_group().spawn().unwrap();
    let mut bystander = sleeper();
    send(Target::Group(Pid::of_child(&leader)), Signal::TERM).unwrap();
    let state = wait_child(&leader, Waiting::ENDS.looking()).unwrap().1;
    assert_eq!(state.to_string(), "killed by SIGTERM");
    leader.wait().unwrap();
    assert!(matches!(try_wait_child(&bystander, Waiting::ENDS), Err(Error::WouldBlock)));
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn what_cannot_be_caught_is_refused() {
    for signal in [
        Signal::KILL,
        Signal::STOP,
        Signal::SEGV,
        Signal::BUS,
        Signal::ILL,
        Signal::FPE,
        Signal::TRAP,
        Signal::SYS,
    ] {
        assert!(
            matches!(on(signal, Action::Flag(std::sync::Arc::default())), Err(Error::Refused { .. })),
            "{signal}"
        );
        assert!(matches!(on(signal, Action::Ignore), Err(Error::Refused { .. })), "{signal}");
        assert!(matches!(Shutdown::on(signal), Err(Error::Refused { .. })), "{signal}");
    }
    use ipc_signal::CommandExt;
    for fixed in [Signal::KILL, Signal::STOP] {
        assert!(matches!(Command::new("true").ignore_signals(fixed), Err(Error::Refused { .. })));
        assert!(matches!(Command::new("true").default_signals(fixed), Err(Error::Refused { .. })));
    }
    // glibc and musl keep these to themselves.
    let internal = Signal::from_number(33).unwrap();
    assert!(matches!(HandlerOptions::new().on(internal, Action::Ignore), Err(Error::Refused { .. })));
    assert!(matches!(disposition(internal), Err(Error::Refused { .. })));
}

#[test]
fn what_wakes_nobody_is_refused() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let blocking = child.stdin.take().unwrap();
    let file = File::open("/dev/null").unwrap();
    for fd in [OwnedFd::from(blocking), OwnedFd::from(file)] {
        assert!(matches!(on(Signal::URG, Action::Wake(fd)), Err(Error::Refused { .. })));
    }
    // The end of its input is the end of it.
    assert!(child.wait().unwrap().success());
}

#[test]
fn waiting_ends_in_timed_out_or_would_block() {
    let signal = Signal::realtime(5).unwrap();
    let _blocked = MaskGuard::block(signal).unwrap();
    let (ring, signals) = (Ring::with_capacity(1).unwrap(), SignalFd::new(signal).unwrap());
    let instant = Duration::ZERO;
    for result in [
        wait_timeout(signal, instant).map(drop),
        ring.recv_timeout(instant).map(drop),
        signals.recv_timeout(instant).map(drop),
        ProcessFd::open(Pid::own()).unwrap().wait_end_timeout(instant),
    ] {
        assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
    }
    for result in [try_wait(signal).map(drop), ring.try_recv().map(drop), signals.try_recv().map(drop)] {
        assert!(matches!(result, Err(Error::WouldBlock)), "{result:?}");
    }
}

#[test]
fn a_signalfd_for_what_is_not_blocked_is_refused() {
    let open = Signal::realtime(6).unwrap();
    assert!(matches!(SignalFd::new(open), Err(Error::NotBlocked { signal }) if signal == open));
    let _blocked = MaskGuard::block(SignalSet::all()).unwrap();
    let signals = SignalFd::new(SignalSet::all()).unwrap();
    signals.set(open).unwrap();
    // LTP's signalfd01: what is none.
    let null = SignalFd::from(OwnedFd::from(File::open("/dev/null").unwrap()));
    assert_eq!(errno(null.set(open)), Some(libc::EINVAL));
}

#[test]
fn who_is_no_child_is_not_waited_for() {
    let init = Pid::try_from(1).unwrap();
    for result in [
        wait_child(init, Waiting::CHANGES).map(drop),
        try_wait_child(init, Waiting::ENDS).map(drop),
        wait_child(Children::Group(init), Waiting::ENDS).map(drop),
        wait_child_timeout(nobody(), Duration::ZERO).map(drop),
    ] {
        assert!(matches!(result, Err(Error::NoChild { .. })), "{result:?}");
    }
}

#[test]
fn a_child_is_waited_for_until_it_ends_or_the_time_is_over() {
    let mut child = sleeper();
    let start = Instant::now();
    for timeout in [Duration::ZERO, Duration::from_millis(10)] {
        assert!(matches!(wait_child_timeout(&child, timeout), Err(Error::TimedOut)));
        assert!(start.elapsed() >= timeout);
    }
    assert!(child.try_wait().unwrap().is_none(), "the time that is over ends nobody");
    send(&child, Signal::TERM).unwrap();
    let state = wait_child_timeout(&child, Duration::MAX).unwrap();
    assert_eq!(state, ChildState::Killed { signal: Signal::TERM, core_dumped: false });
    assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(libc::ECHILD), "it has been reaped");
    let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
    assert_eq!(wait_child_timeout(&child, Duration::MAX).unwrap(), ChildState::Exited(3));
    assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
}

#[test]
fn a_descriptor_that_is_no_pidfd_is_an_error() {
    let null = ProcessFd::from(OwnedFd::from(File::open("/dev/null").unwrap()));
    assert_eq!(errno(null.send(Signal::TERM)), Some(libc::EBADF));
    assert_eq!(errno(null.queue(Signal::TERM, 1)), Some(libc::EBADF));
    assert_eq!(errno(exists(Target::process_fd(&null))), Some(libc::EBADF));
    assert_eq!(errno(null.pid()), Some(libc::ENOTTY));
    assert!(matches!(null.end(), Err(Error::System { .. })));
}

#[test]
fn pidfd_open02_a_thread_leads_no_process() {
    let thread = std::thread::spawn(|| {
        let id = Pid::own_thread();
        ProcessFd::open(id).map(drop)
    });
    // EINVAL, and ENOENT from Linux 6.9 on.
    let found = errno(thread.join().unwrap());
    assert!(matches!(found, Some(libc::EINVAL | libc::ENOENT)), "{found:?}");
}

#[test]
fn tracing_oneself_or_what_runs_is_refused() {
    assert!(matches!(Tracee::attach(Pid::own()), Err(Error::PermissionDenied { .. })));
    let mut child = sleeper();
    let mut tracee = Tracee::attach(&child).unwrap();
    assert_eq!(errno(tracee.read_word(8)), Some(libc::EIO));
    assert_eq!(errno(tracee.write_word(8, 0)), Some(libc::EIO));
    send(&child, Signal::USR1).unwrap();
    tracee.resume(None).unwrap();
    assert!(matches!(tracee.next_stop(), Ok(Stop::Signal(info)) if info.signal() == Signal::USR1));
    assert_eq!(errno(tracee.listen()), Some(libc::EIO), "a signal's stop is no group-stop");
    tracee.resume(None).unwrap();
    assert!(matches!(tracee.resume(None), Err(Error::NotStopped { .. })));
    assert!(matches!(tracee.read_word(8), Err(Error::NotStopped { .. })));
    child.kill().unwrap();
    assert!(matches!(tracee.next_stop(), Ok(Stop::End(_))));
    assert!(matches!(tracee.next_stop(), Err(Error::NoChild { .. })));
    // Attached to, its end is ours to report, and reaps it.
    assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
    assert!(matches!(Tracee::adopt(Pid::try_from(1).unwrap()), Err(Error::NoChild { .. })));
    let missing = Tracee::spawn(&mut Command::new("/no/such/program"));
    assert_eq!(errno(missing.map(drop)), Some(libc::ENOENT));
}

#[test]
fn a_command_is_traced_as_often_as_it_is_started() {
    let mut command = Command::new("true");
    for _ in 0..3 {
        let (mut tracee, mut child) = Tracee::spawn(&mut command).unwrap();
        tracee.resume(None).unwrap();
        assert_eq!(tracee.next_stop().unwrap(), Stop::End(ChildState::Exited(0)));
        child.wait().unwrap();
    }
}

#[test]
fn timers_that_cannot_be_are_errors() {
    let stranger = Pid::try_from(1).unwrap();
    assert_eq!(
        errno(PosixTimer::for_thread(Clock::Monotonic, stranger, Signal::USR1, 1)),
        Some(libc::EINVAL)
    );
    let timer = PosixTimer::new(Clock::Monotonic, Signal::USR1, 1).unwrap();
    // As long as the kernel can count is not an error.
    timer.set(Schedule::once(Duration::MAX)).unwrap();
    timer.set(Schedule::stopped()).unwrap();
    assert_eq!(IntervalTimer::Prof.remaining().unwrap(), Schedule::stopped());
}

#[test]
fn an_error_keeps_errno_and_kind_as_an_io_error() {
    let error = io::Error::from(send(nobody(), Signal::TERM).unwrap_err());
    assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    let error = io::Error::from(Error::TimedOut);
    assert_eq!((error.kind(), error.raw_os_error()), (io::ErrorKind::TimedOut, Some(libc::ETIMEDOUT)));
    assert_eq!(io::Error::from(Error::WouldBlock).kind(), io::ErrorKind::WouldBlock);
}

/// What was blocked and pending when it is let through has been delivered when the guard returns; here it is taken first.
#[test]
fn raise_goes_to_the_calling_thread() {
    let _blocked = MaskGuard::block(Signal::USR1).unwrap();
    raise(Signal::USR1).unwrap();
    let other = std::thread::spawn(|| ipc_signal::pending().unwrap().contains(Signal::USR1)).join().unwrap();
    assert!(!other, "another thread has nothing pending");
    assert_eq!(wait(Signal::USR1).unwrap().signal(), Signal::USR1);
}

#[test]
fn a_ring_larger_than_memory_is_an_error() {
    for capacity in [usize::MAX, usize::MAX / 2, 1 << 60] {
        assert_eq!(errno(Ring::with_capacity(capacity)), Some(libc::ENOMEM), "{capacity}");
    }
}
