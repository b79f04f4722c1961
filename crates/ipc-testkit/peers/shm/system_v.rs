//! The other process of a System V segment.

use std::error::Error;
use std::fs::File;

use ipc_shm::sysv::Place;
use ipc_shm::{SharedMemory, Wait, broadcast, bytes, latest, request, spsc};
use ipc_sysv::{Key, Segment};
use ipc_testkit::crash;
use ipc_testkit::role::{Result, Role, hear, say};

pub(crate) const ROLES: &[Role] = &[("sysv-end", end), ("sysv-maker", maker)];

fn place(key: &str, lock_file: &str) -> std::result::Result<Place, Box<dyn Error>> {
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
