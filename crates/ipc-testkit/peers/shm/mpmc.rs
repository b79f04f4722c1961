//! One of many at a queue.
#![expect(
    unsafe_code,
    reason = "a child is forked raw, a descriptor is found by its number, channels are vouched for, and a twin counts in raw memory"
)]

use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipc_shm::{Error, Wait, mpmc, spsc};
use ipc_testkit::crash;
use ipc_testkit::role::{Result, Role, hear, say};

use crate::spsc::wait_of;

pub(crate) const ROLES: &[Role] = &[
    ("mpmc-sender", sender),
    ("mpmc-receiver", receiver),
    ("mpmc-holder", holder),
    ("mpmc-looks-dead", looks_dead),
    ("mpmc-turns", turns),
    ("mpmc-waits", waits),
    ("mpmc-sends-one", sends_one),
    ("mpmc-receives-one", receives_one),
    ("mpmc-forker", forker),
    ("mpmc-lender", lender),
    ("mpmc-step-send", step_send),
    ("mpmc-step-send-batch", step_send_batch),
    ("mpmc-step-loan", step_loan),
    ("mpmc-step-borrow", step_borrow),
    ("mpmc-step-receive", step_receive),
    ("mpmc-step-receive-batch", step_receive_batch),
    ("mpmc-step-naive", step_naive),
];

/// `mpmc-sender NAME NUMBER COUNT WAIT BATCH`: sends COUNT messages, from NUMBER << 32 on, BATCH in a call.
fn sender(arguments: &[String]) -> Result {
    let mut sender = mpmc::Sender::<u64>::open(&arguments[0])?;
    sender.set_wait(wait_of(&arguments[3]));
    say("ready")?;
    let mut next = arguments[1].parse::<u64>()? << 32;
    let end = next + arguments[2].parse::<u64>()?;
    let batch = arguments[4].parse::<u64>()?;
    while next < end {
        let messages: Vec<u64> = (next..end.min(next + batch)).collect();
        match messages[..] {
            [message] => sender.send(&message)?,
            _ => sender.send_batch(&messages)?,
        }
        next += messages.len() as u64;
    }
    Ok(())
}

/// `mpmc-receiver NAME WAIT BATCH`: receives all that it gets, up to BATCH in a call, and says how many, their sum, and whether
/// each sender's came in order.
fn receiver(arguments: &[String]) -> Result {
    let mut receiver = mpmc::Receiver::<u64>::open(&arguments[0])?;
    receiver.set_wait(wait_of(&arguments[1]));
    say("ready")?;
    let (mut count, mut sum, mut in_order) = (0_u64, 0_u64, true);
    let mut next = [0; 8];
    let mut buffer = vec![0; arguments[2].parse()?];
    loop {
        let received = match &mut buffer[..] {
            [message] => receiver.recv().map(|received| {
                *message = received;
                1
            }),
            buffer => receiver.recv_batch(buffer),
        };
        match received {
            Ok(received) => {
                for message in &buffer[..received] {
                    let of = usize::try_from(message >> 32)?;
                    in_order &= message & 0xffff_ffff >= next[of];
                    next[of] = (message & 0xffff_ffff) + 1;
                    (count, sum) = (count + 1, sum.wrapping_add(*message));
                }
            }
            Err(Error::Disconnected) => return say(format_args!("{count} {sum} {in_order}")),
            Err(error) => return Err(error.into()),
        }
    }
}

/// `mpmc-holder NAME`: takes a message, says it, and has done when it is told so.
fn holder(arguments: &[String]) -> Result {
    let mut receiver = mpmc::Receiver::<u64>::open(&arguments[0])?;
    let held = receiver.hold()?;
    say(held.message())?;
    hear()?;
    held.done()?;
    say("done")
}

