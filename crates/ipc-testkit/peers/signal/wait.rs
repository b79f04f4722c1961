//! Waiting with a deadline under a storm, and whose signals a descriptor gives out.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipc_signal::{
    Error, HandlerOptions, IntervalTimer, MaskGuard, Pid, Ring, Schedule, Shutdown, Signal, SignalFd,
    SignalSet, Target, on, pending, queue, send, suspend, try_wait, wait, wait_timeout,
};
use ipc_testkit::role::{self, say};

use crate::child::in_child;

/// `deadlines`: SIGALRM every 100 µs, without SA_RESTART; says how late the best of five of the latest waiting call
/// was, in microseconds, how often the handler ran, and of how many waits the twin had not come back in five times the time.
pub(crate) fn deadlines(_: &[String]) -> role::Result {
    const TIMEOUT: Duration = Duration::from_millis(20);
    let signal = Signal::from_number(40)?;
    let _blocked = MaskGuard::block(signal)?;
    let interruptions = Arc::new(AtomicU64::new(0));
    let _storm = HandlerOptions::new().restart(false).on(Signal::ALRM, &interruptions)?;
    let (ring, signals) = (Ring::with_capacity(1)?, SignalFd::new(signal)?);
    let shutdown = Shutdown::on(Signal::USR2)?;
    IntervalTimer::Real.set(Schedule::every(Duration::from_micros(100)))?;
    let late = |wait: &dyn Fn() -> Result<(), Error>| -> role::Result<u128> {
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            let result = wait();
            let took = start.elapsed();
            assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
            assert!(took >= TIMEOUT, "{took:?} is too early");
            best = best.min(took - TIMEOUT);
        }
        Ok(best.as_micros())
    };
    let all = [
        late(&|| wait_timeout(signal, TIMEOUT).map(drop))?,
        late(&|| signals.recv_timeout(TIMEOUT).map(drop))?,
        late(&|| ring.recv_timeout(TIMEOUT).map(drop))?,
        late(&|| shutdown.wait_timeout(TIMEOUT))?,
    ];
    // The twin hands the whole timeout to the kernel again after each EINTR.
    let naive = || {
        let start = Instant::now();
        let whole = libc::timespec { tv_sec: 0, tv_nsec: i64::from(TIMEOUT.subsec_nanos()) };
        while start.elapsed() < TIMEOUT * 5 {
            match ipc_sys::signal::wait(1 << (signal.number() - 1), Some(&whole)) {
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                _ => return false,
            }
        }
        true
    };
    // Kept off the CPU for a whole timeout, it comes back by luck.
    let begin = Instant::now();
    let mut endless = (0..5).filter(|_| naive()).count();
    while endless == 0 && begin.elapsed() < ipc_testkit::WATCHDOG / 2 {
        endless += usize::from(naive());
    }
    // Zero and a century are timeouts as well.
    assert!(matches!(wait_timeout(signal, Duration::ZERO), Err(Error::TimedOut)));
    queue(Pid::own(), signal, 1)?;
    wait_timeout(signal, Duration::from_secs(100 * 366 * 24 * 3600))?;
    queue(Pid::own(), signal, 1)?;
    signals.recv_timeout(Duration::MAX)?;
    IntervalTimer::Real.set(Schedule::stopped())?;
    let late = all.iter().max().unwrap_or(&0);
    say(format_args!("{late} {} {endless}", interruptions.load(Ordering::SeqCst)))
}

