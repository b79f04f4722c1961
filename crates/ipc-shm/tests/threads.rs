//! All ends of each channel, and all users of each lock, in threads of one process: for the sanitizers, which look into one.
//! What two processes do to each other is tested between two, in ipc-testkit.
#![expect(unsafe_code, reason = "the memory is vouched for: nobody else has it")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

use std::thread::{self, ScopedJoinHandle};

use ipc_shm::broadcast::{self, lossless};
use ipc_shm::{
    Barrier, Condvar, Error, Event, LockError, Mutex, Once, RwLock, Sealed, Semaphore, Shared, bytes, latest,
    mpmc, mpsc, request, spsc,
};

/// How many messages: several laps of every ring, with sleeps on both sides.
const COUNT: u64 = 2_000;

/// A message that does not fit in a slot's line.
type Large = [u64; 8];

/// Runs `one` and `other` at the same time.
fn both(one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
    thread::scope(|scope| {
        for running in [scope.spawn(one), scope.spawn(other)] {
            joined(running);
        }
    });
}

fn joined<T>(running: ScopedJoinHandle<'_, T>) -> T {
    running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn stream<T: ipc_shm::Payload + PartialEq + std::fmt::Debug>(make: fn(u64) -> T) {
    let (sender, receiver) = spsc::channel::<T>(16).unwrap();
    let (mut sender, mut receiver) = (sender.attach().unwrap(), receiver.attach().unwrap());
    both(
        move || (0..COUNT).for_each(|turn| sender.send(&make(turn)).unwrap()),
        move || (0..COUNT).for_each(|turn| assert_eq!(receiver.recv().unwrap(), make(turn))),
    );
}

#[test]
fn rings_by_value() {
    stream::<u64>(|turn| turn);
    stream::<Large>(|turn| [turn; 8]);
}

#[test]
fn rings_in_place() {
    let (sender, receiver) = spsc::channel::<Large>(16).unwrap();
    // SAFETY: nobody else has this memory.
    let mut sender = unsafe { sender.attach().unwrap().trust() };
    // SAFETY: as above.
    let mut receiver = unsafe { receiver.attach().unwrap().trust() };
    both(
        move || {
            for turn in 0..COUNT {
                let mut loan = sender.loan().unwrap();
                *loan = [turn; 8];
                loan.commit();
            }
        },
        move || (0..COUNT).for_each(|turn| assert_eq!(*receiver.borrow().unwrap(), [turn; 8])),
    );
}

#[test]
fn sealed_rings() {
    let (offer, invitation) = spsc::Sender::<u64, Sealed>::offer(16).unwrap();
    let (mut receiver, acceptance) = invitation.accept().unwrap();
    let mut sender = offer.complete(acceptance).unwrap();
    both(
        move || (0..COUNT).for_each(|turn| sender.send(&turn).unwrap()),
        move || (0..COUNT).for_each(|turn| assert_eq!(receiver.recv().unwrap(), turn)),
    );
}

#[test]
fn bytes_of_any_length() {
    let (sender, receiver) = bytes::channel(1024).unwrap();
    // SAFETY: nobody else has this memory.
    let mut sender = unsafe { sender.attach().unwrap().trust() };
    // SAFETY: as above.
    let mut receiver = unsafe { receiver.attach().unwrap().trust() };
    let text = |turn: u64| vec![turn.to_le_bytes()[0]; usize::try_from(turn % 300).unwrap()];
    both(
        move || {
            for turn in 0..COUNT {
                if turn % 2 == 0 {
                    sender.send(&text(turn)).unwrap();
                } else {
                    let mut loan = sender.loan(text(turn).len()).unwrap();
                    loan.copy_from_slice(&text(turn));
                    loan.commit();
                }
            }
        },
        move || {
            let mut message = Vec::new();
            for turn in 0..COUNT {
                if turn % 3 == 0 {
                    assert_eq!(*receiver.borrow().unwrap(), *text(turn));
                } else {
                    receiver.recv(&mut message).unwrap();
                    assert_eq!(message, text(turn));
                }
            }
        },
    );
}

#[test]
fn lanes_of_several_senders() {
    let mut receiver = mpsc::Receiver::new();
    thread::scope(|scope| {
        for _ in 0..3 {
            let (sender, lane) = spsc::channel::<u64>(16).unwrap();
            receiver.admit(lane.attach().unwrap()).unwrap();
            let mut sender = sender.attach().unwrap();
            scope.spawn(move || (0..COUNT).for_each(|turn| sender.send(&turn).unwrap()));
        }
        let sum: u64 = (0..3 * COUNT).map(|_| receiver.recv().unwrap()).sum();
        assert_eq!(sum, 3 * COUNT * (COUNT - 1) / 2);
    });
}

#[test]
fn a_queue_of_many() {
    let first = mpmc::Sender::<Large>::anonymous(16).unwrap();
    let sum: u64 = thread::scope(|scope| {
        let receivers = [(); 2].map(|()| {
            let mut receiver = mpmc::Receiver::<Large>::from_fd(first.share().unwrap()).unwrap();
            scope.spawn(move || {
                let mut sum = 0;
                loop {
                    match receiver.recv() {
                        Ok(message) => {
                            assert_eq!(message, [message[0]; 8]);
                            sum += message[0];
                        }
                        Err(Error::Disconnected) => return sum,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        for _ in 0..2 {
            let mut sender = mpmc::Sender::<Large>::from_fd(first.share().unwrap()).unwrap();
            scope.spawn(move || (0..COUNT).for_each(|turn| sender.send(&[turn; 8]).unwrap()));
        }
        drop(first);
        receivers.map(joined).into_iter().sum()
    });
    assert_eq!(sum, COUNT * (COUNT - 1));
}

#[test]
fn one_writer_of_many_readers() {
    let mut writer = broadcast::Writer::<Large, Sealed>::anonymous(16).unwrap();
    let readers = [(); 2].map(|()| {
        let (reader, acceptance) = writer.invite().unwrap().accept().unwrap();
        writer.admit(acceptance).unwrap();
        reader
    });
    thread::scope(|scope| {
        for mut reader in readers {
            scope.spawn(move || {
                let mut last = None;
                loop {
                    match reader.recv() {
                        Ok(message) => {
                            assert_eq!(message, [message[0]; 8]);
                            assert!(last.replace(message[0]) < Some(message[0]));
                        }
                        Err(Error::Lagged(_)) => {}
                        Err(Error::Disconnected) => return,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        (0..COUNT).for_each(|turn| writer.write(&[turn; 8]).unwrap());
        drop(writer);
    });
}

#[test]
fn one_writer_that_waits() {
    let mut writer = lossless::Writer::<Large>::anonymous(16).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            let mut reader = lossless::Reader::<Large>::from_fd(writer.share().unwrap()).unwrap();
            scope.spawn(move || {
                (0..COUNT).for_each(|turn| assert_eq!(reader.recv().unwrap(), [turn; 8]));
            });
        }
        (0..COUNT).for_each(|turn| writer.write(&[turn; 8]).unwrap());
    });
}

#[test]
fn the_newest_value() {
    let mut writer = latest::Writer::<Large, Sealed>::anonymous().unwrap();
    let (mut reader, acceptance) = writer.invite().unwrap().accept().unwrap();
    writer.admit(acceptance).unwrap();
    both(
        move || (1..=COUNT).for_each(|turn| writer.write(&[turn; 8]).unwrap()),
        move || {
            let mut last = 0;
            while last < COUNT {
                match reader.wait() {
                    Ok(value) => {
                        assert_eq!(value, [value[0]; 8]);
                        assert!(value[0] > last);
                        last = value[0];
                    }
                    Err(Error::Contended) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        },
    );
}

#[test]
fn questions_and_answers() {
    let (client, server) = request::channel::<Large, u64>(16).unwrap();
    // SAFETY: nobody else has this memory.
    let client = unsafe { client.attach().unwrap().trust() };
    // SAFETY: as above.
    let server = unsafe { server.attach().unwrap().trust() };
    both(
        move || {
            for turn in 0..COUNT / 2 {
                let mut loan = client.loan().unwrap();
                *loan = [turn; 8];
                let in_place = loan.send().unwrap();
                assert_eq!(client.call(&[turn; 8]).unwrap(), turn);
                assert_eq!(in_place.recv().unwrap(), turn + 1);
            }
        },
        move || {
            for turn in 0..COUNT / 2 {
                let request = server.recv().unwrap();
                assert_eq!(*request.question(), [turn; 8]);
                let mut loan = request.loan().unwrap();
                *loan = turn + 1;
                loan.commit().unwrap();
                server.recv().unwrap().answer(&turn).unwrap();
            }
        },
    );
}

ipc_shm::in_place! {
    struct Locks {
        queue: Mutex<[u64; 2]>,
        changed: Condvar,
        table: RwLock<[u64; 2], 4>,
        once: Once,
        permits: Semaphore,
        event: Event,
        barrier: Barrier<2>,
    }
}

/// One thread's share of the work on all of them.
fn work(shared: &Shared<Locks, ipc_shm::Vouched>, first: bool) {
    let locks = shared.get().unwrap();
    let mut party = locks.barrier.join(shared).unwrap();
    for _ in 0..COUNT / 10 {
        locks.once.call_once(|_| locks.queue.lock().map_err(LockError::give_up).unwrap()[1] = 7).unwrap();
        if first {
            locks.event.set().unwrap();
            locks.permits.release(1).unwrap();
            let mut queue = locks.queue.lock().map_err(LockError::give_up).unwrap();
            queue[0] += 1;
            drop(queue);
            locks.changed.notify_one().unwrap();
        } else {
            locks.event.wait().unwrap();
            locks.permits.acquire().unwrap();
            let queue = locks.queue.lock().map_err(LockError::give_up).unwrap();
            let mut queue =
                locks.changed.wait_while(queue, |queue| queue[0] == 0).map_err(LockError::give_up).unwrap();
            assert_eq!(queue[1], 7);
            queue[0] -= 1;
        }
        let [one, other] = *locks.table.read().unwrap();
        assert_eq!(one, other);
        let mut table = locks.table.write().map_err(LockError::give_up).unwrap();
        table[0] += 1;
        table[1] += 1;
        drop(table);
        party.wait().unwrap();
    }
}

#[test]
fn locks() {
    let shared = Shared::<Locks>::anonymous(|_| Ok(())).unwrap();
    // SAFETY: nobody else has this memory.
    let shared = unsafe { shared.trust() };
    both(|| work(&shared, true), || work(&shared, false));
    assert_eq!(*shared.get().unwrap().table.read().unwrap(), [COUNT / 10 * 2; 2]);
}
