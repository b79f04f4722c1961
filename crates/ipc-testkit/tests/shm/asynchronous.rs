//! Ends in tokio, whose other ends are in another process. No timer looks after them: what is not told is never known.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_core::Stream;
use ipc_shm::{Async, Error, Sealed, spsc};
use ipc_sys::process;
use ipc_testkit::{proof, repetitions};
use tokio::time::timeout;

use crate::waiting::{Met, pollable};

const WATCHDOG: Duration = Duration::from_secs(10);

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

/// What the task is woken for within a time that no loaded machine needs.
async fn told<T>(future: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let done = timeout(WATCHDOG, future).await.unwrap();
    // When it has run out, `timeout` polls once more, which would heal a wake-up that was lost.
    assert!(start.elapsed() < WATCHDOG, "nobody but the watchdog told");
    done
}

#[test]
fn f10_no_wake_up_of_a_task_is_lost() {
    let rounds = repetitions(3_000, 300_000) as u64;
    let mut met = Met::start("polled-echo", "park");
    let sender = met.agree(spsc::Sender::<u64, Sealed>::offer(pollable(16)).unwrap());
    let receiver = met.agree(spsc::Receiver::<u64, Sealed>::offer(pollable(16)).unwrap());
    met.peer.expect("ready");
    run(async {
        let (mut sender, mut receiver) = (Async::new(sender).unwrap(), Async::new(receiver).unwrap());
        for round in 0..rounds {
            told(sender.send(&round)).await.unwrap();
            let message = if round % 2 == 0 {
                told(receiver.recv()).await
            } else {
                told(next(&mut receiver)).await.unwrap()
            };
            assert_eq!(message.unwrap(), round);
        }
    });
    met.peer.expect("gone");
    met.peer.finish();
    proof!("F10", "{rounds} round trips of a task, which nothing but the peer wakes, 0 lost");
}

#[test]
fn a_killed_peer_ends_the_stream_of_a_task_that_sleeps() {
    let mut met = Met::start("polled-sender", "");
    let receiver = met.agree(spsc::Receiver::<u64, Sealed>::offer(pollable(16)).unwrap());
    met.peer.expect("ready");
    run(async {
        let mut receiver = Async::new(receiver).unwrap();
        met.peer.tell(2);
        met.peer.expect("sent");
        let sleeper = tokio::spawn(async move {
            let mut came = Vec::new();
            while let Some(message) = next(&mut receiver).await {
                came.push(message.unwrap());
            }
            came
        });
        // The task has run until it sleeps.
        tokio::task::yield_now().await;
        met.peer.kill();
        assert_eq!(told(sleeper).await.unwrap(), [0, 1]);
    });
}

#[test]
fn a_watched_process_wakes_the_task_although_its_child_keeps_everything() {
    for watched_before in [false, true] {
        let mut met = Met::start("polled-keeper", "");
        let mut receiver = met.agree(spsc::Receiver::<u64, Sealed>::offer(pollable(16)).unwrap());
        met.peer.expect("ready");
        let pidfd = process::pidfd_open(i32::try_from(met.peer.id()).unwrap()).unwrap();
        run(async {
            if watched_before {
                receiver.watch(pidfd.try_clone().unwrap()).unwrap();
            }
            let mut receiver = Async::new(receiver).unwrap();
            assert_eq!(told(receiver.recv()).await.unwrap(), 7);
            if watched_before {
                let sleeper = tokio::spawn(async move { receiver.recv().await });
                tokio::task::yield_now().await;
                met.peer.kill();
                assert!(matches!(told(sleeper).await.unwrap(), Err(Error::Disconnected)));
            } else {
                met.peer.kill();
                // The naive twin: the socket lives on in the child, and nobody else tells.
                assert!(timeout(Duration::from_millis(150), receiver.recv()).await.is_err());
                receiver.get_mut().watch(pidfd.try_clone().unwrap()).unwrap();
                assert!(matches!(told(receiver.recv()).await, Err(Error::Disconnected)));
            }
        });
        met.peer.close_input();
    }
}
