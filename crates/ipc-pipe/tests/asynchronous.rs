//! The ends under tokio: byte-exact, also when every future is dropped at every poll.
#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs::{self, OpenOptions};
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use ipc_pipe::{AsyncPipeReader, AsyncPipeWriter, Error, Fifo, PipeEnd, PipeReader, UnlinkGuard, pipe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const SOON: Duration = Duration::from_millis(5);
const WATCHDOG: Duration = Duration::from_secs(120);

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Instant::now();
    let done = runtime.block_on(async { timeout(WATCHDOG, future).await.unwrap() });
    // When it has run out, `timeout` polls once more, which would heal a wake-up that was lost.
    assert!(start.elapsed() < WATCHDOG, "nobody but the watchdog told");
    done
}

fn ends() -> (AsyncPipeReader, AsyncPipeWriter) {
    let (reader, writer) = pipe().unwrap();
    (AsyncPipeReader::new(reader).unwrap(), AsyncPipeWriter::new(writer).unwrap())
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn fifo(name: &str) -> (PathBuf, UnlinkGuard) {
    let path = std::env::temp_dir().join(format!("ipc-pipe-{}-{name}", std::process::id()));
    (path.clone(), Fifo::create(path).unwrap().unlink_on_drop())
}

/// Polls `future` so many times at most, and drops it.
async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[test]
fn bytes_pass_while_both_wait_for_each_other() {
    run(async {
        let (mut reader, mut writer) = ends();
        let sender = tokio::spawn(async move { writer.write_all(&pattern(500_000)).await.unwrap() });
        let mut found = Vec::new();
        reader.read_to_end(&mut found).await.unwrap();
        sender.await.unwrap();
        assert!(found == pattern(500_000));
    });
}

#[test]
fn the_end_of_file_and_a_broken_pipe() {
    run(async {
        let (mut reader, mut writer) = ends();
        writer.write_atomic(b"last").await.unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "last");
        (reader, writer) = ends();
        drop(reader);
        assert_eq!(writer.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert!(matches!(writer.write_atomic(b"x").await, Err(Error::PeerGone { .. })));
        writer.shutdown().await.unwrap();
        assert!(matches!(writer.into_inner().try_write(b"x"), Err(Error::PeerGone { .. })));
        let file = PipeReader::from(OwnedFd::from(fs::File::open("/proc/self/status").unwrap()));
        let refused = AsyncPipeReader::new(file).map(drop);
        assert!(
            matches!(refused, Err(Error::PermissionDenied { source, .. }) if source.raw_os_error() == Some(libc::EPERM))
        );
    });
}

#[test]
fn a_dropped_read_loses_nothing() {
    const LEN: usize = 5_000;
    run(async {
        let (reader, mut writer) = pipe().unwrap();
        let mut reader = AsyncPipeReader::new(reader).unwrap();
        let feeder = thread::spawn(move || {
            for piece in pattern(LEN).chunks(7) {
                writer.write_all(piece).unwrap();
                thread::yield_now();
            }
        });
        let (mut found, mut buffer, mut polls) = (Vec::new(), [0; 16], 0);
        loop {
            polls = polls % 3 + 1;
            match dropped_after(polls, reader.read(&mut buffer)).await {
                Some(Ok(0)) => break,
                Some(len) => found.extend_from_slice(buffer.get(..len.unwrap()).unwrap()),
                None => tokio::task::yield_now().await,
            }
        }
        feeder.join().unwrap();
        assert!(found == pattern(LEN));
        // The naive twin: read_exact keeps what it has read in the future that is dropped.
        let (reader, mut writer) = ends();
        let (copy, mut reader) = (reader.as_fd().try_clone_to_owned().unwrap(), reader);
        writer.write_all(b"hello").await.unwrap();
        assert!(timeout(SOON, reader.read_exact(&mut buffer)).await.is_err());
        assert_eq!(PipeReader::from(copy).readable().unwrap(), 0, "read_exact has lost nothing");
    });
}

#[test]
fn a_dropped_write_sends_nothing() {
    run(async {
        for polls in 1..=3 {
            let (reader, writer) = pipe().unwrap();
            writer.set_capacity(4096).unwrap();
            let mut writer = AsyncPipeWriter::new(writer).unwrap();
            let mut sent = 0;
            for _ in 0..5 {
                let write = timeout(SOON, dropped_after(polls, writer.write(&[0; 3000]))).await;
                sent += write.ok().flatten().map_or(0, Result::unwrap);
                assert_eq!(reader.readable().unwrap(), sent);
            }
            let record = timeout(SOON, dropped_after(polls, writer.write_atomic(&[0; 2000]))).await;
            assert!(record.ok().flatten().is_none() && reader.readable().unwrap() == sent);
        }
        // The naive twin: write_all forgets what it has written when it is dropped.
        let (reader, writer) = pipe().unwrap();
        let mut writer = AsyncPipeWriter::new(writer).unwrap();
        assert!(timeout(SOON, writer.write_all(&[0; 100_000])).await.is_err());
        assert!(reader.readable().unwrap() > 0, "write_all has sent nothing");
    });
}

#[test]
fn opens_meet_whoever_waits_in_open() {
    let (path, fifo) = fifo("meets");
    let mut plain = OpenOptions::new();
    run(async {
        let writes = path.clone();
        let other = thread::spawn(move || fs::write(writes, "hello").unwrap());
        let mut reader = fifo.async_reader().await.unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
        other.join().unwrap();
        drop(reader);

        let reads = path.clone();
        let other = thread::spawn(move || fs::read_to_string(reads).unwrap());
        let mut writer = fifo.async_writer().await.unwrap();
        writer.write_all(b"hello").await.unwrap();
        drop(writer);
        assert_eq!(other.join().unwrap(), "hello");

        // A writer that comes later, and says nothing at first.
        let writes = path.clone();
        let meet = tokio::spawn(async move { Fifo::open(writes).unwrap().async_reader().await });
        tokio::task::yield_now().await;
        let late = plain.write(true).open(&path).unwrap();
        let mut reader = meet.await.unwrap().unwrap();
        (&late).write_all(b"x").unwrap();
        drop(late);
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 1);
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn a_dropped_open_leaves_nothing() {
    let (_path, fifo) = fifo("dropped");
    run(async {
        for polls in [1, 2, 1, 1] {
            assert!(timeout(SOON, dropped_after(polls, fifo.async_reader())).await.ok().flatten().is_none());
            assert!(matches!(fifo.try_writer(), Err(Error::NoReader { .. })));
        }
        for polls in [1, 2, 1, 1] {
            assert!(timeout(SOON, dropped_after(polls, fifo.async_writer())).await.ok().flatten().is_none());
            // The thread comes out of its open and closes both ends.
            while !matches!(fifo.try_writer(), Err(Error::NoReader { .. })) {
                thread::yield_now();
            }
            let reader = fifo.try_reader().unwrap();
            while !matches!(reader.try_read(&mut [0]), Ok(0)) {
                thread::yield_now();
            }
        }
    });
}
