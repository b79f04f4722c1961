//! Squares numbers for any number of processes, through memory that none of them can spoil for another. Start it first, then
//! any number of `request_client`.
//!
//! A Unix socket is where they meet: each client that connects gets an invitation to a channel of its own, and from then on
//! the socket says nothing more. One `Select` waits for clients, for questions and for Ctrl-C.

use std::process::ExitCode;
use std::time::Duration;

use ipc_example::Result;
use ipc_shm::{Acceptance, ChannelOptions, Readable, Sealed, Select, Source, request};
use ipc_signal::{Shutdown, Signal};
use ipc_uds::{BindOptions, Framed, Stale, Stream};

const HELP: &str = "
Usage: request_server PATH [--count N]

Meets clients at the Unix socket PATH, answers each question with its square, and says who asked.

  --count N   end after N clients have come and gone
";

type Servers = request::Servers<u64, u64, Sealed>;

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let mut left = arguments.option("--count")?.unwrap_or(u64::MAX);
        let path = arguments.path("PATH")?;
        arguments.finish()?;

        let shutdown = Shutdown::on([Signal::INT, Signal::TERM])?;
        let listener = BindOptions::new().stale(Stale::Replace).listen(&path)?;
        println!("meeting at {}", path.display());
        let mut servers = Servers::new();
        let mut select = Select::new();
        while left > 0 && !shutdown.asked() {
            let (mut end, mut door, mut asked) = (Readable(&shutdown), Readable(&listener), &servers);
            let mut sources: Vec<&mut dyn Source> = vec![&mut end, &mut door];
            if servers.lanes() > 0 {
                sources.push(&mut asked);
            }
            match select.wait(&mut sources)? {
                0 => break,
                // One that does not keep to the protocol is no reason to end.
                1 => match meet(listener.accept()?, &servers) {
                    Ok(()) => {}
                    Err(error) => eprintln!("a client was turned away: {error}"),
                },
                _ => answer(&servers)?,
            }
            for (client, why) in servers.departed() {
                println!("{client:?}: {why}");
                left = left.saturating_sub(1);
            }
        }
        Ok(())
    })
}

/// Invites who has connected, and lets it in once it has accepted.
fn meet(stream: Stream, servers: &Servers) -> Result {
    let (offer, invitation) = request::Server::<u64, u64, Sealed>::offer(ChannelOptions::new(16).pollable())?;
    let mut meeting = Framed::new(stream, 16, 2)?;
    meeting.send_with(b"invited", invitation)?;
    // Who says nothing keeps the others waiting no longer than this.
    let accepted = meeting.recv_timeout(Duration::from_secs(1))?.ok_or("it left")?;
    servers.admit(offer.complete(Acceptance::try_from(accepted.descriptors)?)?)?;
    Ok(())
}

fn answer(servers: &Servers) -> Result {
    while let Ok((client, request)) = servers.try_recv() {
        let number = *request.question();
        println!("{client:?} asks for {number}");
        request.answer(&number.saturating_mul(number))?;
    }
    Ok(())
}
