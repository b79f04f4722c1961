//! Ends under tokio: whole and in order, also when every future is dropped at every poll.
#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_core::Stream;
use futures_sink::Sink;
use ipc_shm::broadcast::lossless;
use ipc_shm::{Async, ChannelOptions, Error, Polled, Sealed, broadcast, bytes, latest, mpmc, request, spsc};
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

fn pollable(capacity: usize) -> ChannelOptions {
    ChannelOptions::new(capacity).pollable()
}

fn ring(capacity: usize) -> (spsc::Sender<u64>, spsc::Receiver<u64>) {
    let (sender, receiver) = spsc::channel(pollable(capacity)).unwrap();
    (sender.attach().unwrap(), receiver.attach().unwrap())
}

/// Whether ends without a socket cannot be polled here; says so.
fn rings_are_refused() -> bool {
    let refused = matches!(Polled::new(plain_ring().1), Err(Error::NoUring { .. }));
    if refused {
        println!("SKIP: io_uring is refused here");
    }
    refused
}

fn plain_ring() -> (spsc::Sender<u64>, spsc::Receiver<u64>) {
    let (sender, receiver) = spsc::channel(16).unwrap();
    (sender.attach().unwrap(), receiver.attach().unwrap())
}

/// Polls `future` so many times at most, and drops it.
async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

async fn feed<S: Sink<T> + Unpin, T>(sink: &mut S, message: T) -> Result<(), S::Error> {
    poll_fn(|context| Pin::new(&mut *sink).poll_ready(context)).await?;
    Pin::new(sink).start_send(message)
}

async fn flush<S: Sink<T> + Unpin, T>(sink: &mut S) -> Result<(), S::Error> {
    poll_fn(|context| Pin::new(&mut *sink).poll_flush(context)).await
}

#[test]
fn a_stream_ends_when_the_sender_is_gone_and_not_before() {
    run(async {
        let (sender, receiver) = ring(16);
        let (mut sender, mut receiver) = (Async::new(sender).unwrap(), Async::new(receiver).unwrap());
        let sending = tokio::spawn(async move {
            for message in 0..1000 {
                sender.send(&message).await.unwrap();
            }
        });
        for message in 0..1000 {
            assert_eq!(next(&mut receiver).await.unwrap().unwrap(), message);
        }
        assert!(next(&mut receiver).await.is_none());
        assert!(next(&mut receiver).await.is_none());
        assert!(matches!(receiver.recv().await, Err(Error::Disconnected)));
        sending.await.unwrap();

        let (sender, receiver) = ring(16);
        let mut sender = Async::new(sender).unwrap();
        while sender.get_mut().try_send(&1).is_ok() {}
        let full = tokio::spawn(async move { sender.send(&1).await });
        tokio::task::yield_now().await;
        drop(receiver);
        assert!(matches!(full.await.unwrap(), Err(Error::Disconnected)));
    });
}

