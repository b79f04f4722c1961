//! The other end of a channel for requests.
#![expect(unsafe_code, reason = "a child is forked raw, and a channel is vouched for")]

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use ipc_shm::{Acceptance, Error, Invitation, Sealed, request};
use ipc_testkit::role::{Result, Role, hear, say};
use ipc_testkit::{WATCHDOG, crash};

use crate::spsc::wait_of;

pub(crate) const ROLES: &[Role] = &[
    ("request-server", server),
    ("request-holder", holder),
    ("request-client", client),
    ("request-asker", asker),
    ("request-waiter", waiter),
    ("request-invited", invited),
    ("request-forker", forker),
    ("request-step-client", step_client),
    ("request-step-lending-client", step_lending_client),
    ("request-step-lending-server", step_lending_server),
    ("request-step-server", step_server),
];

/// What the tests' servers answer.
fn answer_to(question: u64) -> u64 {
    question.wrapping_mul(3) ^ 1
}

/// `request-server NAME WAIT`: answers until the client is gone.
fn server(arguments: &[String]) -> Result {
    let mut server = request::Server::<u64, u64>::open(&arguments[0])?;
    server.set_wait(wait_of(&arguments[1]));
    say("ready")?;
    loop {
        match server.recv() {
            Ok(request) => {
                let answer = answer_to(*request.question());
                request.answer(&answer)?;
            }
            Err(Error::Disconnected) => return say("gone"),
            Err(error) => return Err(error.into()),
        }
    }
}

/// `request-holder NAME COUNT`: takes so many requests, and keeps them until it is told to answer.
fn holder(arguments: &[String]) -> Result {
    let server = request::Server::<u64, u64>::open(&arguments[0])?;
    say("ready")?;
    let mut held = Vec::new();
    for _ in 0..arguments[1].parse::<usize>()? {
        held.push(server.recv()?);
    }
    say("holding")?;
    hear()?;
    for request in held {
        let answer = answer_to(*request.question());
        request.answer(&answer)?;
    }
    say("answered")?;
    hear()?;
    Ok(())
}

/// `request-client NAME COUNT WAIT`: calls one by one, and says what came of it.
fn client(arguments: &[String]) -> Result {
    let mut client = request::Client::<u64, u64>::open(&arguments[0])?;
    client.set_wait(wait_of(&arguments[2]));
    say("ready")?;
    for question in 0..arguments[1].parse()? {
        let answer = client.call(&question)?;
        if answer != answer_to(question) {
            return say(format_args!("{question} was answered {answer}"));
        }
    }
    say("done")
}

/// `request-asker NAME COUNT`: asks so many questions and waits for no answer.
fn asker(arguments: &[String]) -> Result {
    let client = request::Client::<u64, u64>::open(&arguments[0])?;
    let mut pending = Vec::new();
    for question in 0..arguments[1].parse()? {
        pending.push(client.send(&question)?);
    }
    say("asked")?;
    hear()?;
    Ok(())
}

/// `request-waiter NAME`: asks 1 and 2, and when it is told to, says what came of each.
fn waiter(arguments: &[String]) -> Result {
    let client = request::Client::<u64, [u64; 4]>::open(&arguments[0])?;
    let pending = [client.send(&1)?, client.send(&2)?];
    say("asked")?;
    hear()?;
    for pending in pending {
        match pending.recv() {
            Ok(answer) => say(format_args!("{answer:?}"))?,
            Err(error) => say(error)?,
        }
    }
    Ok(())
}

