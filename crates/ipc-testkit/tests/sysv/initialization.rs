//! Rows B1 and B2: several openers at once, and a creator that dies before the set has its values.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ipc_signal::{Pid, Stop, Tracee};
use ipc_sys::poll::pause;
use ipc_sysv::{Error, Key, Origin, RemoveOnDrop, SemaphoreSet, SemaphoreSetOptions};
use ipc_testkit::report::seed;
use ipc_testkit::{Peer, command, crash, peer, proof, repetitions, timed};

use crate::key;

/// What the peers give the semaphore first.
const FIRST: usize = 10;

/// Starts rounds of 2 to 8 openers of a new key, each delayed by a millisecond between its semget(IPC_EXCL) and what
/// follows, and counts those whose sum is wrong.
fn wrong_starts(role: &'static str, rounds: usize, random: &mut fastrand::Rng) -> usize {
    let mut openers: Vec<Opener> = (0..8).map(|_| Opener::start(role)).collect();
    let mut wrong = 0;
    for _ in 0..rounds {
        let key = key();
        let several = random.usize(2..=8);
        random.shuffle(&mut openers);
        openers[..several].iter_mut().for_each(|opener| opener.peer.tell(key.number()));
        openers[..several].iter_mut().for_each(|opener| drop(opener.peer.hear()));
        let set = RemoveOnDrop::new(SemaphoreSetOptions::new().as_it_is(true).open(key).unwrap());
        wrong += usize::from(usize::from(set.value(0).unwrap()) != FIRST + several);
    }
    wrong
}

/// A peer, and the thread that traces it for as long as it lives.
struct Opener {
    peer: Peer,
}

impl Opener {
    fn start(role: &'static str) -> Self {
        let mut peer = Peer::start(&mut command!("peer-sysv", role));
        peer.expect("ready");
        let id = peer.id();
        let (attached, wait) = mpsc::channel();
        thread::spawn(move || {
            let mut tracee = Tracee::attach(Pid::try_from(id).unwrap()).unwrap();
            attached.send(()).unwrap();
            delay_after_creation(&mut tracee);
        });
        wait.recv().unwrap();
        Self { peer }
    }
}

/// Whether this is the entry of a semget that creates.
fn creates(stop: &Stop) -> bool {
    let exclusive = u64::try_from(libc::IPC_EXCL).unwrap();
    matches!(stop, Stop::SyscallEntry { number, arguments }
        if i64::try_from(*number) == Ok(libc::SYS_semget) && arguments[2] & exclusive != 0)
}

fn delay_after_creation(tracee: &mut Tracee) {
    let (mut creating, mut deliver) = (false, None);
    while tracee.resume_to_syscall(deliver.take()).is_ok() {
        match tracee.next_stop() {
            Ok(Stop::SyscallExit(result)) if creating => {
                creating = false;
                if result >= 0 {
                    pause(Duration::from_millis(1));
                }
            }
            Ok(Stop::Signal(info)) => deliver = Some(info.signal()),
            Ok(Stop::End(_)) | Err(_) => return,
            Ok(stop) => creating = creates(&stop),
        }
    }
}

#[test]
fn b1_several_openers_begin_with_the_value_once() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let (rounds, twins) = (repetitions(100, 1000), repetitions(50, 200));
    let wrong = wrong_starts("open-and-add", rounds, &mut random);
    assert_eq!(wrong, 0, "of {rounds} starts; seed {seed}");
    let naive = wrong_starts("open-and-add-naively", twins, &mut random);
    assert!(naive > 0, "the naive twin was never wrong in {twins} starts");
    let share = naive * 100 / twins;
    proof!("B1", "{rounds} starts of 2 to 8, {wrong} wrong; naive twin wrong {share} %; seed {seed}");
}

/// Creators wait for each other, those of other tests included, and one that is stepped on a loaded machine takes its time.
pub(crate) fn patient() -> SemaphoreSetOptions {
    SemaphoreSetOptions::new().initialization_timeout(ipc_testkit::WATCHDOG)
}

