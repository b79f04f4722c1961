//! Runs a command under trace and names every signal, stop, continuation and the end that it meets, a line each,
//! among the command's own output.

use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};

use ipc_signal::{Stop, Tracee};

const HELP: &str = "
trace [--] COMMAND [ARGUMENT]...: runs COMMAND and names every signal, stop, continuation and the end that it meets
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let command = arguments.command();
        arguments.finish()?;
        let (program, rest) = command.split_first().ok_or("COMMAND is missing; see --help")?;
        let start = Tracee::spawn(Command::new(program).args(rest)).map_err(io::Error::from);
        let (mut tracee, mut child) =
            start.map_err(|error| format!("{}: {error}", Path::new(program).display()))?;
        tracee.resume(None)?;
        loop {
            let stop = tracee.next_stop()?;
            println!("{}: {stop}", tracee.pid());
            match stop {
                Stop::Signal(info) => tracee.resume(Some(info.signal()))?,
                Stop::Group(_) => tracee.listen()?,
                Stop::End(_) => break,
                _ => tracee.resume(None)?,
            }
        }
        child.wait()?;
        Ok(())
    })
}