/// `request-invited FD-PATH client|server`: accepts an invitation, offers its acceptance's path, then makes or answers 100
/// calls.
fn invited(arguments: &[String]) -> Result {
    let descriptors = vec![OwnedFd::from(File::open(&arguments[0])?)];
    let show = |acceptance: Acceptance| -> Result<Vec<OwnedFd>> {
        let descriptors: Vec<OwnedFd> = acceptance.into();
        say(format_args!("/proc/{}/fd/{}", std::process::id(), descriptors[0].as_raw_fd()))?;
        Ok(descriptors)
    };
    if arguments[1] == "client" {
        let invitation = Invitation::<request::Client<u64, [u64; 20], Sealed>>::try_from(descriptors)?;
        let (client, acceptance) = invitation.accept()?;
        let _kept = show(acceptance)?;
        hear()?;
        for question in 0..100 {
            if client.call(&question)? != [answer_to(question); 20] {
                return Err("wrong answer".into());
            }
        }
    } else {
        let invitation = Invitation::<request::Server<u64, [u64; 20], Sealed>>::try_from(descriptors)?;
        let (server, acceptance) = invitation.accept()?;
        let _kept = show(acceptance)?;
        hear()?;
        for _ in 0..100 {
            let request = server.recv()?;
            let answer = [answer_to(*request.question()); 20];
            request.answer(&answer)?;
        }
        say(format_args!("{:?}", server.recv().err().map(|error| error.to_string())))?;
    }
    Ok(())
}

/// `request-forker NAME`: forks with both ends, a pending call and a request in hand.
fn forker(arguments: &[String]) -> Result {
    let client = request::Client::<u64, u64>::create(&arguments[0], 16)?;
    let server = request::Server::<u64, u64>::open(&arguments[0])?;
    let mut pending = client.send(&1)?;
    let request = server.recv()?;
    // SAFETY: this process has one thread.
    #[expect(clippy::disallowed_methods, reason = "a single-threaded peer")]
    let child = unsafe { libc::fork() };
    if child == 0 {
        let forked = [
            matches!(client.call(&2), Err(Error::Forked)),
            matches!(client.try_send(&2), Err(Error::Forked)),
            matches!(pending.try_recv(), Err(Error::Forked)),
            matches!(server.try_recv(), Err(Error::Forked)),
            matches!(server.recv_timeout(Duration::ZERO), Err(Error::Forked)),
            matches!(request.remaining(), Err(Error::Forked)),
            matches!(request.answer(&7), Err(Error::Forked)),
        ];
        drop(pending);
        drop((client, server));
        say(format_args!("child {forked:?}"))?;
        std::process::exit(0);
    }
    nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child), None)?;
    request.answer(&2)?;
    let answer = pending.recv_timeout(WATCHDOG)?;
    say(format_args!("parent {answer}"))
}

/// Two calls, the second of which waits for nothing.
fn step_client(arguments: &[String]) -> Result {
    let client = request::Client::<[u64; 4], u64>::open(&arguments[0])?;
    crash::begin();
    let first = client.send(&[1; 4])?;
    let second = client.send(&[2; 4])?;
    crash::end();
    drop((first, second));
    Ok(())
}

/// The same, written in place.
fn step_lending_client(arguments: &[String]) -> Result {
    let client = request::Client::<[u64; 4], u64>::open(&arguments[0])?;
    // SAFETY: the test and this peer are the only ones, and keep to the protocol.
    let client = unsafe { client.trust() };
    crash::begin();
    let mut loan = client.loan()?;
    loan.fill(1);
    let first = loan.send()?;
    let mut loan = client.loan()?;
    loan.fill(2);
    let second = loan.send()?;
    crash::end();
    drop((first, second));
    Ok(())
}

/// As `step_server`, written in place.
fn step_lending_server(arguments: &[String]) -> Result {
    let server = request::Server::<u64, [u64; 4]>::open(&arguments[0])?;
    // SAFETY: the test and this peer are the only ones, and keep to the protocol.
    let server = unsafe { server.trust() };
    crash::begin();
    let mut first = server.recv()?.loan()?;
    let mut second = server.recv()?.loan()?;
    second.fill(2);
    second.commit()?;
    first.fill(1);
    first.commit()?;
    crash::end();
    Ok(())
}

/// Takes two requests that are there and answers the second one first.
fn step_server(arguments: &[String]) -> Result {
    let server = request::Server::<u64, [u64; 4]>::open(&arguments[0])?;
    crash::begin();
    let first = server.recv()?;
    let second = server.recv()?;
    second.answer(&[2; 4])?;
    first.answer(&[1; 4])?;
    crash::end();
    Ok(())
}
