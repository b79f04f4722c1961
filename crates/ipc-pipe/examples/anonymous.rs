//! An anonymous pipe between a parent and its child, or between two children.
//!
//! Start this alone: it starts the others. The parent writes `hello`, closes its end and waits; the child has the
//! reading end as its standard input and prints `buf is hello`. With `--siblings` one child writes, the other reads,
//! and the parent holds neither end: otherwise the reader would wait for the parent's end of file for ever.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Stdio};

use ipc_example::Result;
use ipc_pipe::{PipeReader, PipeWriter, pipe};

const HELP: &str = "
usage: anonymous [--siblings]

Writes `hello` into a pipe; a second process prints what it reads.
  --siblings  two children talk, the parent holds no end of the pipe";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let (siblings, reads, writes) =
            (arguments.flag("--siblings"), arguments.flag("--reads"), arguments.flag("--writes"));
        arguments.finish()?;
        match (reads, writes) {
            // The roles of the children, who find their end where their parent put it.
            (true, _) => read(std::io::stdin().as_fd().try_clone_to_owned()?.into()),
            (_, true) => write(std::io::stdout().as_fd().try_clone_to_owned()?.into()),
            _ => start(siblings),
        }
    })
}

fn start(siblings: bool) -> Result {
    let (reader, writer) = pipe()?;
    let program = std::env::current_exe()?;
    let mut children = vec![Command::new(&program).arg("--reads").stdin(reader).spawn()?];
    if siblings {
        let sibling = Command::new(&program).arg("--writes").stdin(Stdio::null()).stdout(writer).spawn()?;
        children.push(sibling);
    } else {
        write(writer)?;
    }
    for mut child in children {
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("a child ended with {status}").into());
        }
    }
    Ok(())
}

fn write(mut writer: PipeWriter) -> Result {
    Ok(writer.write_all(b"hello")?)
}

/// One read is not one write: only the end of file tells that all has come.
fn read(mut reader: PipeReader) -> Result {
    let mut text = Vec::with_capacity(128);
    reader.read_to_end(&mut text)?;
    Ok(writeln!(std::io::stdout(), "buf is {}", String::from_utf8_lossy(&text))?)
}
