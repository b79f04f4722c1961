//! As `local_socket_server`, over TCP: std's listener, the same `Server`. Start it first, then `tcp_client`.

use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

#[path = "upper/server.rs"]
mod server;

const HELP: &str = "
Usage: tcp_server ADDR [--count N]

Listens at ADDR (127.0.0.1:4000, [::1]:4000; port 0 lets the kernel choose), names each client's address, and sends every
byte back in upper case.

  --count N   end after N clients
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let total = arguments.option("--count")?;
        let address: String = arguments.required("ADDR")?;
        arguments.finish()?;

        let listener = TcpListener::bind(&address).map_err(|error| format!("{address}: {error}"))?;
        println!("listening on {}", listener.local_addr()?);
        server::serve(&listener, total, |client: &TcpStream| Ok(client.peer_addr()?.to_string()))
    })
}
