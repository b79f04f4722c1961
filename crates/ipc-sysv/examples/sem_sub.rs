//! Sets the one semaphore of a set to 1, subtracts 1 with undo, prints `Semaphore value: 0` and removes the set. Start this
//! or `sem_add` first, as you like; both make the set if it is missing.

use std::process::ExitCode;

use ipc_sysv::{Key, Op, SemaphoreSetOptions};

#[path = "classic/key.rs"]
#[expect(dead_code, reason = "the other programs use the rest")]
mod key;

const HELP: &str = "
Usage: sem_sub [--key N]

Opens the semaphore set with key N (1234), or makes it (one semaphore, mode 0666), sets it to 1, subtracts 1 with undo,
prints its value, and removes the set.
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let key = key::shared(arguments.option("--key")?.unwrap_or(Key::new(1234)))?;
        arguments.finish()?;

        let (set, _) = SemaphoreSetOptions::new().mode(0o666).as_it_is(true).open_or_create(key, &[1])?;
        set.set_value(0, 1)?;
        set.op(&[Op::subtract(0, 1).undo()])?;
        println!("Semaphore value: {}", set.value(0)?);
        set.remove()?;
        println!("Semaphore destroyed");
        Ok(())
    })
}
