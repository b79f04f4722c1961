//! Prints what comes through a channel of any kind, and ends when nobody sends any more. Start `channel_sender` with the
//! same kind and name first.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use ipc_example::Result;
use ipc_shm::broadcast::lossless;
use ipc_shm::{Error, Presence, broadcast, bytes, latest, mpmc, mpsc, request, spsc};

const HELP: &str = "
channel_receiver KIND NAME

Prints what comes through the channel NAME. KIND is spsc, mpsc, mpmc, broadcast, lossless, latest, bytes or request, as in
channel_sender; of mpmc, broadcast, lossless and latest there may be several.
";

/// Lanes that `channel_sender` makes.
const LANES: usize = 8;
/// How soon the sender of a new lane is noticed.
const LOOK: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let kind: String = arguments.required("KIND")?;
        let name: String = arguments.required("NAME")?;
        arguments.finish()?;

        match &*kind {
            "spsc" => {
                let mut receiver = spsc::Receiver::<u64>::open(&name)?;
                each(|| receiver.recv().map(|number| format!("received {number}")))
            }
            "mpsc" => lanes(&name),
            "mpmc" => {
                let mut receiver = mpmc::Receiver::<u64>::open(&name)?;
                each(|| {
                    // Who dies before the work is done leaves it to another receiver.
                    let work = receiver.hold()?;
                    println!("received {}", work.message());
                    work.done().map(|()| "done".to_owned())
                })
            }
            "broadcast" => {
                let mut reader = broadcast::Reader::<u64>::open(&name)?;
                each(|| match reader.recv() {
                    Err(Error::Lagged(lost)) => Ok(format!("missed {lost}")),
                    received => received.map(|number| format!("received {number}")),
                })
            }
            "lossless" => {
                let mut reader = lossless::Reader::<u64>::open(&name)?;
                each(|| reader.recv().map(|number| format!("received {number}")))
            }
            "latest" => {
                let mut reader = latest::Reader::<u64>::open(&name)?;
                each(|| reader.wait().map(|number| format!("now {number}")))
            }
            "bytes" => {
                let mut receiver = bytes::Receiver::open(&name)?;
                let mut message = Vec::new();
                each(|| {
                    let length = receiver.recv(&mut message)?;
                    Ok(format!("received {length} bytes: {}", String::from_utf8_lossy(&message)))
                })
            }
            "request" => {
                let server = request::Server::<u64, u64>::open(&name)?;
                each(|| {
                    let request = server.recv()?;
                    let number = *request.question();
                    request.answer(&number.saturating_mul(number))?;
                    Ok(format!("answered {number}"))
                })
            }
            _ => Err(format!("KIND {kind:?} is unknown; see --help").into()),
        }
    })
}

/// Prints one after the other until the other side is gone.
fn each(mut next: impl FnMut() -> ipc_shm::Result<String>) -> Result {
    loop {
        match next() {
            Ok(line) => println!("{line}"),
            Err(Error::Disconnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Several senders, which come and go: before each message a look for those that have come.
fn lanes(name: &str) -> Result {
    let mut receiver = mpsc::Receiver::<[u64; 2]>::new();
    let mut admitted = BTreeMap::new();
    loop {
        for lane in (0..LANES).filter(|lane| !admitted.contains_key(lane)).collect::<Vec<_>>() {
            match spsc::Receiver::open(format!("{name}.{lane}")) {
                Ok(end) if is_used(&end)? => drop(admitted.insert(lane, receiver.admit(end)?)),
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if admitted.is_empty() {
            return Err(format!("{name} has no sender").into());
        }
        let received = receiver.recv_timeout(LOOK);
        for (gone, _) in receiver.departed() {
            admitted.retain(|_, id| *id != gone);
        }
        match received {
            Ok([sender, number]) => println!("received {number} from {sender}"),
            Err(Error::TimedOut) => {}
            Err(Error::Disconnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether there is anything to expect of a lane: one that was killed leaves its name.
fn is_used(lane: &spsc::Receiver<[u64; 2]>) -> ipc_shm::Result<bool> {
    let stat = lane.stat()?;
    Ok(stat.sender.presence == Presence::Alive || stat.lag() != Some(0))
}
