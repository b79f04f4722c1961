//! As `local_socket_client`, over TCP. Start `tcp_server` first.

use std::net::TcpStream;
use std::process::ExitCode;

#[path = "upper/client.rs"]
mod client;

const HELP: &str = "
Usage: tcp_client ADDR

Connects to ADDR (127.0.0.1:4000, [::1]:4000), sends each line of standard input and prints the answer.
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let address: String = arguments.required("ADDR")?;
        arguments.finish()?;

        let server = TcpStream::connect(&address).map_err(|error| format!("{address}: {error}"))?;
        client::converse(&server)
    })
}
