//! Processes that are killed at each instruction of a start, an attachment, a send or a receive.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use ipc_shm::{Payload, spsc};
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
