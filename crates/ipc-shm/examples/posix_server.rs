//! Prints what a client writes into POSIX shared memory. Start this one first, then `posix_client` with the same name.
//!
//! A C program on either side works: 4096 bytes of text up to a NUL, nothing else.

use std::process::ExitCode;

use ipc_shm::{MemoryOptions, PlainMemory};
use ipc_signal::{Shutdown, Signal};

const HELP: &str = "
posix_server NAME [--count N] [--interval MS]

Makes 4096 bytes of POSIX shared memory under NAME (mode 0666, must not exist), prints `client# TEXT` every
interval (1000 ms), and removes it at the end, on Ctrl-C too.
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let pace = arguments.pace()?;
        let name: String = arguments.required("NAME")?;
        arguments.finish()?;

        let shutdown = Shutdown::on([Signal::INT, Signal::TERM])?;
        let memory = PlainMemory::create_with(&name, 4096, &MemoryOptions::new().mode(0o666))?;
        let mut bytes = [0; 4096];
        for turn in 0..pace.left().unwrap_or(u64::MAX) {
            if turn > 0 && shutdown.asked_within(pace.interval()) {
                break;
            }
            memory.read_at(0, &mut bytes)?;
            let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            println!("client# {}", String::from_utf8_lossy(text));
        }
        Ok(())
    })
}
