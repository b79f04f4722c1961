//! Processes that connect and then are, or claim to be, somebody else.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use ipc_signal::{ProcessFd, Signal};
use ipc_testkit::role::{Result, Role, hear, say};
use ipc_uds::{Ancillary, Attachments, Datagram, Listener, PeerCredentials, SeqPacket, Socket, Stream};

use crate::become_nobody;

pub(crate) const ROLES: &[Role] = &[
    ("forger", forger),
    ("path-forger", path_forger),
    ("changer", changer),
    ("speaker", speaker),
    ("greeter", greeter),
    ("after-exec", after_exec),
    ("heir", heir),
    ("reuser", reuser),
    ("client-of-reuser", client_of_reuser),
    ("lingerer", lingerer),
];

/// `forger PATH`: claims to be process 1 of root, and says what came of it.
fn forger(arguments: &[String]) -> Result {
    if nix::unistd::geteuid().is_root() {
        become_nobody()?;
    }
    let stream = Stream::connect(&*arguments[0])?;
    let init = PeerCredentials { pid: std::num::NonZeroU32::new(1), uid: 0, gid: 0 };
    say(match stream.send_with(b"x", Attachments::new().credentials(init)) {
        Ok(_) => "sent".to_owned(),
        Err(error) => format!("{:?}", error.errno()),
    })?;
    // Ourselves we may be.
    stream.send_with(b"x", Attachments::new().credentials(PeerCredentials::own()))?;
    hear().map(drop)
}

/// `path-forger PATH OWN TARGET`: binds OWN, then lets that name lead to another user's object.
fn path_forger(arguments: &[String]) -> Result {
    let [path, own, target] = arguments else { return Err("path-forger PATH OWN TARGET".into()) };
    become_nobody()?;
    let stream = Stream::connect_from(&**own, &**path)?;
    fs::remove_file(own)?;
    symlink(target, own)?;
    say("bound")?;
    hear()?;
    drop(stream);
    Ok(())
}

/// `changer PATH`: connects as root, becomes nobody, sends a byte, becomes another program.
fn changer(arguments: &[String]) -> Result {
    let mut stream = Stream::connect(&*arguments[0])?;
    become_nobody()?;
    stream.write_all(b"x")?;
    // The new program has the connection as its standard error, which nothing is written to.
    let program = std::env::current_exe()?;
    let error = Command::new(program).arg("after-exec").stderr(Stdio::from(OwnedFd::from(stream))).exec();
    Err(error.into())
}

fn after_exec(_: &[String]) -> Result {
    say("exec")?;
    hear().map(drop)
}

/// `speaker KIND PATH`: connects, and sends a byte whenever it hears a line, until there are no more.
fn speaker(arguments: &[String]) -> Result {
    fn speak(socket: &impl Ancillary) -> Result {
        say("connected")?;
        while hear().is_ok() {
            socket.send_with(b"x", Attachments::new())?;
            say("sent")?;
        }
        Ok(())
    }
    let [kind, path] = arguments else { return Err("speaker KIND PATH".into()) };
    match &**kind {
        "stream" => speak(&Stream::connect(path)?),
        "seqpacket" => speak(&SeqPacket::connect(path)?),
        _ => {
            let socket = Datagram::unbound()?;
            socket.connect(path)?;
            speak(&socket)
        }
    }
}

/// `greeter PATH`: listens, and sends a byte to whoever connects before that one does anything.
fn greeter(arguments: &[String]) -> Result {
    let listener: Listener = Listener::bind(&*arguments[0])?;
    say("listening")?;
    let mut stream = listener.accept()?;
    stream.write_all(b"x")?;
    say("greeted")?;
    hear().map(drop)
}

/// `heir PATH`: is given one end of a pair through PATH and speaks on it.
fn heir(arguments: &[String]) -> Result {
    let stream = Stream::connect(&*arguments[0])?;
    let received = stream.recv_with(&mut [0; 8], 1)?;
    let end: Stream = received.descriptors.into_iter().next().ok_or("no descriptor came")?.into();
    (&end).write_all(b"x")?;
    say("spoken")?;
    hear().map(drop)
}

/// `reuser PATH ROUNDS`, as process 1 of a pid namespace: lets a client's number become another process's, and says for
/// how many rounds the number met the newcomer and the pidfd did not.
fn reuser(arguments: &[String]) -> Result {
    let rounds: u32 = arguments[1].parse()?;
    let listener: Listener = Listener::bind(&*arguments[0])?;
    let program = std::env::current_exe()?;
    let start = |role: &str| {
        let mut command = Command::new(&program);
        command.arg(role).arg(&arguments[0]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()
    };
    let (mut number_met_newcomer, mut descriptor_met_newcomer) = (0, 0);
    for round in 0..rounds {
        if round % 25 == 0 {
            say("more")?;
        }
        let mut client = start("client-of-reuser")?;
        let stream = listener.accept()?;
        let peer = stream.peer_credentials()?.pid.ok_or("no pid")?;
        let process = ProcessFd::from(stream.peer_pidfd()?);
        client.kill()?;
        client.wait()?;
        File::options()
            .write(true)
            .open("/proc/sys/kernel/ns_last_pid")?
            .write_all((peer.get() - 1).to_string().as_bytes())?;
        let mut newcomer = start("lingerer")?;
        if newcomer.id() != peer.get() {
            return Err("the number was not given again".into());
        }
        // The naive server acts on the number that it remembers.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(peer.get())?);
        number_met_newcomer += u32::from(nix::sys::signal::kill(pid, None).is_ok());
        descriptor_met_newcomer += u32::from(process.send(Signal::KILL).is_ok());
        descriptor_met_newcomer += u32::from(newcomer.try_wait()?.is_some());
        newcomer.kill()?;
        newcomer.wait()?;
    }
    say(number_met_newcomer)?;
    say(descriptor_met_newcomer)
}

fn client_of_reuser(arguments: &[String]) -> Result {
    let stream = Stream::connect(&*arguments[0])?;
    let _ = hear();
    drop(stream);
    Ok(())
}

fn lingerer(_: &[String]) -> Result {
    let _ = hear();
    Ok(())
}
