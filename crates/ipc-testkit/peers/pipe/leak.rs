//! A process that starts children from many threads while others make descriptors of every type.
#![expect(unsafe_code, reason = "the mistake that is shown")]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use ipc_pipe::{CommandExt, FifoOptions, PipeOptions, pipe};
use ipc_shm::{Sealed, SharedMemory};
use ipc_signal::{MaskGuard, Pid, ProcessFd, Signal, SignalFd};
use ipc_testkit::role::{Result, say};
use ipc_testkit::{WATCHDOG, audit, name};
use ipc_uds::{Ancillary, Datagram, Listener, SeqPacket, Socket, Stream};

const THREADS: usize = 8;

/// COUNT: how many of so many children saw a descriptor that is none of theirs.
pub(crate) fn storm(arguments: &[String]) -> Result {
    let directory = name::directory();
    say(run(arguments[0].parse()?, |serial| {
        let path = |kind: &str| directory.path().join(format!("{kind}-{serial}"));
        pipes(&path("fifo")).unwrap();
        sockets(&path("socket")).unwrap();
        memory_and_signals(&name::unique("leak")).unwrap();
    }))
}

/// Every way to a descriptor of ipc-pipe.
fn pipes(path: &Path) -> Result {
    let (fifo, _) = FifoOptions::new().open_or_create(path)?;
    let _alive = fifo.keep_alive_reader()?;
    let met = (fifo.try_writer()?, fifo.reader_timeout(WATCHDOG)?);
    // Their second open file description.
    assert!(met.0.try_write(b"x")? == 1 && met.1.try_read(&mut [0])? == 1);
    let pipe = PipeOptions::new().nonblocking(true).create()?;
    let _copies = (pipe.0.try_clone()?, pipe.1.try_clone()?, PipeOptions::new().packets()?);
    Ok(())
}

/// Of ipc-uds.
fn sockets(path: &Path) -> Result {
    let listener = Listener::<Stream>::bind(path)?;
    let client = Stream::connect(path)?;
    let server = listener.accept()?;
    let _pairs = (SeqPacket::pair()?, Datagram::pair()?, client.peer_pidfd());
    client.send_with(b"x", &[server.as_fd(), client.as_fd()])?;
    let received = server.recv_with(&mut [0; 8], 2)?;
    assert_eq!(received.descriptors.len(), 2);
    Ok(())
}

/// Of ipc-shm and ipc-signal; System V objects have none.
fn memory_and_signals(name: &str) -> Result {
    let sealed = SharedMemory::<Sealed>::anonymous(64)?;
    let named = SharedMemory::create(name, 64)?;
    let _shared = (sealed.share()?, named.share()?, SharedMemory::open(name)?);
    let _blocked = MaskGuard::block([Signal::USR1])?;
    let _signals = (SignalFd::new([Signal::USR1])?, ProcessFd::open(Pid::own())?);
    Ok(())
}

/// COUNT MOST: the naive twin: close-on-exec is set after the fact. COUNT children, and so many more until one saw
/// something, but no more than MOST: how many did, and how many there were.
pub(crate) fn twin(arguments: &[String]) -> Result {
    let (count, most): (usize, usize) = (arguments[0].parse()?, arguments[1].parse()?);
    let (mut leaked, mut children) = (0, 0);
    while leaked == 0 && children < most {
        leaked = run(count, |_| make_leaky());
        children += count;
    }
    say(format_args!("{leaked} {children}"))
}

fn make_leaky() {
    let mut ends = [0; 2];
    // SAFETY: the kernel writes two descriptors into `ends`.
    let made = unsafe { libc::pipe(ends.as_mut_ptr()) };
    assert_eq!(made, 0);
    for end in ends {
        // SAFETY: the kernel returned this descriptor just now, nobody else owns it.
        let end = unsafe { OwnedFd::from_raw_fd(end) };
        let flags = nix::fcntl::FdFlag::FD_CLOEXEC;
        nix::fcntl::fcntl(&end, nix::fcntl::FcntlArg::F_SETFD(flags)).unwrap();
    }
}

/// COUNT: children of many threads at once, each handed two pipes of its own under numbers that all of them use: how many
/// saw anything else, and how many starts were refused because a number was in the way.
pub(crate) fn hand_storm(arguments: &[String]) -> Result {
    let count: usize = arguments[0].parse()?;
    let program = std::env::current_exe()?;
    let (started, wrong, busy) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while started.fetch_add(1, Ordering::Relaxed) < count {
                    let (reader, writer) = (pipe().unwrap().0, pipe().unwrap().1);
                    let expected = format!("5 {}\n6 {}\n", link(&reader), link(&writer));
                    let mut command = Command::new(&program);
                    command.arg("holds").hand([(5, OwnedFd::from(reader)), (6, writer.into())]).unwrap();
                    match command.output() {
                        Ok(output) if output.stdout == expected.as_bytes() => {}
                        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                            busy.fetch_add(1, Ordering::Relaxed);
                        }
                        _ => {
                            wrong.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    say(format_args!("{} {}", wrong.into_inner(), busy.into_inner()))
}

/// What it holds from 3 on.
pub(crate) fn holds(_: &[String]) -> Result {
    for (number, target) in audit::descriptors(None).range(3..) {
        say(format_args!("{number} {}", target.display()))?;
    }
    Ok(())
}

fn link(fd: &impl AsRawFd) -> String {
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap().display().to_string()
}

/// How many of `count` children saw more than they should, while threads call `make`.
fn run(count: usize, make: impl Fn(usize) + Sync) -> usize {
    let baseline = seen_by_a_child();
    let (started, leaked, ended) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for serial in 0..THREADS {
            let (make, ended) = (&make, &ended);
            scope.spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    make(serial);
                }
            });
        }
        let spawners: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    while started.fetch_add(1, Ordering::Relaxed) < count {
                        if seen_by_a_child() != baseline {
                            leaked.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        for spawner in spawners {
            spawner.join().unwrap();
        }
        ended.store(true, Ordering::Relaxed);
    });
    leaked.into_inner()
}

/// The descriptors of a child, as it lists them itself.
fn seen_by_a_child() -> String {
    let output = Command::new("ls").arg("/proc/self/fd").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
