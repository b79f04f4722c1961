//! Prints the table of `kill -l`: every signal that a program may use, number and name.

use std::process::ExitCode;

use ipc_signal::Signal;

const HELP: &str = "
signals: prints the numbers and names of all signals, as `kill -l` does
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        arguments.finish()?;
        print!("{}", Signal::table());
        Ok(())
    })
}
