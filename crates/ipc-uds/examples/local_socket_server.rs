//! Serves many clients over a Unix socket and answers in upper case. Start it first, then `local_socket_client`.
//!
//! It names each client by what the kernel knows of it, not by the path that the client is bound to, which proves nothing.
//! A path that a killed server left behind is taken over; one of a live server is not. Its own is removed at the end, on
//! Ctrl-C too.

use std::process::ExitCode;

use ipc_uds::{BindOptions, Listener, Socket, Stale, Stream};

#[path = "upper/server.rs"]
mod server;

const HELP: &str = "
Usage: local_socket_server [PATH] [--count N]

Listens at PATH (ipctest.socket), names each client's process, user and group, and sends every byte back in upper case.

  --count N   end after N clients
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let total = arguments.option("--count")?;
        let path = arguments.optional_path()?.unwrap_or_else(|| "ipctest.socket".into());
        arguments.finish()?;

        let listener: Listener = BindOptions::new().stale(Stale::Replace).listen(&path)?;
        println!("listening on {}", path.display());
        server::serve(&listener, total, |client: &Stream| {
            let peer = client.peer_credentials()?;
            let pid = peer.pid.map_or(0, u32::from);
            Ok(format!("pid {pid}, uid {}, gid {}", peer.uid, peer.gid))
        })
    })
}
