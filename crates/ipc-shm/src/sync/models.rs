//! Semaphore, event, barrier and condition variable under loom, which runs every interleaving and every value that the memory model
//! allows: `RUSTFLAGS="--cfg ipc_loom" cargo test -p ipc-shm --release --lib models`.
//!
//! The word of the models never looks again by itself, as the shipped one does every 70 ms: a wake that is lost is a sleep
//! without end, which loom finds. Each model names the mutants that it must find.
#![expect(unsafe_code, reason = "loom's cell gives a pointer, and checks each access")]

use std::sync::atomic::Ordering;

use ipc_sys::Deadline;
#[cfg(ipc_loom)]
use loom::{
    cell::UnsafeCell,
    sync::{Arc, Condvar, Mutex},
    thread,
};
#[cfg(not(ipc_loom))]
use std::{
    cell::UnsafeCell,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use super::word::{Word, low};
use super::{arrival, condvar, event, semaphore};
use crate::Result;
use crate::words::AtomicU64;

/// What is wrong with a word, or with the way it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutant {
    /// Nothing.
    None,
    /// Stores publish nothing.
    RelaxedRelease,
    /// Loads and takings see nothing that was published.
    RelaxedAcquire,
    /// Falls asleep whatever the word holds by then.
    SleepsWithoutLook,
    /// Wakes one where all were meant.
    WakesOne,
    /// Wakes nobody.
    WakesNobody,
    /// Takes the mark of sleepers away although somebody came meanwhile.
    SettlesBlindly,
    /// Waits for a condition without having announced itself under the mutex.
    RegistersLate,
}

use Mutant::{
    None as Sound, RegistersLate, RelaxedAcquire, RelaxedRelease, SettlesBlindly, SleepsWithoutLook,
    WakesNobody, WakesOne,
};

/// A word and the kernel's queue of its sleepers: who came first is woken first.
struct Model {
    word: AtomicU64,
    /// How many have ever fallen asleep, and how many of them have been woken.
    queue: Mutex<(usize, usize)>,
    woken: Condvar,
    mutant: Mutant,
}

impl Model {
    fn new(mutant: Mutant) -> Arc<Self> {
        Arc::new(Self { word: AtomicU64::new(0), queue: Mutex::new((0, 0)), woken: Condvar::new(), mutant })
    }

    /// The bit of sleepers, the same in semaphore and condition variable.
    const SLEEPERS: u64 = 1;
}

impl Word for Model {
    fn load(&self, order: Ordering) -> u64 {
        self.word.load(if self.mutant == RelaxedAcquire { Ordering::Relaxed } else { order })
    }

    fn replace(&self, current: u64, new: u64, success: Ordering) -> Result<u64, u64> {
        if self.mutant == SettlesBlindly && current & Self::SLEEPERS != 0 && new == current & !Self::SLEEPERS
        {
            return Ok(self.word.fetch_and(!Self::SLEEPERS, success));
        }
        let success = match (self.mutant, success) {
            (RelaxedRelease, Ordering::Release) | (RelaxedAcquire, Ordering::Acquire) => Ordering::Relaxed,
            (RelaxedRelease, Ordering::AcqRel) => Ordering::Acquire,
            (RelaxedAcquire, Ordering::AcqRel) => Ordering::Release,
            (_, success) => success,
        };
        self.word.compare_exchange(current, new, success, Ordering::Relaxed)
    }

    fn sleep(&self, expected: u32, _: Deadline) -> Result<bool> {
        let mut queue = self.queue.lock().unwrap();
        // The kernel's look at the word happens under its own lock, which orders it after any wake before.
        if self.mutant == SleepsWithoutLook || low(self.word.load(Ordering::SeqCst)) == expected {
            let place = queue.0;
            queue.0 += 1;
            while queue.1 <= place {
                queue = self.woken.wait(queue).unwrap();
            }
        }
        drop(queue);
        Ok(true)
    }

    fn wake(&self, count: i32) -> Result<usize> {
        let mut queue = self.queue.lock().unwrap();
        let count = match self.mutant {
            WakesNobody => 0,
            WakesOne => 1,
            _ => usize::try_from(count).unwrap(),
        };
        let woken = count.min(queue.0 - queue.1);
        queue.1 += woken;
        self.woken.notify_all();
        drop(queue);
        Ok(woken)
    }
}

