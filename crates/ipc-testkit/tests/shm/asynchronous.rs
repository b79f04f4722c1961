//! Ends in tokio, whose other ends are in another process. No timer looks after them: what is not told is never known.

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_core::Stream;
use ipc_shm::{Async, Error, Sealed, mpsc, request, spsc};
use ipc_sys::process;
use ipc_testkit::{WATCHDOG, peer, proof, repetitions, repetitions_or_long, skip};
use tokio::time::timeout;

use crate::memory::Name;
use crate::rings;
use crate::slow::Slow;
use crate::waiting::{Met, pollable};

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
    let rounds = repetitions_or_long(3_000, 50_000, 300_000) as u64;
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
fn f10_no_answer_and_no_question_of_a_task_is_lost() {
    let rounds = repetitions_or_long(3_000, 50_000, 300_000) as u64;
    let mut met = Met::start("invited-server", "park");
    let client = met.agree(request::Client::<u64, u64, Sealed>::offer(pollable(16)).unwrap());
    met.peer.expect("ready");
    run(async {
        let mut client = Async::new(client).unwrap();
        for round in 0..rounds {
            assert_eq!(told(client.call(&round)).await.unwrap(), round.wrapping_mul(3) ^ 1);
        }
        let client = client.into_inner();
        let mut client = Async::new(&client).unwrap();
        let mut calls = Vec::new();
        for round in 0..rounds {
            calls.push((round, told(client.send(&round)).await.unwrap()));
            if calls.len() == 16 {
                for (round, mut call) in calls.drain(..).rev() {
                    assert_eq!(told(client.recv(&mut call)).await.unwrap(), round.wrapping_mul(3) ^ 1);
                    assert!(matches!(client.recv(&mut call).await, Err(Error::Empty)));
                }
            }
        }
        calls.clear();
        met.peer.kill();
        assert!(matches!(told(client.call(&1)).await, Err(Error::Disconnected)));
    });

    let servers = request::Servers::new();
    let mut clients: Vec<_> = (0..3_u64)
        .map(|number| {
            let from = (number << 32).to_string();
            let mut met = Met::start_with("invited-client", &[&from, &rounds.to_string(), "park"]);
            servers
                .admit(met.agree(request::Server::<u64, u64, Sealed>::offer(pollable(16)).unwrap()))
                .unwrap();
            met.peer.expect("ready");
            met
        })
        .collect();
    run(async {
        let mut asked = Async::new(&servers).unwrap();
        let mut next_of = [0_u64; 3];
        for round in 0..3 * rounds {
            let (_, request) = if round % 2 == 0 {
                told(asked.recv()).await.unwrap()
            } else {
                told(next(&mut asked)).await.unwrap().unwrap()
            };
            let of = usize::try_from(*request.question() >> 32).unwrap();
            assert_eq!(*request.question() & 0xffff_ffff, next_of[of]);
            next_of[of] += 1;
            let answer = request.question().wrapping_mul(3) ^ 1;
            request.answer(&answer).unwrap();
        }
        for met in &mut clients {
            met.peer.expect("done");
            met.peer.kill();
        }
        assert!(told(next(&mut asked)).await.is_none(), "the last client is gone");
    });
    proof!("F10", "request: {rounds} calls of a task, and {} questions to one, 0 lost", 3 * rounds);
}

#[test]
fn f10_a_task_is_told_of_every_lane_and_its_end() {
    let mut receiver = mpsc::Receiver::<u64, Sealed>::new();
    let mut senders: Vec<_> = (0..3)
        .map(|_| {
            let mut met = Met::start("polled-sender", "");
            receiver.admit(met.agree(spsc::Receiver::<u64, Sealed>::offer(pollable(16)).unwrap())).unwrap();
            met.peer.expect("ready");
            met
        })
        .collect();
    let rounds = repetitions(300, 10_000);
    run(async {
        let mut receiver = Async::new(receiver).unwrap();
        for round in 0..rounds {
            let from = round % 3;
            senders[from].peer.tell(2);
            for _ in 0..2 {
                let message = told(next(&mut receiver)).await.unwrap().unwrap();
                assert!(usize::try_from(message).unwrap() / 2 == round / 3, "{message} in round {round}");
            }
            senders[from].peer.expect("sent");
        }
        // One more comes while the task sleeps on the others.
        let mut late = Met::start("polled-sender", "");
        let lane = late.agree(spsc::Receiver::<u64, Sealed>::offer(pollable(16)).unwrap());
        late.peer.expect("ready");
        receiver.get_mut().admit(lane).unwrap();
        late.peer.tell(1);
        assert_eq!(told(receiver.recv()).await.unwrap(), 0);
        let sleeper = tokio::spawn(async move { (next(&mut receiver).await.is_none(), receiver) });
        tokio::task::yield_now().await;
        senders.iter_mut().chain([&mut late]).for_each(|met| met.peer.kill());
        let (ended, mut receiver) = told(sleeper).await.unwrap();
        assert!(ended);
        assert_eq!(receiver.get_mut().departed().len(), 4);
    });
    proof!("F10", "mpsc: {rounds} rounds of two messages to a task that sleeps on three lanes, 0 lost");
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

#[test]
fn f10_no_wake_up_of_a_task_without_a_socket_is_lost() {
    if rings::are_refused() {
        skip!("io_uring is refused here");
    }
    let rounds = repetitions(3_000, 100_000) as u64;
    let (there, back) = (Name::new("there"), Name::new("back"));
    let sender = spsc::Sender::<u64>::create(&there.0, 16).unwrap();
    let receiver = spsc::Receiver::<u64>::create(&back.0, 16).unwrap();
    let mut peer = peer!("peer-shm", "spsc-echo", there.0, back.0, "park");
    peer.expect("ready");
    // The task moves between threads: what one has armed another waits for.
    let (tell, told_of) = std::sync::mpsc::channel();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(move || tell.send(nix::unistd::gettid()).unwrap())
        .enable_all()
        .build()
        .unwrap();
    // Whoever sleeps is one of the two, or the peer.
    let mut slow = Slow::with([&peer]);
    told_of.iter().take(2).for_each(|worker| slow.add_thread(worker));
    let echoed = runtime.spawn(async move {
        let (mut sender, mut receiver) = (Async::new(sender).unwrap(), Async::new(receiver).unwrap());
        let mut threads = HashSet::new();
        for round in 0..rounds {
            let start = Instant::now();
            told(sender.send(&round)).await.unwrap();
            assert_eq!(told(receiver.recv()).await.unwrap(), round);
            slow.note(start.elapsed());
            if round % 50 == 0 {
                // Has this thread kept from the next turn, which another one takes.
                tokio::spawn(std::future::ready(())).await.unwrap();
                tokio::task::yield_now().await;
            }
            threads.insert(std::thread::current().id());
        }
        slow.check();
        peer.kill();
        let start = Instant::now();
        assert!(told(next(&mut receiver)).await.is_none());
        (slow, threads.len(), start.elapsed())
    });
    let (slow, threads, end) = runtime.block_on(echoed).unwrap();
    proof!(
        "F10",
        "{rounds} round trips of a task over named rings on {threads} threads, 0 lost, {slow}; the end told after {end:?}"
    );
}
