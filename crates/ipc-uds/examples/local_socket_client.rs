//! Sends the lines of standard input over a Unix socket and prints the answers. Start `local_socket_server` first.
//!
//! Classic servers take their client's identity from the path that it is bound to, so this client binds a private one
//! (mode 0600) unless it is told not to.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use ipc_signal::{Shutdown, Signal};
use ipc_uds::Stream;

#[path = "upper/client.rs"]
mod client;

const HELP: &str = "
Usage: local_socket_client [PATH] [--bind PATH | --unbound]

Connects to PATH (ipctest.socket), sends each line of standard input and prints the answer.

  --bind PATH   the name to have meanwhile, instead of one in the directory for temporary files
  --unbound     have none
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let unbound = arguments.flag("--unbound");
        let own: Option<PathBuf> = arguments.option("--bind")?;
        let path = arguments.optional_path()?.unwrap_or_else(|| "ipctest.socket".into());
        arguments.finish()?;
        if unbound && own.is_some() {
            return Err("--bind and --unbound exclude each other".into());
        }
        if unbound {
            return client::converse(&Stream::connect(&path)?);
        }

        let own = own.unwrap_or_else(private_name);
        let shutdown = Shutdown::on([Signal::INT, Signal::TERM])?;
        let server = Stream::connect_from(&own, &path)?;
        thread::spawn(move || {
            // Whatever the main thread waits for, the name does not stay.
            if shutdown.wait().is_ok() {
                let _ = std::fs::remove_file(own);
                std::process::exit(130);
            }
        });
        client::converse(&server)
    })
}

fn private_name() -> PathBuf {
    std::env::temp_dir().join(format!("ipctest.{}.socket", std::process::id()))
}
