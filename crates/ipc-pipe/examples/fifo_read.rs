//! Prints what each read of a FIFO brings, until the last writer has gone.
//!
//! Start this or `fifo_write` first, as you like: each makes the FIFO if it is missing and waits for the other.

use std::io::{Read, Write};
use std::process::ExitCode;

use ipc_pipe::FifoOptions;

const HELP: &str = "
usage: fifo_read PATH

Prints `buf is ...` for each read of the FIFO PATH, which is made if it is missing (mode 0666 and the umask).";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let path = arguments.path("PATH")?;
        arguments.finish()?;
        let (fifo, _) = FifoOptions::new().mode(0o666).open_or_create(path)?;
        let mut reader = fifo.reader()?;
        let mut buffer = [0; 128];
        loop {
            // Nothing ends with a NUL here: the length says how much of the buffer is the text.
            let len = reader.read(&mut buffer)?;
            let Some(text @ [_, ..]) = buffer.get(..len) else { return Ok(()) };
            writeln!(std::io::stdout(), "buf is {}", String::from_utf8_lossy(text))?;
        }
    })
}
