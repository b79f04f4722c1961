//! A real-time signal with a value, queued and waited for.
#![expect(unsafe_code, reason = "the C that is measured beside ours")]

use std::mem::MaybeUninit;

use ipc_signal::{MaskGuard, Pid, SignalSet, queue, wait};

use crate::cell::{Cell, Cores, Kind, Wait};
use crate::end::{End, Side};
use crate::mechanism::{BLOCKS, Mechanism};
use crate::meet::Meet;

pub(crate) struct Signal;

impl Mechanism for Signal {
    fn name(&self) -> &'static str {
        "signal"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        BLOCKS
    }

    fn lacks(&self, cell: &Cell) -> Option<&'static str> {
        if cell.payload > 8 {
            return Some("sigval: 8 bytes are a signal's value");
        }
        (cell.kind == Kind::Stream).then_some("RLIMIT_SIGPENDING: who queues does not wait for room")
    }

    fn ours(&self, _: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let signal = ipc_signal::Signal::realtime(6).unwrap();
        let mask = MaskGuard::block(signal).unwrap();
        let peer = meet.exchange(std::process::id().into());
        let peer = Pid::try_from(u32::try_from(peer).unwrap()).unwrap();
        Box::new(Ours { signal, set: signal.into(), peer, _mask: mask })
    }

    fn raw(&self, _: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let signal = libc::SIGRTMIN() + 6;
        let mut set = MaybeUninit::uninit();
        // SAFETY: room for a set.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: initialised by the line above.
        let mut set = unsafe { set.assume_init() };
        // SAFETY: a live set.
        unsafe { libc::sigaddset(&raw mut set, signal) };
        // SAFETY: a live set, and nothing to fill.
        unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        let peer = meet.exchange(std::process::id().into()) as libc::pid_t;
        Box::new(Raw { signal, set, peer })
    }
}

struct Ours {
    signal: ipc_signal::Signal,
    set: SignalSet,
    peer: Pid,
    _mask: MaskGuard,
}

impl End for Ours {
    fn send(&mut self, turn: u64) {
        queue(self.peer, self.signal, turn).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        assert_eq!(wait(self.set).unwrap().value().unwrap().as_u64(), turn);
    }
}

struct Raw {
    signal: libc::c_int,
    set: libc::sigset_t,
    peer: libc::pid_t,
}

impl End for Raw {
    fn send(&mut self, turn: u64) {
        let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(turn as usize) };
        // SAFETY: takes numbers.
        assert_eq!(unsafe { libc::sigqueue(self.peer, self.signal, value) }, 0);
    }

    fn receive(&mut self, turn: u64) {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: both live for the call.
        assert_eq!(unsafe { libc::sigwaitinfo(&raw const self.set, info.as_mut_ptr()) }, self.signal);
        // SAFETY: filled by the call.
        let info = unsafe { info.assume_init_ref() };
        // SAFETY: a queued signal carries a value.
        assert_eq!(unsafe { info.si_value() }.sival_ptr.addr() as u64, turn);
    }
}
