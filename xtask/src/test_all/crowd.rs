//! One server, 64 clients at once, of which 16 go in the middle of a line: the other 48 get their answers byte for byte.
//!
//! The clients are connections of this process; what a killed one leaves is the same to the server, a socket that the
//! kernel closes, with half a line sent and, for every other one, an answer unread. The test kit's G3 kills processes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use super::tally::Tally;
use crate::play::Programs;
use crate::stage::Stage;
use crate::{Result, process, processes};

const CLIENTS: usize = 64;
/// Every fourth client goes in mid-line: 16 of them.
const FAITHLESS: usize = 4;
const LINES: usize = 10;

/// How long one operation may take.
const WATCHDOG: Duration = Duration::from_secs(120);

pub(super) fn run(examples: &Programs, twins: &Programs) -> Result<Tally> {
    let mut tally = Tally::default();
    for (language, programs) in [("Rust", examples), ("C", twins)] {
        for name in ["local_socket_server", "tcp_server"] {
            let program = programs.get(name).ok_or_else(|| format!("{name} has not been built"))?;
            match serve(program.as_os_str(), name == "tcp_server") {
                Ok(()) => {
                    println!(
                        "{name} in {language}: {CLIENTS} clients, {} gone in mid-line",
                        CLIENTS / FAITHLESS
                    );
                    tally.pass();
                }
                Err(error) => tally.fail(format!("{name} in {language}, {CLIENTS} clients: {error}")),
            }
        }
    }
    Ok(tally)
}

fn serve(program: &std::ffi::OsStr, tcp: bool) -> Result {
    let stage = Stage::new(20)?;
    let path = stage.path("socket");
    let mut command = process::command(program);
    command.arg(if tcp { "127.0.0.1:0".into() } else { path.clone().into_os_string() });
    command.args(["--count", &CLIENTS.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut server = process::spawn(&mut command)?;
    let mut output = BufReader::new(server.stdout.take().ok_or("no output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    let address = line.trim_end().rsplit(' ').next().unwrap_or_default().to_owned();
    let done = if tcp {
        crowd(|| {
            let stream = TcpStream::connect(&address)?;
            stream.set_read_timeout(Some(WATCHDOG))?;
            Ok(stream)
        })
    } else {
        crowd(|| {
            let stream = UnixStream::connect(&path)?;
            stream.set_read_timeout(Some(WATCHDOG))?;
            Ok(stream)
        })
    };
    // Its output is read to the end, so that it is never held up by it, and --count ends it.
    let rest = std::thread::spawn(move || io::read_to_string(output));
    let ended = processes::until(WATCHDOG, || {
        processes::one(process::group(&server)).is_none_or(|server| !server.alive())
    });
    if !ended {
        server.kill()?;
    }
    let (status, _) = process::reap(&mut server)?;
    let _ = rest.join();
    done?;
    if !ended || !status.success() {
        return Err(format!(
            "the server did not end by itself after its last client: {}",
            process::ending(status)
        )
        .into());
    }
    match stage.left_behind().as_slice() {
        [] => Ok(()),
        left => Err(format!("left behind: {}", left.join(", ")).into()),
    }
}

/// All connect, then all send and read a line each in turn, until the faithless go.
fn crowd<S: Read + Write>(connect: impl Fn() -> io::Result<S>) -> Result {
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push((number, connect()?));
    }
    for turn in 0..LINES {
        for (number, client) in &mut clients {
            writeln!(client, "client {number} says line {turn}")?;
        }
        for (number, client) in &mut clients {
            expect(client, &format!("CLIENT {number} SAYS LINE {turn}\n"))?;
        }
        if turn == LINES / 2 {
            for (number, client) in clients.iter_mut().filter(|(number, _)| number % FAITHLESS == 0) {
                write!(client, "half a li")?;
                if *number % (2 * FAITHLESS) == 0 {
                    expect(client, "HALF A LI")?;
                }
            }
            clients.retain(|(number, _)| number % FAITHLESS != 0);
        }
    }
    Ok(())
}

fn expect(client: &mut impl Read, answer: &str) -> Result {
    let mut found = vec![0; answer.len()];
    client.read_exact(&mut found)?;
    if found == answer.as_bytes() {
        return Ok(());
    }
    Err(format!("{:?} came instead of {answer:?}", String::from_utf8_lossy(&found)).into())
}
