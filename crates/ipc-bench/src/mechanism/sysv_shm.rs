//! A System V segment with a buffer each way, and a set of semaphores: there is room, there is a message.
#![expect(unsafe_code, reason = "the C that is measured beside ours")]

use std::sync::atomic::AtomicU64;

use ipc_sysv::{Attachment, Key, Op, RemoveOnDrop, Segment, SemaphoreSet};
use zerocopy::IntoBytes;

use crate::cell::{Cell, Cores, Wait};
use crate::end::{End, Side, check, fill};
use crate::mechanism::sysv_semaphore::{semop, set};
use crate::mechanism::{BLOCKS, Mechanism};
use crate::meet::Meet;
use crate::raw::memory::place;

pub(crate) struct SysvShm;

/// Room and message, to the far side and back.
const VALUES: [u16; 4] = [1, 0, 1, 0];

impl Mechanism for SysvShm {
    fn name(&self) -> &'static str {
        "sysv-shm"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        BLOCKS
    }

    fn ours(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let (set, owner) = set(meet, &VALUES);
        let attachment = attached(meet, 2 * cell.payload);
        let [sending, receiving] = ways(meet);
        Box::new(Ours { set, attachment, sending, receiving, message: vec![0; cell.words()], _owner: owner })
    }

    fn raw(&self, cell: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let (set, owner) = set(meet, &VALUES);
        let attachment = attached(meet, 2 * cell.payload);
        let address = attachment.as_mut_ptr().cast::<AtomicU64>();
        // SAFETY: attached for as long as the process lives, aligned to pages, and so long.
        let memory = unsafe { std::slice::from_raw_parts(address, 2 * cell.words()) };
        std::mem::forget(attachment);
        let [sending, receiving] = ways(meet);
        Box::new(Raw {
            id: set.id(),
            memory,
            sending,
            receiving,
            message: vec![0; cell.words()],
            _owner: owner,
        })
    }
}

/// Removed as soon as both have it: it goes with the last of them.
fn attached(meet: &mut Meet, len: usize) -> Attachment {
    let made = meet.is_near().then(|| RemoveOnDrop::new(Segment::create(Key::PRIVATE, len).unwrap()));
    let [id] = meet.numbers(|| [made.as_ref().map_or(0, |segment| segment.id() as u64)]);
    let attachment = Segment::from_id(id as i32).unwrap().attach().unwrap();
    meet.together();
    attachment
}

/// Which buffer each side sends through and receives from.
fn ways(meet: &Meet) -> [u16; 2] {
    if meet.is_near() { [0, 1] } else { [1, 0] }
}

struct Ours {
    set: SemaphoreSet,
    attachment: Attachment,
    sending: u16,
    receiving: u16,
    message: Vec<u64>,
    _owner: Option<RemoveOnDrop<SemaphoreSet>>,
}

impl End for Ours {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        self.set.op(&[Op::subtract(2 * self.sending, 1)]).unwrap();
        let at = usize::from(self.sending) * self.message.len() * 8;
        self.attachment.write_at(at, self.message.as_bytes()).unwrap();
        self.set.op(&[Op::add(2 * self.sending + 1, 1)]).unwrap();
    }

    fn receive(&mut self, turn: u64) {
        self.set.op(&[Op::subtract(2 * self.receiving + 1, 1)]).unwrap();
        let at = usize::from(self.receiving) * self.message.len() * 8;
        self.attachment.read_at(at, self.message.as_mut_bytes()).unwrap();
        self.set.op(&[Op::add(2 * self.receiving, 1)]).unwrap();
        check(&self.message, turn);
    }
}

struct Raw {
    id: i32,
    memory: &'static [AtomicU64],
    sending: u16,
    receiving: u16,
    message: Vec<u64>,
    _owner: Option<RemoveOnDrop<SemaphoreSet>>,
}

impl Raw {
    fn buffer(&self, way: u16) -> &'static [AtomicU64] {
        let len = self.message.len();
        &self.memory[usize::from(way) * len..][..len]
    }
}

impl End for Raw {
    fn send(&mut self, turn: u64) {
        fill(&mut self.message, turn);
        semop(self.id, 2 * self.sending, -1);
        // SAFETY: the semaphores say whose turn it is.
        unsafe { place(self.buffer(self.sending)) }.copy_from_slice(&self.message);
        semop(self.id, 2 * self.sending + 1, 1);
    }

    fn receive(&mut self, turn: u64) {
        semop(self.id, 2 * self.receiving + 1, -1);
        let buffer = self.buffer(self.receiving);
        // SAFETY: the semaphores say whose turn it is.
        self.message.copy_from_slice(unsafe { place(buffer) });
        semop(self.id, 2 * self.receiving, 1);
        check(&self.message, turn);
    }
}
