//! Writes five bytes, `hello`, into a FIFO once a second, until the reader goes.
//!
//! Start this or `fifo_read` first, as you like: each makes the FIFO if it is missing and waits for the other. When the
//! reader has gone, this says so and ends; SIGPIPE, which ends the classic C program without a word, is not raised.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use ipc_pipe::FifoOptions;

const HELP: &str = "
usage: fifo_write PATH [--count N] [--interval MS]

Writes `hello` into the FIFO PATH, which is made if it is missing (mode 0666 and the umask).
  --count N      ends after N times (default: never)
  --interval MS  the time between two (default: 1000)";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let pace = arguments.pace()?;
        let path = arguments.path("PATH")?;
        arguments.finish()?;
        let (fifo, _) = FifoOptions::new().mode(0o666).open_or_create(path)?;
        let mut writer = fifo.writer()?;
        for () in pace {
            match writer.write_all(b"hello") {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    eprintln!("the reader of {} has gone", fifo.path().display());
                    break;
                }
                done => done?,
            }
        }
        Ok(())
    })
}
