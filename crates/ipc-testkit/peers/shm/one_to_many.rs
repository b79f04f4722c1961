//! Writers and readers of `latest` and `broadcast`.

use ipc_shm::{Error, SharedMemory, broadcast, latest};
use ipc_testkit::role::{Result, Role, say};

/// A value whose words are all the same when it is whole.
pub(crate) type Block = [u64; 32];

pub(crate) const ROLES: &[Role] = &[
    ("latest-writer", latest_writer),
    ("plain-writer", plain_writer),
    ("broadcast-writer", broadcast_writer),
    ("broadcast-reader", broadcast_reader),
];

/// `latest-writer NAME FROM`: replaces the value for ever.
fn latest_writer(arguments: &[String]) -> Result {
    let mut writer = latest::Writer::<Block>::open(&arguments[0])?;
    say("ready")?;
    let from: u64 = arguments[1].parse()?;
    for value in from.. {
        writer.write(&[value; 32])?;
    }
    Ok(())
}

/// `plain-writer NAME`: the same without a protocol.
fn plain_writer(arguments: &[String]) -> Result {
    let memory = SharedMemory::open(&arguments[0])?;
    say("ready")?;
    for value in 0_u64.. {
        memory.write(0, &[value; 32])?;
    }
    Ok(())
}

/// `broadcast-writer NAME FROM COUNT`: writes COUNT messages.
fn broadcast_writer(arguments: &[String]) -> Result {
    let mut writer = broadcast::Writer::<Block>::open(&arguments[0])?;
    writer.persist();
    say("ready")?;
    let from: u64 = arguments[1].parse()?;
    let count: u64 = arguments[2].parse()?;
    for value in from..from.saturating_add(count) {
        writer.write(&[value; 32])?;
    }
    Ok(())
}

/// `broadcast-reader NAME BATCH`: reads to the end, up to BATCH in a call; says how many came, how many were lost, and whether
/// all were whole and in order.
fn broadcast_reader(arguments: &[String]) -> Result {
    let mut reader = broadcast::Reader::<Block>::open(&arguments[0])?;
    say("ready")?;
    let (mut came, mut lost, mut next) = (0_u64, 0_u64, 0_u64);
    let mut buffer = vec![[0; 32]; arguments[1].parse()?];
    loop {
        let received = match &mut buffer[..] {
            [block] => reader.recv().map(|received| {
                *block = received;
                1
            }),
            buffer => reader.recv_batch(buffer),
        };
        match received {
            Ok(received) => {
                for block in &buffer[..received] {
                    if block.iter().any(|word| *word != next) {
                        return say(format_args!("torn or out of order at {next}: {block:?}"));
                    }
                    came += 1;
                    next += 1;
                }
            }
            Err(Error::Lagged(count)) => {
                lost += count;
                next += count;
            }
            Err(error) => return say(format_args!("{} {came} {lost} {error}", came + lost)),
        }
    }
}
