//! Queues signal 40 with a value to a process, then raises SIGINT at itself, which ends it. Start `signal_receiver` first:
//! it prints the number to give.

use std::process::ExitCode;

use ipc_signal::{Pid, Signal, queue, raise};

const HELP: &str = "
signal_sender PID [--value N]: queues signal 40 with N (123456) to PID, then raises SIGINT at itself
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let value: i32 = arguments.option("--value")?.unwrap_or(123_456);
        let receiver: Pid = arguments.required("PID")?;
        arguments.finish()?;
        queue(receiver, Signal::from_number(40)?, value)?;
        raise(Signal::INT)?;
        Ok(())
    })
}
