//! A server for many, and its clients.

use std::io::{Read, Write};

use ipc_testkit::role::{Result, Role, hear, say};
use ipc_uds::{Listener, Server, Stream};

pub(crate) const ROLES: &[Role] = &[("upper", upper), ("asker", asker)];

/// `upper PATH TOTAL`: answers TOTAL clients in upper case, then says what it has done.
fn upper(arguments: &[String]) -> Result {
    let listener: Listener = Listener::bind(&*arguments[0])?;
    let before = ipc_testkit::audit::Audit::begin();
    say("listening")?;
    let served = Server::new(&listener).total(arguments[1].parse()?).serve(|mut client: &Stream| {
        let mut bytes = [0; 4096];
        loop {
            let len = client.read(&mut bytes)?;
            if len == 0 {
                return Ok(());
            }
            bytes[..len].make_ascii_uppercase();
            client.write_all(&bytes[..len])?;
        }
    })?;
    before.end();
    say(served.clients)?;
    hear().map(drop)
}

/// `asker PATH LEN`: sends half a line; hears whether to go on; sends the rest and compares the answer.
fn asker(arguments: &[String]) -> Result {
    let len: usize = arguments[1].parse()?;
    let question: Vec<u8> = (0..len).map(|at| b'a' + u8::try_from(at % 26).unwrap_or(0)).collect();
    let mut server = Stream::connect(&*arguments[0])?;
    server.write_all(&question[..len / 2])?;
    say("half")?;
    hear()?;
    server.write_all(&question[len / 2..])?;
    let mut answer = vec![0; len];
    server.read_exact(&mut answer)?;
    say(answer == question.to_ascii_uppercase())
}
