//! Sets the one semaphore of a set to 1, adds 1 with undo and prints `Semaphore value: 2`. Start this or `sem_sub` first,
//! as you like; both make the set if it is missing.
//!
//! At the end of this program the kernel takes the added 1 back: that is what undo means.

use std::process::ExitCode;

use ipc_sysv::{Key, Op, SemaphoreSetOptions};

#[path = "classic/key.rs"]
#[expect(dead_code, reason = "the other programs use the rest")]
mod key;

const HELP: &str = "
Usage: sem_add [--key N]

Opens the semaphore set with key N (1234), or makes it (one semaphore, mode 0666), sets it to 1, adds 1 with undo, and
prints its value.
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let key = key::shared(arguments.option("--key")?.unwrap_or(Key::new(1234)))?;
        arguments.finish()?;

        let (set, _) = SemaphoreSetOptions::new().mode(0o666).as_it_is(true).open_or_create(key, &[1])?;
        set.set_value(0, 1)?;
        set.op(&[Op::add(0, 1).undo()])?;
        println!("Semaphore value: {}", set.value(0)?);
        Ok(())
    })
}
