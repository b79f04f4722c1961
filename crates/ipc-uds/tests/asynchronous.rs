//! The sockets under tokio: byte-exact, also when every future is dropped at every poll.
#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use ipc_uds::{
    AcceptAsync, Address, Ancillary, Async, AsyncAncillary, AsyncFramed, ByteStream, Datagram, Error, Framed,
    Listener, SeqPacket, Server, Socket, Stream,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::timeout;

const WATCHDOG: Duration = Duration::from_secs(120);

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Instant::now();
    let done = runtime.block_on(async { timeout(WATCHDOG, future).await.unwrap() });
    // When it has run out, `timeout` polls once more, which would heal a wake-up that was lost.
    assert!(start.elapsed() < WATCHDOG, "nobody but the watchdog told");
    done
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

/// Polls `future` so many times at most, the runtime looking for events in between, and drops it.
async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    tokio::task::yield_now().await;
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}

fn framed(pair: (Stream, Stream)) -> (AsyncFramed<Stream>, AsyncFramed<Stream>) {
    let one = |stream| AsyncFramed::new(Framed::new(stream, 1 << 20, 1).unwrap()).unwrap();
    (one(pair.0), one(pair.1))
}

#[test]
fn bytes_pass_while_both_wait_for_each_other() {
    run(async {
        let (left, right) = Stream::pair().unwrap();
        let (mut left, mut right) = (Async::new(left).unwrap(), Async::new(right).unwrap());
        let sender = tokio::spawn(async move {
            left.write_all(&pattern(500_000)).await.unwrap();
            left.shutdown().await.unwrap();
            left
        });
        let mut found = Vec::new();
        right.read_to_end(&mut found).await.unwrap();
        assert!(found == pattern(500_000));
        let mut left = sender.await.unwrap();
        drop(right);
        assert_eq!(left.write_all(b"x").await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn reads_and_writes_that_are_dropped_lose_no_byte() {
    run(async {
        for polls in 1..=3 {
            let (left, right) = Stream::pair().unwrap();
            left.set_send_buffer(4608).unwrap();
            let (mut left, mut right) = (Async::new(left).unwrap(), Async::new(right).unwrap());
            let bytes = pattern(60_000);
            let (mut sent, mut found) = (0, Vec::new());
            while found.len() < bytes.len() {
                if sent < bytes.len() {
                    if let Some(len) = dropped_after(polls, left.write(&bytes[sent..])).await {
                        sent += len.unwrap();
                    }
                }
                let mut buffer = [0; 1000];
                if let Some(len) = dropped_after(polls, right.read(&mut buffer)).await {
                    found.extend_from_slice(&buffer[..len.unwrap()]);
                }
            }
            assert!(found == bytes, "{polls} polls");
        }
    });
}

#[test]
fn a_receive_that_is_dropped_keeps_what_came() {
    run(async {
        let (theirs, ours) = Stream::pair().unwrap();
        let mut ours = AsyncFramed::new(Framed::new(ours, 64, 1).unwrap()).unwrap();
        let null = File::open("/dev/null").unwrap();
        for round in 0..20_u8 {
            let message = [&[0, 0, 0, 6, 1][..], &[round; 5]].concat();
            theirs.send_with(&message[..1], &[null.as_fd()]).unwrap();
            for at in 1..message.len() {
                assert!(dropped_after(2, ours.recv()).await.is_none(), "not yet whole");
                (&theirs).write_all(&message[at..=at]).unwrap();
            }
            let received = ours.recv().await.unwrap().unwrap();
            assert_eq!((received.bytes, received.descriptors.len()), (&[round; 5][..], 1));
        }
        drop(theirs);
        assert!(ours.recv().await.unwrap().is_none());
    });
}

#[test]
fn a_send_that_is_dropped_has_sent_all_or_nothing() {
    run(async {
        for polls in 1..=4 {
            let (left, right) = Stream::pair().unwrap();
            left.set_send_buffer(4608).unwrap();
            let (mut left, mut right) = framed((left, right));
            let null = File::open("/dev/null").unwrap();
            let (mut done, mut found) = (Vec::new(), Vec::new());
            for number in 0..60_u8 {
                let bytes = vec![number; 2000 + 100 * usize::from(number)];
                let fds = [null.as_fd()];
                if dropped_after(polls, left.send_borrowed(&bytes, &fds)).await.is_some() {
                    done.push(number);
                }
                while let Some(message) = dropped_after(2, right.recv()).await {
                    let message = message.unwrap().unwrap();
                    check(&message, &mut found);
                }
            }
            let rest = tokio::spawn(async move { left.flush().await.unwrap() });
            while let Some(message) = right.recv().await.unwrap() {
                check(&message, &mut found);
            }
            rest.await.unwrap();
            assert!(found.is_sorted() && !found.is_empty());
            assert!(done.iter().all(|number| found.contains(number)), "{polls} polls: {done:?} in {found:?}");
        }
    });
}

fn check(message: &ipc_uds::Message<'_>, found: &mut Vec<u8>) {
    let number = *message.bytes.first().unwrap();
    assert_eq!(message.bytes.len(), 2000 + 100 * usize::from(number));
    assert!(message.bytes.iter().all(|byte| *byte == number));
    assert_eq!(message.descriptors.len(), 1);
    assert_ne!(found.last(), Some(&number), "twice");
    found.push(number);
}

#[test]
fn packets_and_datagrams_are_not_lost_by_a_dropped_future() {
    run(async {
        let (left, right) = SeqPacket::pair().unwrap();
        let (left, right) = (Async::new(left).unwrap(), Async::new(right).unwrap());
        let mut buffer = [0; 64];
        for polls in 1..=3 {
            assert!(dropped_after(polls, right.recv(&mut buffer)).await.is_none());
        }
        left.send(b"hello").await.unwrap();
        assert_eq!(right.recv(&mut buffer).await.unwrap(), 5);
        assert!(matches!(left.send(b"").await, Err(Error::EmptyMessage)));

        let receiver = Async::new(Datagram::bind(Address::unnamed()).unwrap()).unwrap();
        let sender = Datagram::unbound().unwrap();
        sender.connect(receiver.get_ref().local_address().unwrap()).unwrap();
        let sender = Async::new(sender).unwrap();
        let mut sent = 0;
        while dropped_after(2, sender.send(&[sent])).await.is_some() {
            sent += 1;
        }
        for number in 0..sent {
            let (len, from) = receiver.recv_from(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..len], from.is_unnamed()), (&[number][..], true));
        }
        sender.send(b"after").await.unwrap();
        assert_eq!(receiver.recv(&mut buffer).await.unwrap(), 5);
    });
}

#[test]
fn descriptors_pass_over_our_sockets_and_tokios() {
    run(async {
        let null = File::open("/dev/null").unwrap();
        let (left, right) = tokio::net::UnixStream::pair().unwrap();
        assert!(dropped_after(2, right.recv_with(&mut [0; 8], 1)).await.is_none());
        left.send_with(b"x", &[null.as_fd()]).await.unwrap();
        assert_eq!(right.recv_with(&mut [0; 8], 1).await.unwrap().descriptors.len(), 1);
        left.send_with(b"x", &[null.as_fd(); 2]).await.unwrap();
        let many = right.recv_with(&mut [0; 8], 1).await;
        assert!(matches!(many, Err(Error::TooManyDescriptors { .. })));

        let (left, right) = tokio::net::UnixDatagram::pair().unwrap();
        left.send_with(b"x", &[null.as_fd()]).await.unwrap();
        assert_eq!(right.recv_with(&mut [0; 8], 1).await.unwrap().descriptors.len(), 1);

        let (left, right) = SeqPacket::pair().unwrap();
        let (left, right) = (Async::new(left).unwrap(), Async::new(right).unwrap());
        left.send_with(b"x", &[null.as_fd()]).await.unwrap();
        assert_eq!(right.recv_with(&mut [0; 8], 1).await.unwrap().descriptors.len(), 1);
    });
}

#[test]
fn a_server_of_tasks_keeps_its_limits_and_lets_answers_go_out() {
    let address = Address::abstract_name(format!("ipc-uds-{}-tasks", std::process::id()));
    run(async {
        let listener: Listener = Listener::bind(&address).unwrap();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let server = Server::new(listener)
            .clients(2)
            .idle(Duration::from_millis(500))
            .grace(WATCHDOG)
            .serve_async(async move { stopped.notified().await }, |client| async move {
                let mut bytes = [0; 4096];
                let mut client = &*client;
                loop {
                    let len = client.read(&mut bytes).await?;
                    if len == 0 {
                        return Ok(());
                    }
                    bytes[..len].make_ascii_uppercase();
                    client.write_all(&bytes[..len]).await?;
                }
            });
        let clients = async {
            // Two that say nothing fill it; they are cut off when they have been silent for long enough.
            let mut silent = [(); 2].map(|()| Async::<Stream>::connect(&address).unwrap());
            let mut third = Async::<Stream>::connect(&address).unwrap();
            third.write_all(b"hello").await.unwrap();
            let mut answer = [0; 5];
            third.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HELLO");
            for stream in &mut silent {
                assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            }
            third.write_all(&[b'x'; 100_000]).await.unwrap();
            stop.notify_one();
            let mut rest = Vec::new();
            third.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, [b'X'; 100_000]);
        };
        let (served, ()) = tokio::join!(server, clients);
        let served = served.unwrap();
        assert_eq!((served.clients, served.failed), (3, 2));
    });
}

#[test]
fn a_handler_that_panics_ends_its_own_connection() {
    let address = Address::abstract_name(format!("ipc-uds-{}-panics", std::process::id()));
    run(async {
        let listener: Listener = Listener::bind(&address).unwrap();
        let stop = std::future::pending();
        let turn = AtomicUsize::new(0);
        let server = Server::new(listener).total(3).serve_async(stop, |client: Arc<Async<Stream>>| {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            assert_ne!(turn, 0, "before the future is there");
            async move {
                assert_ne!(turn, 1, "in the future");
                let (mut client, mut byte) = (&*client, [0]);
                client.read_exact(&mut byte).await?;
                client.write_all(&byte).await
            }
        });
        let clients = async {
            for answer in [0, 0, 1] {
                let mut client = Async::<Stream>::connect(&address).unwrap();
                // One whose handler is gone may not take it any more.
                let _ = client.write_all(b"x").await;
                let mut got = Vec::new();
                let _ = client.read_to_end(&mut got).await;
                assert_eq!(got.len(), answer);
            }
        };
        let (served, ()) = tokio::join!(server, clients);
        let served = served.unwrap();
        assert_eq!((served.clients, served.failed), (3, 2));
    });
}

/// A server of tasks for three clients, of which one is silent and is cut off, however busy the others are. `Err` is how
/// long a machine stood still that made the busy ones look silent, too.
async fn serves_three<L, T, C>(listener: L, connect: impl Fn() -> C, idle: Duration) -> Result<(), Duration>
where
    L: AcceptAsync<Connection = T>,
    T: ByteStream + Send + Sync + 'static,
    C: Future<Output = T>,
{
    let server = Server::new(listener).clients(3).total(3).idle(idle);
    let server = server.serve_async(std::future::pending(), |client: Arc<Async<T>>| async move {
        tokio::io::copy(&mut &*client, &mut &*client).await.map(drop)
    });
    let clients = async {
        let mut silent = Async::new(connect().await).unwrap();
        let mut one = Async::new(connect().await).unwrap();
        let mut other = Async::new(connect().await).unwrap();
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        let talk = async {
            loop {
                for client in [&mut one, &mut other] {
                    client.write_all(b"hello").await?;
                    let mut answer = [0; 5];
                    client.read_exact(&mut answer).await?;
                    assert_eq!(&answer, b"hello");
                }
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
        };
        let mut nothing = [0];
        let cut: std::io::Result<()> = tokio::select! {
            cut = talk => cut,
            end = silent.read(&mut nothing) => {
                assert_eq!(end.unwrap(), 0);
                Ok(())
            }
        };
        longest = longest.max(last.elapsed());
        // The talk was dropped anywhere: what is left of an answer is read before the end.
        for client in [&mut one, &mut other] {
            if cut.is_ok() {
                client.shutdown().await.unwrap();
                client.read_to_end(&mut Vec::new()).await.unwrap();
            }
        }
        (cut, longest)
    };
    let (served, (cut, longest)) = tokio::join!(server, clients);
    if longest >= idle {
        return Err(longest);
    }
    cut.unwrap();
    let served = served.unwrap();
    assert_eq!((served.clients, served.failed), (3, 1));
    Ok(())
}

/// The servers of std's and tokio's listeners, side by side.
async fn serve_every_kind(idle: Duration, round: usize) -> Result<(), Duration> {
    let tokios = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tokios.local_addr().unwrap();
    let over_tcp = serves_three(tokios, || async move { TcpStream::connect(address).unwrap() }, idle);

    let std = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = std.local_addr().unwrap();
    let over_std_tcp = serves_three(std, || async move { TcpStream::connect(address).unwrap() }, idle);

    let name = |kind| {
        let name = format!("ipc-uds-{}-{kind}-{round}", std::process::id());
        SocketAddr::from_abstract_name(name).unwrap()
    };
    let (address, std) = (&name("tokio"), UnixListener::bind_addr(&name("tokio")).unwrap());
    std.set_nonblocking(true).unwrap();
    let tokios = tokio::net::UnixListener::from_std(std).unwrap();
    let over_unix = serves_three(tokios, || async move { UnixStream::connect_addr(address).unwrap() }, idle);

    let (address, std) = (&name("std"), UnixListener::bind_addr(&name("std")).unwrap());
    let over_std_unix = serves_three(std, || async move { UnixStream::connect_addr(address).unwrap() }, idle);
    let (one, two, three, four) = tokio::join!(over_tcp, over_std_tcp, over_unix, over_std_unix);
    one.and(two).and(three).and(four)
}

#[test]
fn a_server_of_tasks_takes_the_listeners_of_std_and_tokio() {
    run(async {
        let mut stood_still = Vec::new();
        for (round, idle) in [200, 400, 800, 1600].map(Duration::from_millis).into_iter().enumerate() {
            match serve_every_kind(idle, round).await {
                Ok(()) => return,
                Err(longest) => stood_still.push(longest),
            }
        }
        panic!("the machine stood still: {stood_still:?}");
    });
}

#[test]
fn tasks_of_a_server_frame_over_their_shared_socket_within_a_budget() {
    let address = Address::abstract_name(format!("ipc-uds-{}-budget", std::process::id()));
    run(async {
        let listener: Listener<SeqPacket> = Listener::bind(&address).unwrap();
        let server = Server::new(listener).clients(2).total(2).descriptors(true);
        // A part of 1024 bytes for each client, 2048 for whoever needs more.
        let budget = server.budget(4096, 4);
        let server = server.serve_async(std::future::pending(), |client: Arc<Async<SeqPacket>>| {
            let budget = budget.clone();
            async move {
                let mut client = AsyncFramed::over(client, 8192, 1)?.within(&budget);
                while let Some(message) = client.recv().await? {
                    let (answer, descriptors) = (message.bytes.to_vec(), message.descriptors);
                    client.send_with(&answer, descriptors).await?;
                }
                Ok(())
            }
        });
        let clients = async {
            let connect = async || {
                let socket = SeqPacket::connect(&address).unwrap();
                AsyncFramed::new(Framed::new(socket, 8192, 1).unwrap()).unwrap()
            };
            let (mut greedy, mut modest) = (connect().await, connect().await);
            let null = File::open("/dev/null").unwrap();
            greedy.send(&[7; 3000]).await.unwrap();
            assert_eq!(greedy.recv().await.unwrap().unwrap().bytes, [7; 3000]);
            greedy.send(&[7; 4000]).await.unwrap();
            // ECONNRESET where it was cut off with something unread.
            assert!(!matches!(greedy.recv().await, Ok(Some(_))), "beyond its part and what is for all");
            modest.send_borrowed(&[8; 1000], &[null.as_fd()]).await.unwrap();
            let answer = modest.recv().await.unwrap().unwrap();
            assert_eq!((answer.bytes, answer.descriptors.len()), (&[8; 1000][..], 1));
        };
        let (served, ()) = tokio::join!(server, clients);
        let served = served.unwrap();
        assert_eq!((served.clients, served.failed), (2, 1));
    });
}

#[test]
fn accepting_under_tokio() {
    let address = Address::abstract_name(format!("ipc-uds-{}-accept", std::process::id()));
    run(async {
        let listener: Async<Listener<SeqPacket>> = Async::new(Listener::bind(&address).unwrap()).unwrap();
        assert!(dropped_after(3, listener.accept()).await.is_none());
        let client = SeqPacket::connect(&address).unwrap();
        let server = Async::new(listener.accept().await.unwrap()).unwrap();
        client.send(b"hello").unwrap();
        assert_eq!(server.recv(&mut [0; 8]).await.unwrap(), 5);
        drop(client);
        assert_eq!(server.into_inner().recv(&mut [0; 8]).unwrap(), 0);
    });
}