/// `mpmc-turns TURNS NAME`: sends what it gets in the ring TURNS into the queue NAME.
fn turns(arguments: &[String]) -> Result {
    let mut turns = spsc::Receiver::<u64>::open(&arguments[0])?;
    let mut sender = mpmc::Sender::<u64>::open(&arguments[1])?;
    say("ready")?;
    loop {
        match turns.recv() {
            Ok(message) => sender.send(&message)?,
            Err(Error::Disconnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// `mpmc-waits NAME send|recv`: makes the channel and waits in it when it is told to; says what ended the wait, and after how
/// many microseconds of its last sleep.
fn waits(arguments: &[String]) -> Result {
    let options = ipc_shm::ChannelOptions::new(16);
    let timed = |wait: &mut dyn FnMut() -> ipc_shm::Result<()>| {
        say("ready")?;
        hear()?;
        let start = Instant::now();
        let ended = loop {
            match wait() {
                Ok(()) => {}
                Err(Error::Disconnected) => break "Disconnected".to_owned(),
                Err(error) => break error.to_string(),
            }
        };
        say(ended)?;
        say(start.elapsed().as_micros())
    };
    if arguments[1] == "send" {
        let mut sender = mpmc::Sender::<u64>::create(&arguments[0], options)?;
        sender.set_wait(Wait::Park);
        timed(&mut || sender.send(&1))
    } else {
        let mut receiver = mpmc::Receiver::<u64>::create(&arguments[0], options)?;
        receiver.set_wait(Wait::Park);
        timed(&mut || receiver.recv().map(drop))
    }
}

/// `mpmc-sends-one NAME`: is there until it is told to go.
fn sends_one(arguments: &[String]) -> Result {
    let _sender = mpmc::Sender::<u64>::open(&arguments[0])?;
    say("there")?;
    hear().map(drop)
}

/// `mpmc-receives-one NAME`: the same, of the other side.
fn receives_one(arguments: &[String]) -> Result {
    let _receiver = mpmc::Receiver::<u64>::open(&arguments[0])?;
    say("there")?;
    hear().map(drop)
}

/// `mpmc-looks-dead NAME`: takes a message, and code that knows nothing of it unlocks the file that its lock is on. (To close
/// the descriptor would not do: the mapping keeps the opening alive, and so the lock.)
fn looks_dead(arguments: &[String]) -> Result {
    let mut receiver = mpmc::Receiver::<u64>::open(&arguments[0])?;
    let held = receiver.hold()?;
    unlock_all(&arguments[0])?;
    say(held.message())?;
    hear()?;
    say(format_args!("{:?}", held.done().err().map(|error| error.to_string())))
}

/// Unlocks every byte of this name's file, by each descriptor of it.
pub(crate) fn unlock_all(name: &str) -> Result {
    for entry in fs::read_dir("/proc/self/fd")? {
        let path = entry?.path();
        let Ok(target) = fs::read_link(&path) else { continue };
        if target.to_string_lossy().contains(name) {
            let descriptor = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().parse()?;
            // SAFETY: the descriptor is open, as the directory said, and nobody closes it meanwhile.
            let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) };
            let all = libc::flock { l_type: 2, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
            assert_eq!(i32::from(all.l_type), libc::F_UNLCK);
            nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_OFD_SETLK(&all))?;
        }
    }
    Ok(())
}

/// `mpmc-forker NAME`: forks with both ends in hand.
fn forker(arguments: &[String]) -> Result {
    let mut sender = mpmc::Sender::<u64>::create(&arguments[0], 16)?;
    let mut receiver = mpmc::Receiver::<u64>::open(&arguments[0])?;
    sender.send(&1)?;
    sender.send(&2)?;
    let held = receiver.hold()?;
    // SAFETY: this process has one thread.
    #[expect(clippy::disallowed_methods, reason = "a single-threaded peer")]
    let child = unsafe { libc::fork() };
    if child == 0 {
        let done = matches!(held.done(), Err(Error::Forked));
        let forked = [
            done,
            matches!(sender.try_send(&2), Err(Error::Forked)),
            matches!(receiver.try_recv(), Err(Error::Forked)),
            matches!(receiver.recv_timeout(Duration::ZERO), Err(Error::Forked)),
            matches!(sender.share(), Err(Error::Forked)),
        ];
        drop((sender, receiver));
        say(format_args!("child {forked:?}"))?;
        std::process::exit(0);
    }
    nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child), None)?;
    held.done()?;
    say(format_args!("parent {}", receiver.recv()?))
}

