//! Prints what a client writes into a shared memory segment. Start this one first, then `shm_client` with the same path.
//!
//! The segment is removed at the end, on Ctrl-C too. After a SIGKILL it is still there: `ipcs -m` shows it, `ipcrm -m`
//! removes it, and until then this program says that it exists.

use std::io::Write;
use std::process::ExitCode;

use ipc_sysv::{RemoveOnDrop, SegmentOptions};

#[path = "classic/key.rs"]
#[expect(dead_code, reason = "the other programs use the rest")]
mod key;
#[path = "classic/turns.rs"]
mod turns;

const HELP: &str = "
Usage: shm_server PATH [--count N] [--interval MS]

Makes a segment of 4096 bytes (mode 0666, must not exist) with the key ftok(PATH, 0x66), prints `client# TEXT` every
interval (1000 ms), N times or until Ctrl-C, and removes it.
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let pace = arguments.pace()?;
        let key = key::of_file(&arguments.path("PATH")?, 0x66)?;
        arguments.finish()?;

        let turns = turns::Turns::new(pace.left(), &pace)?;
        let segment = RemoveOnDrop::new(SegmentOptions::new().mode(0o666).create(key, 4096)?);
        let memory = segment.attach_read_only()?;
        let mut bytes = [0; 4096];
        for () in turns {
            memory.read_at(0, &mut bytes)?;
            let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            let mut output = std::io::stdout().lock();
            output.write_all(b"client# ")?;
            output.write_all(text)?;
            output.write_all(b"\n")?;
            output.flush()?;
        }
        Ok(segment.remove()?)
    })
}
