//! Sends 1, 2, 3 … through a channel of any kind. Start this one first, then `channel_receiver` with the same kind and name,
//! and `shm_top` beside them.

use std::process::ExitCode;

use ipc_example::{Pace, Result};
use ipc_shm::broadcast::lossless;
use ipc_shm::{Error, broadcast, bytes, latest, mpmc, request, spsc};
use ipc_signal::{Shutdown, Signal};

const HELP: &str = "
channel_sender KIND NAME [--count N] [--interval MS]

Sends a number every interval (1000 ms) through the channel NAME and says so, until Ctrl-C. KIND is
  spsc       one sender, one receiver
  mpsc       up to 8 senders, one receiver; each sender has a lane of its own: NAME.0, NAME.1 …
  mpmc       many senders, many receivers; each number goes to one of them
  broadcast  one writer, many readers; each number goes to all of them
  lossless   the same, and the writer waits for the slowest of them
  latest     one writer, many readers, which see the newest number only
  bytes      one sender, one receiver; messages of any length, here as many stars as the number says
  request    one client, one server, which answers with the square
What a killed one left under NAME is taken up where somebody still has it, and made anew where nobody has.
";

/// Messages that may be under way.
const CAPACITY: usize = 64;
/// Senders that `channel_receiver` looks for.
const LANES: usize = 8;

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let pace = arguments.pace()?;
        let kind: String = arguments.required("KIND")?;
        let name: String = arguments.required("NAME")?;
        arguments.finish()?;

        let shutdown = Shutdown::on([Signal::INT, Signal::TERM])?;
        let numbers = numbers(&pace, &shutdown);
        match &*kind {
            "spsc" => {
                let (mut sender, _) = spsc::Sender::open_or_replace(&name, CAPACITY)?;
                each(numbers, |number| sender.send(&number))
            }
            "mpsc" => {
                let us = u64::from(std::process::id());
                let mut sender = lane(&name)?;
                each(numbers, |number| sender.send(&[us, number]))
            }
            "mpmc" => {
                let (mut sender, _) = mpmc::Sender::open_or_replace(&name, CAPACITY)?;
                each(numbers, |number| sender.send(&number))
            }
            "broadcast" => {
                let (mut writer, _) = broadcast::Writer::open_or_replace(&name, CAPACITY)?;
                each(numbers, |number| writer.write(&number))
            }
            "lossless" => {
                let (mut writer, _) = lossless::Writer::open_or_replace(&name, CAPACITY)?;
                each(numbers, |number| writer.write(&number))
            }
            "latest" => {
                let (mut writer, _) = latest::Writer::open_or_replace(&name)?;
                each(numbers, |number| writer.write(&number))
            }
            "bytes" => {
                let (mut sender, _) = bytes::Sender::open_or_replace(&name, 1 << 16)?;
                each(numbers, |number| sender.send(&b"*".repeat((number % 64) as usize)))
            }
            "request" => {
                let (client, _) = request::Client::<u64, u64>::open_or_replace(&name, CAPACITY)?;
                for number in numbers {
                    println!("{number} squared?");
                    println!("{number} squared is {}", client.call(&number)?);
                }
                Ok(())
            }
            _ => Err(format!("KIND {kind:?} is unknown; see --help").into()),
        }
    })
}

/// 1, 2, 3 …, one every interval, until it was enough or Ctrl-C. A second Ctrl-C ends a sender that waits for room.
fn numbers(pace: &Pace, shutdown: &Shutdown) -> impl Iterator<Item = u64> {
    let all = 1..=pace.left().unwrap_or(u64::MAX);
    all.take_while(|number| *number == 1 || !shutdown.asked_within(pace.interval()))
}

fn each(numbers: impl Iterator<Item = u64>, mut send: impl FnMut(u64) -> ipc_shm::Result<()>) -> Result {
    for number in numbers {
        send(number)?;
        println!("sent {number}");
    }
    Ok(())
}

/// The first lane that no living sender has.
fn lane(name: &str) -> Result<spsc::Sender<[u64; 2]>> {
    for lane in 0..LANES {
        match spsc::Sender::open_or_replace(format!("{name}.{lane}"), CAPACITY) {
            Err(Error::EndInUse { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok((sender, _)) => return Ok(sender),
        }
    }
    Err(format!("{name} has {LANES} senders already").into())
}
