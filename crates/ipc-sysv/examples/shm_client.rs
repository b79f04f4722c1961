//! Writes A, AB, ABC … into the segment of `shm_server`, which is to be started first, with the same path.

use std::process::ExitCode;

use ipc_sysv::Segment;

#[path = "classic/key.rs"]
#[expect(dead_code, reason = "the other programs use the rest")]
mod key;

const HELP: &str = "
Usage: shm_client PATH [--count N] [--interval MS]

Writes one letter more every interval (1000 ms), N times or until the segment is full, with a NUL behind the last, into
the segment with the key ftok(PATH, 0x66).
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let pace = arguments.pace()?;
        let key = key::of_file(&arguments.path("PATH")?, 0x66)?;
        arguments.finish()?;

        let memory = Segment::open(key)?.attach()?;
        // The last byte is for the NUL.
        let letters = (b'A'..=b'Z').cycle().enumerate().take(memory.len() - 1);
        for ((at, letter), ()) in letters.zip(pace) {
            // The end of the longer text before the letter that replaces the old end: a reader finds a NUL at any time.
            memory.write_at(at + 1, &[0])?;
            memory.write_at(at, &[letter])?;
        }
        Ok(())
    })
}
