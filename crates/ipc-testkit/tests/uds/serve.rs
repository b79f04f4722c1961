//! A server and many clients, some of which die.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::Command;

use ipc_testkit::audit::descriptors;
use ipc_testkit::{Peer, peer, proof, repetitions, until};
use ipc_uds::{Ancillary, Error, Socket, Stream};

use crate::Place;

#[test]
fn g3_sixteen_of_64_clients_killed_in_mid_line_harm_nobody() {
    const LEN: usize = 5000;
    let place = Place::new();
    let path = place.path("s");
    let mut server = peer!("peer-uds", "upper", path.display(), 64);
    server.expect("listening");
    let mut clients: Vec<Peer> = (0..64).map(|_| peer!("peer-uds", "asker", path.display(), LEN)).collect();
    for client in &mut clients {
        client.expect("half");
    }
    for victim in clients.iter_mut().step_by(4) {
        victim.kill();
    }
    let mut exact = 0;
    for client in clients.iter_mut().enumerate().filter(|(at, _)| at % 4 != 0).map(|(_, client)| client) {
        client.tell("go on");
    }
    for client in clients.iter_mut().enumerate().filter(|(at, _)| at % 4 != 0).map(|(_, client)| client) {
        client.expect("true");
        exact += 1;
    }
    drop(clients);
    server.expect("64");
    server.tell("end");
    server.finish();
    assert_eq!(place.names(), [""; 0]);
    proof!("G3", "64 clients, 16 killed in mid-line, {exact} answers byte for byte");
}

#[test]
fn g3_thousands_of_connections_leave_nothing() {
    let count = repetitions(2000, 10_000);
    let place = Place::new();
    let path = place.path("s");
    let mut server = peer!("peer-uds", "limited", path.display(), 64, 10_000);
    server.expect("listening");
    let mut crowd = peer!("peer-uds", "crowd", path.display(), 1);
    crowd.expect("done");
    crowd.finish();
    let open = descriptors(Some(server.id())).len();
    let mut crowds: Vec<Peer> =
        (0..2).map(|_| peer!("peer-uds", "crowd", path.display(), count / 2)).collect();
    for crowd in &mut crowds {
        while crowd.hear() != "done" {}
    }
    drop(crowds);
    until("the last connection to be closed", || descriptors(Some(server.id())).len() <= open);
    server.tell("end");
    server.expect(&(count + 1).to_string());
    server.expect("0");
    server.finish();
    proof!("G3", "{count} connections made, answered and closed, 0 descriptors left");
}

/// What a process has used of the CPUs so far in all its threads, in nanoseconds.
fn time_on_cpu(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    // A task that ends meanwhile has no numbers.
    let one =
        |task: std::io::Result<fs::DirEntry>| fs::read_to_string(task.unwrap().path().join("schedstat"));
    let first = |text: String| text.split(' ').next().and_then(|number| number.parse::<u64>().ok());
    tasks.filter_map(|task| one(task).ok().and_then(first)).sum()
}

/// How much of it in a while that is long enough for any timer of a server that looks around, at best of some: the first
/// may see it come to rest.
fn time_in_a_while(process: u32) -> u64 {
    let one = || {
        let before = time_on_cpu(process);
        let deadline = ipc_sys::Deadline::after(std::time::Duration::from_millis(200));
        ipc_sys::poll::wait(std::io::stderr(), 0, deadline).unwrap();
        time_on_cpu(process) - before
    };
    (0..10).map(|_| one()).find(|spent| *spent == 0).unwrap_or_else(one)
}