/// A set whose creator was killed when its semget returned.
fn orphan() -> Key {
    let key = key();
    let mut command = command!("peer-sysv", "create-set", key.number());
    let mut peer = Peer::start(ipc_signal::CommandExt::traced(&mut command));
    let mut tracee = Tracee::adopt(Pid::try_from(peer.id()).unwrap()).unwrap();
    let (mut creating, mut deliver) = (false, None);
    loop {
        tracee.resume_to_syscall(deliver.take()).unwrap();
        match tracee.next_stop().unwrap() {
            Stop::SyscallExit(result) if creating => {
                assert!(result >= 0, "semget: {result}");
                peer.kill();
                return key;
            }
            Stop::Signal(info) => deliver = Some(info.signal()),
            Stop::End(state) => panic!("{state}: {}", peer.errors()),
            stop => creating = creates(&stop),
        }
    }
}

#[test]
fn b2_dead_creator_is_adopted() {
    let each = repetitions(7, 63);
    let workers: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(move || {
                (0..each)
                    .map(|_| {
                        let key = orphan();
                        let (adopted, took) = timed(|| patient().open_or_create(key, &[7]).unwrap());
                        let set = RemoveOnDrop::new(adopted.0);
                        assert_eq!((adopted.1, set.values().unwrap()), (Origin::Adopted, vec![7]));
                        took
                    })
                    .min()
            })
        })
        .collect();
    let fastest = workers.into_iter().filter_map(|worker| worker.join().unwrap()).min().unwrap();

    // Stevens' loop, which waits for sem_otime, would wait for ever: in ten looks nothing has changed.
    let key = key_of_forsaken();
    let twin = (0..10).filter(|_| stat_shows_an_operation(key)).count();
    assert_eq!(twin, 0);
    SemaphoreSetOptions::new().as_it_is(true).open(key).unwrap().remove().unwrap();
    proof!(
        "B2",
        "{} creators killed after semget, each set adopted, the fastest within {fastest:?}; naive twin (waits for sem_otime) never",
        each * 8
    );
}

fn key_of_forsaken() -> Key {
    let key = orphan();
    let options = SemaphoreSetOptions::new().initialization_timeout(Duration::from_millis(20));
    // Who knows no value is told within the deadline, and the set is left as it was.
    let (refused, took) = timed(|| options.open(key));
    assert!(matches!(refused, Err(Error::Uninitialized { .. })), "{refused:?}");
    assert!(took >= Duration::from_millis(20));
    key
}

fn stat_shows_an_operation(key: Key) -> bool {
    pause(Duration::from_millis(1));
    let set = SemaphoreSetOptions::new().as_it_is(true).open(key).unwrap();
    set.stat().unwrap().operated.is_some()
}

/// Wherever its creator dies, the next start has a set with its value.
#[test]
fn b2_creator_killed_at_every_step() {
    let mut origins = [0; 3];
    let points = crash::at_every_step(
        repetitions(40, 2000),
        || {
            let key = key();
            (command!("peer-sysv", "create-set", key.number()), key)
        },
        |death, key| {
            let (set, origin) = patient().open_or_create(key, &[10]).unwrap();
            assert_eq!(set.values().unwrap(), [10], "{death}");
            set.remove().unwrap();
            origins[match origin {
                Origin::Created => 0,
                Origin::Adopted => 1,
                _ => 2,
            }] += 1;
            origins.iter().all(|deaths| *deaths > 0)
        },
    );
    let [created, adopted, opened] = origins;
    assert!(created > 0 && adopted > 0 && opened > 0, "{origins:?}");
    proof!(
        "B2",
        "{points} deaths: {created} before semget, {adopted} adopted, {opened} after the first semop"
    );
}

#[test]
fn b1_peers_report_who_created() {
    let key = key();
    let mut openers = [peer!("peer-sysv", "open-and-add"), peer!("peer-sysv", "open-and-add")];
    for (opener, origin) in openers.iter_mut().zip(["Created", "Opened"]) {
        opener.expect("ready");
        opener.tell(key.number());
        opener.expect(origin);
    }
    SemaphoreSet::open(key).unwrap().remove().unwrap();
}
