//! What an operation costs inside one process, where no other is waited for: `cargo bench -p ipc-bench` in nanoseconds,
//! `cargo xtask bench --instructions` in instructions, which no neighbour on the machine disturbs: it runs this program under
//! callgrind with `--count NAME TIMES`.
#![expect(unsafe_code, reason = "memory that only this program knows")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot run has nothing better to do than to say why"
)]

use std::hint::black_box;

use divan::Bencher;
use ipc_frame::{FrameWriter, Gather};
use ipc_shm::{Mutex, Semaphore, Shared, bytes, latest, mpmc, spsc};

/// Who runs an operation again and again.
trait Runner {
    fn run<R>(self, operation: impl FnMut() -> R);
}

impl Runner for Bencher<'_, '_> {
    fn run<R>(self, operation: impl FnMut() -> R) {
        self.bench_local(operation);
    }
}

/// That many times, and no look at the clock.
struct Times(u64);

impl Runner for Times {
    fn run<R>(self, mut operation: impl FnMut() -> R) {
        for _ in 0..self.0 {
            black_box(operation());
        }
    }
}

/// Each operation as a benchmark of divan's and in the list of those that are counted.
macro_rules! operations {
    ($($name:ident => $operation:expr;)+) => {
        mod timed {
            use super::*;
            $(#[divan::bench]
            fn $name(bencher: Bencher<'_, '_>) {
                let operation = $operation;
                operation(bencher);
            })+
        }

        const COUNTED: &[(&str, fn(Times))] = &[$((stringify!($name), $operation)),+];
    };
}

operations! {
    mutex_lock_and_unlock => lock;
    semaphore_release_and_acquire => permit;
    spsc_8_bytes_push_and_pop => typed::<1, _>;
    spsc_64_bytes_push_and_pop => typed::<8, _>;
    mpmc_8_bytes_push_and_pop => shared;
    bytes_8_push_and_pop => |runner| untyped(runner, 8);
    bytes_64_push_and_pop => |runner| untyped(runner, 64);
    bytes_4096_push_and_pop => |runner| untyped(runner, 4096);
    latest_write_and_read => newest;
    frame_8_bytes_encode => |runner| encode(runner, 8);
    frame_64_bytes_encode => |runner| encode(runner, 64);
    frame_4096_bytes_encode => |runner| encode(runner, 4096);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--names"] => COUNTED.iter().for_each(|(name, _)| println!("{name}")),
        ["--count", name, times] => {
            let (_, operation) = COUNTED.iter().find(|(one, _)| one == name).unwrap();
            operation(Times(times.parse().unwrap()));
        }
        _ => divan::main(),
    }
}

fn lock(runner: impl Runner) {
    let shared = Shared::<Mutex<u64>>::anonymous(|_| Ok(())).unwrap();
    // SAFETY: nobody else has its descriptor.
    let shared = unsafe { shared.trust() };
    let mutex = shared.get().unwrap();
    runner.run(|| *mutex.lock().unwrap() += 1);
}

fn permit(runner: impl Runner) {
    let shared = Shared::<Semaphore>::anonymous(|_| Ok(())).unwrap();
    let semaphore = shared.get().unwrap();
    runner.run(|| {
        semaphore.release(1).unwrap();
        semaphore.acquire().unwrap();
    });
}

fn typed<const N: usize, R: Runner>(runner: R) {
    let (sender, receiver) = spsc::channel::<[u64; N]>(1024).unwrap();
    let (mut sender, mut receiver) = (sender.attach().unwrap(), receiver.attach().unwrap());
    runner.run(|| {
        sender.send(black_box(&[7; N])).unwrap();
        receiver.recv().unwrap()
    });
}

fn shared(runner: impl Runner) {
    let mut sender = mpmc::Sender::<u64>::anonymous(1024).unwrap();
    let mut receiver = mpmc::Receiver::<u64>::from_fd(sender.share().unwrap()).unwrap();
    runner.run(|| {
        sender.send(black_box(&7)).unwrap();
        receiver.recv().unwrap()
    });
}

fn untyped(runner: impl Runner, len: usize) {
    let (sender, receiver) = bytes::channel(1 << 16).unwrap();
    let (mut sender, mut receiver) = (sender.attach().unwrap(), receiver.attach().unwrap());
    let (message, mut buffer) = (vec![7; len], Vec::new());
    runner.run(|| {
        sender.send(black_box(&message)).unwrap();
        receiver.recv(&mut buffer).unwrap()
    });
}

fn newest(runner: impl Runner) {
    let mut writer = latest::Writer::<u64, ipc_shm::Sealed>::anonymous().unwrap();
    let mut reader = latest::Reader::<u64, ipc_shm::Sealed>::from_fd(writer.share().unwrap()).unwrap();
    runner.run(|| {
        writer.write(black_box(&7)).unwrap();
        reader.read().unwrap()
    });
}

fn encode(runner: impl Runner, len: usize) {
    let payload = vec![7; len];
    let mut frames = FrameWriter::gathering(std::io::sink(), 1 << 16, Gather::count(64));
    runner.run(|| frames.send(black_box(&payload)).unwrap());
}