/// `receipt`: LTP's rows on sigwaitinfo, sigtimedwait, sigpending, sigsuspend and signalfd. Says `ok`.
pub(crate) fn receipt(_: &[String]) -> role::Result {
    let (low, high) = (Signal::from_number(40)?, Signal::from_number(41)?);
    let _blocked = MaskGuard::block([low, high, Signal::USR1, Signal::HUP])?;
    let here = || Target::Thread { process: Pid::own(), thread: Pid::own_thread() };
    // Nothing there, then what was sent; the lowest number first; what is not asked for stays.
    assert!(matches!(try_wait([low, high]), Err(Error::WouldBlock)));
    queue(here(), high, 1)?;
    queue(here(), low, 2)?;
    send(here(), Signal::USR1)?;
    assert!(pending()?.contains(high) && pending()?.contains(low) && pending()?.contains(Signal::USR1));
    assert_eq!(wait([low, high])?.signal(), low);
    assert_eq!(wait([low, high])?.signal(), high);
    assert_eq!(pending()?, Signal::USR1.into());
    // An ignored signal that is blocked is dropped by the kernel when it is sent, unless somebody waits for it.
    let ignored = on(Signal::HUP, ipc_signal::Action::Ignore)?;
    drop(ignored);
    // signalfd gives out a thread's own signals and its process's, never another thread's.
    let signals = Arc::new(SignalFd::new([low, high, Signal::USR1])?);
    assert_eq!(signals.recv()?.signal(), Signal::USR1);
    queue(here(), low, 3)?;
    let others = Arc::clone(&signals);
    let seen = std::thread::spawn(move || others.try_recv()).join().unwrap();
    assert!(matches!(seen, Err(Error::WouldBlock)), "{seen:?}");
    assert_eq!(signals.recv()?.value().map(ipc_signal::Value::as_i32), Some(3));
    queue(Pid::own(), low, 4)?;
    let others = Arc::clone(&signals);
    let seen = std::thread::spawn(move || others.try_recv()).join().unwrap()?;
    assert_eq!(seen.value().map(ipc_signal::Value::as_i32), Some(4), "the process's are any thread's");
    // Another set, and a batch of more than there is.
    signals.set(high)?;
    queue(here(), low, 5)?;
    for value in 0..70 {
        queue(here(), high, value)?;
    }
    let mut batch = Vec::new();
    assert_eq!((signals.recv_batch(&mut batch)?, signals.try_recv_batch(&mut batch)?), (64, 6));
    assert!(matches!(signals.try_recv_batch(&mut batch), Err(Error::WouldBlock)));
    let values: Vec<_> = batch.iter().filter_map(|info| Some(info.value()?.as_i32())).collect();
    assert_eq!(values, (0..70).collect::<Vec<_>>());
    assert_eq!(try_wait(low)?.value().map(ipc_signal::Value::as_i32), Some(5));
    // exec does not see it.
    let flags = nix::fcntl::fcntl(&*signals, nix::fcntl::FcntlArg::F_GETFD)?;
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC, "descriptor {}", signals.as_raw_fd());
    // A forked child reads its own signals from the inherited descriptor.
    queue(Pid::own(), high, 6)?;
    let status = in_child(|| {
        assert!(matches!(signals.try_recv(), Err(Error::WouldBlock)), "a child has no pending signals");
        queue(Pid::own(), high, 7)?;
        assert_eq!(signals.recv()?.value().map(ipc_signal::Value::as_i32), Some(7));
        Ok(())
    })?;
    assert!(status.success(), "the child {status}");
    assert_eq!(signals.recv()?.value().map(ipc_signal::Value::as_i32), Some(6));
    // sigsuspend: unmask and wait in one step; the handler has run when it returns, and the mask is back.
    let count = Arc::new(AtomicU64::new(0));
    let _registration = on(Signal::USR2, &count)?;
    let guard = MaskGuard::block(Signal::USR2)?;
    send(here(), Signal::USR2)?;
    assert_eq!(count.load(Ordering::SeqCst), 0);
    guard.suspend()?;
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert!(ipc_signal::mask()?.contains(Signal::USR2));
    say("ok")
}

/// `whole-set`: threads that block, wait for and suspend with all signals, while the C library signals each of them for a call of
/// its own (setuid concerns all threads). Says `ok`.
pub(crate) fn whole_set(_: &[String]) -> role::Result {
    let (tell, tells) = std::sync::mpsc::channel();
    let asleep = |what: &str, call: libc::c_long, does: fn()| -> role::Result {
        let tell = tell.clone();
        std::thread::spawn(move || {
            let _ = tell.send(Pid::own_thread());
            does();
        });
        let path = format!("/proc/self/task/{}/syscall", tells.recv()?);
        let number = format!("{call} ");
        ipc_testkit::until(what, || {
            std::fs::read_to_string(&path).is_ok_and(|text| text.starts_with(&number))
        });
        Ok(())
    };
    asleep("sigtimedwait", libc::SYS_rt_sigtimedwait, || {
        let _blocked = MaskGuard::set(SignalSet::all()).unwrap();
        assert!(wait(SignalSet::all()).is_err());
    })?;
    asleep("sigsuspend", libc::SYS_rt_sigsuspend, || suspend(!SignalSet::from(Signal::USR2)).unwrap())?;
    asleep("ppoll", libc::SYS_ppoll, || {
        let _blocked = MaskGuard::set(SignalSet::all()).unwrap();
        assert!(SignalFd::new(SignalSet::all()).unwrap().recv().is_err());
    })?;
    nix::unistd::setuid(nix::unistd::getuid())?;
    say("ok")
}