/// What is published with the help of the word; loom reports who reads it unpublished.
struct Payload(UnsafeCell<u64>);

// SAFETY: loom checks every access.
unsafe impl Sync for Payload {}
// SAFETY: a number.
unsafe impl Send for Payload {}

impl Payload {
    fn new() -> Arc<Self> {
        Arc::new(Self(UnsafeCell::new(0)))
    }

    #[cfg(ipc_loom)]
    fn write(&self) {
        // SAFETY: loom checks that nobody else has access.
        self.0.with_mut(|value| unsafe { *value = 7 });
    }

    #[cfg(ipc_loom)]
    fn read(&self) {
        // SAFETY: loom checks that nobody writes.
        assert_eq!(self.0.with(|value| unsafe { *value }), 7);
    }

    #[cfg(not(ipc_loom))]
    fn write(&self) {
        // SAFETY: the model is that nobody else has access yet; Miri and ThreadSanitizer check it.
        unsafe { *self.0.get() = 7 }
    }

    #[cfg(not(ipc_loom))]
    fn read(&self) {
        // SAFETY: the model is that who wrote has published it; Miri and ThreadSanitizer check it.
        assert_eq!(unsafe { *self.0.get() }, 7);
    }
}

/// Passes unharmed. Once for Miri, which takes another way for each seed.
#[cfg(not(ipc_loom))]
fn prove(_: usize, _: &[Mutant], model: fn(Mutant)) {
    for _ in 0..if cfg!(miri) { 1 } else { 200 } {
        model(Sound);
    }
}

/// Passes unharmed with so many preemptions, and fails with each of the mutants. Each of these has a process of its own,
/// because a model that fails may abort: its threads unwind while they hold loom's locks.
#[cfg(ipc_loom)]
fn prove(preemptions: usize, mutants: &[Mutant], model: fn(Mutant)) {
    const VARIABLE: &str = "IPC_MUTANT";
    let check = |mutant| {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.max_branches = 20_000;
        builder.check(move || model(mutant));
    };
    if let Ok(wanted) = std::env::var(VARIABLE) {
        return mutants
            .iter()
            .filter(|mutant| format!("{mutant:?}") == wanted)
            .for_each(|mutant| check(*mutant));
    }
    check(Sound);
    let test = std::thread::current().name().unwrap().to_owned();
    for mutant in mutants {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let run = command.args(["--exact", &test]).env(VARIABLE, format!("{mutant:?}")).output().unwrap();
        assert!(String::from_utf8_lossy(&run.stdout).contains("running 1 test"));
        assert!(!run.status.success(), "the model passes with {mutant:?}: it proves nothing about it");
    }
}

#[test]
fn a_permit_brings_what_was_written_before_it() {
    prove(3, &[RelaxedRelease, RelaxedAcquire, SleepsWithoutLook, WakesNobody], |mutant| {
        let (word, payload) = (Model::new(mutant), Payload::new());
        let taker = {
            let (word, payload) = (word.clone(), payload.clone());
            thread::spawn(move || {
                semaphore::acquire(&*word, Deadline::NEVER).unwrap();
                payload.read();
            })
        };
        payload.write();
        semaphore::release(&*word, 1).unwrap();
        taker.join().unwrap();
    });
}

#[test]
fn two_permits_reach_two_takers() {
    prove(2, &[SettlesBlindly, SleepsWithoutLook, WakesNobody], |mutant| {
        let word = Model::new(mutant);
        let takers = [word.clone(), word.clone()]
            .map(|word| thread::spawn(move || semaphore::acquire(&*word, Deadline::NEVER).unwrap()));
        semaphore::release(&*word, 1).unwrap();
        semaphore::release(&*word, 1).unwrap();
        for taker in takers {
            taker.join().unwrap();
        }
        assert_eq!(low(word.load(Ordering::SeqCst)) & !1, 0, "no permit is left or invented");
    });
}

#[test]
fn an_event_that_is_set_and_reset_is_missed_by_nobody_who_waits() {
    prove(3, &[RelaxedRelease, RelaxedAcquire, SleepsWithoutLook, WakesNobody], |mutant| {
        let (word, payload) = (Model::new(mutant), Payload::new());
        let waiter = {
            let (word, payload) = (word.clone(), payload.clone());
            thread::spawn(move || {
                event::wait(&*word, Deadline::NEVER).unwrap();
                payload.read();
            })
        };
        payload.write();
        event::set(&*word).unwrap();
        waiter.join().unwrap();
        assert!(event::reset(&*word));
    });
}

