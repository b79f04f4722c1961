//! Locks, and the channels that several read, within one thread: what a call costs where nobody contends.
#![expect(unsafe_code, reason = "the C that is measured beside ours; memory that only this program knows")]

use std::hint::black_box;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use ipc_shm::broadcast::lossless;
use ipc_shm::{Mutex, Semaphore, Shared, Unattached, broadcast, latest, mpmc, mpsc, spsc};

use super::Bound::{AtMost, Stated};
use super::{Promised, pair};

pub(crate) const PROMISES: &[Promised] = &[
    Promised::ratio("mutex lock + unlock to pthread's own", AtMost(1.10), mutex, pthread),
    Promised::time("semaphore acquire or release", AtMost(7.0), semaphore),
    Promised::time("latest 8 B, write, two readers", AtMost(3.0), latest_write),
    Promised::time("latest 8 B, read, two readers", AtMost(3.0), latest_read),
    Promised::ratio("broadcast write, 4 polling readers to 1", AtMost(1.3), || written(4), || written(1)),
    Promised::ratio("broadcast write, 16 polling readers to 1", AtMost(1.3), || written(16), || written(1)),
    Promised::time("broadcast write, a reader more that may sleep", AtMost(1.5), sleeper),
    Promised::time("broadcast 8 B, write, no reader", Stated, || broadcast_write(0)),
    Promised::time("lossless 8 B, write and read", Stated, || lossless_write_and_read(1)),
    Promised::time("lossless 8 B, write and read, batches of 32", Stated, lossless_batches),
    Promised::time("lossless 8 B, one reader more", Stated, lossless_reader),
    Promised::time("mpsc, one more lane that is idle", AtMost(2.0), idle_lane),
    Promised::time("mpsc 8 B, send and receive, one lane", Stated, || lanes(1)),
    Promised::time("mpmc 8 B, send and receive", Stated, mpmc_message),
    Promised::time("mpmc 8 B, send and receive, batches of 32", Stated, mpmc_batches),
    Promised::time("channel create + attach + drop", AtMost(200_000.0), channel),
];

const ROUNDS: u64 = 200_000;

fn mutex() -> f64 {
    let shared = Shared::<Mutex<u64>>::anonymous(|_| Ok(())).unwrap();
    // SAFETY: nobody else has its descriptor.
    let shared = unsafe { shared.trust() };
    let mutex = shared.get().unwrap();
    pair::time(ROUNDS, || *mutex.lock().unwrap() += 1)
}

/// Robust and process-shared, as ours is.
fn pthread() -> f64 {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: room for attributes.
    unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) };
    // SAFETY: initialised by the line above.
    unsafe { libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED) };
    // SAFETY: the same.
    unsafe { libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST) };
    let mut mutex = Box::new(MaybeUninit::<libc::pthread_mutex_t>::uninit());
    // SAFETY: room for a mutex, where it stays.
    assert_eq!(unsafe { libc::pthread_mutex_init(mutex.as_mut_ptr(), attributes.as_ptr()) }, 0);
    let mut counter = 0_u64;
    let spent = pair::time(ROUNDS, || {
        // SAFETY: initialised, and not moved.
        assert_eq!(unsafe { libc::pthread_mutex_lock(mutex.as_mut_ptr()) }, 0);
        *black_box(&mut counter) += 1;
        // SAFETY: the same.
        assert_eq!(unsafe { libc::pthread_mutex_unlock(mutex.as_mut_ptr()) }, 0);
    });
    // SAFETY: nobody holds it.
    unsafe { libc::pthread_mutex_destroy(mutex.as_mut_ptr()) };
    spent
}

/// Half of a release and an acquire.
fn semaphore() -> f64 {
    let shared = Shared::<Semaphore>::anonymous(|_| Ok(())).unwrap();
    let semaphore = shared.get().unwrap();
    let both = pair::time(ROUNDS, || {
        semaphore.release(1).unwrap();
        semaphore.acquire().unwrap();
    });
    both / 2.0
}

