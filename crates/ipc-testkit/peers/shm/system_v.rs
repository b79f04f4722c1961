//! The other process of a System V segment.
#![expect(unsafe_code, reason = "a borrow, which a child touches")]

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

use ipc_shm::sysv::Place;
use ipc_shm::{Error, MemoryOptions, Shared, SharedMemory, Wait, broadcast, bytes, latest, request, spsc};
use ipc_sysv::{Key, Segment};
use ipc_testkit::crash;
use ipc_testkit::role::{Result, Role, hear, say};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

use crate::forks::in_child;

pub(crate) const ROLES: &[Role] =
    &[("sysv-end", end), ("sysv-maker", maker), ("sysv-value", value), ("sysv-fork", fork)];

pub(crate) fn place(key: &str, lock_file: &str) -> Result<Place> {
    let segment = Segment::open(Key::new(key.parse()?))?;
    let lock_file = File::options().read(true).write(true).open(lock_file)?;
    Ok(Place::new(segment.attach()?, &lock_file)?)
}

/// `sysv-end KEY LOCK-FILE KIND`: opens the other end and uses it.
fn end(arguments: &[String]) -> Result {
    let place = place(&arguments[0], &arguments[1])?;
    match &*arguments[2] {
        "memory" => {
            let memory: SharedMemory = place.open()?;
            say(memory.read::<u64>(8)?)?;
            memory.write(8, &2_u64)?;
        }
        "latest" => {
            let mut reader: latest::Reader<u64> = place.open()?;
            say("ready")?;
            say(reader.wait()?)?;
        }
        "broadcast" => {
            let mut reader: broadcast::Reader<u64> = place.open()?;
            say("ready")?;
            say(reader.recv()?)?;
            say(match reader.recv() {
                Ok(more) => more.to_string(),
                Err(error) => error.to_string(),
            })?;
        }
        "lossless" => {
            let mut reader: broadcast::lossless::Reader<u64> = place.open()?;
            say("ready")?;
            for message in 0..100 {
                if reader.recv()? != message {
                    return say("lost");
                }
            }
            say(reader.recv().map_or_else(|error| error.to_string(), |more| more.to_string()))?;
        }
        "request" => {
            let client: request::Client<u64, u64> = place.open()?;
            say(client.call(&21)?)?;
        }
        "bytes" => {
            let mut sender: bytes::Sender = place.open()?;
            sender.set_wait(Wait::Park);
            for len in 0..200 {
                sender.send(&vec![7; len])?;
            }
        }
        // Sends until it is told not to, and longer.
        _ => {
            let mut sender: spsc::Sender<u64> = place.open()?;
            say("ready")?;
            for message in 0..arguments[2].parse()? {
                sender.send(&message)?;
            }
            say("sent")?;
            hear()?;
        }
    }
    say("done")
}

/// `sysv-maker KEY LOCK-FILE`: makes a channel, killed on the way.
fn maker(arguments: &[String]) -> Result {
    let place = place(&arguments[0], &arguments[1])?;
    crash::begin();
    let sender = place.create::<spsc::Sender<u64>>(16)?;
    crash::end();
    drop(sender);
    Ok(())
}

/// `sysv-value KEY LOCK-FILE`: makes a value, killed on the way.
fn value(arguments: &[String]) -> Result {
    let place = place(&arguments[0], &arguments[1])?;
    crash::begin();
    let value = Shared::<[AtomicU64; 2]>::create_in(place, |[first, second]| {
        first.store(1, Ordering::Relaxed);
        second.store(1, Ordering::Relaxed);
        Ok(())
    })?;
    crash::end();
    drop(value);
    Ok(())
}

/// `sysv-fork LOCK-FILE MEMORY CHANNEL VALUE`: the keys of three segments. One child touches a borrow of its parent's, the
/// next tries every handle and drops them all; then the parent uses them.
fn fork(arguments: &[String]) -> Result {
    let place = |index: usize| place(&arguments[index], &arguments[0]);
    let memory: SharedMemory = place(1)?.create(MemoryOptions::new())?;
    let mut sender: spsc::Sender<u64> = place(2)?.create(16)?;
    // SAFETY: both ends are this process.
    let mut receiver = unsafe { place(2)?.open::<spsc::Receiver<u64>>()?.trust() };
    let value = Shared::<AtomicU64>::create_in(place(3)?, |_| Ok(()))?;
    sender.send(&5)?;
    let borrow = receiver.borrow()?;
    let touched = in_child(|| if *borrow == 5 { Err("it was there".into()) } else { Ok(()) })?;
    say(format_args!(
        "borrow {} {}",
        matches!(touched, WaitStatus::Signaled(_, Signal::SIGSEGV, _)),
        *borrow
    ))?;
    drop(borrow);

    let mut all = Some((memory, sender, receiver, value));
    in_child(|| {
        let Some((memory, mut sender, mut receiver, value)) = all.take() else { return Ok(()) };
        let results = [
            memory.write(8, &1_u64),
            memory.read::<u64>(8).map(drop),
            sender.try_send(&6),
            sender.stat().map(drop),
            receiver.try_recv().map(drop),
            value.get().map(drop),
            value.share().map(drop),
        ];
        drop((memory, sender, receiver, value));
        let others = results.iter().filter(|result| !matches!(result, Err(Error::Forked))).count();
        say(format_args!("child {others}"))
    })?;
    let Some((memory, mut sender, mut receiver, value)) = all else { return Ok(()) };
    memory.write(8, &7_u64)?;
    sender.send(&8)?;
    value.get()?.store(9, Ordering::Relaxed);
    say(format_args!("parent {} {}", memory.read::<u64>(8)?, receiver.recv()?))?;
    hear().map(drop)
}
