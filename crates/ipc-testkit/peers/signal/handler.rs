//! Handlers: under a storm, over and under those of others, across fork.
#![expect(
    unsafe_code,
    reason = "a naive handler, and one of somebody else's, is installed by the raw call; fork"
)]

use std::hint::black_box;
use std::io::Write;
use std::os::fd::AsFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ipc_signal::{
    Action, Disposition, HandlerOptions, Pid, Registration, Ring, Shutdown, Signal, Target, disposition,
    exists, on, on_raw, queue, raise, send,
};
use ipc_sys::{Deadline, poll};
use ipc_testkit::role::{self, hear, say};

use crate::argument;
use crate::child::in_child;

/// Four threads that allocate, print and lock, under signals that are sent to each of them: says how many were sent, how
/// many were delivered, and the longest time in milliseconds that a thread made no turn.
pub(crate) fn storm(arguments: &[String]) -> role::Result {
    let each: u64 = argument(arguments, 0)?;
    let count = Arc::new(AtomicU64::new(0));
    let ring = Ring::with_capacity(64)?;
    let (mut reader, writer) = std::io::pipe()?;
    nonblocking(&writer)?;
    let mut registrations = vec![
        on(Signal::USR1, &count)?,
        on(Signal::USR1, &ring)?,
        on(Signal::USR1, &Arc::new(AtomicBool::new(false)))?,
        on(Signal::USR1, Action::Wake(writer.into()))?,
    ];
    let (over, shared) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let sink = Mutex::new(std::fs::File::create("/dev/null")?);
    let threads = Mutex::new(Vec::new());
    let longest = std::thread::scope(|scope| -> role::Result<Duration> {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    threads.lock().unwrap().push(Pid::own_thread());
                    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
                    while !over.load(Ordering::SeqCst) {
                        black_box(vec![0_u8; fastrand::usize(1..4096)]);
                        let _ = writeln!(sink.lock().unwrap(), "turn {last:?}");
                        shared.lock().unwrap().push(1_u8);
                        shared.lock().unwrap().truncate(100);
                        longest = longest.max(last.elapsed());
                        last = Instant::now();
                    }
                    longest
                })
            })
            .collect();
        ipc_testkit::until("four threads", || threads.lock().unwrap().len() == 4);
        let targets = threads.lock().unwrap().clone();
        let start = Instant::now();
        for turn in 0..each {
            for thread in &targets {
                send(Target::Thread { process: Pid::own(), thread: *thread }, Signal::USR1)?;
            }
            while start.elapsed() < Duration::from_micros(100) * u32::try_from(turn)? {
                std::thread::yield_now();
            }
        }
        over.store(true, Ordering::SeqCst);
        Ok(workers.into_iter().map(|worker| worker.join().unwrap()).max().unwrap_or_default())
    })?;
    registrations.clear();
    let delivered = count.load(Ordering::SeqCst);
    let kept = u64::try_from(ring.drain().count())?;
    assert_eq!(kept + ring.overflowed(), delivered, "a ring keeps or counts each delivery");
    assert!(
        std::io::Read::read(&mut reader, &mut [0; 1])? == 1,
        "a pipe that nobody reads fills up and does not stop us"
    );
    say(format_args!("{} {delivered} {}", each * 4, longest.as_millis()))
}

/// What beginners write: the handler takes a lock that the program takes too. Says after how many signals it stood still.
pub(crate) fn storm_naive(_: &[String]) -> role::Result {
    static SHARED: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    static TURNS: AtomicU64 = AtomicU64::new(0);
    static SENT: AtomicU64 = AtomicU64::new(0);
    // SAFETY: it is not: the handler locks. That is what this role is here to show.
    let registration = unsafe { on_raw(Signal::USR1, |_| SHARED.lock().unwrap().clear()) }?;
    std::mem::forget(registration);
    let worker = Pid::own_thread();
    std::thread::spawn(move || {
        // The count stands still for as long as a thousand signals take: the lock's owner waits for itself.
        let (mut seen, mut since) = (u64::MAX, Instant::now());
        while since.elapsed() < Duration::from_millis(300) {
            let _ = send(Target::Thread { process: Pid::own(), thread: worker }, Signal::USR1);
            SENT.fetch_add(1, Ordering::SeqCst);
            let turns = TURNS.load(Ordering::SeqCst);
            if turns != seen {
                (seen, since) = (turns, Instant::now());
            }
        }
        let _ = say(SENT.load(Ordering::SeqCst));
        std::process::exit(0);
    });
    loop {
        SHARED.lock().unwrap().push(1);
        TURNS.fetch_add(1, Ordering::SeqCst);
    }
}