#[test]
fn a_dropped_receive_takes_nothing_and_a_dropped_send_sends_nothing() {
    const COUNT: u64 = 5_000;
    run(async {
        let (mut sender, receiver) = ring(16);
        let mut receiver = Async::new(receiver).unwrap();
        let feeder = thread::spawn(move || {
            for message in 0..COUNT {
                sender.send(&message).unwrap();
                if message % 7 == 0 {
                    thread::yield_now();
                }
            }
        });
        let (mut wanted, mut polls, mut dropped) = (0, 0, 0_u32);
        while wanted < COUNT {
            polls = polls % 3 + 1;
            match dropped_after(polls, receiver.recv()).await {
                Some(message) => {
                    assert_eq!(message.unwrap(), wanted);
                    wanted += 1;
                }
                None => {
                    dropped += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
        feeder.join().unwrap();
        assert!(dropped > 0, "no future was dropped before it was ready");

        let (sender, mut receiver) = ring(16);
        let mut sender = Async::new(sender).unwrap();
        let eater = thread::spawn(move || {
            for message in 0..COUNT {
                assert_eq!(receiver.recv().unwrap(), message);
                if message % 7 == 0 {
                    thread::yield_now();
                }
            }
        });
        let (mut next, mut polls, mut dropped) = (0, 0, 0_u32);
        while next < COUNT {
            polls = polls % 3 + 1;
            match dropped_after(polls, sender.send(&next)).await {
                Some(sent) => {
                    sent.unwrap();
                    next += 1;
                }
                None => {
                    dropped += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
        eater.join().unwrap();
        assert!(dropped > 0, "no future was dropped before it was ready");
    });
}

#[test]
fn bytes_of_any_length_wait_for_their_room() {
    run(async {
        let (sender, receiver) = bytes::channel(pollable(1024)).unwrap();
        let mut sender = Async::new(sender.attach().unwrap()).unwrap();
        let mut receiver = Async::new(receiver.attach().unwrap()).unwrap();
        let sending = tokio::spawn(async move {
            for len in 0..1000 {
                sender.send(&vec![7; len]).await.unwrap();
            }
        });
        let mut message = Vec::new();
        for len in 0..1000 {
            if len % 2 == 0 {
                assert_eq!(receiver.recv(&mut message).await.unwrap(), len);
            } else {
                message = next(&mut receiver).await.unwrap().unwrap();
            }
            assert_eq!(message, vec![7; len]);
        }
        assert!(next(&mut receiver).await.is_none());
        sending.await.unwrap();
    });
}

#[test]
fn readers_of_sealed_logs_and_cells_are_streams() {
    run(async {
        let mut log = broadcast::Writer::<u64, Sealed>::anonymous(pollable(16)).unwrap();
        let mut cell = latest::Writer::<u64, Sealed>::anonymous_pollable().unwrap();
        let (reader, acceptance) = log.invite().unwrap().accept().unwrap();
        log.admit(acceptance).unwrap();
        let mut logged = Async::new(reader).unwrap();
        let (reader, acceptance) = cell.invite().unwrap().accept().unwrap();
        cell.admit(acceptance).unwrap();
        let mut newest = Async::new(reader).unwrap();
        let (go, turns) = std::sync::mpsc::channel();
        let writer = thread::spawn(move || {
            for turn in turns {
                log.write(&turn).unwrap();
                cell.write(&turn).unwrap();
            }
        });
        for turn in 0..500 {
            go.send(turn).unwrap();
            if turn % 2 == 0 {
                assert_eq!(logged.recv().await.unwrap(), turn);
                assert_eq!(newest.wait().await.unwrap(), turn);
            } else {
                assert_eq!(next(&mut logged).await.unwrap().unwrap(), turn);
                assert_eq!(next(&mut newest).await.unwrap().unwrap(), turn);
            }
        }
        drop(go);
        assert!(next(&mut logged).await.is_none());
        assert!(next(&mut newest).await.is_none());
        writer.join().unwrap();
    });
}

#[test]
fn a_stream_that_always_has_something_lets_the_others_run() {
    run(async {
        let (mut sender, receiver) = ring(1 << 14);
        for message in 0..1 << 13 {
            sender.send(&message).unwrap();
        }
        let mut receiver = Async::new(receiver).unwrap();
        let other = tokio::spawn(async {});
        let mut taken = 0;
        while !other.is_finished() {
            receiver.recv().await.unwrap();
            taken += 1;
        }
        assert!(taken < 1 << 12, "{taken} messages before another task ran");
    });
}

#[test]
fn sinks_keep_the_order_and_wait_for_room() {
    run(async {
        let (sender, receiver) = ring(16);
        let (mut sender, mut receiver) = (Async::new(sender).unwrap(), Async::new(receiver).unwrap());
        let sending = tokio::spawn(async move {
            for message in 0..1000 {
                if message % 3 == 0 {
                    sender.send(&message).await.unwrap();
                } else {
                    feed(&mut sender, message).await.unwrap();
                }
            }
            flush(&mut sender).await.unwrap();
            sender
        });
        for message in 0..1000 {
            assert_eq!(receiver.recv().await.unwrap(), message);
        }
        let mut sender = sending.await.unwrap();
        let filled = async { while feed(&mut sender, 7).await.is_ok() {} };
        assert!(timeout(SOON, filled).await.is_err(), "a full ring took more");
        assert!(matches!(Pin::new(&mut sender).start_send(7), Err(Error::Full)));
        drop(receiver);
        assert!(matches!(feed(&mut sender, 7).await, Err(Error::Disconnected)));

        let (sender, receiver) = bytes::channel(pollable(1024)).unwrap();
        let mut sender = Async::new(sender.attach().unwrap()).unwrap();
        let mut receiver = Async::new(receiver.attach().unwrap()).unwrap();
        let sending = tokio::spawn(async move {
            for len in 0..900 {
                if len % 3 == 0 {
                    sender.send(&vec![7; len]).await.unwrap();
                } else {
                    feed(&mut sender, vec![7; len]).await.unwrap();
                }
            }
            assert!(matches!(feed(&mut sender, vec![7; 5000]).await, Err(Error::TooLong { .. })));
            flush(&mut sender).await.unwrap();
        });
        for len in 0..900 {
            assert_eq!(next(&mut receiver).await.unwrap().unwrap(), vec![7; len]);
        }
        assert!(next(&mut receiver).await.is_none());
        sending.await.unwrap();
    });
}

#[test]
fn what_a_sink_of_bytes_keeps_outlives_a_dropped_flush() {
    run(async {
        let (sender, receiver) = bytes::channel(pollable(1024)).unwrap();
        let mut sender = Async::new(sender.attach().unwrap()).unwrap();
        let mut receiver = receiver.attach().unwrap();
        let (mut fed, mut message) = (0_u8, Vec::new());
        for _ in 0..20 {
            tokio::task::yield_now().await;
            while let Some(sent) = dropped_after(1, feed(&mut sender, vec![fed; 300])).await {
                sent.unwrap();
                fed += 1;
            }
            assert!(dropped_after(1, flush(&mut sender)).await.is_none());
            assert!(matches!(Pin::new(&mut sender).start_send(vec![0]), Err(Error::Full)));
            receiver.try_recv(&mut message).unwrap();
            receiver.release().unwrap();
        }
        let eater = thread::spawn(move || {
            let mut taken = 20;
            while receiver.recv(&mut message).is_ok() {
                assert_eq!(message, vec![taken; 300]);
                taken += 1;
            }
            taken
        });
        flush(&mut sender).await.unwrap();
        drop(sender);
        assert_eq!(eater.join().unwrap(), fed);
    });
}

#[test]
fn a_dropped_call_is_given_up_and_the_place_comes_back() {
    run(async {
        let (client, server) = request::channel::<u64, u64>(pollable(16)).unwrap();
        let (client, server) = (client.attach().unwrap(), server.attach().unwrap());
        let mut client = Async::new(client).unwrap();
        for round in 0..100 {
            assert!(dropped_after(1, client.call(&round)).await.is_none());
        }
        // The server never takes what was given up; all but the places they stand in is free.
        assert!(matches!(server.try_recv(), Err(Error::Empty)));
        let serving = thread::spawn(move || {
            server.recv().unwrap().answer(&8).unwrap();
            server
        });
        assert_eq!(client.call(&7).await.unwrap(), 8);
        let server = serving.join().unwrap();

        let client = client.into_inner();
        let mut client = Async::new(&client).unwrap();
        let mut calls = Vec::new();
        while let Some(call) = dropped_after(1, client.send(&1)).await {
            match call {
                Ok(call) => calls.push(call),
                Err(error) => {
                    assert!(matches!(error, Error::Full), "{error}");
                    break;
                }
            }
        }
        assert_eq!(calls.len(), 16, "it holds every place itself: waiting would never end");
        let mut server = Async::new(&server).unwrap();
        for _ in 0..16 {
            next(&mut server).await.unwrap().unwrap().answer(&2).unwrap();
        }
        for call in &mut calls {
            assert_eq!(client.recv(call).await.unwrap(), 2);
        }
        drop(calls);
    });
}

#[test]
fn one_task_serves_clients_that_come_and_go() {
    run(async {
        let mut servers = Async::new(request::Servers::<u64, u64>::new()).unwrap();
        assert!(matches!(servers.recv().await.map(drop), Err(Error::Disconnected)));
        let mut clients = Vec::new();
        for number in 0..3 {
            let (client, server) = request::channel(pollable(16)).unwrap();
            servers.get_mut().admit(server.attach().unwrap()).unwrap();
            let client = client.attach().unwrap();
            clients.push(thread::spawn(move || {
                (0..200)
                    .for_each(|turn| assert_eq!(client.call(&(turn + number)).unwrap(), turn + number + 1));
            }));
        }
        let serving = tokio::spawn(async move {
            let mut served = 0;
            loop {
                match servers.recv().await {
                    Ok((_, request)) => {
                        let answer = request.question() + 1;
                        request.answer(&answer).unwrap();
                        served += 1;
                    }
                    Err(error) => break assert!(matches!(error, Error::Disconnected), "{error}"),
                }
            }
            (served, servers.get_mut().departed().len())
        });
        assert_eq!(serving.await.unwrap(), (600, 3));
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
}

#[test]
fn a_queue_for_many_is_a_stream_and_a_sink() {
    const COUNT: u64 = 3_000;
    if rings_are_refused() {
        return;
    }
    run(async {
        let maker = mpmc::Sender::<u64>::anonymous(16).unwrap();
        let mut receivers = Vec::new();
        for _ in 0..2 {
            let receiver = mpmc::Receiver::<u64>::from_fd(maker.share().unwrap()).unwrap();
            receivers.push(tokio::spawn(async move {
                let mut receiver = Async::new(receiver).unwrap();
                let mut sum = 0;
                while let Some(message) = next(&mut receiver).await {
                    sum += message.unwrap();
                }
                assert!(matches!(receiver.recv().await, Err(Error::Disconnected)));
                sum
            }));
        }
        let mut senders = Vec::new();
        for _ in 0..2 {
            let sender = mpmc::Sender::<u64>::from_fd(maker.share().unwrap()).unwrap();
            senders.push(tokio::spawn(async move {
                let mut sender = Async::new(sender).unwrap();
                for message in 0..COUNT {
                    if message % 2 == 0 {
                        sender.send(&message).await.unwrap();
                    } else {
                        feed(&mut sender, message).await.unwrap();
                    }
                }
                flush(&mut sender).await.unwrap();
            }));
        }
        drop(maker);
        for sender in senders {
            sender.await.unwrap();
        }
        let mut sum = 0;
        for receiver in receivers {
            sum += receiver.await.unwrap();
        }
        assert_eq!(sum, COUNT * (COUNT - 1));

        // What the sink was given when the queue was full is sent before the next.
        let maker = mpmc::Sender::<u64>::anonymous(16).unwrap();
        let mut receiver = mpmc::Receiver::<u64>::from_fd(maker.share().unwrap()).unwrap();
        let mut sender = Async::new(maker).unwrap();
        for message in 0..17 {
            feed(&mut sender, message).await.unwrap();
        }
        assert!(matches!(Pin::new(&mut sender).start_send(18), Err(Error::Full)));
        assert!(dropped_after(2, flush(&mut sender)).await.is_none());
        for message in 0..17 {
            assert_eq!(receiver.recv().unwrap(), message);
            flush(&mut sender).await.unwrap();
        }
    });
}

#[test]
fn a_writer_that_waits_for_its_readers_is_a_sink_and_they_are_streams() {
    const COUNT: u64 = 2_000;
    if rings_are_refused() {
        return;
    }
    run(async {
        let writer = lossless::Writer::<u64>::anonymous(16).unwrap();
        let mut readers = Vec::new();
        for _ in 0..3 {
            let reader = lossless::Reader::<u64>::from_fd(writer.share().unwrap()).unwrap();
            readers.push(tokio::spawn(async move {
                let mut reader = Async::new(reader).unwrap();
                for message in 0..COUNT {
                    let came =
                        if message % 2 == 0 { reader.recv().await } else { next(&mut reader).await.unwrap() };
                    assert_eq!(came.unwrap(), message);
                }
                assert!(next(&mut reader).await.is_none());
            }));
        }
        let mut writer = Async::new(writer).unwrap();
        for message in 0..COUNT {
            if message % 2 == 0 {
                writer.write(&message).await.unwrap();
            } else {
                feed(&mut writer, message).await.unwrap();
            }
        }
        drop(writer);
        for reader in readers {
            reader.await.unwrap();
        }
    });
}

#[test]
fn a_dropped_wait_without_a_socket_takes_nothing() {
    const COUNT: u64 = 3_000;
    if rings_are_refused() {
        return;
    }
    run(async {
        let (mut sender, receiver) = plain_ring();
        let mut receiver = Async::new(receiver).unwrap();
        let feeder = thread::spawn(move || {
            for message in 0..COUNT {
                sender.send(&message).unwrap();
                if message % 7 == 0 {
                    thread::yield_now();
                }
            }
        });
        let (mut wanted, mut polls) = (0, 0);
        while wanted < COUNT {
            polls = polls % 3 + 1;
            match dropped_after(polls, receiver.recv()).await {
                Some(message) => {
                    assert_eq!(message.unwrap(), wanted);
                    wanted += 1;
                }
                None => tokio::task::yield_now().await,
            }
        }
        feeder.join().unwrap();
        assert!(next(&mut receiver).await.is_none());
    });
}
