//! The server of both pairs: every byte goes back in upper case, whatever the connection is.

use std::io::{self, Read, Write};

use ipc_example::Result;
use ipc_signal::{Shutdown, Signal};
use ipc_uds::{Accept, Server};

/// Serves until Ctrl-C, or until `total` clients have come and gone; `name` says who a client is.
pub(crate) fn serve<L: Accept>(
    listener: L,
    total: Option<u64>,
    name: impl Fn(&L::Connection) -> io::Result<String> + Sync,
) -> Result
where
    for<'a> &'a L::Connection: Read + Write,
{
    let shutdown = Shutdown::on([Signal::INT, Signal::TERM])?;
    let mut server = Server::new(listener);
    if let Some(total) = total {
        server = server.total(total);
    }
    server.serve_until(&shutdown, |client| {
        println!("client {}", name(client)?);
        answer(client)
    })?;
    Ok(())
}

fn answer(mut client: impl Read + Write) -> io::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        let len = client.read(&mut bytes)?;
        let Some(received) = bytes.get_mut(..len).filter(|received| !received.is_empty()) else {
            return Ok(());
        };
        received.make_ascii_uppercase();
        client.write_all(received)?;
    }
}
