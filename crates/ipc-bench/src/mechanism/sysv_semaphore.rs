//! A System V set of two semaphores: each side adds to the other's. It carries no bytes: the table shows it at 8.
#![expect(unsafe_code, reason = "the C that is measured beside ours")]

use ipc_sysv::{Key, Op, RemoveOnDrop, SemaphoreSet};

use crate::cell::{Cell, Cores, Kind, Wait};
use crate::end::{End, Side};
use crate::mechanism::{BLOCKS, Mechanism};
use crate::meet::Meet;

pub(crate) struct SysvSemaphore;

impl Mechanism for SysvSemaphore {
    fn name(&self) -> &'static str {
        "sysv-semaphore"
    }

    fn ways(&self) -> &'static [(Cores, Wait)] {
        BLOCKS
    }

    fn lacks(&self, cell: &Cell) -> Option<&'static str> {
        if cell.kind == Kind::Stream {
            return Some("SEMVMX: it counts to 32767, and who adds does not wait for room");
        }
        (cell.payload > 8).then_some("a semaphore carries no bytes")
    }

    fn ours(&self, _: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let (set, owner) = set(meet, &[0, 0]);
        let [own, other] = indices(meet);
        Box::new(Ours { set, own, other, _owner: owner })
    }

    fn raw(&self, _: &Cell, meet: &mut Meet) -> Box<dyn Side> {
        let (set, owner) = set(meet, &[0, 0]);
        let [own, other] = indices(meet);
        Box::new(Raw { id: set.id(), own, other, _owner: owner })
    }
}

/// Near makes it and removes it.
pub(super) fn set(meet: &mut Meet, values: &[u16]) -> (SemaphoreSet, Option<RemoveOnDrop<SemaphoreSet>>) {
    let made = meet.is_near().then(|| SemaphoreSet::create(Key::PRIVATE, values).unwrap());
    let [id] = meet.numbers(|| [made.as_ref().map_or(0, |set| set.id() as u64)]);
    let set = made.clone().unwrap_or_else(|| SemaphoreSet::from_id(id as i32).unwrap());
    (set, made.map(RemoveOnDrop::new))
}

fn indices(meet: &Meet) -> [u16; 2] {
    if meet.is_near() { [0, 1] } else { [1, 0] }
}

struct Ours {
    set: SemaphoreSet,
    own: u16,
    other: u16,
    _owner: Option<RemoveOnDrop<SemaphoreSet>>,
}

impl End for Ours {
    fn send(&mut self, _: u64) {
        self.set.op(&[Op::add(self.other, 1)]).unwrap();
    }

    fn receive(&mut self, _: u64) {
        self.set.op(&[Op::subtract(self.own, 1)]).unwrap();
    }
}

struct Raw {
    id: i32,
    own: u16,
    other: u16,
    _owner: Option<RemoveOnDrop<SemaphoreSet>>,
}

/// semop with one operation.
pub(super) fn semop(id: i32, index: u16, by: i16) {
    let mut operation = libc::sembuf { sem_num: index, sem_op: by, sem_flg: 0 };
    // SAFETY: one operation.
    assert_eq!(unsafe { libc::semop(id, &raw mut operation, 1) }, 0);
}

impl End for Raw {
    fn send(&mut self, _: u64) {
        semop(self.id, self.other, 1);
    }

    fn receive(&mut self, _: u64) {
        semop(self.id, self.own, -1);
    }
}
