//! A buffer in POSIX shared memory each way, with two semaphores beside it: there is room, there is a message.
#![expect(unsafe_code, reason = "the C that is measured beside ours")]

use std::ffi::CString;
use std::sync::atomic::AtomicU64;

use ipc_shm::{PlainMemory, Semaphore, Shared};
use zerocopy::IntoBytes;

use crate::cell::{Cell, Cores, Wait};
use crate::end::{End, Side, check, fill};
use crate::mechanism::{BLOCKS, Mechanism};
use crate::meet::Meet;
use crate::raw::memory::{map_name, place};

pub(crate) struct PosixShm;

impl Mechanism for PosixShm {
    fn name(&self) -> &'static str {
        "posix-shm"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        BLOCKS
    }

    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [near] = meet.numbers(|| [std::process::id().into()]);
        let mut way = |name: &str| Way::new(meet, &format!("/ipc-bench-{near}-{name}"), cell.payload);
        let (to, back) = (way("to"), way("back"));
        let message = vec![0; cell.words()];
        let (sending, receiving) = if meet.is_near() { (to, back) } else { (back, to) };
        Box::new(Ours { sending, receiving, message })
    }

    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let [near] = meet.numbers(|| [std::process::id().into()]);
        let mut way = |name: &str| RawWay::new(meet, &format!("/ipc-bench-{near}-{name}"), cell.words());
        let (to, back) = (way("to"), way("back"));
        let message = vec![0; cell.words()];
        let (sending, receiving) = if meet.is_near() { (to, back) } else { (back, to) };
        Box::new(Raw { sending, receiving, message })
    }
}

/// The buffer of one way.
struct Way {
    /// Room, message.
    semaphores: Shared<[Semaphore; 2]>,
    memory: PlainMemory,
}

impl Way {
    fn new(meet: &mut Meet, name: &str, len: usize) -> Self {
        let semaphores = format!("{name}-semaphores");
        if meet.is_near() {
            let memory = PlainMemory::create(name, len).unwrap();
            let semaphores = Shared::create(semaphores, |both: &[Semaphore; 2]| both[0].release(1)).unwrap();
            meet.together();
            meet.together();
            Self { semaphores, memory }
        } else {
            meet.together();
            let way = Self {
                semaphores: Shared::open(semaphores).unwrap(),
                memory: PlainMemory::open(name).unwrap(),
            };
            meet.together();
            way
        }
    }
}

struct Ours {
    sending: Way,
    receiving: Way,
    message: Vec<u64>,
}

impl End for Ours {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        let [room, there] = self.sending.semaphores.get().unwrap();
        room.acquire().unwrap();
        self.sending.memory.write_at(0, self.message.as_bytes()).unwrap();
        there.release(1).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        let [room, there] = self.receiving.semaphores.get().unwrap();
        there.acquire().unwrap();
        self.receiving.memory.read_at(0, self.message.as_mut_bytes()).unwrap();
        room.release(1).unwrap();
        check(&self.message, turn);
    }
}

/// Two sem_t on lines of their own, and then the buffer.
struct RawWay {
    room: *mut libc::sem_t,
    there: *mut libc::sem_t,
    buffer: &'static [AtomicU64],
}

impl RawWay {
    fn new(meet: &mut Meet, name: &str, words: usize) -> Self {
        let name = CString::new(name).unwrap();
        let create = meet.is_near();
        if !create {
            meet.together();
        }
        let memory = map_name(&name, 32 + words, create);
        let semaphore = |at: usize| memory[at].as_ptr().cast::<libc::sem_t>();
        let (room, there) = (semaphore(0), semaphore(16));
        if create {
            // SAFETY: room for a semaphore, aligned, which nobody uses yet.
            assert_eq!(unsafe { libc::sem_init(room, 1, 1) }, 0);
            // SAFETY: the same.
            assert_eq!(unsafe { libc::sem_init(there, 1, 0) }, 0);
            meet.together();
        }
        meet.together();
        if create {
            // SAFETY: a C string.
            unsafe { libc::shm_unlink(name.as_ptr()) };
        }
        Self { room, there, buffer: &memory[32..] }
    }
}

struct Raw {
    sending: RawWay,
    receiving: RawWay,
    message: Vec<u64>,
}

fn take(semaphore: *mut libc::sem_t) {
    // SAFETY: initialised by the near side, never unmapped.
    assert_eq!(unsafe { libc::sem_wait(semaphore) }, 0);
}

fn give(semaphore: *mut libc::sem_t) {
    // SAFETY: as above.
    assert_eq!(unsafe { libc::sem_post(semaphore) }, 0);
}

impl End for Raw {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        take(self.sending.room);
        // SAFETY: the semaphores say whose turn it is.
        unsafe { place(self.sending.buffer) }.copy_from_slice(&self.message);
        give(self.sending.there);
    }

    fn receive(&mut self, turn: u64) {
        take(self.receiving.there);
        // SAFETY: the semaphores say whose turn it is.
        self.message.copy_from_slice(unsafe { place(self.receiving.buffer) });
        give(self.receiving.room);
        check(&self.message, turn);
    }
}