fn step_send(arguments: &[String]) -> Result {
    let mut sender = mpmc::Sender::<[u64; 4]>::open(&arguments[0])?;
    crash::begin();
    sender.send(&[5; 4])?;
    crash::end();
    Ok(())
}

fn step_send_batch(arguments: &[String]) -> Result {
    let mut sender = mpmc::Sender::<[u64; 4]>::open(&arguments[0])?;
    crash::begin();
    sender.send_batch(&[[5; 4], [6; 4]])?;
    crash::end();
    Ok(())
}

/// `mpmc-lender NAME`: borrows a message, which it says, and has a loan; keeps both until it hears something.
fn lender(arguments: &[String]) -> Result {
    let receiver = mpmc::Receiver::<u64>::open(&arguments[0])?;
    let sender = mpmc::Sender::<u64>::open(&arguments[0])?;
    // SAFETY: the test and this peer are the only ones, and keep to the protocol.
    let mut sender = unsafe { sender.trust() };
    // SAFETY: as above.
    let mut receiver = unsafe { receiver.trust() };
    let message = receiver.borrow()?;
    let mut loan = sender.loan()?;
    *loan = 2;
    say(*message)?;
    hear()?;
    loan.commit()?;
    message.done()?;
    Ok(())
}

fn step_loan(arguments: &[String]) -> Result {
    let sender = mpmc::Sender::<[u64; 4]>::open(&arguments[0])?;
    // SAFETY: the test and this peer are the only ones, and keep to the protocol.
    let mut sender = unsafe { sender.trust() };
    crash::begin();
    let mut loan = sender.loan()?;
    loan.fill(5);
    loan.commit()?;
    crash::end();
    Ok(())
}

fn step_borrow(arguments: &[String]) -> Result {
    let receiver = mpmc::Receiver::<[u64; 4]>::open(&arguments[0])?;
    // SAFETY: the test and this peer are the only ones, and keep to the protocol.
    let mut receiver = unsafe { receiver.trust() };
    crash::begin();
    let message = receiver.borrow()?;
    let same = message.iter().all(|word| *word == message[0]);
    message.done()?;
    crash::end();
    if same { Ok(()) } else { Err("torn".into()) }
}

fn step_receive(arguments: &[String]) -> Result {
    let mut receiver = mpmc::Receiver::<[u64; 4]>::open(&arguments[0])?;
    crash::begin();
    let held = receiver.hold()?;
    held.done()?;
    crash::end();
    Ok(())
}

fn step_receive_batch(arguments: &[String]) -> Result {
    let mut receiver = mpmc::Receiver::<[u64; 4]>::open(&arguments[0])?;
    let mut buffer = [[0; 4]; 2];
    crash::begin();
    let received = receiver.recv_batch(&mut buffer)?;
    crash::end();
    if (received, buffer) == (2, [[1; 4], [2; 4]]) { Ok(()) } else { Err("another batch".into()) }
}

/// `mpmc-step-naive NAME`: a send as it is usually done: the position by `fetch_add`, then the message, then its mark.
fn step_naive(arguments: &[String]) -> Result {
    let path = format!("/dev/shm/{}", arguments[0]);
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at the kernel's choice of address.
    let base =
        unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    if base == libc::MAP_FAILED {
        return Err("mmap".into());
    }
    // SAFETY: mapped above, never unmapped, reached through atomics.
    let words = unsafe { std::slice::from_raw_parts(base.cast::<AtomicU64>(), 512) };
    crash::begin();
    let pos = words[0].fetch_add(1, Ordering::AcqRel);
    let slot = 8 + usize::try_from(pos)? * 2;
    words[slot + 1].store(5, Ordering::Relaxed);
    words[slot].store(pos + 1, Ordering::Release);
    crash::end();
    Ok(())
}
