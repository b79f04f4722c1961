//! Prints its process id, then what comes with each signal 40 or SIGINT. Start this side first, and give the number that
//! it prints to `signal_sender`.
//!
//! Both signals are blocked but while it waits for them, so nothing is printed from inside a handler: there is none. It
//! ends after SIGINT, or after `--count` signals.

use std::io::{self, Write};
use std::process::ExitCode;

use ipc_signal::{MaskGuard, Pid, Signal, SignalInfo, SignalSet, wait};

const HELP: &str = "
signal_receiver [--count N]: prints its pid, then each signal 40 or SIGINT with its value; ends after SIGINT or N signals
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let count: Option<u64> = arguments.option("--count")?;
        arguments.finish()?;
        let both = SignalSet::from([Signal::from_number(40)?, Signal::INT]);
        let _blocked = MaskGuard::block(both)?;
        let mut output = io::stdout().lock();
        writeln!(output, "pid :{}", Pid::own())?;
        for _ in 0..count.unwrap_or(u64::MAX) {
            let info = wait(both)?;
            print(&mut output, &info)?;
            if info.signal() == Signal::INT {
                break;
            }
        }
        Ok(())
    })
}

/// As C prints them: a field that did not come with the signal reads 0.
fn print(output: &mut impl Write, info: &SignalInfo) -> io::Result<()> {
    let number = info.signal().number();
    writeln!(output, "sig = {number}")?;
    writeln!(output, "si_signo = {number}")?;
    writeln!(output, "si_code = {}", info.code())?;
    writeln!(output, "si_pid = {}", info.claimed_sender().map_or(0, |sender| sender.pid.number()))?;
    writeln!(output, "si_value = {}", info.value().map_or(0, ipc_signal::Value::as_i32))
}
