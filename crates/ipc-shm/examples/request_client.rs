//! Has numbers squared by `request_server`: start that one first.
//!
//! The socket carries the invitation and its acceptance, and is closed before the first question.

use std::process::ExitCode;
use std::time::Duration;

use ipc_shm::{Invitation, Sealed, request};
use ipc_uds::{Framed, Stream};

const HELP: &str = "
Usage: request_client PATH NUMBER... [--timeout MS]

Asks the server that it meets at the Unix socket PATH for the square of each NUMBER, all at once, and prints the answers.

  --timeout MS   how long it waits for each (1000)
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let timeout = Duration::from_millis(arguments.option("--timeout")?.unwrap_or(1000));
        let path = arguments.path("PATH")?;
        let mut numbers: Vec<u64> = vec![arguments.required("NUMBER")?];
        while let Some(number) = arguments.optional("NUMBER")? {
            numbers.push(number.parse().map_err(|error| format!("NUMBER {number:?}: {error}"))?);
        }
        arguments.finish()?;

        let mut meeting = Framed::new(Stream::connect(&path)?, 16, 2)?;
        let invited = meeting.recv_timeout(timeout)?.ok_or("the server has hung up")?;
        let invitation = Invitation::<request::Client<u64, u64, Sealed>>::try_from(invited.descriptors)?;
        let (client, acceptance) = invitation.accept()?;
        meeting.send_with(b"accepted", acceptance)?;
        drop(meeting);

        for numbers in numbers.chunks(client.capacity()) {
            let calls: Vec<_> = numbers
                .iter()
                .map(|number| Ok((number, client.send_timeout(number, timeout)?)))
                .collect::<ipc_shm::Result<_>>()?;
            for (number, call) in calls {
                println!("the square of {number} is {}", call.recv()?);
            }
        }
        Ok(())
    })
}