/// `errno ROUNDS`: deliveries whose write fails; says how many changed errno, with our handler and with a naive one.
pub(crate) fn errno(arguments: &[String]) -> role::Result {
    extern "C" fn naive(_: libc::c_int) {
        // SAFETY: an invalid descriptor writes nothing.
        unsafe { libc::write(-1, ptr::null(), 0) };
    }
    let rounds: u64 = argument(arguments, 0)?;
    let (_reader, mut writer) = std::io::pipe()?;
    nonblocking(&writer)?;
    while writer.write(&[0; 4096]).is_ok() {}
    let registration = on(Signal::USR1, Action::Wake(writer.into()))?;
    let ours = changed(rounds)?;
    drop(registration);
    // SAFETY: the handler is async-signal-safe but for errno, which is the point.
    unsafe { libc::signal(libc::SIGUSR1, naive as *const () as libc::sighandler_t) };
    say(format_args!("{ours} {}", changed(rounds)?))
}

fn changed(rounds: u64) -> role::Result<u64> {
    const MARK: i32 = 12345;
    let mut changed = 0;
    let errno = ipc_sys::signal::errno_location();
    for _ in 0..rounds {
        // SAFETY: errno of this thread.
        unsafe { errno.write(MARK) };
        raise(Signal::USR1)?;
        // SAFETY: errno of this thread.
        changed += u64::from(unsafe { errno.read() } != MARK);
    }
    Ok(changed)
}

/// `deliver COUNT KIND`: for strace: so many deliveries to a ring, or to a raw handler that makes a system call.
pub(crate) fn deliver(arguments: &[String]) -> role::Result {
    let count: usize = argument(arguments, 0)?;
    let ring = Ring::with_capacity(4096)?;
    let naive = argument::<String>(arguments, 1)? == "naive";
    let _registration = if naive {
        let look = |_: &ipc_signal::SignalInfo| {
            black_box(std::process::id());
        };
        // SAFETY: getpid is async-signal-safe.
        unsafe { on_raw(Signal::USR1, look) }?
    } else {
        on(Signal::USR1, &ring)?
    };
    (0..count).try_for_each(|_| raise(Signal::USR1))?;
    Ok(())
}