type Newest = (latest::Writer<u64, ipc_shm::Sealed>, [latest::Reader<u64, ipc_shm::Sealed>; 2]);

/// A writer and two readers, which have read.
fn newest() -> Newest {
    let mut writer = latest::Writer::anonymous().unwrap();
    writer.write(&7).unwrap();
    let mut readers = [(); 2].map(|()| latest::Reader::from_fd(writer.share().unwrap()).unwrap());
    readers.iter_mut().for_each(|reader| assert_eq!(reader.read().unwrap(), Some(7)));
    (writer, readers)
}

fn latest_write() -> f64 {
    let (mut writer, _readers) = newest();
    let mut turn = 0;
    pair::time(ROUNDS, || {
        turn += 1;
        writer.write(black_box(&turn)).unwrap();
    })
}

/// Half of what both take, one after the other.
fn latest_read() -> f64 {
    let (_writer, mut readers) = newest();
    let both = pair::time(ROUNDS, || {
        for reader in &mut readers {
            assert_eq!(black_box(reader.read().unwrap()), Some(7));
        }
    });
    both / 2.0
}

/// Readers that have attached and read now and then: they have words of their own to write, if any.
fn broadcast_write(readers: usize) -> f64 {
    let mut writer = broadcast::Writer::<u64, ipc_shm::Sealed>::anonymous(1024).unwrap();
    let reader = || broadcast::Reader::<u64, ipc_shm::Sealed>::from_fd(writer.share().unwrap()).unwrap();
    let mut readers: Vec<_> = (0..readers).map(|_| reader()).collect();
    let mut turn = 0_u64;
    let spent = pair::time(ROUNDS, || {
        turn += 1;
        writer.write(black_box(&turn)).unwrap();
    });
    for reader in &mut readers {
        while !matches!(reader.try_recv(), Err(ipc_shm::Error::Empty)) {}
    }
    spent
}

/// A message that each of so many readers takes before the next one is written.
fn lossless_write_and_read(readers: usize) -> f64 {
    let (mut writer, mut readers) = lossless_ends(readers);
    let mut turn = 0_u64;
    pair::time(ROUNDS, || {
        turn += 1;
        writer.write(black_box(&turn)).unwrap();
        for reader in &mut readers {
            assert_eq!(black_box(reader.recv().unwrap()), turn);
        }
    })
}

/// What each reader costs that is not the first: its reading, and the writer's look at it once a lap.
fn lossless_reader() -> f64 {
    const MORE: usize = 8;
    (lossless_write_and_read(1 + MORE) - lossless_write_and_read(1)) / MORE as f64
}

/// One of 32 messages that are written in one call and read in one.
fn lossless_batches() -> f64 {
    let (mut writer, mut readers) = lossless_ends(1);
    let (mut batch, mut read) = ([7; 32], [0; 32]);
    let each = pair::time(ROUNDS / 32, || {
        writer.write_batch(black_box(&batch)).unwrap();
        assert_eq!(readers[0].recv_batch(&mut read).unwrap(), 32);
        batch[0] = black_box(read[31]);
    });
    each / 32.0
}

fn lossless_ends(readers: usize) -> (lossless::Writer<u64>, Vec<lossless::Reader<u64>>) {
    let writer = lossless::Writer::anonymous(1024).unwrap();
    let reader = || lossless::Reader::from_fd(writer.share().unwrap()).unwrap();
    let readers = (0..readers).map(|_| reader()).collect();
    (writer, readers)
}

/// What each lane costs a receiver whose messages come by another.
fn idle_lane() -> f64 {
    const MORE: usize = 8;
    (lanes(1 + MORE) - lanes(1)) / MORE as f64
}

