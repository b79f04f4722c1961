//! Writes A, AB, ABC … into POSIX shared memory. Start `posix_server` with the same name first.

use std::process::ExitCode;

use ipc_shm::PlainMemory;

const HELP: &str = "
posix_client NAME [--count N] [--interval MS]

Writes one more letter every interval (1000 ms), each time with a NUL behind it, and stops before the end of the
memory.
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let pace = arguments.pace()?;
        let name: String = arguments.required("NAME")?;
        arguments.finish()?;

        let memory = PlainMemory::open(&name)?;
        let letters = (b'A'..=b'Z').cycle();
        for (at, (letter, ())) in letters.zip(pace).take(memory.len() - 1).enumerate() {
            memory.write_at(at, &[letter, 0])?;
        }
        Ok(())
    })
}
