//! What an operation costs inside one process, where no other is waited for: `cargo bench -p ipc-bench`. Counts of
//! instructions, which no neighbour on the machine disturbs: run the program that it builds under callgrind, with the
//! benchmark's name and `--sample-count 1 --sample-size 1000`.
#![expect(unsafe_code, reason = "memory that only this program knows")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run has nothing better to do than to say why"
)]

use divan::{Bencher, black_box};
use ipc_frame::{FrameWriter, Gather};
use ipc_shm::{Mutex, Semaphore, Shared, bytes, latest, spsc};

fn main() {
    divan::main();
}

#[divan::bench]
fn mutex_lock_and_unlock(bencher: Bencher<'_, '_>) {
    let shared = Shared::<Mutex<u64>>::anonymous(|_| Ok(())).unwrap();
    // SAFETY: nobody else has its descriptor.
    let shared = unsafe { shared.trust() };
    let mutex = shared.get().unwrap();
    bencher.bench_local(|| *mutex.lock().unwrap() += 1);
}

#[divan::bench]
fn semaphore_release_and_acquire(bencher: Bencher<'_, '_>) {
    let shared = Shared::<Semaphore>::anonymous(|_| Ok(())).unwrap();
    let semaphore = shared.get().unwrap();
    bencher.bench_local(|| {
        semaphore.release(1).unwrap();
        semaphore.acquire().unwrap();
    });
}

#[divan::bench]
fn spsc_push_and_pop(bencher: Bencher<'_, '_>) {
    let (sender, receiver) = spsc::channel::<u64>(1024).unwrap();
    let (mut sender, mut receiver) = (sender.attach().unwrap(), receiver.attach().unwrap());
    bencher.bench_local(|| {
        sender.send(black_box(&7)).unwrap();
        receiver.recv().unwrap()
    });
}

#[divan::bench(args = [8, 64, 4096])]
fn bytes_push_and_pop(bencher: Bencher<'_, '_>, len: usize) {
    let (sender, receiver) = bytes::channel(1 << 16).unwrap();
    let (mut sender, mut receiver) = (sender.attach().unwrap(), receiver.attach().unwrap());
    let (message, mut buffer) = (vec![7; len], Vec::new());
    bencher.bench_local(|| {
        sender.send(black_box(&message)).unwrap();
        receiver.recv(&mut buffer).unwrap()
    });
}

#[divan::bench]
fn latest_write_and_read(bencher: Bencher<'_, '_>) {
    let mut writer = latest::Writer::<u64, ipc_shm::Sealed>::anonymous().unwrap();
    let mut reader = latest::Reader::<u64, ipc_shm::Sealed>::from_fd(writer.share().unwrap()).unwrap();
    bencher.bench_local(|| {
        writer.write(black_box(&7)).unwrap();
        reader.read().unwrap()
    });
}

#[divan::bench(args = [8, 64, 4096])]
fn frame_encode(bencher: Bencher<'_, '_>, len: usize) {
    let payload = vec![7; len];
    let mut frames = FrameWriter::gathering(std::io::sink(), 1 << 16, Gather::count(64));
    bencher.bench_local(|| frames.send(black_box(&payload)).unwrap());
}
