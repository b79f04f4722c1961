//! Signals against the C that one would write by hand: one thread, each line beside its neighbour.
#![expect(unsafe_code, reason = "the C that is measured beside ours")]

use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

use ipc_signal::{MaskGuard, Pid, Ring, Signal, SignalFd, SignalSet, Target, on, queue, raise, wait};

use super::Bound::{AtLeast, AtMost, Parity};
use super::{Promised, pair};

pub(crate) const PROMISES: &[Promised] = &[
    Promised::ratio("signal queue and wait, ours to libc", Parity, queue_and_wait, queue_and_wait_libc),
    Promised::ratio(
        "signal handler, Ring to a C handler's pipe",
        AtMost(1.15),
        handler_to_ring,
        handler_to_pipe,
    ),
    Promised::ratio(
        "signal SignalFd, one a read to 64, times",
        AtLeast(1.4),
        || signalfd(1),
        || signalfd(64),
    ),
];

const ROUNDS: u64 = 4_000;

fn signal() -> Signal {
    Signal::from_number(40).unwrap()
}

fn queue_and_wait() -> f64 {
    let (signal, set) = (signal(), SignalSet::from(signal()));
    let _blocked = MaskGuard::block(set).unwrap();
    pair::time(ROUNDS, || {
        queue(Pid::own(), signal, 7).unwrap();
        assert_eq!(wait(set).unwrap().value().unwrap().as_i32(), 7);
    })
}

fn queue_and_wait_libc() -> f64 {
    let _blocked = MaskGuard::block(signal()).unwrap();
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: room for a set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the line above.
    let mut set = unsafe { set.assume_init() };
    // SAFETY: a live set.
    unsafe { libc::sigaddset(&raw mut set, 40) };
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(7) };
    pair::time(ROUNDS, || {
        // SAFETY: takes no pointer that is followed.
        let pid = unsafe { libc::getpid() };
        // SAFETY: takes numbers.
        assert_eq!(unsafe { libc::sigqueue(pid, 40, value) }, 0);
        // SAFETY: both live for the call.
        assert_eq!(unsafe { libc::sigwaitinfo(&raw const set, info.as_mut_ptr()) }, 40);
        // SAFETY: filled by the call.
        let info = unsafe { info.assume_init_ref() };
        // SAFETY: a queued signal carries a value.
        assert_eq!(unsafe { info.si_value() }.sival_ptr.addr(), 7);
    })
}

/// A delivery and the read that takes it.
fn handler_to_ring() -> f64 {
    let ring = Ring::with_capacity(64).unwrap();
    let _registration = on(Signal::USR1, &ring).unwrap();
    pair::time(ROUNDS, || {
        raise(Signal::USR1).unwrap();
        ring.recv().unwrap();
    })
}

/// The hand-written handler: siginfo into a pipe, errno kept.
fn handler_to_pipe() -> f64 {
    static PIPE: AtomicI32 = AtomicI32::new(-1);
    extern "C" fn handler(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        let errno = ipc_sys::signal::errno_location();
        // SAFETY: errno of this thread.
        let saved = unsafe { errno.read() };
        // SAFETY: the kernel's siginfo is readable.
        unsafe { libc::write(PIPE.load(Ordering::Relaxed), info.cast(), size_of::<libc::siginfo_t>()) };
        // SAFETY: errno of this thread.
        unsafe { errno.write(saved) };
    }
    let (reader, writer) = std::io::pipe().unwrap();
    PIPE.store(writer.as_raw_fd(), Ordering::Relaxed);
    let disposition = ipc_sys::disposition::Disposition::handler(handler, libc::SA_RESTART, 0);
    // SAFETY: the handler above does what signal-safety(7) allows.
    let former = unsafe { ipc_sys::disposition::set_disposition(libc::SIGUSR1, &disposition) }.unwrap();
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    let spent = pair::time(ROUNDS, || {
        raise(Signal::USR1).unwrap();
        // SAFETY: room for one siginfo.
        let len = unsafe { libc::read(reader.as_raw_fd(), info.as_mut_ptr().cast(), size_of_val(&info)) };
        assert_eq!(usize::try_from(len), Ok(size_of_val(&info)));
    });
    // SAFETY: what was in force before.
    unsafe { ipc_sys::disposition::set_disposition(libc::SIGUSR1, &former) }.unwrap();
    spent
}

/// The reading alone, `batch` records at a time.
fn signalfd(batch: usize) -> f64 {
    const FILL: i32 = 512;
    const ROUNDS_OF_FILL: i32 = 8;
    let _blocked = MaskGuard::block(signal()).unwrap();
    let signals = SignalFd::new(signal()).unwrap();
    let here = Target::Thread { process: Pid::own(), thread: Pid::own_thread() };
    let mut spent = std::time::Duration::ZERO;
    let mut taken = Vec::with_capacity(64);
    for _ in 0..ROUNDS_OF_FILL {
        (0..FILL).for_each(|value| queue(here, signal(), value).unwrap());
        let start = Instant::now();
        let mut left = FILL as usize;
        while left > 0 {
            taken.clear();
            left -= match batch {
                1 => signals.try_recv().map(|_| 1),
                _ => signals.try_recv_batch(&mut taken),
            }
            .unwrap();
        }
        spent += start.elapsed();
    }
    spent.as_nanos() as f64 / f64::from(ROUNDS_OF_FILL * FILL)
}