/// `register ROUNDS COUNT`: two threads register and unregister at random, a third queues COUNT values to this process; says
/// how many a registration that stayed has counted, and what is in force at the end.
pub(crate) fn register(arguments: &[String]) -> role::Result {
    let (rounds, count): (usize, i32) = (argument(arguments, 0)?, argument(arguments, 1)?);
    let signal = Signal::from_number(41)?;
    let seen = Arc::new(AtomicU64::new(0));
    let stays = on(signal, &seen)?;
    std::thread::scope(|scope| {
        let threads = [0, 1].map(|_| {
            scope.spawn(|| -> Result<(), ipc_signal::Error> {
                let mut held: Vec<Registration> = Vec::new();
                let ring = Ring::with_capacity(8)?;
                for _ in 0..rounds {
                    let action = match fastrand::u8(0..4) {
                        0 => Action::Flag(Arc::default()),
                        1 => Action::Count(Arc::default()),
                        2 => Action::from(&ring),
                        _ => Action::Ignore,
                    };
                    held.push(HandlerOptions::new().restart(fastrand::bool()).on(signal, action)?);
                    if held.len() > fastrand::usize(0..4) {
                        drop(held.swap_remove(fastrand::usize(0..held.len())));
                    }
                }
                Ok(())
            })
        });
        for value in 0..count {
            while queue(Pid::own(), signal, value).is_err() {
                std::thread::yield_now();
            }
        }
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    ipc_testkit::until("every delivery", || seen.load(Ordering::SeqCst) == u64::try_from(count).unwrap());
    let inside = disposition(signal)?;
    drop(stays);
    say(format_args!("{} {inside:?} {:?}", seen.load(Ordering::SeqCst), disposition(signal)?))
}

static FOREIGN: AtomicU64 = AtomicU64::new(0);

extern "C" fn foreign(_: libc::c_int) {
    FOREIGN.fetch_add(1, Ordering::SeqCst);
}

/// Somebody else's handler, as C libraries install them.
fn install_foreign(signal: Signal, address: libc::sighandler_t) -> libc::sigaction {
    // SAFETY: integers and an optional function pointer: all zeros are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = address;
    action.sa_flags = libc::SA_NODEFER;
    let mut former = action;
    // SAFETY: both live for the call; the handler only counts.
    unsafe { libc::sigaction(signal.number(), &raw const action, &raw mut former) };
    former
}

fn foreign_address() -> libc::sighandler_t {
    foreign as *const () as libc::sighandler_t
}

/// Every former disposition comes back and every former handler is called; says `ok`, and ends by SIGTERM at last.
pub(crate) fn chain(_: &[String]) -> role::Result {
    let signal = Signal::USR2;
    let seen = Arc::new(AtomicU64::new(0));
    // Default and ignored come back, whichever of two registrations goes first.
    for (address, expected) in [(libc::SIG_DFL, Disposition::Default), (libc::SIG_IGN, Disposition::Ignored)]
    {
        install_foreign(signal, address);
        let (first, second) = (on(signal, &seen)?, on(signal, &seen)?);
        drop(first);
        assert_eq!(disposition(signal)?, Disposition::Ours);
        drop(second);
        assert_eq!(disposition(signal)?, expected);
    }
    // Another's handler is called after ours, and comes back with its flags.
    install_foreign(signal, foreign_address());
    seen.store(0, Ordering::SeqCst);
    let ours = on(signal, &seen)?;
    raise(signal)?;
    assert_eq!((seen.load(Ordering::SeqCst), FOREIGN.load(Ordering::SeqCst)), (1, 1));
    drop(ours);
    raise(signal)?;
    assert_eq!((seen.load(Ordering::SeqCst), FOREIGN.load(Ordering::SeqCst)), (1, 2));
    let now = install_foreign(signal, libc::SIG_DFL);
    assert_eq!((now.sa_sigaction, now.sa_flags & libc::SA_NODEFER), (foreign_address(), libc::SA_NODEFER));
    // Ignore and Default are the kernel's own while nothing else is registered; the youngest counts.
    let ignore = on(signal, Action::Ignore)?;
    assert_eq!(disposition(signal)?, Disposition::Ignored);
    let default = on(signal, Action::Default)?;
    assert_eq!(disposition(signal)?, Disposition::Default);
    let counted = on(signal, &seen)?;
    assert_eq!(disposition(signal)?, Disposition::Ours);
    drop((counted, default));
    assert_eq!(disposition(signal)?, Disposition::Ignored);
    drop(ignore);
    assert_eq!(disposition(signal)?, Disposition::Default);
    // Somebody replaces ours while it is registered, and puts it back after we have gone: the default is what happens.
    let ours = on(Signal::TERM, &seen)?;
    let saved = install_foreign(Signal::TERM, foreign_address());
    drop(ours);
    assert_eq!(disposition(Signal::TERM)?, Disposition::Foreign);
    let again = on(Signal::TERM, &seen)?;
    assert_eq!(disposition(Signal::TERM)?, Disposition::Foreign, "ours is not put over what may lead to it");
    drop(again);
    // SAFETY: what the kernel gave back a moment ago.
    unsafe { libc::sigaction(libc::SIGTERM, &raw const saved, ptr::null_mut()) };
    say("ok")?;
    raise(Signal::TERM)?;
    Err("the default action did not happen".into())
}

/// What a library without a registry does: each saves what it found and puts it back. Says what is left in the end.
pub(crate) fn chain_naive(_: &[String]) -> role::Result {
    let a = install_foreign(Signal::USR2, foreign_address());
    let b = install_foreign(Signal::USR2, foreign_address());
    for former in [a, b] {
        // SAFETY: what the kernel gave a moment ago.
        unsafe { libc::sigaction(libc::SIGUSR2, &raw const former, ptr::null_mut()) };
    }
    say(format_args!("{:?}", disposition(Signal::USR2)?))
}

/// What the kernel holds for a signal: flags and mask.
fn installed(signal: Signal) -> (i32, libc::sigset_t) {
    // SAFETY: integers and an optional function pointer: all zeros are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a live sigaction; a null new one changes nothing.
    unsafe { libc::sigaction(signal.number(), ptr::null(), &raw mut action) };
    (action.sa_flags, action.sa_mask)
}

fn blocks(signal: Signal, other: Signal) -> bool {
    let (_, mask) = installed(signal);
    // SAFETY: a live set.
    unsafe { libc::sigismember(&raw const mask, other.number()) == 1 }
}

/// How handlers are installed, what wakes whom, and what the thread of a closure may do. Says `ok`.
pub(crate) fn options(_: &[String]) -> role::Result {
    let signal = Signal::USR1;
    let restarts = || installed(signal).0 & libc::SA_RESTART != 0;
    let seen = Arc::new(AtomicU64::new(0));
    // Calls are restarted if all of them want that; the masks of all are blocked.
    let first = on(signal, &seen)?;
    assert!(restarts() && !blocks(signal, Signal::INT) && installed(signal).0 & libc::SA_ONSTACK != 0);
    let second = HandlerOptions::new().restart(false).block(Signal::INT).on(signal, &seen)?;
    let third = HandlerOptions::new().block(Signal::TERM).on(signal, &seen)?;
    assert!(!restarts() && blocks(signal, Signal::INT) && blocks(signal, Signal::TERM));
    drop(second);
    assert!(restarts() && !blocks(signal, Signal::INT) && blocks(signal, Signal::TERM));
    drop((first, third));
    // A former handler keeps its stack and its mask, and decides on restarting as well.
    for (flags, restarted) in [
        (0, false),
        (libc::SA_ONSTACK, false),
        (libc::SA_ONSTACK | libc::SA_RESTART, true),
        (libc::SA_NOCLDWAIT, false),
    ] {
        // SAFETY: integers and an optional function pointer: all zeros are valid.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = foreign_address();
        action.sa_flags = flags;
        // SAFETY: a live set.
        unsafe { libc::sigaddset(&raw mut action.sa_mask, libc::SIGHUP) };
        // SAFETY: a live sigaction; the handler only counts.
        unsafe { libc::sigaction(signal.number(), &raw const action, ptr::null_mut()) };
        let _ours = on(signal, &seen)?;
        let kept = libc::SA_ONSTACK | libc::SA_NOCLDWAIT;
        assert_eq!((installed(signal).0 & kept, restarts()), (flags & kept, restarted));
        assert!(blocks(signal, Signal::HUP));
    }
    // Children go on vanishing where they did, with the default action, too.
    // SAFETY: integers and an optional function pointer: all zeros are valid.
    let mut vanish: libc::sigaction = unsafe { std::mem::zeroed() };
    vanish.sa_flags = libc::SA_NOCLDWAIT;
    // SAFETY: a live sigaction; SIG_DFL runs no code.
    unsafe { libc::sigaction(libc::SIGCHLD, &raw const vanish, ptr::null_mut()) };
    let counted = Arc::new(AtomicU64::new(0));
    let ours = on(Signal::CHLD, &counted)?;
    let mut child = std::process::Command::new("true").spawn()?;
    ipc_testkit::until("the child's signal", || counted.load(Ordering::SeqCst) == 1);
    assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
    drop(ours);
    // A socket gets the signal's number as a byte; one whose peer has gone kills nobody.
    // SAFETY: SIG_DFL runs no code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let (mut reader, writer) = std::os::unix::net::UnixStream::pair()?;
    let waking = on(Signal::USR2, Action::Wake(writer.into()))?;
    raise(Signal::USR2)?;
    let mut byte = [0];
    std::io::Read::read_exact(&mut reader, &mut byte)?;
    assert_eq!(i32::from(byte[0]), Signal::USR2.number());
    drop(reader);
    raise(Signal::USR2)?;
    drop(waking);
    // A closure's thread takes no signals, and may drop the registration that it serves.
    let (place, held) = (Arc::new(Mutex::new(None::<Registration>)), Arc::new(Mutex::new(())));
    let (tell, told) = std::sync::mpsc::channel();
    let (own, gate) = (Arc::clone(&place), Arc::clone(&held));
    let closure = Action::thread(move |_| {
        drop(gate.lock());
        let mask = ipc_signal::mask().unwrap();
        drop(own.lock().unwrap().take());
        tell.send(
            Signal::all()
                .all(|signal| mask.contains(signal) || matches!(signal, Signal::KILL | Signal::STOP)),
        )
        .unwrap();
    });
    let registration = {
        let _until_it_has_its_place = held.lock();
        let registration = on(Signal::USR2, closure)?;
        raise(Signal::USR2)?;
        *place.lock().unwrap() = Some(registration);
        told
    };
    assert!(registration.recv_timeout(ipc_testkit::WATCHDOG)?, "the closure's thread blocks every signal");
    ipc_testkit::until("the former disposition", || {
        disposition(Signal::USR2).unwrap() == Disposition::Default
    });
    say("ok")
}

/// After fork: what the child does with the parent's registrations does not reach the parent. Says `ok`.
pub(crate) fn fork(_: &[String]) -> role::Result {
    let (ring, flag) = (Ring::with_capacity(8)?, Arc::new(AtomicBool::new(false)));
    let shutdown = Shutdown::on(Signal::TERM)?;
    let (reader, writer) = std::io::pipe()?;
    nonblocking(&writer)?;
    let registrations =
        [on(Signal::USR1, &ring)?, on(Signal::USR1, &flag)?, on(Signal::USR1, Action::Wake(writer.into()))?];
    let (child_ring, child_flag, child_shutdown) = (ring.clone(), Arc::clone(&flag), shutdown.clone());
    let status = in_child(move || {
        raise(Signal::USR1)?;
        raise(Signal::TERM)?;
        assert!(child_flag.load(Ordering::SeqCst), "the child's copy of the flag is set");
        assert!(child_shutdown.asked() && child_ring.try_recv().is_err());
        // Its own registrations work, and leave the parent's alone.
        let own = Ring::with_capacity(8)?;
        let registration = on(Signal::USR1, &own)?;
        raise(Signal::USR1)?;
        assert!(own.try_recv().is_ok() && child_ring.try_recv().is_err());
        drop(registration);
        drop(registrations);
        assert_eq!(disposition(Signal::USR1)?, Disposition::Default);
        Ok(())
    })?;
    assert!(status.success(), "the child {status}");
    let soon = || Deadline::after(Duration::ZERO);
    assert!(poll::wait(&ring, libc::POLLIN, soon())?.is_none(), "the parent's ring was woken");
    assert!(poll::wait(&shutdown, libc::POLLIN, soon())?.is_none(), "the parent was asked to end");
    assert!(poll::wait(&reader, libc::POLLIN, soon())?.is_none_or(|events| events & libc::POLLIN == 0));
    assert!(!flag.load(Ordering::SeqCst) && !shutdown.asked());
    say("ok")
}

/// Says `asked` when it is, and then hangs.
pub(crate) fn shutdown(_: &[String]) -> role::Result {
    let shutdown = Shutdown::on([Signal::INT, Signal::TERM])?;
    assert!(!shutdown.asked() && shutdown.signal().is_none());
    say("ready")?;
    // From several threads at once, by clones.
    let waiting = shutdown.clone();
    let thread = std::thread::spawn(move || waiting.wait());
    shutdown.wait()?;
    thread.join().unwrap()?;
    say(format_args!("asked {:?}", shutdown.signal()))?;
    hear().map(drop)
}

/// A closure on its own thread prints what comes, which a handler could not; ends with its input.
pub(crate) fn closure(_: &[String]) -> role::Result {
    let registration =
        on(Signal::from_number(40)?, Action::thread(|info| say(format_args!("{info:?}")).unwrap()))?;
    say("ready")?;
    hear()?;
    assert_eq!(registration.overflowed(), 0);
    drop(registration);
    // A closure that is busy misses what its 1024 places do not hold, and says so.
    let (release, busy) = std::sync::mpsc::channel::<()>();
    let busy = Action::thread(move |_| assert!(busy.recv().is_err()));
    let registration = on(Signal::USR1, busy)?;
    (0..2000).try_for_each(|_| raise(Signal::USR1))?;
    assert!((975..=976).contains(&registration.overflowed()), "{}", registration.overflowed());
    drop(release);
    drop(registration);
    assert!(exists(Pid::own())?);
    say("over")
}

fn nonblocking(fd: &impl AsFd) -> role::Result {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// `wake-nobody`: a handler writes to a pipe that nobody reads, where SIGPIPE means death, and where it is SIGPIPE's own. Says
/// `ok`.
pub(crate) fn wake_nobody(_: &[String]) -> role::Result {
    // SAFETY: SIG_DFL runs no code; Rust's runtime had ignored it.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let unread = || -> role::Result<Action> {
        let (_, writer) = std::io::pipe()?;
        nonblocking(&writer)?;
        Ok(Action::Wake(writer.into()))
    };
    let seen = Arc::new(AtomicU64::new(0));
    let _woken = (on(Signal::USR1, unread()?)?, on(Signal::PIPE, unread()?)?, on(Signal::PIPE, &seen)?);
    raise(Signal::USR1)?;
    assert_eq!(seen.load(Ordering::SeqCst), 0, "the handler's write raises nothing");
    raise(Signal::PIPE)?;
    assert_eq!(seen.load(Ordering::SeqCst), 1, "nor does that in the handler of SIGPIPE");
    assert!(!ipc_signal::pending()?.contains(Signal::PIPE) && !ipc_signal::mask()?.contains(Signal::PIPE));
    say("ok")
}
