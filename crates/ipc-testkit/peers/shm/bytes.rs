//! The other end of a channel of messages of any length.
#![expect(unsafe_code, reason = "the peers vouch for each other where they lend")]

use ipc_shm::{Wait, bytes};
use ipc_testkit::role::{Result, Role, hear, say};

pub(crate) const ROLES: &[Role] =
    &[("bytes-sender", sender), ("bytes-lender", lender), ("bytes-receiver", receiver)];

/// The message of this number: its length and its bytes follow from it.
pub(crate) fn message(number: u64, max: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    let len = match random.u8(0..10) {
        0 => 0,
        1 => random.usize(0..=max),
        _ => random.usize(0..200.min(max)),
    };
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes
}

/// `bytes-sender NAME FROM COUNT [hold]`: sends the messages of these numbers.
fn sender(arguments: &[String]) -> Result {
    let mut sender = bytes::Sender::open(&arguments[0])?;
    sender.set_wait(Wait::Park);
    say("ready")?;
    let from: u64 = arguments[1].parse()?;
    let count: u64 = arguments[2].parse()?;
    for number in from..from.saturating_add(count) {
        sender.send(&message(number, sender.max_len()))?;
    }
    say("sent")?;
    if arguments.len() > 3 {
        hear()?;
    }
    Ok(())
}

/// `bytes-lender NAME COUNT`: as `bytes-sender` from 0 on, each written in place, in a loan that is a little too long.
fn lender(arguments: &[String]) -> Result {
    // SAFETY: the other process is the test, which writes nothing here but by this library.
    let mut sender = unsafe { bytes::Sender::open(&arguments[0])?.trust() };
    sender.set_wait(Wait::Park);
    say("ready")?;
    for number in 0..arguments[1].parse()? {
        let bytes = message(number, sender.max_len());
        let mut loan = sender.loan(sender.max_len().min(bytes.len() + 100))?;
        loan[..bytes.len()].copy_from_slice(&bytes);
        loan.truncate(bytes.len());
        loan.commit();
    }
    say("sent")
}

/// `bytes-receiver NAME`: receives and checks all from number 0 on; says how many and why it ended.
fn receiver(arguments: &[String]) -> Result {
    let mut receiver = bytes::Receiver::open(&arguments[0])?;
    say("ready")?;
    let mut buffer = Vec::new();
    for number in 0.. {
        match receiver.recv(&mut buffer) {
            Ok(_) if buffer == message(number, receiver.max_len()) => {}
            Ok(len) => return say(format_args!("message {number} of {len} bytes is wrong")),
            Err(error) => return say(format_args!("{number} {error}")),
        }
    }
    Ok(())
}