#[test]
fn an_event_wakes_all_who_wait() {
    prove(2, &[WakesOne, WakesNobody, SleepsWithoutLook], |mutant| {
        let word = Model::new(mutant);
        let waiters = [word.clone(), word.clone()]
            .map(|word| thread::spawn(move || event::wait(&*word, Deadline::NEVER).unwrap()));
        event::set(&*word).unwrap();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

/// Takes one item, waiting for it.
fn take(word: &Model, items: &Mutex<u32>) {
    let mut guard = items.lock().unwrap();
    while *guard == 0 {
        let early = (word.mutant != RegistersLate).then(|| condvar::register(word));
        drop(guard);
        let ticket = early.unwrap_or_else(|| condvar::register(word));
        condvar::wait(word, ticket, Deadline::NEVER).unwrap();
        guard = items.lock().unwrap();
    }
    *guard -= 1;
}

#[test]
fn a_notification_is_lost_on_nobody_who_waits() {
    prove(3, &[RegistersLate, SleepsWithoutLook, WakesNobody], |mutant| {
        let (word, items) = (Model::new(mutant), Arc::new(Mutex::new(0)));
        let taker = {
            let (word, items) = (word.clone(), items.clone());
            thread::spawn(move || take(&word, &items))
        };
        *items.lock().unwrap() += 1;
        condvar::notify(&*word, 1).unwrap();
        taker.join().unwrap();
    });
}

#[test]
fn two_notifications_or_one_for_all_reach_two_takers() {
    fn model(mutant: Mutant, together: bool) {
        let (word, items) = (Model::new(mutant), Arc::new(Mutex::new(0)));
        let takers = [(); 2].map(|()| {
            let (word, items) = (word.clone(), items.clone());
            thread::spawn(move || take(&word, &items))
        });
        if together {
            *items.lock().unwrap() += 2;
            condvar::notify(&*word, i32::MAX).unwrap();
        } else {
            for _ in 0..2 {
                *items.lock().unwrap() += 1;
                condvar::notify(&*word, 1).unwrap();
            }
        }
        for taker in takers {
            taker.join().unwrap();
        }
    }
    prove(4, &[SettlesBlindly, WakesNobody], |mutant| model(mutant, false));
    prove(2, &[WakesOne, WakesNobody], |mutant| model(mutant, true));
}

/// Parties of a barrier that nobody leaves.
fn meet(word: &Model, place: u32, parties: u32) -> bool {
    arrival::meet(word, 1 << place, (1 << parties) - 1, Deadline::NEVER, |_| Ok(false)).unwrap()
}

#[test]
fn a_barrier_brings_what_each_party_wrote_before_it_round_after_round() {
    prove(3, &[RelaxedRelease, RelaxedAcquire, SleepsWithoutLook, WakesNobody], |mutant| {
        let (word, payloads) = (Model::new(mutant), [Payload::new(), Payload::new()]);
        let other = {
            let (word, payloads) = (word.clone(), payloads.clone());
            thread::spawn(move || {
                payloads[0].write();
                let first = meet(&word, 0, 2);
                payloads[1].read();
                [first, meet(&word, 0, 2)]
            })
        };
        payloads[1].write();
        let first = meet(&word, 1, 2);
        payloads[0].read();
        let ours = [first, meet(&word, 1, 2)];
        let theirs = other.join().unwrap();
        assert!(ours[0] != theirs[0] && ours[1] != theirs[1], "one of them came last each time");
    });
}

#[test]
fn a_barrier_lets_all_go_on() {
    prove(2, &[WakesOne, WakesNobody, SleepsWithoutLook], |mutant| {
        let word = Model::new(mutant);
        let others = [0, 1].map(|place| {
            let word = word.clone();
            thread::spawn(move || meet(&word, place, 3))
        });
        let last = u32::from(meet(&word, 2, 3));
        assert_eq!(last + others.map(|other| u32::from(other.join().unwrap())).iter().sum::<u32>(), 1);
    });
}
