//! A server for many, and its clients.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use ipc_testkit::role::{Result, Role, hear, say};
use ipc_uds::{Budget, Framed, Listener, Served, Server, Stop, Stream};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

pub(crate) const ROLES: &[Role] = &[
    ("upper", upper),
    ("asker", asker),
    ("limited", limited),
    ("budgeted", budgeted),
    ("crowd", crowd),
    ("idlers", idlers),
    ("unwatched", unwatched),
];

/// `upper PATH TOTAL`: answers TOTAL clients in upper case, then says what it has done.
fn upper(arguments: &[String]) -> Result {
    let listener: Listener = Listener::bind(&*arguments[0])?;
    let before = ipc_testkit::audit::Audit::begin();
    say("listening")?;
    let served = Server::new(&listener).total(arguments[1].parse()?).serve(upper_case)?;
    before.end();
    say(served.clients)?;
    hear().map(drop)
}

fn upper_case(mut client: &Stream) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        let len = client.read(&mut bytes)?;
        if len == 0 {
            return Ok(());
        }
        bytes[..len].make_ascii_uppercase();
        client.write_all(&bytes[..len])?;
    }
}

/// `asker PATH LEN`: sends half a line; hears whether to go on; sends the rest and compares the answer.
fn asker(arguments: &[String]) -> Result {
    let len: usize = arguments[1].parse()?;
    let question: Vec<u8> = (0..len).map(|at| b'a' + u8::try_from(at % 26).unwrap_or(0)).collect();
    let mut server = Stream::connect(&*arguments[0])?;
    server.write_all(&question[..len / 2])?;
    say("half")?;
    hear()?;
    server.write_all(&question[len / 2..])?;
    let mut answer = vec![0; len];
    server.read_exact(&mut answer)?;
    say(answer == question.to_ascii_uppercase())
}

/// As many descriptors as we may have.
fn raise_limit() -> Result {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// `limited PATH CLIENTS IDLE_MS`: a server with limits, of `upper`, until it hears something; then it says what it has
/// done.
fn limited(arguments: &[String]) -> Result {
    raise_limit()?;
    let [path, clients, idle] = arguments else { return Err("limited PATH CLIENTS IDLE_MS".into()) };
    let listener: Listener = Listener::bind(&**path)?;
    let server = Server::new(&listener)
        .clients(clients.parse()?)
        .idle(Duration::from_millis(idle.parse()?))
        .grace(ipc_testkit::WATCHDOG);
    let stop = Stop::new()?;
    say("listening")?;
    let served = thread::scope(|threads| -> Result<Served> {
        let server = threads.spawn(|| server.serve_until(&stop, upper_case));
        hear()?;
        stop.stop();
        Ok(server.join().map_err(|_| "the server panicked")??)
    })?;
    say(served.clients)?;
    say(served.failed)
}

/// `budgeted PATH CLIENTS BYTES DESCRIPTORS`: a server that sends messages back, until it hears something. Without BYTES
/// and DESCRIPTORS, one with no limit on what all of its clients together have in flight.
fn budgeted(arguments: &[String]) -> Result {
    raise_limit()?;
    let listener: Listener = Listener::bind(&*arguments[0])?;
    let server = Server::new(&listener)
        .clients(arguments[1].parse()?)
        .descriptors(true)
        .grace(Duration::from_millis(500));
    let budget = match &arguments[2..] {
        [bytes, descriptors] => Some(server.budget(bytes.parse()?, descriptors.parse()?)),
        _ => None,
    };
    let stop = Stop::new()?;
    say("listening")?;
    thread::scope(|threads| -> Result {
        let server = threads.spawn(|| server.serve_until(&stop, |client| send_back(client, budget.as_ref())));
        hear()?;
        stop.stop();
        server.join().map_err(|_| "the server panicked")??;
        Ok(())
    })
}

fn send_back(client: &Stream, budget: Option<&Budget>) -> std::io::Result<()> {
    let mut framed = Framed::new(client, 1 << 22, 8)?;
    if let Some(budget) = budget {
        framed = framed.within(budget);
    }
    while let Some(message) = framed.recv()? {
        let (bytes, descriptors) = (message.bytes.to_vec(), message.descriptors);
        framed.send_with(&bytes, descriptors)?;
    }
    Ok(())
}

/// `crowd PATH COUNT`: that many connections one after another, each asked and answered; it says so at every 250th.
fn crowd(arguments: &[String]) -> Result {
    for number in 1..=arguments[1].parse::<u32>()? {
        let mut server = Stream::connect(&*arguments[0])?;
        server.write_all(b"hello")?;
        let mut answer = [0; 5];
        server.read_exact(&mut answer)?;
        if &answer != b"HELLO" {
            return Err("another answer".into());
        }
        if number % 250 == 0 {
            say(number)?;
        }
    }
    say("done")
}

/// `idlers PATH COUNT`: that many connections that say nothing, until it hears something.
fn idlers(arguments: &[String]) -> Result {
    raise_limit()?;
    let count = arguments[1].parse::<usize>()?;
    let idle: Vec<Stream> =
        (0..count).map(|_| Stream::connect(&*arguments[0])).collect::<std::result::Result<_, _>>()?;
    say("connected")?;
    hear()?;
    drop(idle);
    Ok(())
}

/// `unwatched`: a server of tasks whose runtime cannot watch one connection more; says how many it has served and how many of
/// them failed.
fn unwatched(_: &[String]) -> Result {
    let listener: Listener = Listener::bind(ipc_uds::Address::unnamed())?;
    let address = listener.local_address()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut refused = Ok(());
    let served = runtime.block_on(async {
        let stop = async { refused = are_closed(&address).await };
        ipc_uds::Server::new(listener).serve_async(stop, |_| async { Ok(()) }).await
    })?;
    refused?;
    say(format_args!("{} {}", served.clients, served.failed))
}

/// From now on nothing more can be watched: two clients see the end of their connections.
async fn are_closed(address: &ipc_uds::Address) -> Result {
    ipc_testkit::refuse::call(libc::SYS_epoll_ctl, libc::ENOSPC)?;
    for _ in 0..2 {
        let client = Stream::connect(address)?;
        while !matches!(client.try_read(&mut [0]), Ok(0)) {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