#[test]
fn g3_idle_clients_cost_no_time() {
    const CLIENTS: u32 = 1000;
    let place = Place::new();
    let path = place.path("s");
    let mut server = peer!("peer-uds", "limited", path.display(), 2000, 3_600_000);
    server.expect("listening");
    let mut idlers = peer!("peer-uds", "idlers", path.display(), CLIENTS);
    idlers.expect("connected");
    // Somebody who comes after them is served, then: all of them have been accepted.
    let mut last = peer!("peer-uds", "crowd", path.display(), 1);
    last.expect("done");
    last.finish();
    let ours = time_in_a_while(server.id());
    assert_eq!(ours, 0, "nanoseconds of CPU for {CLIENTS} idle clients");
    idlers.tell("end");
    idlers.finish();
    server.tell("end");
    server.expect(&(CLIENTS + 1).to_string());

    let polled = place.path("polled");
    let mut twin = peer!("peer-uds", "naive-poller", polled.display(), CLIENTS);
    twin.expect("listening");
    let mut idlers = peer!("peer-uds", "idlers", polled.display(), CLIENTS);
    idlers.expect("connected");
    twin.expect("polling");
    let naive = time_in_a_while(twin.id());
    assert!(naive > 0);
    proof!(
        "G3",
        "{CLIENTS} idle clients cost {ours} ns of CPU in 200 ms; naive twin (looks every ms): {naive} ns"
    );
}

#[test]
fn g9_limits_of_a_server_hold() {
    let place = Place::new();
    let path = place.path("s");
    let mut server = peer!("peer-uds", "limited", path.display(), 2, 100);
    server.expect("listening");
    // Two silent clients fill it; a third is served when their idle time is over.
    let mut silent = [(); 2].map(|()| Stream::connect(&path).unwrap());
    let mut third = Stream::connect(&path).unwrap();
    third.write_all(b"third").unwrap();
    let mut answer = [0; 5];
    third.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"THIRD");
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "cut off");
    }
    // It expects no descriptors: they are refused to their sender, where the kernel can.
    match third.send_with(b"x", &[std::os::fd::AsFd::as_fd(&third)]) {
        // A machine that took its time has had it cut off, too.
        Err(Error::PermissionDenied { .. } | Error::PeerGone { .. }) | Ok(_) => {}
        other => panic!("{other:?}"),
    }
    server.tell("end");
    server.expect("3");
}

#[test]
fn g10_a_stop_lets_answers_go_out() {
    let place = Place::new();
    let path = place.path("s");
    let mut server = peer!("peer-uds", "limited", path.display(), 64, 10_000);
    server.expect("listening");
    let mut clients: Vec<Stream> = (0..8).map(|_| Stream::connect(&path).unwrap()).collect();
    let question = vec![b'x'; 100_000];
    for client in &mut clients {
        // It is being served when the stop comes: some of the answer is there, the rest waits to be read.
        client.write_all(&question[..1000]).unwrap();
        client.read_exact(&mut [0; 1000]).unwrap();
        client.write_all(&question).unwrap();
    }
    server.tell("stop");
    for client in &mut clients {
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer.len(), question.len());
        assert!(answer.iter().all(|byte| *byte == b'X'));
        let _ = client.shutdown(Shutdown::Both);
    }
    server.expect("8");
    server.expect("0");
    server.finish();
    assert!(matches!(Stream::connect(&path), Err(Error::NotFound { .. })));
}

#[test]
fn g9_a_server_at_its_limit_of_descriptors_serves_again() {
    let place = Place::new();
    let path = place.path("s");
    let mut command = Command::new("prlimit");
    command.args(["--nofile=16:16", env!("CARGO_BIN_EXE_peer-uds"), "limited"]);
    let mut server = Peer::start(command.arg(&path).args(["1000", "60000"]));
    server.expect("listening");
    let idle: Vec<Stream> = (0..30).map(|_| Stream::connect(&path).unwrap()).collect();
    let mut crowd = peer!("peer-uds", "crowd", path.display(), 1);
    until("the server to be full", || descriptors(Some(server.id())).len() >= 16);
    drop(idle);
    crowd.expect("done");
    crowd.finish();
    server.tell("end");
    server.expect("31");
    server.expect("0");
    server.finish();
}

#[test]
fn g9_a_connection_that_cannot_be_watched_ends_no_server() {
    let mut server = peer!("peer-uds", "unwatched");
    server.expect("2 2");
    server.finish();
}