/// A message sent and received where that many lanes are.
fn lanes(count: usize) -> f64 {
    let mut receiver = mpsc::Receiver::<u64>::new();
    let mut lane = || {
        let (sender, lane) = spsc::channel::<u64>(1024).unwrap();
        let sender = sender.attach().unwrap();
        receiver.admit(lane.attach().unwrap()).unwrap();
        sender
    };
    let mut senders: Vec<spsc::Sender<u64>> = (0..count).map(|_| lane()).collect();
    pair::time(ROUNDS, || {
        senders[0].send(black_box(&7)).unwrap();
        assert_eq!(receiver.recv().unwrap(), 7);
    })
}

fn mpmc_ends() -> (mpmc::Sender<u64>, mpmc::Receiver<u64>) {
    let sender = mpmc::Sender::anonymous(1024).unwrap();
    let receiver = mpmc::Receiver::from_fd(sender.share().unwrap()).unwrap();
    (sender, receiver)
}

fn mpmc_message() -> f64 {
    let (mut sender, mut receiver) = mpmc_ends();
    pair::time(ROUNDS, || {
        sender.send(black_box(&7)).unwrap();
        assert_eq!(receiver.recv().unwrap(), 7);
    })
}

/// A message of 32.
fn mpmc_batches() -> f64 {
    let (mut sender, mut receiver) = mpmc_ends();
    let mut read = [0; 32];
    let each = pair::time(ROUNDS / 32, || {
        sender.send_batch(black_box(&[7; 32])).unwrap();
        assert_eq!(receiver.recv_batch(&mut read).unwrap(), 32);
    });
    each / 32.0
}

/// What each reader costs that may sleep, does not at the moment, and is not the first: its bell is looked at.
fn sleeper() -> f64 {
    const MORE: usize = 8;
    (admitted(1 + MORE) - admitted(1)) / MORE as f64
}

fn admitted(readers: usize) -> f64 {
    let mut writer = broadcast::Writer::<u64, ipc_shm::Sealed>::anonymous(1024).unwrap();
    let mut admit = || {
        let (reader, acceptance) = writer.invite().unwrap().accept().unwrap();
        writer.admit(acceptance).unwrap();
        reader
    };
    let readers: Vec<broadcast::Reader<u64, ipc_shm::Sealed>> = (0..readers).map(|_| admit()).collect();
    let mut turn = 0_u64;
    let spent = pair::time(ROUNDS, || {
        turn += 1;
        writer.write(black_box(&turn)).unwrap();
    });
    drop(readers);
    spent
}

/// The writer's time while that many readers poll on the other core.
fn written(readers: usize) -> f64 {
    let mut writer = broadcast::Writer::<u64, ipc_shm::Sealed>::anonymous(1024).unwrap();
    let descriptors: Vec<OwnedFd> = (0..readers).map(|_| writer.share().unwrap()).collect();
    // Who attaches when all is written has nothing to read.
    let (mut attached, mut tell) = std::io::pipe().unwrap();
    pair::run(
        1,
        ROUNDS,
        move || {
            let attach = |fd| broadcast::Reader::<u64, ipc_shm::Sealed>::from_fd(fd).unwrap();
            let mut readers: Vec<_> = descriptors.into_iter().map(attach).collect();
            tell.write_all(b"!").unwrap();
            let mut last = 0;
            while last < ROUNDS + 1 {
                for reader in &mut readers {
                    match reader.try_recv() {
                        Ok(turn) => last = last.max(turn),
                        Err(ipc_shm::Error::Empty | ipc_shm::Error::Lagged(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        },
        move || {
            attached.read_exact(&mut [0]).unwrap();
            let start = std::time::Instant::now();
            for turn in 1..=ROUNDS {
                writer.write(black_box(&turn)).unwrap();
            }
            let spent = start.elapsed();
            writer.write(&(ROUNDS + 1)).unwrap();
            std::time::Instant::now() - spent
        },
    )
}

fn channel() -> f64 {
    pair::time(100, || {
        let (sender, receiver): (Unattached<spsc::Sender<u64>>, Unattached<spsc::Receiver<u64>>) =
            spsc::channel(1024).unwrap();
        drop((sender.attach().unwrap(), receiver.attach().unwrap()));
    })
}
