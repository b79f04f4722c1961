//! Processes that are started with sockets, or talk to programs in other languages.

use std::env;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use ipc_testkit::role::{Result, Role, hear, say};
use ipc_uds::{Ancillary, BindOptions, Listener, Stream, activated};

pub(crate) const ROLES: &[Role] = &[
    ("activated", activated_role),
    ("wrongly-activated", wrongly_activated),
    ("opens-first", opens_first),
    ("exchanger", exchanger),
];

/// `activated`: serves one client of the first socket; says what became of the others.
fn activated_role(_: &[String]) -> Result {
    let mut sockets = activated()?.into_iter();
    let first = sockets.next().ok_or("no socket")?;
    say(first.name().unwrap_or("no name"))?;
    let flags = nix::fcntl::fcntl(first.as_fd(), nix::fcntl::FcntlArg::F_GETFD)?;
    say(flags & libc::FD_CLOEXEC != 0)?;
    for other in sockets {
        say(match other.into_datagram() {
            Ok(_) => "a datagram socket".to_owned(),
            Err(error) => error.to_string(),
        })?;
    }
    say(["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"].iter().all(|name| env::var_os(name).is_none()))?;
    // Cleared: there is nothing to take twice.
    say(activated()?.is_empty())?;
    let listener: Listener = first.into_listener()?;
    let mut client = listener.accept()?;
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes)?;
    client.write_all(&bytes.to_ascii_uppercase())?;
    Ok(())
}

/// `wrongly-activated`: says what activated() says.
fn wrongly_activated(_: &[String]) -> Result {
    say(match activated() {
        Ok(sockets) => format!("{} sockets", sockets.len()),
        Err(error) => error.to_string(),
    })?;
    say(env::var_os("LISTEN_FDS").is_some())
}

/// `opens-first`: has a descriptor of its own under the number 3, and says what activated() says.
fn opens_first(_: &[String]) -> Result {
    let own = std::fs::File::open("/dev/null")?;
    assert_eq!(std::os::fd::AsRawFd::as_raw_fd(&own), 3, "no socket is handed over");
    wrongly_activated(&[])?;
    // Still ours, and nobody else's.
    own.metadata()?;
    Ok(())
}

/// `exchanger PATH`: receives a byte with a descriptor and credentials, writes `from rust` into it, sends it back.
fn exchanger(arguments: &[String]) -> Result {
    let listener: Listener = BindOptions::new().credentials(true).listen(&*arguments[0])?;
    say("listening")?;
    let stream: Stream = listener.accept()?;
    let received = stream.recv_with(&mut [0; 8], 1)?;
    let credentials = received.credentials.ok_or("no credentials")?;
    say(credentials.pid.map_or(0, u32::from))?;
    let file = received.descriptors.into_iter().next().ok_or("no descriptor")?;
    std::fs::File::from(file.try_clone()?).write_all(b"from rust")?;
    stream.send_with(b"!", &[file.as_fd()])?;
    hear().map(drop)
}
