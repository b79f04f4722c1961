//! Processes that are killed at each instruction of a start, an attachment, a send or a receive.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipc_shm::{Payload, Shared, Wait, broadcast, bytes, latest, spsc};
use ipc_testkit::crash;
use ipc_testkit::role::{Result, Role};

pub(crate) const ROLES: &[Role] = &[
    ("step-create", create),
    ("step-create-naively", create_naively),
    ("step-replace", replace),
    ("step-attach", attach),
    ("step-send", send::<1>),
    ("step-send-packed", send::<8>),
    ("step-receive", receive),
    ("step-send-bytes", send_bytes),
    ("step-latest", write_latest),
    ("step-broadcast", write_broadcast),
    ("step-wait-message", wait_message),
    ("step-wait-room", wait_room),
    ("step-claim-naively", claim_naively),
];

fn create(arguments: &[String]) -> Result {
    crash::begin();
    let sender = spsc::Sender::<u64>::create(&arguments[0], 16)?;
    crash::end();
    drop(sender);
    Ok(())
}

/// As C programs do it: the name first, then the length, then the contents.
fn create_naively(arguments: &[String]) -> Result {
    let path = format!("/dev/shm/{}", arguments[0]);
    crash::begin();
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    file.set_len(8192)?;
    file.write_all_at(b"ready", 0)?;
    crash::end();
    Ok(())
}

fn replace(arguments: &[String]) -> Result {
    crash::begin();
    let sender = spsc::Sender::<u64>::open_or_replace(&arguments[0], 16)?;
    crash::end();
    drop(sender);
    Ok(())
}

fn attach(arguments: &[String]) -> Result {
    crash::begin();
    let receiver = spsc::Receiver::<u64>::open(&arguments[0])?;
    crash::end();
    drop(receiver);
    Ok(())
}

/// One message, then a batch of two.
fn send<const N: usize>(arguments: &[String]) -> Result
where
    [u64; N]: Payload,
{
    let mut sender = spsc::Sender::<[u64; N]>::open(&arguments[0])?;
    crash::begin();
    sender.send(&[0; N])?;
    sender.send_batch(&[[1; N], [2; N]])?;
    crash::end();
    Ok(())
}

/// Two of the messages that are there.
fn receive(arguments: &[String]) -> Result {
    let mut receiver = spsc::Receiver::<u64>::open(&arguments[0])?;
    crash::begin();
    for _ in 0..2 {
        receiver.recv()?;
    }
    crash::end();
    Ok(())
}

/// One message of two blocks, then a batch of two.
fn send_bytes(arguments: &[String]) -> Result {
    let mut sender = bytes::Sender::open(&arguments[0])?;
    crash::begin();
    sender.send(&[1; 100])?;
    sender.try_send_batch(&[&[2; 10], &[3; 200]])?;
    crash::end();
    Ok(())
}

/// Two values.
fn write_latest(arguments: &[String]) -> Result {
    let mut writer = latest::Writer::<[u64; 4]>::open(&arguments[0])?;
    crash::begin();
    writer.write(&[1; 4])?;
    writer.write(&[2; 4])?;
    crash::end();
    Ok(())
}

/// Two messages.
fn write_broadcast(arguments: &[String]) -> Result {
    let mut writer = broadcast::Writer::<[u64; 4]>::open(&arguments[0])?;
    crash::begin();
    writer.write(&[1; 4])?;
    writer.write(&[2; 4])?;
    crash::end();
    Ok(())
}

/// Waits for a message that does not come.
fn wait_message(arguments: &[String]) -> Result {
    let mut receiver = spsc::Receiver::<u64>::open(&arguments[0])?;
    receiver.set_wait(Wait::Park);
    crash::begin();
    let came = receiver.recv_timeout(Duration::from_millis(1));
    crash::end();
    drop(came);
    Ok(())
}

/// Waits for room that nobody makes.
fn wait_room(arguments: &[String]) -> Result {
    let mut sender = spsc::Sender::<u64>::open(&arguments[0])?;
    sender.set_wait(Wait::Park);
    crash::begin();
    let went = sender.send_timeout(&99, Duration::from_millis(1));
    crash::end();
    drop(went);
    Ok(())
}

/// The queue with one tail for all who send: claim a place, then fill it.
fn claim_naively(arguments: &[String]) -> Result {
    let shared = Shared::<[AtomicU64; 8]>::open(&arguments[0])?;
    let queue = shared.get()?;
    crash::begin();
    let place = queue[0].fetch_add(1, Ordering::Relaxed);
    queue[usize::try_from(place)? + 1].store(7, Ordering::Release);
    crash::end();
    Ok(())
}
